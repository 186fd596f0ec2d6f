//! Order, extension, death for certain, superseding, grants.

use super::lab::{AUTONOMY_SECS, Lab, MCLT_SECS, address};
use crate::machine::{Command, Outcome, RangeStanding};
use leasehold_proto::lifetimes::Timing;
use leasehold_proto::session::UpdateRefusal;
use leasehold_proto::words::{LogIndex, UpdateSeq};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn fo_803_fo_909_a_batch_sent_again_changes_the_state_once() {
    let mut lab = Lab::new();
    let a = lab.open("a");
    lab.grant(a, 1);
    let mut batch = lab.batch(a);
    batch.updates.push(lab.update(leasehold_proto::lease::UpdateKind::Promise, address(0x10), 1));
    let again = batch.clone();
    lab.send(batch);
    let before = lab.lease(address(0x10)).clone();
    let applied = lab.apply(vec![Command::Session(Arc::new(again))]);
    assert_eq!(applied.outcomes, [Outcome::BatchRepeated { applied: UpdateSeq(2) }]);
    assert_eq!(*lab.lease(address(0x10)), before);
}

#[test]
fn order_a_gap_is_refused() {
    let mut lab = Lab::new();
    let a = lab.open("a");
    let _lost = lab.batch(a);
    let batch = lab.batch(a);
    let applied = lab.apply(vec![Command::Session(Arc::new(batch))]);
    assert_eq!(applied.outcomes, [Outcome::BatchOutOfOrder { applied: UpdateSeq(0) }]);
}

#[test]
fn r1_ranges_have_one_owner() {
    let mut lab = Lab::new();
    let (a, b) = (lab.open("a"), lab.open("b"));
    let (of_a, of_b) = (lab.grant(a, 3), lab.grant(b, 3));
    assert_eq!((of_a.len(), of_b.len()), (3, 1));
    assert!(of_a.iter().all(|r| !of_b.contains(r)));
}

#[test]
fn r6_a_new_session_supersedes_the_old_and_gets_other_ranges() {
    let mut lab = Lab::new();
    let old = lab.open("a");
    let of_old = lab.grant(old, 1);
    let new = lab.open("a");
    assert!(lab.machine.session(old).is_some_and(|s| !s.current));
    let of_new = lab.grant(new, 1);
    assert_ne!(of_old, of_new);
    // Its ranges are closed, it is granted nothing and not extended, but its late updates are taken.
    assert!(lab.machine.ranges().any(|r| r.range == of_old[0] && r.standing == RangeStanding::Closed));
    assert_eq!(lab.grant(old, 1), []);
    let mut batch = lab.batch(old);
    batch.updates.push(lab.update(leasehold_proto::lease::UpdateKind::Promise, address(0x10), 1));
    let (outcome, _) = lab.send(batch);
    assert!(!outcome.extended && outcome.refused.is_empty());
    // The new session may not create in the old one's range.
    assert_eq!(lab.promise(new, address(0x11), 2).unwrap_err(), UpdateRefusal::NotGranted);
}

#[test]
fn r4_closed_ranges_open_again_when_the_owner_is_dead_for_certain_and_not_before() {
    let mut lab = Lab::new();
    let old = lab.open("a");
    let of_old = lab.grant(old, 1)[0];
    let extended_at = lab.now();
    lab.open("a");
    let wait = AUTONOMY_SECS + u64::from(MCLT_SECS);
    let guard = Timing::default().guard(Duration::from_secs(wait)).as_secs();
    let standing = |lab: &Lab| lab.machine.ranges().find(|r| r.range == of_old).map(|r| r.standing).unwrap();
    lab.pass(wait + guard - 1);
    assert_eq!(standing(&lab), RangeStanding::Closed);
    lab.pass(2);
    assert_eq!(standing(&lab), RangeStanding::Free);
    assert!(lab.now().saturating_since(extended_at) >= Duration::from_secs(wait + guard));
    // Nothing is left to wait for: what it says now is not even remembered as of a session.
    let batch = lab.batch(old);
    let applied = lab.apply(vec![Command::Session(Arc::new(batch))]);
    assert_eq!(applied.outcomes, [Outcome::UnknownSession]);
}

#[test]
fn r4_late_updates_of_a_session_that_is_dead_for_certain_change_nothing() {
    let mut lab = Lab::new();
    let a = lab.open("a");
    lab.grant(a, 1);
    lab.promise(a, address(0x10), 1).unwrap();
    let b = lab.open("b");
    for _ in 0..30 {
        lab.pass(60);
        lab.acknowledge(b);
    }
    assert!(lab.machine.session(a).is_some_and(|s| s.ended && s.current));
    let before = lab.lease(address(0x10)).clone();
    for slot in [0x10, 0x11] {
        assert_eq!(lab.promise(a, address(slot), 1).unwrap_err(), UpdateRefusal::Fenced);
    }
    assert_eq!(*lab.lease(address(0x10)), before);
}

#[test]
fn r4_a_session_past_its_deadline_is_never_extended_again() {
    let mut lab = Lab::new();
    let a = lab.open("a");
    lab.grant(a, 1);
    lab.pass(AUTONOMY_SECS - 1);
    let batch = lab.batch(a);
    assert!(lab.send(batch).0.extended);
    lab.pass(AUTONOMY_SECS + 1);
    let batch = lab.batch(a);
    assert!(!lab.send(batch).0.extended);
    assert_eq!(lab.grant(a, 1), []);
}

#[test]
fn r4_a_clean_stop_leaves_nothing_to_wait_for() {
    let mut lab = Lab::new();
    let a = lab.open("a");
    let of_a = lab.grant(a, 4);
    assert_eq!(of_a.len(), 4);
    let b = lab.open("b");
    assert_eq!(lab.grant(b, 1), []);
    let mut batch = lab.batch(a);
    batch.returned = of_a;
    batch.closing = true;
    lab.send(batch);
    assert_eq!(lab.grant(b, 4).len(), 4);
}

#[test]
fn fo_906_cluster_time_never_goes_back() {
    let mut lab = Lab::new();
    lab.pass(100);
    let time = lab.machine.time();
    let index = LogIndex(lab.index().0 + 1);
    let batch = crate::machine::CommandBatch::new(Default::default(), Vec::new());
    lab.machine.apply(index, &batch);
    assert_eq!(lab.machine.time(), time);
}

#[test]
fn crash_looping_leaves_half_of_a_pool_to_the_partner() {
    let mut lab = Lab::new();
    let mut got = 0;
    for _ in 0..20 {
        let a = lab.open("a");
        got += lab.grant(a, 1).len();
    }
    assert_eq!(got, 2, "of four");
    let b = lab.open("b");
    assert_eq!(lab.grant(b, 4).len(), 2);
}
