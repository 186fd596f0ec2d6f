//! R7: adopting a lease that was promised and never committed.

use super::lab::{AUTONOMY_SECS, Lab, address};
use leasehold_proto::lease::{LeaseState, UpdateKind};
use leasehold_proto::session::{StoreEvent, UpdateRefusal};
use leasehold_proto::words::Epoch;

/// `a` crashed and is back as a new session; its old range is closed. `b` is there.
fn after_a_crash() -> (Lab, Epoch, Epoch) {
    let mut lab = Lab::new();
    let (old, b) = (lab.open("a"), lab.open("b"));
    lab.grant(old, 1);
    let a = lab.open("a");
    (lab, a, b)
}

#[test]
fn fo_209_r7_a_lease_promised_in_the_last_moment_is_adopted_by_either_partner() {
    for by_the_partner in [false, true] {
        let (mut lab, a, b) = after_a_crash();
        let by = if by_the_partner { b } else { a };
        let applied = lab.tell(by, lab.update(UpdateKind::Adopt, address(0x10), 1)).unwrap();
        assert_eq!(lab.state(address(0x10)), LeaseState::Active);
        assert!(lab.lease(address(0x10)).acked_until > lab.now());
        // Everyone learns of it, the adopter too.
        assert!(applied.events.iter().any(|e| matches!(&e.event, StoreEvent::Lease(l) if l.epoch == by)));
        assert_eq!(lab.machine.counters().adopted, 1);
    }
}

#[test]
fn r7_what_has_or_had_a_record_is_not_adopted() {
    let (mut lab, a, b) = after_a_crash();
    lab.tell(a, lab.update(UpdateKind::Adopt, address(0x10), 1)).unwrap();
    let refused = lab.tell(b, lab.update(UpdateKind::Adopt, address(0x10), 2)).unwrap_err();
    assert_eq!(refused, UpdateRefusal::NotAdopted);
    // The same client's is adopted already.
    lab.tell(b, lab.update(UpdateKind::Adopt, address(0x10), 1)).unwrap();
    // Freed, it had a record once.
    let own = lab.grant(b, 1);
    assert_eq!(own.len(), 1);
    lab.promise(b, address(0x14), 3).unwrap();
    let mut release = lab.update(UpdateKind::Release, address(0x14), 3);
    release.base_version = lab.index();
    lab.tell(b, release).unwrap();
    lab.acknowledge(a);
    lab.acknowledge(b);
    assert_eq!(lab.state(address(0x14)), LeaseState::Free);
    let refused = lab.tell(a, lab.update(UpdateKind::Adopt, address(0x14), 4)).unwrap_err();
    assert_eq!(refused, UpdateRefusal::NotAdopted);
}

#[test]
fn r7_nothing_is_adopted_out_of_ranges_that_nobody_can_have_promised_from() {
    let (mut lab, a, b) = after_a_crash();
    // Never granted.
    let refused = lab.tell(a, lab.update(UpdateKind::Adopt, address(0x1f), 1)).unwrap_err();
    assert_eq!(refused, UpdateRefusal::NotAdopted);
    // Its own: it knows what it promised.
    lab.grant(a, 1);
    let refused = lab.tell(a, lab.update(UpdateKind::Adopt, address(0x14), 1)).unwrap_err();
    assert_eq!(refused, UpdateRefusal::NotAdopted);
    // Another's open range: it may be that the other has not told yet.
    lab.tell(b, lab.update(UpdateKind::Adopt, address(0x15), 1)).unwrap();
}

#[test]
fn r7_a_range_once_taken_back_uncleanly_is_never_adopted_from() {
    let (mut lab, _, b) = after_a_crash();
    lab.pass_with(b, 3 * AUTONOMY_SECS);
    let again = lab.open("a");
    assert!(!lab.grant(again, 1).is_empty(), "the closed range is open again");
    for by in [b, again] {
        let refused = lab.tell(by, lab.update(UpdateKind::Adopt, address(0x10), 1)).unwrap_err();
        assert_eq!(refused, UpdateRefusal::NotAdopted, "its client's promise is over, another may have it");
    }
}

