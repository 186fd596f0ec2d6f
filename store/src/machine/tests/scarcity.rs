//! Ranges under scarcity: a partner is asked to give back before a pool is called dry; a crash strands half at most.

use super::lab::{AUTONOMY_SECS, Lab, MCLT_SECS, address, bits, network};
use crate::machine::{Audience, ClosedUntil, Machine, PoolView};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::session::StoreEvent;
use leasehold_proto::v1;
use leasehold_proto::words::{Epoch, PoolId, RangeId};

fn asked(events: &[(Audience, StoreEvent)]) -> Option<(Epoch, u32)> {
    events.iter().find_map(|(to, event)| match (to, event) {
        (Audience::Session(to), StoreEvent::GiveBack { ranges, .. }) => Some((*to, *ranges)),
        _ => None,
    })
}

fn dry(events: &[(Audience, StoreEvent)], who: Epoch) -> bool {
    events.iter().any(|(to, event)| {
        *to == Audience::Session(who) && matches!(event, StoreEvent::PoolDry { dry: true, .. })
    })
}

fn granted(events: &[(Audience, StoreEvent)], who: Epoch) -> Vec<RangeId> {
    let ranges = events.iter().filter_map(|(_, event)| match event {
        StoreEvent::Range(r) if r.owner == who => Some(r.range),
        _ => None,
    });
    ranges.collect()
}

fn of_one_address() -> v1::Network {
    let mut network = network();
    network.pools[0].first = bits("2001:db8:1::10").to_be_bytes().to_vec();
    network.pools[0].last = network.pools[0].first.clone();
    network.pools[0].range_bits = Some(0);
    network
}

fn view(machine: &Machine, pool: PoolId) -> PoolView {
    machine.pool_views().find(|p| p.id == pool).unwrap()
}

#[test]
fn a_dry_pool_asks_the_partner_first_and_is_called_dry_a_second_later() {
    let mut lab = Lab::new();
    let (a, b) = (lab.open("a"), lab.open("b"));
    let pool = lab.pool();
    assert_eq!(lab.grant(a, 4).len(), 4);
    let events = lab.ask(b, pool, 4);
    assert_eq!(asked(&events), Some((a, 2)), "half of what the partner has more");
    assert!(!dry(&events, b));
    assert_eq!(lab.ask(b, pool, 4), [], "it is not asked twice, and nothing is known yet");
    lab.pass(1);
    let events = lab.ask(b, pool, 4);
    assert!(dry(&events, b) && asked(&events).is_none());
    lab.pass(4);
    assert_eq!(asked(&lab.ask(b, pool, 1)), Some((a, 1)), "asked again after five seconds");
}

#[test]
fn what_is_given_back_is_for_whom_it_was_asked() {
    let mut lab = Lab::new();
    let (a, b) = (lab.open("a"), lab.open("b"));
    let pool = lab.pool();
    let of_a = lab.grant(a, 4);
    lab.ask(b, pool, 1);
    lab.give_back(a, &of_a[..1]);
    assert_eq!(lab.ask(a, pool, 1), [], "its giver does not get it again");
    assert_eq!(granted(&lab.ask(b, pool, 1), b), of_a[..1]);
    // Both need more now: each is told so, and neither is asked in every batch.
    let mut requests = 0;
    for _ in 0..40 {
        requests += usize::from(asked(&lab.ask(a, pool, 1)).is_some());
        requests += usize::from(asked(&lab.ask(b, pool, 1)).is_some());
        lab.pass(1);
    }
    assert!((1..=9).contains(&requests), "{requests} in 40 s");
}

#[test]
fn whoever_asked_and_died_keeps_nothing_from_the_partner() {
    let mut lab = Lab::new();
    let (a, b) = (lab.open("a"), lab.open("b"));
    let pool = lab.pool();
    let of_a = lab.grant(a, 4);
    lab.ask(b, pool, 1);
    let mut batch = lab.batch(b);
    batch.closing = true;
    lab.send(batch);
    lab.give_back(a, &of_a[..1]);
    assert_eq!(granted(&lab.ask(a, pool, 1), a), of_a[..1]);
}

#[test]
fn a_pool_whose_partner_is_gone_is_dry_at_once() {
    let mut lab = Lab::new();
    let (a, b) = (lab.open("a"), lab.open("b"));
    let pool = lab.pool();
    lab.grant(a, 4);
    lab.acknowledge(b);
    for _ in 0..6 {
        lab.pass(AUTONOMY_SECS / 5);
        lab.acknowledge(b);
    }
    assert!(lab.machine.session(a).unwrap().ended);
    assert!(dry(&lab.ask(b, pool, 1), b));
}

