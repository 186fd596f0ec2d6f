//! Multicast, and addresses of which loopback has too few: in network namespaces of the test's own. Needs root and
//! the `ip` command; without root each test says so and passes.

use std::num::NonZeroU32;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};

use super::super::interface_table::InterfaceState;
use super::super::socket::{ALL_RELAYS_AND_SERVERS, ALL_SERVERS};
use super::*;

/// Runs a test in a thread with a network namespace of its own, which ends with it.
fn in_namespace(test: impl FnOnce() + Send) {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            // Addresses are usable at once.
            std::fs::write("/proc/sys/net/ipv6/conf/all/accept_dad", "0").unwrap();
            std::fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").unwrap();
            ip("link set lo up");
            test();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Runs `ip` in the calling thread's namespace.
fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("the ip command is installed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A pair of connected interfaces, both up.
fn veth(one: &str, other: &str) {
    ip(&format!("link add {one} type veth peer name {other}"));
    ip(&format!("link set {one} up"));
    ip(&format!("link set {other} up"));
}

fn any_address() -> SocketConfig {
    let local = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0);
    SocketConfig { local, ..SocketConfig::default() }
}

fn index_of(name: &str) -> u32 {
    nix::net::if_::if_nametoindex(name).unwrap()
}

fn send(client: &UdpSocket, bytes: &[u8], group: Ipv6Addr, port: u16, interface: &str) {
    let to = SocketAddrV6::new(group, port, 0, index_of(interface));
    // A link-local address comes a moment after the link.
    wait_until("the datagram can be sent", || client.send_to(bytes, to).is_ok());
}

#[test]
fn a_reply_leaves_from_the_address_that_the_packet_was_sent_to() {
    in_namespace(|| {
        ip("address add fd00::1/128 dev lo");
        ip("address add fd00::2/128 dev lo");
        // Even on loopback an address is tentative for a moment, and cannot be bound or sent from.
        for address in ["fd00::1", "fd00::2"] {
            wait_until("the address is usable", || UdpSocket::bind((address, 0)).is_ok());
        }
        let (handler, seen, _) = echo();
        let server = serve(&any_address(), handler);
        // Left to itself the kernel would answer fd00::1 from fd00::1.
        let client = client("fd00::1".parse().unwrap());
        let second: Ipv6Addr = "fd00::2".parse().unwrap();
        client.send_to(b"renew", (second, server.address.port())).unwrap();
        let (bytes, from) = receive(&client);
        assert_eq!((bytes, *from.ip()), (b"renew".to_vec(), second));
        assert_eq!(seen.recv_timeout(PATIENCE).unwrap().destination, second);
        server.thread.stop().unwrap();
    });
}

#[test]
fn sv_101_clients_are_heard_on_configured_interfaces_only_and_answered_out_of_the_same() {
    in_namespace(|| {
        veth("server0", "client0");
        veth("server1", "client1");
        let socket = Arc::new(ServerSocket::open(&any_address()).unwrap());
        let port = socket.local_addr().port();
        let waker = Waker::new().unwrap();
        let interface = InterfaceConfig { name: "server0".to_owned(), clients: true, site: false };
        let mut watch = InterfaceWatch::start(Arc::clone(&socket), vec![interface], waker.clone()).unwrap();
        wait_until("the link is up", || {
            watch.scan();
            watch.table().health()[0].can_serve()
        });
        let (handler, seen, _) = echo();
        let server = serve_on(socket, watch.table(), waker, handler);
        let client = client(Ipv6Addr::UNSPECIFIED);
        // Another process's membership on another interface must not bring us its packets.
        let other = socket2::SockRef::from(&client);
        other.join_multicast_v6(&ALL_RELAYS_AND_SERVERS, index_of("server1")).unwrap();
        send(&client, b"not for us", ALL_RELAYS_AND_SERVERS, port, "client1");
        send(&client, b"not joined", ALL_SERVERS, port, "client0");
        send(&client, b"solicit", ALL_RELAYS_AND_SERVERS, port, "client0");
        let seen = seen.recv_timeout(PATIENCE).unwrap();
        assert_eq!(seen.bytes, b"solicit");
        assert_eq!((seen.destination, seen.interface_index), (ALL_RELAYS_AND_SERVERS, index_of("server0")));
        let (bytes, from) = receive(&client);
        assert_eq!((bytes, from.port()), (b"solicit".to_vec(), port));
        assert!(from.ip().is_unicast_link_local());
        assert_eq!(from.scope_id(), index_of("client0"), "the answer came by the client's own link");
        let health = &watch.table().health()[0];
        assert_eq!(
            (health.datagrams_received, health.index.map(NonZeroU32::get)),
            (1, Some(index_of("server0")))
        );
        server.thread.stop().unwrap();
        assert_eq!(server.stats.counts().datagrams_not_joined, 1, "a membership of another process");
    });
}

#[test]
fn an_interface_that_appears_later_vanishes_or_loses_ipv6_is_joined_again() {
    in_namespace(|| {
        let socket = Arc::new(ServerSocket::open(&any_address()).unwrap());
        let port = socket.local_addr().port();
        let waker = Waker::new().unwrap();
        let interface = InterfaceConfig { name: "server0".to_owned(), clients: true, site: true };
        let mut watch = InterfaceWatch::start(Arc::clone(&socket), vec![interface], waker.clone()).unwrap();
        let table = watch.table();
        let state = || (table.health()[0].state, table.health()[0].joined);
        assert_eq!(state(), (InterfaceState::Absent, false));
        assert!(!watch.scan(), "nothing has changed");
        let (handler, seen, _) = echo();
        let server = serve_on(socket, watch.table(), waker, handler);
        let client = client(Ipv6Addr::UNSPECIFIED);
        let heard = |round: &str, watch: &mut InterfaceWatch| {
            wait_until("the interface serves", || {
                watch.scan();
                state() == (InterfaceState::Up, true)
            });
            for group in [ALL_RELAYS_AND_SERVERS, ALL_SERVERS] {
                send(&client, round.as_bytes(), group, port, "client0");
                let seen = seen.recv_timeout(PATIENCE).unwrap();
                assert_eq!((seen.bytes.as_slice(), seen.destination), (round.as_bytes(), group));
                assert_eq!(seen.interface_index, index_of("server0"));
            }
        };

        let generation = table.generation();
        veth("server0", "client0");
        heard("appeared", &mut watch);
        assert!(table.generation() > generation);
        let index = index_of("server0");

        ip("link delete server0");
        assert!(watch.scan());
        assert_eq!(state(), (InterfaceState::Absent, false));
        veth("server0", "client0");
        assert_ne!(index_of("server0"), index);
        heard("came back", &mut watch);

        // Below 1,280 an interface has no IPv6; afterwards the index is the same and the groups are gone.
        ip("link set server0 mtu 1000");
        assert!(watch.scan());
        assert!(!table.health()[0].joined);
        let problem = table.health()[0].problem.clone().unwrap();
        assert!(problem.contains("server0") && problem.contains("1280"), "{problem}");
        ip("link set server0 mtu 1500");
        heard("has IPv6 again", &mut watch);

        ip("link set client0 down");
        wait_until("the carrier is seen lost", || {
            watch.scan();
            state().0 == InterfaceState::NoCarrier
        });
        ip("link set server0 down");
        watch.scan();
        assert_eq!(state().0, InterfaceState::Down);
        ip("link set server0 up");
        ip("link set client0 up");
        heard("up again", &mut watch);
        server.thread.stop().unwrap();
    });
}

#[test]
fn the_watch_in_its_thread_finds_an_interface_and_ends_when_dropped() {
    in_namespace(|| {
        let socket = Arc::new(ServerSocket::open(&any_address()).unwrap());
        let interface = InterfaceConfig { name: "server0".to_owned(), clients: true, site: false };
        let watch = InterfaceWatch::start(socket, vec![interface], Waker::new().unwrap()).unwrap();
        let table = watch.table();
        let thread = watch.spawn(Duration::from_millis(5)).unwrap();
        veth("server0", "client0");
        wait_until("the thread has joined", || table.health()[0].can_serve());
        assert_eq!(table.present().map(|(_, config)| config.name.as_str()).collect::<Vec<_>>(), ["server0"]);
        drop(thread);
    });
}
