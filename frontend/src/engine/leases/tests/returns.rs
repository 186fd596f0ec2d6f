//! Ranges under scarcity: small bites, what goes to a partner that has nothing left, what lies idle.

use super::ranges::requests;
use super::*;
use crate::engine::leases::Owner;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn wish(b: &mut Bench, ranges: u32) {
    b.entry(vec![StoreEvent::GiveBack { pool: POOL, ranges }]);
}

fn returned(batches: &[Arc<SessionBatch>]) -> Vec<u64> {
    batches.iter().flat_map(|b| &b.returned).filter(|r| r.pool == POOL).map(|r| r.slice).collect()
}

fn free(b: &Bench) -> u64 {
    b.leases.status(b.now()).pools[0].slots_free
}

/// The store takes the batches in flight, opens what they return, and says so.
fn take_back(b: &mut Bench) {
    while !b.batches.is_empty() {
        let batch = b.batches.remove(0);
        let mut events: Vec<StoreEvent> = Vec::new();
        for range in &batch.returned {
            events.push(StoreEvent::Range(b.range(range.pool, range.slice, Epoch::NONE, false)));
        }
        events.push(b.outcome(batch.sequence, true, &[]));
        b.entry(events);
    }
}

#[test]
fn fo_605_half_of_what_is_free_goes_to_the_partner_emptiest_ranges_first() {
    let mut b = Bench::ready();
    let held = b.create(1).unwrap().prefix;
    for slice in 1..4 {
        b.grant(POOL, slice, true);
    }
    b.settle();
    assert_eq!(free(&b), 63);
    wish(&mut b, 10);
    let given = returned(&b.drain());
    assert_eq!(given.len(), 2);
    assert!(!given.contains(&0), "the range with a lease in it is the last to go");
    assert_eq!(free(&b), 31);
    assert!(b.extend(1, held).is_some());
    take_back(&mut b);
    assert!(b.drain().iter().all(|batch| batch.requests.is_empty()), "what was given is not asked for again");
}

#[test]
fn fo_211_a_pool_of_one_range_goes_to_whoever_has_a_client() {
    let mut b = Bench::ready();
    wish(&mut b, 1);
    assert_eq!(returned(&b.drain()), [0]);
    take_back(&mut b);
    for _ in 0..100 {
        b.ms += 1000;
        assert_eq!(requests(&b.drain(), POOL), Vec::<u32>::new(), "nobody here wants it");
        take_back(&mut b);
    }
    // A client comes: it is asked for, and this time it is kept for that client.
    assert_eq!(b.create(1), Err(NoLease::NotNow));
    assert_eq!(requests(&b.drain(), POOL), [1]);
    b.grant(POOL, 0, false);
    b.answer_all();
    wish(&mut b, 1);
    b.ms += 1000;
    assert_eq!(returned(&b.drain()), Vec::<u64>::new());
    assert!(b.create(1).is_ok());
}

#[test]
fn fo_606_a_range_with_anything_untold_in_it_is_not_given() {
    let mut b = Bench::ready();
    b.create(1).unwrap();
    wish(&mut b, 1);
    // In the same turn: dirty; then in flight.
    assert_eq!(returned(&b.drain()), Vec::<u64>::new());
    b.ms += 200;
    assert_eq!(returned(&b.drain()), Vec::<u64>::new());
    b.answer_all();
    b.ms += 200;
    assert_eq!(returned(&b.drain()), [0], "with a lease in it, but nothing untold");
}

#[test]
fn r1_nothing_is_created_from_a_range_on_its_way_back() {
    let mut b = Bench::ready();
    wish(&mut b, 1);
    let sent = b.drain();
    assert_eq!(returned(&sent), [0]);
    assert_eq!(b.create(1), Err(NoLease::NotNow));
    assert_eq!(b.leases.owner_of(address(0)), Owner::Nobody);
    // The configuration, and the store's word from before the batch was taken, change nothing.
    b.entry(vec![StoreEvent::Network(network_with(|wire| wire.version = 2))]);
    assert_eq!(b.create(1), Err(NoLease::NotNow));
    let still_mine = b.range(POOL, 0, ME, false);
    b.disconnect();
    b.welcome(ME, false, sent[0].sequence.0 - 1);
    b.load_done(&[], &[still_mine]);
    assert_eq!(b.create(1), Err(NoLease::NotNow));
    let again = b.drain();
    assert_eq!(*again[0], *sent[0], "sent again as it was");
    b.batches.retain(|batch| batch.sequence >= sent[0].sequence);
    b.batches.dedup();
    take_back(&mut b);
    assert_eq!(b.create(1), Err(NoLease::NotNow));
    // Granted again, it is there again.
    b.grant(POOL, 0, false);
    assert!(b.create(1).is_ok());
}

