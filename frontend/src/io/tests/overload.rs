//! The packet thread with more in its socket than it can handle at once, over loopback. Never more than 500 datagrams
//! wait: so many fit into the receive buffer that an unprivileged process gets.

use std::collections::BTreeSet;

use super::*;
use crate::codec::wire::msg;
use crate::engine::admission::{Class, class_of};

/// Records what it handles, by round, and handles nothing before it is let.
struct Recorder {
    gate: Receiver<()>,
    held: bool,
    round: Vec<Vec<u8>>,
    rounds: Sender<Vec<Vec<u8>>>,
}

impl PacketHandler for Recorder {
    fn handle(&mut self, _: LocalTime, packet: &Received<'_>, _: &mut Outbox) {
        self.round.push(packet.bytes.to_vec());
    }

    fn turn(&mut self, _: LocalTime, _: &mut Outbox) {
        if !self.round.is_empty() {
            // The test may have seen enough and gone.
            let _ = self.rounds.send(std::mem::take(&mut self.round));
        }
        if std::mem::take(&mut self.held) {
            // Meanwhile the socket fills up.
            self.gate.recv_timeout(PATIENCE).expect("the test opens the gate");
        }
    }

    fn may_send(&mut self, _: LocalTime) -> bool {
        true
    }

    fn next_deadline(&self) -> Option<LocalTime> {
        None
    }
}

/// A message of a type, numbered by its transaction id.
fn message(kind: u8, number: u32) -> Vec<u8> {
    let [_, a, b, c] = number.to_be_bytes();
    vec![kind, a, b, c]
}

/// Lets datagrams wait in the socket until all are sent, and gives back what was handled, round by round.
fn handled(admission: bool, datagrams: &[Vec<u8>]) -> (Vec<Vec<Vec<u8>>>, PacketCounts) {
    let ((open, gate), (rounds, taken)) = (channel(), channel());
    let handler = Recorder { gate, held: true, round: Vec::new(), rounds };
    let socket = Arc::new(ServerSocket::open(&loopback_any_port()).unwrap());
    let table = Arc::new(InterfaceTable::new(Vec::new()).unwrap());
    let waker = Waker::new().unwrap();
    let admission = admission.then(|| ([7; 16], Bounds::default()));
    let server = serve_with(socket, table, waker, handler, admission);
    let client = client(Ipv6Addr::LOCALHOST);
    // The first brings the turn that waits for the gate.
    client.send_to(b"first", server.address).unwrap();
    assert_eq!(taken.recv_timeout(PATIENCE).unwrap(), [b"first".to_vec()]);
    datagrams
        .iter()
        .for_each(|bytes| assert_eq!(client.send_to(bytes, server.address).unwrap(), bytes.len()));
    open.send(()).unwrap();
    let sent = datagrams.len() as u64 + 1;
    wait_until("each datagram is handled, or its newer copy is", || {
        let counts = server.stats.counts();
        counts.datagrams_handled + counts.datagrams_superseded == sent
    });
    server.thread.stop().unwrap();
    (taken.try_iter().collect(), server.stats.counts())
}

/// Solicits, then as many Requests, then as many Renews.
fn three_classes(each: u32) -> Vec<Vec<u8>> {
    let kinds = [msg::SOLICIT, msg::REQUEST, msg::RENEW];
    kinds.into_iter().flat_map(|kind| (0..each).map(move |number| message(kind, number))).collect()
}

#[test]
fn sec_01_overload_what_waits_in_the_socket_is_handled_by_rank_in_bounded_rounds() {
    const EACH: u32 = 150;
    let datagrams = three_classes(EACH);
    let (rounds, counts) = handled(true, &datagrams);
    let all: Vec<Vec<u8>> = rounds.concat();
    assert_eq!(all.iter().collect::<BTreeSet<_>>(), datagrams.iter().collect(), "each once, none lost");
    // Renews were sent last, behind 300 others, and all are received before any is handled. But for the lower classes'
    // sixteenth, Renews are handled first.
    let position = |class| {
        let positions = all.iter().enumerate().filter(|(_, bytes)| class_of(bytes) == class);
        positions.map(|(at, _)| at).max().unwrap()
    };
    let last_renew = position(Class::Extending);
    assert!(last_renew < 165, "the last Renew was handled as number {last_renew}");
    assert!(
        last_renew < position(Class::Requesting) && position(Class::Requesting) < position(Class::Soliciting)
    );
    let lens: Vec<usize> = rounds.iter().map(Vec::len).collect();
    assert!(lens.iter().all(|len| *len <= 256) && lens.len() >= 2, "{lens:?}");
    assert_eq!(counts.datagrams_queued, u64::from(3 * EACH));
    assert_eq!(
        (counts.datagrams_shed_full, counts.datagrams_shed_stale, counts.datagrams_superseded),
        (0, 0, 0)
    );
}

#[test]
fn sec_01_overload_without_admission_the_order_is_that_of_arrival() {
    let datagrams = three_classes(100);
    let (rounds, counts) = handled(false, &datagrams);
    assert_eq!(rounds.concat(), datagrams);
    assert_eq!(counts.datagrams_queued, 0);
}

#[test]
fn sec_01_overload_copies_of_one_message_are_handled_once() {
    let mut datagrams = three_classes(80);
    let distinct = datagrams.len();
    datagrams.extend(three_classes(80));
    let (rounds, counts) = handled(true, &datagrams);
    let all = rounds.concat();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), distinct);
    // All are received before any is handled: a round takes more than were sent.
    assert_eq!((all.len(), counts.datagrams_superseded), (distinct, distinct as u64));
}

#[test]
fn a_few_datagrams_are_handled_without_the_queue() {
    let datagrams: Vec<_> = (0..40).map(|number| message(msg::SOLICIT, number)).collect();
    let (rounds, counts) = handled(true, &datagrams);
    assert_eq!(rounds.concat(), datagrams);
    assert_eq!(counts.datagrams_queued, 0);
}
