//! What needs no socket: clock arithmetic, the outbox, the waker's memory, lines of the kernel's tables, bad names.

use super::super::clock::{self, ClockPair};
use super::super::interfaces::{parse_device_line, parse_link_local_line, parse_membership_line};
use super::super::outbox::{BYTES_MAX, REPLIES_MAX, REPLY_LEN_MAX};
use super::super::socket::{ALL_RELAYS_AND_SERVERS, SocketError};
use super::*;

fn path() -> ReplyPath {
    let destination = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 546, 0, 0);
    ReplyPath { destination, interface_index: 0, source: None }
}

#[test]
fn local_time_never_goes_back() {
    let readings: Vec<_> = (0..1000).map(|_| clock::now()).collect();
    assert!(readings.is_sorted());
    assert!(readings[0] > LocalTime::ZERO);
}

#[test]
fn drift_is_the_difference_of_both_spans_in_either_direction() {
    let start = ClockPair { local: LocalTime::from_millis(5_000), wall: Duration::from_secs(100) };
    let later = |local_ms, wall_ms| ClockPair {
        local: LocalTime::from_millis(local_ms),
        wall: Duration::from_millis(wall_ms),
    };
    assert_eq!(later(6_000, 101_000).drift_since(&start), Duration::ZERO);
    assert_eq!(later(6_000, 104_000).drift_since(&start), Duration::from_secs(3));
    assert_eq!(later(9_000, 101_000).drift_since(&start), Duration::from_secs(3));
    assert_eq!(
        later(6_000, 90_000).drift_since(&start),
        Duration::from_secs(11),
        "the wall clock was set back"
    );
    let sample = ClockPair::sample();
    assert!(sample.wall > Duration::ZERO && sample.local > LocalTime::ZERO);
}

#[test]
fn outbox_keeps_committed_replies_in_order_and_forgets_the_rest() {
    let mut out = Outbox::new();
    out.begin().extend_from_slice(b"forgotten by the next begin");
    out.begin().extend_from_slice(b"one");
    assert!(out.commit(path()));
    out.begin().extend_from_slice(b"abandoned");
    out.abandon();
    assert!(!out.commit(path()), "nothing was begun");
    assert!(out.push(b"two", path()));
    let replies: Vec<_> = out.iter().map(|(bytes, _)| bytes.to_vec()).collect();
    assert_eq!(replies, [b"one".to_vec(), b"two".to_vec()]);
    assert_eq!(out.take_refused(), 1);
    out.clear();
    assert!(out.is_empty() && out.take_refused() == 0);
}

#[test]
fn outbox_refuses_and_counts_what_goes_beyond_its_bounds() {
    let mut out = Outbox::new();
    assert!(!out.push(b"", path()), "an empty reply");
    assert!(!out.push(&vec![0; REPLY_LEN_MAX + 1], path()), "longer than a datagram");
    assert!(out.push(&[0; REPLY_LEN_MAX], path()));
    out.clear();
    for _ in 0..REPLIES_MAX {
        assert!(out.room() > 0 && out.push(b"reply", path()));
    }
    assert!(out.room() == 0 && !out.push(b"one too many", path()));
    assert_eq!((out.len(), out.take_refused()), (REPLIES_MAX, 3));
    out.clear();
    let large = vec![0; 60_000];
    let fitting = BYTES_MAX / large.len();
    let taken = (0..fitting + 5).filter(|_| out.push(&large, path())).count();
    assert_eq!((taken, out.take_refused()), (fitting, 5));
}

#[test]
fn waker_remembers_a_wake_and_a_stop() {
    let waker = Waker::new().unwrap();
    waker.clone().wake();
    waker.wake();
    waker.take();
    // Taking with nothing there must neither block nor lose the next one.
    waker.take();
    waker.wake();
    waker.take();
    assert!(!waker.is_stopping());
    waker.clone().stop();
    assert!(waker.is_stopping());
}

#[test]
fn kernel_tables_are_read_and_their_headings_passed_over() {
    let line = "  eth0: 1000 10 3 4 0 0 0 2 2000 20 5 6 0 0 0 0";
    assert_eq!(parse_device_line(line), Some(("eth0".to_owned(), (7, 11))));
    assert_eq!(
        parse_device_line(" face |bytes packets errs drop fifo frame compressed multicast|bytes"),
        None
    );
    assert_eq!(parse_device_line("eth0: 1 2 3"), None);
    let line = "2    eth0            ff020000000000000000000000010002     1 00000004 0";
    assert_eq!(parse_membership_line(line), Some((2, ALL_RELAYS_AND_SERVERS)));
    assert_eq!(parse_membership_line("2 eth0 not-a-group 1 0 0"), None);
    assert_eq!(parse_membership_line(""), None);
    let address = |flags| format!("fe80000000000000fcd27bfffe5f12aa 1f 40 20 {flags}     eth0");
    assert_eq!(parse_link_local_line(&address("80")), Some(31));
    assert_eq!(parse_link_local_line(&address("c0")), None, "tentative");
    assert_eq!(parse_link_local_line(&address("88")), None, "a duplicate");
    assert_eq!(parse_link_local_line("00000000000000000000000000000001 01 80 10 80       lo"), None);
    assert_eq!(parse_link_local_line("fe80000000000000fcd27bfffe5f12aa 1f"), None);
}

#[test]
fn interface_names_are_checked() {
    let table = |names: &[&str]| {
        let config = |name: &&str| InterfaceConfig { name: (*name).to_owned(), clients: true, site: false };
        InterfaceTable::new(names.iter().map(config).collect()).map(|_| ())
    };
    assert_eq!(table(&["eth0", "eth1", "name-of-15-byte"]), Ok(()));
    assert_eq!(
        table(&["eth0", "eth1", "eth0"]),
        Err(SocketError::InterfaceTwice { name: "eth0".to_owned() })
    );
    for bad in ["", "name-of-16-bytes", "a/b", "a b", ".."] {
        assert_eq!(table(&[bad]), Err(SocketError::BadInterfaceName { name: bad.to_owned() }));
    }
}