#[test]
fn r1_a_return_whose_answer_is_lost_is_not_taken_for_owned_again() {
    let mut b = Bench::ready();
    wish(&mut b, 1);
    let sent = b.drain();
    b.disconnect();
    // Taken meanwhile; the load has not come yet.
    b.welcome(ME, false, sent[0].sequence.0);
    assert_eq!(b.create(1), Err(NoLease::NotNow));
    let partners = b.range(POOL, 0, PARTNER, false);
    b.load_done(&[], &[partners]);
    assert_eq!(b.create(1), Err(NoLease::NotNow));
    assert!(matches!(b.leases.owner_of(address(0)), Owner::Partner(_)));
}

#[test]
fn a_range_granted_again_by_the_answer_to_its_return_counts() {
    let mut b = Bench::ready();
    wish(&mut b, 1);
    let batch = b.drain().remove(0);
    b.batches.clear();
    let gone = b.range(POOL, 0, Epoch::NONE, false);
    let back = b.range(POOL, 0, ME, false);
    let outcome = b.outcome(batch.sequence, true, &[]);
    b.entry(vec![StoreEvent::Range(gone), StoreEvent::Range(back), outcome]);
    assert!(b.create(1).is_ok());
}

#[test]
fn nothing_is_given_before_the_load_after_superseding_or_while_stopping() {
    let mut b = Bench::ready();
    wish(&mut b, 1);
    b.entry(vec![StoreEvent::Superseded { by: Epoch(101), at: LogIndex(b.index + 1) }]);
    assert_eq!(returned(&b.drain()), Vec::<u64>::new());
    let mut b = Bench::new();
    b.welcome(ME, false, 0);
    b.grant(POOL, 0, true);
    wish(&mut b, 1);
    assert_eq!(returned(&b.drain()), Vec::<u64>::new());
    let mut b = Bench::ready();
    wish(&mut b, 1);
    b.leases.begin_stop(b.now());
    let closing = b.drain().remove(0);
    assert!(closing.closing);
    assert_eq!(returned(&[closing]), [0], "once, with everything else");
}

#[test]
fn fo_605_a_range_that_comes_free_elsewhere_is_asked_for_at_once() {
    let mut b = Bench::ready();
    for client in 0..16 {
        b.create(client).unwrap();
    }
    b.drain();
    let batch = b.batches.remove(0);
    let outcome = b.outcome(batch.sequence, true, &[]);
    b.entry(vec![outcome, StoreEvent::PoolDry { pool: POOL, dry: true }]);
    b.answer_all();
    assert_eq!(requests(&b.drain(), POOL), Vec::<u32>::new());
    let opened = b.range(POOL, 7, Epoch::NONE, false);
    b.entry(vec![StoreEvent::Range(opened)]);
    assert_eq!(requests(&b.drain(), POOL), [1]);
}

#[test]
fn fo_605_what_lies_idle_above_the_high_water_mark_goes_back_step_by_step() {
    let mut b = Bench::ready();
    let held = b.create(1).unwrap().prefix;
    for slice in 1..16 {
        b.grant(POOL, slice, true);
    }
    b.settle();
    b.ms += 55_000;
    assert_eq!(returned(&b.drain()), Vec::<u64>::new(), "not before a minute without a new lease");
    for _ in 0..200 {
        b.ms += 200;
        b.drain();
        take_back(&mut b);
    }
    // Four times the low-water mark (4), and a bite (16), lie within 32 and 48.
    assert!((32..48).contains(&free(&b)), "{}", free(&b));
    assert!(b.extend(1, held).is_some());
}

#[test]
fn a_big_pool_keeps_what_it_has() {
    let mut b = Bench::ready();
    for slice in 1..10 {
        b.grant(VAST, slice, true);
    }
    b.settle();
    b.ms += 120_000;
    assert!(b.drain().iter().all(|batch| batch.returned.is_empty()));
}

proptest! {
    /// A store with 16 ranges, this frontend, and a partner that takes and gives at random. Once nothing happens any
    /// more, asking and returning come to an end, and no ask follows a return.
    #[test]
    fn fo_605_asking_and_returning_never_alternate_without_a_change_of_load(
        steps in proptest::collection::vec((0u8..8, 0u64..8000), 0..60)
    ) {
        let mut b = Bench::new();
        b.welcome(ME, false, 0);
        b.load_done(&[], &[]);
        let mut vacant: BTreeSet<u64> = (0..16).collect();
        let mut partners: BTreeSet<u64> = BTreeSet::new();
        let mut client = 0u8;
        for (action, ms) in steps {
            b.ms += ms;
            match action {
                0..=3 => { client = client.wrapping_add(1); let _ = b.create(client); }
                4 => wish(&mut b, 1 + u32::try_from(ms % 3).unwrap()),
                5 => partners.extend(vacant.pop_first()),
                6 => {
                    if let Some(slice) = partners.pop_first() {
                        vacant.insert(slice);
                        let open = b.range(POOL, slice, Epoch::NONE, false);
                        b.entry(vec![StoreEvent::Range(open)]);
                    }
                }
                _ => {}
            }
            round(&mut b, &mut vacant);
        }
        let mut has_returned = false;
        let mut quiet_rounds = 0;
        for _ in 0..4000 {
            b.ms += 200;
            let (asked, gave) = round(&mut b, &mut vacant);
            prop_assert!(!(asked && has_returned), "an ask follows a return though nothing happened");
            has_returned |= gave;
            quiet_rounds = if asked || gave { 0 } else { quiet_rounds + 1 };
        }
        prop_assert!(quiet_rounds > 1000, "it does not come to rest");
    }
}