/// The RFC's own counterexample: one address, the partners cut off from each other, a client on each side.
#[test]
fn fo_211_a_pool_of_one_address_has_one_owner_at_any_time() {
    let mut lab = Lab::new();
    lab.configure(&of_one_address());
    let pool = lab.pool();
    let (a, b) = (lab.open("a"), lab.open("b"));
    let only = lab.grant(a, 1);
    assert_eq!(only.len(), 1);
    // The owner is silent. The other is not granted the address until the owner is dead for certain.
    assert_eq!(asked(&lab.ask(b, pool, 1)), Some((a, 1)));
    let mut waited = 0;
    let of_b = loop {
        lab.pass(10);
        waited += 10;
        let events = lab.ask(b, pool, 1);
        if let [range] = granted(&events, b)[..] {
            break range;
        }
        assert!(waited < 2000, "never granted");
    };
    assert_eq!(of_b, only[0]);
    assert!(waited >= AUTONOMY_SECS + u64::from(MCLT_SECS), "after {waited} s");
    // What the old owner promised meanwhile changes nothing: it is dead for certain.
    assert!(lab.promise(a, address(0x10), 1).is_err());
    lab.promise(b, address(0x10), 2).unwrap();
}

#[test]
fn fo_211_an_idle_owner_hands_the_only_address_over() {
    let mut lab = Lab::new();
    lab.configure(&of_one_address());
    let pool = lab.pool();
    let (a, b) = (lab.open("a"), lab.open("b"));
    let only = lab.grant(a, 1);
    assert_eq!(asked(&lab.ask(b, pool, 1)), Some((a, 1)));
    lab.give_back(a, &only);
    assert_eq!(granted(&lab.ask(b, pool, 1), b), only);
    lab.promise(b, address(0x10), 2).unwrap();
    assert!(lab.promise(a, address(0x10), 1).is_err());
}

#[test]
fn a_crash_looping_frontend_leaves_its_partner_half_of_any_pool() {
    for last in 0..=7u32 {
        let mut lab = Lab::new();
        let mut network = network();
        network.pools[0].last = (bits("2001:db8:1::10") + u128::from(last)).to_be_bytes().to_vec();
        network.pools[0].range_bits = Some(0);
        lab.configure(&network);
        let slices = last + 1;
        let mut stranded = 0;
        for _ in 0..12 {
            let a = lab.open("a");
            stranded += lab.grant(a, 1).len();
        }
        let b = lab.open("b");
        let left = lab.grant(b, slices).len();
        let half = usize::try_from(slices).unwrap().div_ceil(2);
        if slices == 1 {
            assert_eq!((stranded, left), (1, 0), "one address is with whoever had it first");
        } else {
            assert!(left >= half, "{left} of {slices}");
        }
        assert_eq!(stranded + left, usize::try_from(slices).unwrap());
    }
}

#[test]
fn pools_are_shown_with_what_is_granted_closed_and_until_when() {
    let mut lab = Lab::new();
    let mut network = network();
    // A clipped last slice: 15 addresses in ranges of 4.
    network.pools[0].last = bits("2001:db8:1::1e").to_be_bytes().to_vec();
    lab.configure(&network);
    let pool = lab.pool();
    let (a, b) = (lab.open("a"), lab.open("b"));
    lab.grant(a, 1);
    lab.promise(a, address(0x10), 1).unwrap();
    lab.grant(b, 3);
    let shown = view(&lab.machine, pool);
    assert_eq!((shown.slots, shown.granted, shown.closed, shown.free), (15, 15, 0, 0));
    assert_eq!(shown.leases.iter().map(|(_, n)| n).sum::<u64>(), 1);
    assert!(shown.leases.contains(&(LeaseState::Active, 1)) && shown.closed_until.is_none());
    lab.open("b");
    let shown = view(&lab.machine, pool);
    assert_eq!((shown.granted, shown.closed, shown.free), (4, 11, 0));
    let ClosedUntil { first, last } = shown.closed_until.unwrap();
    assert_eq!(first, last);
    let moment = lab.now();
    assert!(first.saturating_since(moment).as_secs() >= AUTONOMY_SECS + u64::from(MCLT_SECS));
}
