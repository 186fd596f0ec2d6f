//! The packet thread over loopback with ports of the kernel's choice: no root, no multicast.

use std::collections::BTreeSet;

use super::super::clock;
use super::super::packet_loop::PacketLoopError;
use super::super::receive::DATAGRAM_LEN_MAX;
use super::super::socket::SocketError;
use super::*;

#[test]
fn sv_102_an_answer_goes_back_to_the_source_with_packet_info_right() {
    let (handler, seen, _) = echo();
    let server = serve(&loopback_any_port(), handler);
    let client = client(Ipv6Addr::LOCALHOST);
    client.send_to(b"solicit", server.address).unwrap();
    assert_eq!(receive(&client), (b"solicit".to_vec(), server.address));
    let seen = seen.recv_timeout(PATIENCE).unwrap();
    assert_eq!(seen.bytes, b"solicit");
    assert_eq!(std::net::SocketAddr::V6(seen.source), client.local_addr().unwrap());
    assert_eq!(seen.destination, Ipv6Addr::LOCALHOST);
    assert_eq!(seen.interface_index, nix::net::if_::if_nametoindex("lo").unwrap());
    server.thread.stop().unwrap();
}

#[test]
fn every_datagram_of_many_batches_is_answered_once() {
    const COUNT: u32 = 2_000;
    const IN_FLIGHT: u32 = 100;
    let (handler, _seen, _) = echo();
    let server = serve(&loopback_any_port(), handler);
    let client = client(Ipv6Addr::LOCALHOST);
    let mut answered = BTreeSet::new();
    for number in 0..COUNT {
        client.send_to(&number.to_be_bytes(), server.address).unwrap();
        if number % IN_FLIGHT == IN_FLIGHT - 1 {
            (0..IN_FLIGHT).for_each(|_| assert!(answered.insert(receive(&client).0), "answered twice"));
        }
    }
    assert_eq!(answered, (0..COUNT).map(|n| n.to_be_bytes().to_vec()).collect());
    server.thread.stop().unwrap();
    let counts = server.stats.counts();
    assert_eq!((counts.datagrams_handled, counts.replies_sent), (u64::from(COUNT), u64::from(COUNT)));
    assert!((1..=u64::from(COUNT)).contains(&counts.batches_received));
    assert_eq!(counts.datagrams_on_unlisted_interfaces, u64::from(COUNT), "no interface is configured");
    assert_eq!((counts.replies_failed, counts.receive_errors, counts.datagrams_truncated), (0, 0, 0));
}

#[test]
fn sec_06_an_oversize_datagram_is_dropped_and_counted() {
    let (handler, _seen, _) = echo();
    let server = serve(&loopback_any_port(), handler);
    let client = client(Ipv6Addr::LOCALHOST);
    for len in [DATAGRAM_LEN_MAX + 1, 60_000] {
        client.send_to(&vec![7; len], server.address).unwrap();
    }
    let longest = vec![8; DATAGRAM_LEN_MAX];
    client.send_to(&longest, server.address).unwrap();
    assert_eq!(receive(&client).0, longest);
    assert_eq!(server.stats.counts().datagrams_truncated, 2);
    server.thread.stop().unwrap();
}

#[test]
fn r4_replies_are_withheld_while_the_handler_says_no() {
    let (handler, _seen, may_send) = echo();
    may_send.store(false, Ordering::SeqCst);
    let server = serve(&loopback_any_port(), handler);
    let client = client(Ipv6Addr::LOCALHOST);
    client.send_to(b"too late", server.address).unwrap();
    wait_until("the reply is counted as withheld", || server.stats.counts().replies_withheld == 1);
    may_send.store(true, Ordering::SeqCst);
    client.send_to(b"in time", server.address).unwrap();
    assert_eq!(receive(&client).0, b"in time");
    server.thread.stop().unwrap();
    assert_eq!(server.stats.counts().replies_sent, 1);
}

/// Answers each packet three times, first from an address that is not ours, last to nowhere.
struct Misaddressed;

impl PacketHandler for Misaddressed {
    fn handle(&mut self, _: LocalTime, packet: &Received<'_>, out: &mut Outbox) {
        let path =
            ReplyPath { destination: packet.source, interface_index: 0, source: packet.reply_source() };
        out.push(b"foreign source", ReplyPath { source: Some("2001:db8::1".parse().unwrap()), ..path });
        out.push(b"good", path);
        out.push(b"no such interface", ReplyPath { interface_index: 1 << 30, ..path });
    }

    fn turn(&mut self, _: LocalTime, _: &mut Outbox) {}

    fn may_send(&mut self, _: LocalTime) -> bool {
        true
    }

    fn next_deadline(&self) -> Option<LocalTime> {
        None
    }
}

#[test]
fn a_reply_that_cannot_leave_does_not_hold_up_the_others() {
    let server = serve(&loopback_any_port(), Misaddressed);
    let client = client(Ipv6Addr::LOCALHOST);
    for _ in 0..10 {
        client.send_to(b"?", server.address).unwrap();
        assert_eq!(receive(&client).0, b"good");
    }
    wait_until("all failures are counted", || server.stats.counts().replies_failed == 20);
    server.thread.stop().unwrap();
    assert_eq!(server.stats.counts().replies_sent, 10);
}

/// Has no packets: passes on numbers handed over by the test, and reaches a row of deadlines.
struct Turns {
    inbox: Receiver<u32>,
    outbox: Sender<u32>,
    deadlines_left: u32,
    deadline: LocalTime,
    reached: Sender<Reached>,
}