/// What is asked for is granted as long as there is any; says whether ranges were asked for and returned.
fn round(b: &mut Bench, vacant: &mut BTreeSet<u64>) -> (bool, bool) {
    let (mut asked, mut gave) = (false, false);
    b.drain();
    while !b.batches.is_empty() {
        let batch = b.batches.remove(0);
        let mut events = Vec::new();
        for range in batch.returned.iter().filter(|r| r.pool == POOL) {
            gave = true;
            vacant.insert(range.slice);
            events.push(StoreEvent::Range(b.range(POOL, range.slice, Epoch::NONE, false)));
        }
        for request in batch.requests.iter().filter(|r| r.pool == POOL) {
            asked = true;
            let granted: Vec<u64> = (0..request.ranges).filter_map(|_| vacant.pop_first()).collect();
            if granted.is_empty() {
                events.push(StoreEvent::PoolDry { pool: POOL, dry: true });
            }
            for slice in granted {
                events.push(StoreEvent::Range(b.range(POOL, slice, ME, false)));
            }
        }
        events.push(b.outcome(batch.sequence, true, &[]));
        b.entry(events);
    }
    (asked, gave)
}

#[test]
fn fo_605_a_pool_that_grew_is_asked_for_by_its_new_size() {
    let mut b = Bench::ready();
    let gone = b.range(POOL, 0, Epoch::NONE, false);
    b.entry(vec![StoreEvent::Range(gone)]);
    let larger = network_with(|wire| {
        wire.version = 2;
        wire.pools[0].last = bits("2001:db8::1:ff").to_be_bytes().to_vec();
    });
    b.entry(vec![StoreEvent::Network(larger)]);
    // 64 slots now: a thirty-second of 4096 ranges would be more.
    assert_eq!(requests(&b.drain(), POOL), [4]);
}

/// A client is given this address, and the pool is cut before it while that is on its way to the store.
fn cut_before(b: &mut Bench, given: &str, last: &str) {
    let key = binding(1, IaKind::Na);
    let hint = Some(Prefix::address(bits(given)));
    let wanted = Wanted { hint, ..Wanted::of(&[POOL]) };
    assert_eq!(b.leases.create(b.now(), IaRef::of(&key), &wanted).map(|g| Some(g.prefix)), Ok(hint));
    b.drain();
    let cut = network_with(|wire| {
        wire.version = 2;
        wire.pools[0].last = bits(last).to_be_bytes().to_vec();
    });
    b.entry(vec![StoreEvent::Network(cut)]);
}

fn slices_returned(b: &mut Bench) -> Vec<u64> {
    b.ms += 200;
    let returned: Vec<RangeId> = b.drain().iter().flat_map(|batch| batch.returned.clone()).collect();
    returned.iter().filter(|range| range.pool == POOL).map(|range| range.slice).collect()
}

/// Found by reading: what lies past the end of a pool that was cut was in no range, so its range went back as if all were
/// told, and the store gave the address to another.
#[test]
fn fo_606_a_range_past_the_end_of_a_cut_pool_goes_back_once_nothing_is_untold() {
    let mut b = Bench::ready();
    b.grant(POOL, 5, true);
    cut_before(&mut b, "2001:db8::155", "2001:db8::112");
    b.entry(vec![StoreEvent::Draining { on: true }]);
    assert!(!slices_returned(&mut b).contains(&5));
    b.answer_all();
    assert!(slices_returned(&mut b).contains(&5));
}

#[test]
fn fo_211_a_range_cut_in_two_is_not_spared_while_something_of_its_other_half_is_untold() {
    let mut b = Bench::ready();
    cut_before(&mut b, "2001:db8::10c", "2001:db8::107");
    b.ms += HOUR;
    b.entry(vec![StoreEvent::GiveBack { pool: POOL, ranges: 1 }]);
    assert_eq!(slices_returned(&mut b), [0u64; 0]);
    b.answer_all();
    b.entry(vec![StoreEvent::GiveBack { pool: POOL, ranges: 1 }]);
    assert_eq!(slices_returned(&mut b), [0]);
}
