//! The budget's words and when they are told, on budgets made by hand. What budgets say of real leases is tested beside
//! the leases.

use super::notices::{GRACE, Notice, Notices, TELL_EVERY};
use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn at(secs: u64) -> LocalTime {
    LocalTime::from_millis(secs * 1000)
}

fn pool(id: u32, name: &str, free: u64, autonomy_left: Duration) -> PoolBudget {
    PoolBudget {
        pool: PoolId(id),
        name: name.to_owned(),
        link: "lan".to_owned(),
        kind: IaKind::Na,
        length_bits: 128,
        slots_owned: 100,
        slots_free: free,
        new_leases: if autonomy_left.is_zero() { 0 } else { free },
        pace: Pace::default(),
        autonomy: HOUR * 24,
        autonomy_left,
        mclt: Lifetime::from_wire(3600),
        known: Some(KnownLeases { active: 100 - free, acknowledged_left: HOUR * 30 }),
    }
}

fn budget(as_of: u64, lost_at: Option<u64>, pools: Vec<PoolBudget>) -> SurvivalBudget {
    let store = lost_at
        .map_or(StoreReach::InReach, |lost| StoreReach::OutOfReach { since: at(lost), was_reached: true });
    SurvivalBudget {
        frontend: FrontendId::new("fe-a").unwrap(),
        as_of: at(as_of),
        store,
        is_superseded: false,
        is_stopping: false,
        untold_leases: 0,
        pools,
    }
}

/// A pool whose autonomy and free slots are what they are so many hours after the store was lost.
fn falling(hours: u32, free: u64) -> Vec<PoolBudget> {
    vec![pool(1, "lan", free, (HOUR * 24).saturating_sub(HOUR * hours))]
}

#[test]
fn fo_904_the_sentence_says_who_is_served_for_how_long_and_where_room_runs_out_first() {
    let mut busy = pool(2, "homes", 30, HOUR * 4);
    busy.pace = Pace { leases: 60, over: Duration::from_secs(600) };
    let mut budget = budget(1000, Some(280), vec![pool(1, "lan", 90, HOUR * 23), busy]);
    budget.untold_leases = 7;
    assert_eq!(
        budget.sentence(),
        "The store has been out of reach for 12m. New clients are served from 2 of 2 pools, for 4h at least; homes \
         has the least room, 30 free, enough for 5m at the pace of late. Known leases are extended for 23h more; then \
         they get what is left of the time that the store has acknowledged, for 1d 6h at the longest. The store has \
         still to be told of 7 leases."
    );
    assert_eq!(
        budget.pool_words(),
        "homes: 30 new addresses, autonomy for 4h; lan: 90 new addresses, autonomy for 23h"
    );
}

#[test]
fn fo_904_with_the_store_in_reach_it_says_what_would_be_without() {
    let budget = budget(1000, None, vec![pool(1, "lan", 100, Duration::MAX)]);
    assert_eq!(
        budget.sentence(),
        "The store is in reach. New clients could be served without it from 1 of 1 pool, for ever; lan has the least \
         room, 100 free."
    );
    assert_eq!(budget.out_of_reach_for(), None);
}

#[test]
fn fo_911_past_autonomy_it_says_what_known_leases_still_get_and_why_nobody_else_is_served() {
    let mut budget = budget(100_000, Some(10_000), vec![pool(1, "lan", 90, Duration::ZERO)]);
    assert_eq!(
        budget.sentence(),
        "The store has been out of reach for 1d 1h. No new client is served: it may promise nothing on its own: \
         autonomy has ended, or has not begun. Known leases are not extended any more: they get what is left of the \
         time that the store has acknowledged, for 1d 6h at the longest."
    );
    budget.is_superseded = true;
    assert!(budget.sentence().contains("a newer session"), "{}", budget.sentence());
    budget.pools[0].known = Some(KnownLeases { active: 3, acknowledged_left: Duration::ZERO });
    assert!(budget.sentence().contains("nothing is left of"), "{}", budget.sentence());
}

#[test]
fn fo_904_a_frontend_that_never_had_a_store_says_so() {
    let mut budget = budget(70, Some(10), vec![]);
    budget.store = StoreReach::OutOfReach { since: at(10), was_reached: false };
    assert_eq!(
        budget.sentence(),
        "The store has not been reached since this frontend began, 1m ago. No pool is known, so no client is served."
    );
}

#[test]
fn fo_904_many_pools_do_not_make_a_long_line() {
    let pools = (0..1000).map(|n| pool(n, "p", 50, HOUR)).collect();
    let words = budget(10, Some(1), pools).pool_words();
    assert!(words.ends_with("; 984 more") && words.matches("new addresses").count() == 16, "{words}");
}