impl PacketHandler for Turns {
    fn handle(&mut self, _: LocalTime, _: &Received<'_>, _: &mut Outbox) {}

    fn turn(&mut self, now: LocalTime, _: &mut Outbox) {
        self.inbox.try_iter().for_each(|number| self.outbox.send(number).unwrap());
        if self.deadlines_left > 0 && now >= self.deadline {
            self.reached.send((self.deadline, now)).unwrap();
            self.deadlines_left -= 1;
            self.deadline = now + Duration::from_millis(2);
        }
    }

    fn may_send(&mut self, _: LocalTime) -> bool {
        true
    }

    fn next_deadline(&self) -> Option<LocalTime> {
        (self.deadlines_left > 0).then_some(self.deadline)
    }
}

/// A deadline, and when its turn came.
type Reached = (LocalTime, LocalTime);

fn turns(deadlines_left: u32) -> (Turns, Sender<u32>, Receiver<u32>, Receiver<Reached>) {
    let ((give, inbox), (outbox, take), (reached, moments)) = (channel(), channel(), channel());
    (Turns { inbox, outbox, deadlines_left, deadline: clock::now(), reached }, give, take, moments)
}

#[test]
fn a_wake_brings_a_turn_that_sees_what_was_put_before_it() {
    let (handler, give, take, _moments) = turns(0);
    let server = serve(&loopback_any_port(), handler);
    for number in 0..50 {
        let wakeups = server.stats.counts().wakeups;
        give.send(number).unwrap();
        server.waker.wake();
        assert_eq!(take.recv_timeout(PATIENCE), Ok(number));
        // A turn without cause might have brought it, so the wake-up itself must be seen as well.
        wait_until("the wake-up is taken", || server.stats.counts().wakeups > wakeups);
    }
    server.thread.stop().unwrap();
}

#[test]
fn a_deadline_brings_a_turn_without_any_packet() {
    // By turns without cause, one a second, so many would take ten times the test's patience.
    const COUNT: usize = 100;
    let (handler, _give, _take, moments) = turns(100);
    let server = serve(&loopback_any_port(), handler);
    let mut reached = Vec::new();
    wait_until("all deadlines are reached", || {
        reached.extend(moments.try_iter());
        reached.len() == COUNT
    });
    assert!(reached.iter().all(|(deadline, now)| now >= deadline));
    server.thread.stop().unwrap();
}

#[test]
fn stop_ends_an_idle_thread_and_gives_the_handler_back() {
    let (handler, _give, _take, _moments) = turns(7);
    let server = serve(&loopback_any_port(), Turns { deadline: LocalTime::NEVER, ..handler });
    assert!(!server.thread.is_finished());
    assert_eq!(server.thread.stop().unwrap().deadlines_left, 7);
}

struct Panics;

impl PacketHandler for Panics {
    fn handle(&mut self, _: LocalTime, _: &Received<'_>, _: &mut Outbox) {}

    fn turn(&mut self, _: LocalTime, _: &mut Outbox) {
        panic!("a bug of the handler");
    }

    fn may_send(&mut self, _: LocalTime) -> bool {
        true
    }

    fn next_deadline(&self) -> Option<LocalTime> {
        Some(LocalTime::ZERO)
    }
}

#[test]
fn a_panic_of_the_handler_is_reported_in_its_words() {
    let server = serve(&loopback_any_port(), Panics);
    wait_until("the thread has ended", || server.thread.is_finished());
    assert_eq!(
        server.thread.stop().map(|_| ()),
        Err(PacketLoopError::Panicked("a bug of the handler".to_owned()))
    );
}

#[test]
fn a_second_server_on_the_port_is_refused_with_the_reason() {
    let first = ServerSocket::open(&loopback_any_port()).unwrap();
    let config = SocketConfig { local: first.local_addr(), ..SocketConfig::default() };
    let refused = ServerSocket::open(&config).unwrap_err();
    assert_eq!(refused, SocketError::InUse { local: first.local_addr() });
    assert!(refused.to_string().contains("another DHCPv6 server"));
    // The wildcard address takes in the one in use.
    let local = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, first.local_addr().port(), 0, 0);
    let config = SocketConfig { local, ..SocketConfig::default() };
    assert_eq!(ServerSocket::open(&config).unwrap_err(), SocketError::InUse { local });
}

#[test]
fn an_address_that_the_host_lacks_is_refused_with_the_reason() {
    let local = SocketAddrV6::new("2001:db8::1".parse().unwrap(), 0, 0, 0);
    let config = SocketConfig { local, ..SocketConfig::default() };
    assert_eq!(ServerSocket::open(&config).unwrap_err(), SocketError::NoSuchAddress { local });
}

#[test]
fn multicast_on_a_socket_of_one_address_is_refused_and_mere_watching_is_not() {
    let socket = Arc::new(ServerSocket::open(&loopback_any_port()).unwrap());
    let start = |clients| {
        let interface = InterfaceConfig { name: "lo".to_owned(), clients, site: false };
        InterfaceWatch::start(Arc::clone(&socket), vec![interface], Waker::new().unwrap())
    };
    let (interface, local) = ("lo".to_owned(), socket.local_addr());
    assert_eq!(start(true).unwrap_err(), SocketError::MulticastNeedsAnyAddress { interface, local });
    let health = start(false).unwrap().table().health();
    assert!(health[0].can_serve(), "{health:?}");
}

#[test]
fn the_receive_buffer_is_enlarged_as_far_as_allowed() {
    let small =
        ServerSocket::open(&SocketConfig { receive_buffer_len: 8_192, ..loopback_any_port() }).unwrap();
    let large = ServerSocket::open(&loopback_any_port()).unwrap();
    assert!(large.receive_buffer_len().unwrap() > small.receive_buffer_len().unwrap());
}
