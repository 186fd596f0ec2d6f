//! Tests of the packet I/O: values alone, real sockets over loopback, and multicast in network namespaces.
//!
//! Owns the handler and the small helpers that they share. A wait is for a condition, with a bound; none measures
//! time.

mod loopback;
mod namespace;
mod overload;
mod values;

use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use leasehold_proto::time::LocalTime;

use super::outbox::{Outbox, ReplyPath};
use super::packet_loop::{PacketHandler, PacketLoop, PacketThread};
use super::receive::Received;
use super::socket::{ServerSocket, SocketConfig};
use super::stats::{PacketCounts, PacketStats};
use super::waker::Waker;
use super::{InterfaceConfig, InterfaceTable, InterfaceWatch};
use crate::engine::admission::Bounds;

/// No condition takes that long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the packet thread told about one datagram.
#[derive(Debug)]
struct Seen {
    bytes: Vec<u8>,
    source: SocketAddrV6,
    destination: Ipv6Addr,
    interface_index: u32,
}

/// Sends back what it gets, by the way it came, and tells of it.
struct Echo {
    seen: Sender<Seen>,
    may_send: Arc<AtomicBool>,
}

impl PacketHandler for Echo {
    fn handle(&mut self, _: LocalTime, packet: &Received<'_>, out: &mut Outbox) {
        assert!(!packet.truncated);
        let path = ReplyPath {
            destination: packet.source,
            interface_index: if packet.source.ip().is_unicast_link_local() {
                packet.interface_index
            } else {
                0
            },
            source: packet.reply_source(),
        };
        out.begin().extend_from_slice(packet.bytes);
        assert!(out.commit(path));
        let seen = Seen {
            bytes: packet.bytes.to_vec(),
            source: packet.source,
            destination: packet.destination,
            interface_index: packet.interface_index,
        };
        // The test may have seen enough and gone.
        let _ = self.seen.send(seen);
    }

    fn turn(&mut self, _: LocalTime, _: &mut Outbox) {}

    fn may_send(&mut self, _: LocalTime) -> bool {
        self.may_send.load(Ordering::SeqCst)
    }

    fn next_deadline(&self) -> Option<LocalTime> {
        None
    }
}

/// A running packet thread and what a test needs around it.
struct Server<H> {
    address: SocketAddrV6,
    stats: Arc<PacketStats>,
    waker: Waker,
    thread: PacketThread<H>,
}

fn loopback_any_port() -> SocketConfig {
    SocketConfig { local: SocketAddrV6::new(Ipv6Addr::LOCALHOST, 0, 0, 0), ..SocketConfig::default() }
}

fn serve<H: PacketHandler + 'static>(config: &SocketConfig, handler: H) -> Server<H> {
    let socket = Arc::new(ServerSocket::open(config).unwrap());
    let interfaces = Arc::new(InterfaceTable::new(Vec::new()).unwrap());
    serve_on(socket, interfaces, Waker::new().unwrap(), handler)
}

fn serve_on<H: PacketHandler + 'static>(
    socket: Arc<ServerSocket>,
    interfaces: Arc<InterfaceTable>,
    waker: Waker,
    handler: H,
) -> Server<H> {
    serve_with(socket, interfaces, waker, handler, Some(([7; 16], Bounds::default())))
}

fn serve_with<H: PacketHandler + 'static>(
    socket: Arc<ServerSocket>,
    interfaces: Arc<InterfaceTable>,
    waker: Waker,
    handler: H,
    admission: Option<([u8; 16], Bounds)>,
) -> Server<H> {
    let address = socket.local_addr();
    let stats = Arc::new(PacketStats::default());
    let parts = PacketLoop { socket, interfaces, waker: waker.clone(), stats: Arc::clone(&stats), admission };
    Server { address, stats, waker, thread: parts.spawn(handler).unwrap() }
}

fn echo() -> (Echo, Receiver<Seen>, Arc<AtomicBool>) {
    let (seen, told) = channel();
    let may_send = Arc::new(AtomicBool::new(true));
    (Echo { seen, may_send: Arc::clone(&may_send) }, told, may_send)
}

fn client(local: Ipv6Addr) -> UdpSocket {
    let socket = UdpSocket::bind((local, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Receives one datagram: its bytes and where it came from.
fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddrV6) {
    let mut buffer = [0; 65_536];
    let (len, from) = socket.recv_from(&mut buffer).expect("an answer within the test's patience");
    let std::net::SocketAddr::V6(from) = from else { panic!("an IPv6 socket") };
    (buffer[..len].to_vec(), from)
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let pause = Duration::from_millis(5);
    for _ in 0..PATIENCE.as_millis() / pause.as_millis() {
        if condition() {
            return;
        }
        std::thread::sleep(pause);
    }
    panic!("never came true: {what}");
}
