//! What the survival budget says, against what the leases then do.

use super::*;
use crate::engine::budget::{PoolBudget, Reach, SurvivalBudget};
use std::time::Duration;

/// Known leases are counted to the end.
fn surveyed(b: &mut Bench) {
    b.leases.survey_anew();
    b.leases.survey(b.now());
    while b.leases.survey(b.now()) {}
}

fn budget(b: &Bench) -> SurvivalBudget {
    let mut reach = Reach::default();
    reach.note(b.now(), b.leases.is_connected());
    SurvivalBudget::new(b.now(), &reach, &b.leases)
}

fn of(b: &Bench, pool: PoolId) -> PoolBudget {
    budget(b).pools.into_iter().find(|p| p.pool == pool).unwrap()
}

fn acknowledged_left(b: &Bench, pool: PoolId) -> Duration {
    of(b, pool).known.unwrap().acknowledged_left
}

#[test]
fn fo_904_as_many_new_clients_are_served_without_the_store_as_the_budget_says() {
    let mut b = Bench::ready();
    b.create(200).unwrap();
    b.settle();
    b.disconnect();
    let before = of(&b, POOL);
    assert_eq!((before.name.as_str(), before.link.as_str(), before.length_bits), ("small", "lan", 128));
    assert_eq!((before.slots_owned, before.new_leases), (16, 15));
    let mut served = 0;
    for client in 0..100 {
        served += u64::from(b.create(client).is_ok());
        assert_eq!(of(&b, POOL).new_leases, before.new_leases - served);
        // What a client gives back is not free for others until the store says so (R2).
        if client == 3 {
            let prefix = b.known_address(client);
            assert!(b.release(client, prefix));
        }
    }
    assert_eq!(served, before.new_leases);
    assert_eq!(budget(&b).untold_leases, 15);
}

#[test]
fn fo_904_autonomy_left_falls_with_time_and_each_pool_has_its_own() {
    let mut b = Bench::ready();
    b.disconnect();
    let (small, prefixes) = (of(&b, POOL), of(&b, PREFIXES));
    assert_eq!((small.autonomy.as_secs(), prefixes.autonomy.as_secs()), (24 * 3600, 3600));
    b.ms += HOUR / 2;
    let half = Duration::from_millis(HOUR / 2);
    assert_eq!(of(&b, POOL).autonomy_left, small.autonomy_left - half);
    assert_eq!(of(&b, PREFIXES).autonomy_left, prefixes.autonomy_left - half);
    assert!(of(&b, PREFIXES).new_leases > 0);
    // What autonomy permits and what the budget says end together.
    b.ms += u64::try_from(of(&b, PREFIXES).autonomy_left.as_millis()).unwrap();
    let key = binding(9, IaKind::Pd);
    assert!(b.leases.create(b.now(), IaRef::of(&key), &Wanted::of(&[PREFIXES])).is_err());
    let past = of(&b, PREFIXES);
    assert_eq!((past.new_leases, past.autonomy_left), (0, Duration::ZERO));
    assert!(past.slots_free > 0 && of(&b, POOL).new_leases > 0);
}

#[test]
fn fo_911_past_autonomy_known_leases_get_no_more_than_the_budget_says() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    b.settle();
    // The store has acknowledged a first renewal's wish: now the lease reaches further than MCLT.
    b.extend(1, prefix).unwrap();
    b.settle();
    surveyed(&mut b);
    b.disconnect();
    b.ms += 25 * HOUR;
    assert_eq!(of(&b, POOL).new_leases, 0);
    assert!(b.create(2).is_err());
    let left = acknowledged_left(&b, POOL);
    assert!(left > Duration::from_secs(3600), "{left:?}");
    let given = b.extend(1, prefix).unwrap().valid;
    // To the second: a lifetime is told in whole ones.
    assert!(given.span() <= left && given.span() + Duration::from_secs(1) > left, "{given:?} {left:?}");
    assert!(budget(&b).sentence().contains("Known leases are not extended any more: they get what is left"));
    b.ms += u64::try_from(left.as_millis()).unwrap();
    assert_eq!(acknowledged_left(&b, POOL), Duration::ZERO);
    assert_eq!(b.extend(1, prefix), None);
}

