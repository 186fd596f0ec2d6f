//! Tests of the judge, with messages as they pass.

use leasehold_frontend::codec::encode::Writer;
use leasehold_frontend::codec::ia::{IaKind, LeaseTimes, Timers};
use leasehold_frontend::codec::message::TransactionId;
use leasehold_frontend::codec::wire::{CLIENT_PORT, opt};

use super::*;

fn bytes(kind: u8, duid: &[u8], leases: &[(&str, u32)]) -> Vec<u8> {
    let mut buffer = Vec::new();
    let mut out = Writer::new(&mut buffer, 1000);
    out.message(kind, TransactionId([1, 2, 3])).unwrap();
    out.option(opt::CLIENT_ID, duid).unwrap();
    out.begin_ia(IaKind::Na, 1, Timers::default()).unwrap();
    for (address, valid_secs) in leases {
        let bits = address.parse::<Ipv6Addr>().unwrap().to_bits();
        out.ia_address(bits, LeaseTimes { preferred_secs: 0, valid_secs: *valid_secs }).unwrap();
    }
    out.end_option().unwrap();
    buffer
}

const SERVER: (Ipv6Addr, u16) = (Ipv6Addr::LOCALHOST, SERVER_PORT);
const CLIENT: (Ipv6Addr, u16) = (Ipv6Addr::LOCALHOST, CLIENT_PORT);

fn ask(wire: &mut Wire, secs: u64, kind: u8, duid: &[u8], leases: &[(&str, u32)]) {
    let payload = bytes(kind, duid, leases);
    let at = Duration::from_secs(secs);
    wire.see(&Datagram { at, source: CLIENT, destination: SERVER, payload: &payload });
}

fn answer(wire: &mut Wire, secs: u64, kind: u8, duid: &[u8], leases: &[(&str, u32)]) {
    let payload = bytes(kind, duid, leases);
    let at = Duration::from_secs(secs);
    wire.see(&Datagram { at, source: SERVER, destination: CLIENT, payload: &payload });
}

#[test]
fn fo_912_a_second_holder_is_found_and_a_released_lease_has_none() {
    let mut wire = Wire::default();
    answer(&mut wire, 10, msg::REPLY, b"one", &[("2001:db8::1", 100)]);
    answer(&mut wire, 20, msg::REPLY, b"one", &[("2001:db8::1", 100)]);
    answer(&mut wire, 21, msg::ADVERTISE, b"two", &[("2001:db8::1", 100)]);
    assert_eq!(wire.given_twice(), 0, "an Advertise promises nothing");
    answer(&mut wire, 119, msg::REPLY, b"two", &[("2001:db8::1", 100)]);
    assert_eq!(wire.given_twice(), 1, "{:?}", wire.examples());
    ask(&mut wire, 130, msg::RELEASE, b"one", &[("2001:db8::1", 0)]);
    answer(&mut wire, 131, msg::REPLY, b"three", &[("2001:db8::1", 100)]);
    assert_eq!(wire.given_twice(), 2, "a stranger's Release frees nothing");
    ask(&mut wire, 132, msg::RELEASE, b"three", &[("2001:db8::1", 0)]);
    answer(&mut wire, 133, msg::REPLY, b"one", &[("2001:db8::1", 100)]);
    assert_eq!((wire.given_twice(), wire.taken_back(), wire.unreadable()), (2, 0, 0));
    assert_eq!(wire.held(Duration::from_secs(200)).into_values().collect::<Vec<_>>(), [hex(b"one")]);
    assert!(wire.held(Duration::from_secs(233)).is_empty());
}

#[test]
fn a_lease_taken_from_its_holder_is_counted_once() {
    let mut wire = Wire::default();
    answer(&mut wire, 1, msg::REPLY, b"one", &[("2001:db8::1", 100)]);
    answer(&mut wire, 2, msg::REPLY, b"one", &[("2001:db8::1", 0)]);
    answer(&mut wire, 3, msg::REPLY, b"one", &[("2001:db8::1", 0)]);
    answer(&mut wire, 4, msg::REPLY, b"two", &[("2001:db8::1", 100)]);
    assert_eq!((wire.given_twice(), wire.taken_back()), (0, 1));
}

#[test]
fn a_wait_counts_from_the_first_transmission_and_ends_with_leases_only() {
    let mut wire = Wire::default();
    ask(&mut wire, 10, msg::SOLICIT, b"one", &[]);
    ask(&mut wire, 11, msg::SOLICIT, b"one", &[]);
    ask(&mut wire, 12, msg::REQUEST, b"one", &[]);
    answer(&mut wire, 13, msg::REPLY, b"one", &[]);
    answer(&mut wire, 14, msg::REPLY, b"one", &[("2001:db8::1", 100)]);
    ask(&mut wire, 50, msg::RENEW, b"one", &[("2001:db8::1", 0)]);
    ask(&mut wire, 60, msg::REBIND, b"one", &[("2001:db8::1", 0)]);
    let waits: Vec<_> = wire.waits_from(Duration::from_secs(14)).collect();
    let seconds = |n| Duration::from_secs(n);
    let found: Vec<_> = waits.iter().map(|wait| (wait.wanted, wait.since, wait.until)).collect();
    let expected = [
        (Wanted::New, seconds(10), Some(seconds(14))),
        (Wanted::Offered, seconds(12), Some(seconds(14))),
        (Wanted::Renewal, seconds(50), None),
    ];
    assert_eq!(found, expected);
    assert_eq!(wire.waits_from(seconds(15)).count(), 1, "what is over before the moment does not count");
}
