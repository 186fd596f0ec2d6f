//! Asking for ranges, choosing places, whose range it is.

use super::*;
use crate::engine::leases::Owner;

pub(super) fn requests(batches: &[Arc<SessionBatch>], pool: PoolId) -> Vec<u32> {
    batches.iter().flat_map(|b| &b.requests).filter(|r| r.pool == pool).map(|r| r.ranges).collect()
}

#[test]
fn every_pool_asks_at_once_for_a_first_share() {
    let mut b = Bench::new();
    b.welcome(ME, false, 0);
    let batches = b.drain();
    // A thirty-second of 16 ranges, at least one; a vast range is enough alone; the foreign pool is not asked for.
    assert_eq!((requests(&batches, POOL), requests(&batches, VAST)), (vec![1], vec![1]));
    assert_eq!(requests(&batches, FOREIGN), Vec::<u32>::new());
    assert!(b.drain().is_empty());
}

#[test]
fn more_is_asked_for_before_running_dry_and_one_request_at_a_time() {
    let mut b = Bench::ready();
    let mut asked = Vec::new();
    for client in 0..14 {
        b.create(client).unwrap();
        asked.extend(requests(&b.drain(), POOL));
        if asked.is_empty() {
            b.answer_all();
        }
    }
    assert_eq!(asked, [1]);
    assert!(b.leases.status(b.now()).pools[0].slots_free > 0);
}

#[test]
fn only_the_stores_word_makes_a_pool_dry_and_it_is_asked_again_each_5_s() {
    let mut b = Bench::ready();
    for client in 0..16 {
        b.create(client).unwrap();
    }
    assert_eq!(b.create(16), Err(NoLease::NotNow));
    b.drain();
    let batch = b.batches.remove(0);
    let outcome = b.outcome(batch.sequence, true, &[]);
    b.entry(vec![outcome, StoreEvent::PoolDry { pool: POOL, dry: true }]);
    assert_eq!(b.create(16), Err(NoLease::Dry));
    assert!(b.news.contains(&News::PoolWord(POOL)));
    b.answer_all();
    b.ms += 4_900;
    assert_eq!(requests(&b.drain(), POOL), Vec::<u32>::new());
    b.ms += 100;
    assert!(b.leases.next_deadline().unwrap() <= b.now());
    assert_eq!(requests(&b.drain(), POOL), [1]);
    b.grant(POOL, 1, true);
    assert!(b.news.contains(&News::RangeGranted(POOL)));
    assert!(b.create(16).is_ok());
}

#[test]
fn sv_213_reserved_interface_ids_are_never_given() {
    use super::super::reserved::is_reserved;
    for reserved in [
        "2001:db8::",
        "2001:db8::fdff:ffff:ffff:ff80",
        "2001:db8::fdff:ffff:ffff:ffff",
        "2001:db8::200:5eff:fe00:0",
        "2001:db8::200:5eff:fe12:3456",
        "2001:db8::200:5eff:feff:ffff",
    ] {
        assert!(is_reserved(IaKind::Na, Prefix::address(bits(reserved))), "{reserved}");
    }
    for fine in
        ["2001:db8::1", "2001:db8::fdff:ffff:ffff:ff7f", "2001:db8::fe00:0:0:0", "2001:db8::200:5eff:ff00:0"]
    {
        assert!(!is_reserved(IaKind::Na, Prefix::address(bits(fine))), "{fine}");
    }
    assert!(!is_reserved(IaKind::Pd, "2001:db8:1::/56".parse().unwrap()));

    let mut b = Bench::ready();
    let key = binding(1, IaKind::Na);
    let zero = Prefix::address(bits("2001:db8:0:1::"));
    let given = b
        .leases
        .create(b.now(), IaRef::of(&key), &Wanted { hint: Some(zero), ..Wanted::of(&[VAST]) })
        .unwrap();
    assert_ne!(given.prefix, zero);
    // A map leaves them out as well.
    let tiny = network_with(|wire| {
        wire.version = 2;
        wire.pools[3].id = 9;
        wire.pools[3].first = bits("2001:db8:0:2::").to_be_bytes().to_vec();
        wire.pools[3].last = bits("2001:db8:0:2::3").to_be_bytes().to_vec();
        wire.relationships[0].pools.push("foreign".into());
        wire.relationships.remove(1);
    });
    b.entry(vec![StoreEvent::Network(tiny)]);
    b.grant(PoolId(9), 0, true);
    for client in 10..13 {
        let key = binding(client, IaKind::Na);
        let given = b.leases.create(b.now(), IaRef::of(&key), &Wanted::of(&[PoolId(9)])).unwrap();
        assert_ne!(given.prefix, Prefix::address(bits("2001:db8:0:2::")));
    }
    let key = binding(13, IaKind::Na);
    assert_eq!(b.leases.create(b.now(), IaRef::of(&key), &Wanted::of(&[PoolId(9)])), Err(NoLease::NotNow));
}

#[test]
fn sv_214_places_depend_on_the_key_and_stay_for_one_client() {
    let place = |key: u8, client: u8| {
        let mut b = Bench::new();
        b.leases = Leases::new(FrontendId::new("fe-a").unwrap(), [key; 16], Limits::default());
        b.welcome(ME, false, 0);
        b.load_done(&[], &[]);
        b.drain();
        b.answer_all();
        b.grant(VAST, 0, true);
        let binding = binding(client, IaKind::Na);
        b.leases.offer(b.now(), IaRef::of(&binding), &Wanted::of(&[VAST])).unwrap().prefix
    };
    assert_eq!(place(1, 1), place(1, 1));
    assert_ne!(place(1, 1), place(2, 1));
    assert_ne!(place(1, 1), place(1, 2));
}

#[test]
fn whose_range_an_address_lies_in() {
    let mut b = Bench::ready();
    let theirs = b.range(POOL, 1, PARTNER, false);
    let mut closed = b.range(POOL, 2, PARTNER, false);
    closed.closed = true;
    let older_self = b.range(POOL, 3, Epoch(99), false);
    b.entry([theirs, closed, older_self].into_iter().map(StoreEvent::Range).collect());
    let partner = FrontendId::new("fe-b").unwrap();
    assert_eq!(b.leases.owner_of(address(0)), Owner::Me);
    assert_eq!(b.leases.owner_of(address(16)), Owner::Partner(&partner));
    assert_eq!(b.leases.owner_of(address(32)), Owner::Closed);
    assert_eq!(b.leases.owner_of(address(48)), Owner::Closed);
    assert_eq!(b.leases.owner_of(address(64)), Owner::Nobody);
}

#[test]
fn r1_a_range_taken_away_is_not_leased_from_any_more() {
    let mut b = Bench::ready();
    let mut record = b.range(POOL, 0, ME, false);
    record.closed = true;
    b.entry(vec![StoreEvent::Range(record)]);
    assert_eq!(b.create(1), Err(NoLease::NotNow));
}

#[test]
fn a_full_range_gives_its_last_address() {
    let mut b = Bench::ready();
    for slice in 1..16 {
        b.grant(POOL, slice, true);
    }
    let mut given = std::collections::BTreeSet::new();
    for client in 0..=255u8 {
        given.insert(b.create(client).unwrap().prefix);
    }
    assert_eq!(given.len(), 256);
    assert_eq!(b.leases.status(b.now()).pools[0].slots_free, 0);
}