#[test]
fn fo_409_acknowledged_time_stands_still_without_the_store_while_lifetimes_shrink_towards_mclt() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    b.settle();
    b.extend(1, prefix).unwrap();
    b.settle();
    surveyed(&mut b);
    b.disconnect();
    let acked = b.known(1, prefix).acked_until;
    let (mclt, desired) = (Duration::from_secs(3600), Duration::from_secs(2 * 86_400));
    let mut last = Duration::MAX;
    for _ in 0..20 {
        b.ms += HOUR;
        let given = b.extend(1, prefix).unwrap().valid.span();
        // A pass made meanwhile finds what the one before the loss found: renewals moved nothing.
        surveyed(&mut b);
        assert_eq!(b.known(1, prefix).acked_until, acked);
        let most = acknowledged_left(&b, POOL) + mclt;
        assert_eq!(given.as_secs(), most.min(desired).as_secs());
        assert!(given <= last);
        last = given;
    }
    // 60 hours were acknowledged (T1 of a whole preferred lifetime, and the wish): 41 can be promised now.
    assert!(last + Duration::from_secs(6 * 3600) < desired, "not much shorter than wished for: {last:?}");
}

#[test]
fn r6_a_superseded_session_has_no_budget_for_new_clients() {
    let mut b = Bench::ready();
    assert!(of(&b, POOL).new_leases > 0);
    b.entry(vec![StoreEvent::Superseded { by: Epoch(101), at: LogIndex(b.index) }]);
    assert_eq!(of(&b, POOL).new_leases, 0);
    assert!(budget(&b).is_superseded);
}

#[test]
fn a_frontend_that_stops_has_no_budget() {
    let mut b = Bench::ready();
    b.leases.begin_stop(b.now());
    assert_eq!(of(&b, POOL).new_leases, 0);
    let sentence = budget(&b).sentence();
    assert_eq!(sentence, "The store is in reach. No new client is served: this frontend is stopping.");
}

#[test]
fn a_jump_of_the_clock_leaves_nothing_in_the_budget() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    b.settle();
    surveyed(&mut b);
    b.disconnect();
    b.leases.clock_jumped(b.now());
    let after = of(&b, POOL);
    assert_eq!((after.new_leases, after.autonomy_left), (0, Duration::ZERO));
    assert_eq!(after.known.unwrap().acknowledged_left, Duration::ZERO);
    assert_eq!(b.extend(1, prefix), None);
}

#[test]
fn the_survey_counts_what_is_active_by_pool_in_bounded_steps_and_anew_for_another_session() {
    let mut b = Bench::ready();
    assert_eq!(of(&b, VAST).known, None);
    let count = 50_000_u32;
    let leases: Vec<Lease> = (0..count)
        .map(|n| {
            let prefix = Prefix::address(bits("2001:db8:0:1::") + u128::from(n));
            let state = if n % 5 == 0 { LeaseState::Released } else { LeaseState::Active };
            let acked = ClusterTime::from_millis(b.cluster().as_millis() + u64::from(n));
            let mut lease = b.record(prefix, 1, state, acked);
            lease.pool = VAST;
            lease.binding.iaid = Iaid(n);
            lease
        })
        .collect();
    let events = leases.into_iter().map(|lease| StoreEvent::Lease(Arc::new(lease)));
    b.entry(events.collect());
    b.leases.survey_anew();
    let mut calls = 1;
    while b.leases.survey(b.now()) {
        calls += 1;
    }
    assert!(calls > 2, "one call looked at all");
    let known = of(&b, VAST).known.unwrap();
    assert_eq!(known.active, u64::from(count / 5 * 4));
    // Of the last, which is active; a little less for the bound of cluster time.
    let left = u64::try_from(known.acknowledged_left.as_millis()).unwrap();
    assert!((u64::from(count) - 1000..u64::from(count)).contains(&left), "{left}");
    assert_eq!(of(&b, POOL).known.unwrap().active, 0);
    // Nothing is done before a minute is over, or it is asked for.
    assert!(!b.leases.survey(b.now()));
    b.disconnect();
    b.welcome(Epoch(101), false, 0);
    assert_eq!(of(&b, VAST).known, None);
}

#[test]
fn the_pace_of_new_leases_says_how_long_free_ones_last() {
    let mut b = Bench::ready();
    b.leases.survey(b.now());
    b.disconnect();
    for client in 0..8 {
        b.create(client).unwrap();
    }
    b.ms += 40_000 - 1_000;
    let pool = of(&b, POOL);
    assert_eq!((pool.pace.leases, pool.new_leases), (8, 8));
    assert_eq!(pool.lasts(), pool.pace.over);
    // Nobody asks for prefixes: they last as long as autonomy.
    let prefixes = of(&b, PREFIXES);
    assert_eq!(prefixes.lasts(), prefixes.autonomy_left);
}

impl Bench {
    fn known_address(&self, client: u8) -> Prefix {
        let key = binding(client, IaKind::Na);
        let mut out = smallvec::SmallVec::new();
        self.leases.leases_of(IaRef::of(&key), &mut out);
        out[0].prefix
    }
}