#[test]
fn r7_the_late_promise_of_the_crashed_session_merges_into_the_adopted_lease() {
    let mut lab = Lab::new();
    let (old, b) = (lab.open("a"), lab.open("b"));
    lab.grant(old, 1);
    lab.open("a");
    lab.tell(b, lab.update(UpdateKind::Adopt, address(0x10), 1)).unwrap();
    let before = lab.lease(address(0x10)).acked_until;
    lab.promise(old, address(0x10), 1).unwrap();
    assert!(lab.lease(address(0x10)).acked_until >= before);
    assert_eq!(lab.machine.conflicts().count(), 0);
}

/// Found by reading: the adopted holding looked younger than the superseding of the session that promised it.
#[test]
fn r2_r7_who_promised_an_adopted_lease_first_holds_its_freeing_back() {
    let mut lab = Lab::new();
    let (old, b) = (lab.open("a"), lab.open("b"));
    lab.grant(old, 1);
    let a = lab.open("a");
    lab.tell(a, lab.update(UpdateKind::Adopt, address(0x10), 1)).unwrap();
    let mut release = lab.update(UpdateKind::Release, address(0x10), 1);
    release.base_version = lab.index();
    lab.tell(b, release).unwrap();
    lab.acknowledge(a);
    lab.acknowledge(b);
    assert_eq!(
        lab.state(address(0x10)),
        LeaseState::Released,
        "the old session may be extending it, cut off"
    );
    lab.acknowledge(old);
    assert_eq!(lab.state(address(0x10)), LeaseState::Free);
}

/// Seed 1795421091246 of a soak: a late claim of what had expired came when its owner had given it to another, untold.
#[test]
fn r7_what_is_free_again_is_not_adopted_for_whoever_had_it_last() {
    let mut lab = Lab::new();
    let a = lab.open("a");
    lab.grant(a, 1);
    lab.promise(a, address(0x10), 1).unwrap();
    let mut release = lab.update(UpdateKind::Release, address(0x10), 1);
    release.base_version = lab.index();
    lab.tell(a, release).unwrap();
    lab.acknowledge(a);
    assert_eq!(lab.state(address(0x10)), LeaseState::Free);
    let refused = lab.tell(a, lab.update(UpdateKind::Adopt, address(0x10), 1)).unwrap_err();
    assert_eq!(refused, UpdateRefusal::NotAdopted);
    lab.promise(a, address(0x10), 2).unwrap();
}

/// Found by reading: the entry by whose stamp a session is dead for certain carried its last batch. What it told was
/// fenced, and its ranges counted as given back cleanly all the same.
#[test]
fn r4_r7_a_session_that_is_dead_for_certain_does_not_close_cleanly() {
    let mut lab = Lab::new();
    let (old, b) = (lab.open("a"), lab.open("b"));
    lab.grant(old, 1);
    let a = lab.open("a");
    for _ in 0..20 {
        lab.pass(10);
        for partner in [a, b] {
            lab.acknowledge(partner);
        }
    }
    lab.wait(3 * AUTONOMY_SECS);
    let mut last = lab.batch(old);
    last.updates.push(lab.update(UpdateKind::Promise, address(0x10), 1));
    last.closing = true;
    let (outcome, _) = lab.send(last);
    assert_eq!(outcome.refused.iter().map(|r| r.refusal).collect::<Vec<_>>(), [UpdateRefusal::Fenced]);
    let (a, b) = (lab.open("a"), lab.open("b"));
    assert!(lab.grant(b, 1).iter().any(|range| range.slice == 0));
    let refused = lab.tell(a, lab.update(UpdateKind::Adopt, address(0x10), 1)).unwrap_err();
    assert_eq!(refused, UpdateRefusal::NotAdopted, "its new owner may have given it to another, untold");
}