#[test]
fn fo_904_a_lost_store_is_told_at_once_then_each_minute_and_its_return_with_how_long_it_lasted() {
    let mut notices = Notices::default();
    let mut told = Vec::new();
    for second in 0..400 {
        let lost_at = (100..300).contains(&second).then_some(100);
        let told_now = notices.look(&budget(second, lost_at, falling(0, 90)));
        told.extend(told_now.into_iter().map(|notice| (second, notice)));
    }
    let lasted = Duration::from_secs(200);
    assert_eq!(
        told,
        [
            (102, Notice::Lost),
            (162, Notice::StillLost),
            (222, Notice::StillLost),
            (282, Notice::StillLost),
            (300, Notice::Back { lasted }),
        ]
    );
    assert_eq!((GRACE.as_secs(), TELL_EVERY.as_secs()), (2, 60));
}

#[test]
fn an_interruption_within_the_grace_is_not_told() {
    let mut notices = Notices::default();
    for (second, lost_at) in [(0, None), (1, Some(1)), (2, Some(1)), (3, None), (4, Some(4)), (5, None)] {
        assert_eq!(notices.look(&budget(second, lost_at, falling(0, 90))), []);
    }
}

#[test]
fn an_outage_that_ends_and_begins_between_two_looks_is_told_as_two() {
    let mut notices = Notices::default();
    assert_eq!(notices.look(&budget(10, Some(1), falling(0, 90))), [Notice::Lost]);
    let back = Notice::Back { lasted: Duration::from_secs(19) };
    assert_eq!(notices.look(&budget(21, Some(20), falling(0, 90))), [back]);
    assert_eq!(notices.look(&budget(22, Some(20), falling(0, 90))), [Notice::Lost]);
}

#[test]
fn fo_904_each_share_of_autonomy_is_told_once_when_it_is_crossed() {
    let mut notices = Notices::default();
    let mut told = Vec::new();
    for hour in 0..30 {
        for second in [0, 1] {
            let budget = budget(u64::from(hour) * 3600 + second + 10, Some(0), falling(hour, 90));
            for notice in notices.look(&budget) {
                if let Notice::AutonomyBelow { percent, left, .. } = notice {
                    told.push((hour, percent, left));
                }
            }
        }
    }
    assert_eq!(told, [(13, 50, HOUR * 11), (20, 20, HOUR * 4), (23, 5, HOUR)]);
}

#[test]
fn fo_904_free_slots_are_told_below_each_share_and_when_none_is_left() {
    let mut notices = Notices::default();
    assert_eq!(notices.look(&budget(10, Some(0), falling(0, 26))), [Notice::Lost]);
    let mut told = Vec::new();
    for free in [26, 25, 24, 25, 24, 10, 5, 4, 1, 0, 0] {
        for notice in notices.look(&budget(20, Some(0), falling(0, free))) {
            let Notice::FreeBelow { percent, free, .. } = notice else { panic!("{notice:?}") };
            told.push((percent, free));
        }
    }
    assert_eq!(told, [(25, 24), (5, 4), (0, 0)]);
}

#[test]
fn fo_904_one_look_that_crosses_several_shares_tells_the_lowest() {
    let mut notices = Notices::default();
    notices.look(&budget(10, Some(0), falling(0, 90)));
    let (pool, left) = ("lan".to_owned(), Duration::ZERO);
    assert_eq!(
        notices.look(&budget(11, Some(0), falling(24, 0))),
        [
            Notice::AutonomyBelow { pool: pool.clone(), percent: 5, left },
            Notice::FreeBelow { pool, percent: 0, free: 0 }
        ]
    );
}

#[test]
fn what_was_low_when_the_store_was_lost_is_told_with_the_loss_alone() {
    let mut notices = Notices::default();
    assert_eq!(notices.look(&budget(10, Some(0), falling(20, 3))), [Notice::Lost]);
    assert_eq!(notices.look(&budget(11, Some(0), falling(20, 3))), []);
}

#[test]
fn unlimited_autonomy_crosses_nothing() {
    let mut unlimited = pool(1, "lan", 90, Duration::MAX);
    unlimited.autonomy = Duration::MAX;
    let mut notices = Notices::default();
    assert_eq!(notices.look(&budget(10, Some(0), vec![unlimited.clone()])), [Notice::Lost]);
    assert_eq!(notices.look(&budget(11, Some(0), vec![unlimited])), []);
}

#[test]
fn the_loss_dates_from_when_it_was_noted_and_only_a_store_once_reached_is_lost() {
    let mut reach = Reach::default();
    assert!(!reach.note(at(5), false));
    assert_eq!(reach.state(), StoreReach::OutOfReach { since: at(5), was_reached: false });
    assert!(!reach.note(at(6), false));
    assert_eq!(reach.state(), StoreReach::OutOfReach { since: at(5), was_reached: false });
    assert!(!reach.note(at(7), true));
    assert_eq!(reach.state(), StoreReach::InReach);
    assert!(reach.note(at(8), false));
    assert!(!reach.note(at(9), false));
    assert_eq!(reach.state(), StoreReach::OutOfReach { since: at(8), was_reached: true });
}
