//! Ending autonomy early: same-host proof (R6), declare-down and its withdrawal (R4); and whom that holds back.

use super::lab::{AUTONOMY_SECS, Lab, MCLT_SECS, VALID_SECS, address, frontend};
use crate::machine::{Applied, Command, DeclareRefusal, Outcome, RangeStanding};
use leasehold_proto::lease::{LeaseState, UpdateKind};
use leasehold_proto::lifetimes::Timing;
use leasehold_proto::session::{HostProof, StoreEvent, UpdateRefusal};
use leasehold_proto::words::{Epoch, RangeId};
use std::time::Duration;

const HOST: HostProof = HostProof { boot_id: [1; 16], lock_id: [2; 16], holding: 7 };
/// The process after it.
const HOST_AGAIN: HostProof = HostProof { holding: 8, ..HOST };
const OTHER_LOCK: HostProof = HostProof { lock_id: [3; 16], ..HOST_AGAIN };

/// What a promise made at the last moment may last, guard included.
fn promise_secs() -> u64 {
    let mclt = u64::from(MCLT_SECS);
    mclt + Timing::default().guard(Duration::from_secs(mclt)).as_secs()
}

fn standing(lab: &Lab, range: RangeId) -> RangeStanding {
    lab.machine.ranges().find(|r| r.range == range).map(|r| r.standing).unwrap()
}

fn declare(lab: &mut Lab, name: &str) -> Applied {
    let newest = lab.machine.newest_epoch();
    lab.apply(vec![Command::DeclareDown { frontend: frontend(name), newest }])
}

fn withdraw(lab: &mut Lab, name: &str) -> Outcome {
    lab.apply(vec![Command::WithdrawDown { frontend: frontend(name) }]).outcomes.remove(0)
}

#[test]
fn r6_a_restart_that_holds_the_same_lock_proves_its_predecessor_gone() {
    let mut lab = Lab::new();
    let old = lab.open_on("a", Some(HOST));
    let range = lab.grant(old, 1)[0];
    lab.open_on("a", Some(HOST_AGAIN));
    assert_eq!(standing(&lab, range), RangeStanding::Closed, "its last promises are in force");
    lab.pass(promise_secs() - 1);
    assert_eq!(standing(&lab, range), RangeStanding::Closed);
    lab.pass(2);
    assert_eq!(standing(&lab, range), RangeStanding::Free, "long before its autonomy would have ended");
    assert!(promise_secs() < AUTONOMY_SECS);
}

#[test]
fn r6_another_lock_or_none_proves_nothing() {
    // The same holding shown again is the same process: a late word of its own, or a session it opens anew.
    let other_boot = HostProof { boot_id: [9; 16], ..HOST_AGAIN };
    let earlier = HostProof { holding: HOST.holding - 1, ..HOST };
    for host in [None, Some(OTHER_LOCK), Some(other_boot), Some(HOST), Some(earlier)] {
        let mut lab = Lab::new();
        let old = lab.open_on("a", Some(HOST));
        let range = lab.grant(old, 1)[0];
        lab.open_on("a", host);
        lab.pass(promise_secs() + 2);
        assert_eq!(standing(&lab, range), RangeStanding::Closed, "{host:?}");
    }
    // Two that cannot tell prove nothing about one another, and another frontend's lock is not this one's.
    let mut lab = Lab::new();
    let old = lab.open("a");
    let range = lab.grant(old, 1)[0];
    lab.open("a");
    lab.open_on("b", Some(HOST));
    lab.pass(promise_secs() + 2);
    assert_eq!(standing(&lab, range), RangeStanding::Closed);
}

#[test]
fn r6_what_the_gone_session_promised_and_told_stays() {
    let mut lab = Lab::new();
    let old = lab.open_on("a", Some(HOST));
    lab.grant(old, 1);
    lab.promise(old, address(0x10), 1).unwrap();
    let new = lab.open_on("a", Some(HOST_AGAIN));
    // A batch that was under way when the process died is taken as long as it can matter.
    lab.promise(old, address(0x11), 2).unwrap();
    lab.promise(new, address(0x10), 1).unwrap();
    assert_eq!(lab.state(address(0x10)), LeaseState::Active);
    lab.pass(promise_secs() + 2);
    assert_eq!(lab.promise(old, address(0x12), 3).unwrap_err(), UpdateRefusal::Fenced);
}

/// A lease of `a`'s old session, ended, that the partner has read so.
fn ended_lease_of_a_crashed_session(host: Option<HostProof>) -> (Lab, Epoch) {
    let mut lab = Lab::new();
    let (old, b) = (lab.open_on("a", host), lab.open("b"));
    lab.grant(old, 1);
    lab.promise(old, address(0x10), 1).unwrap();
    let a = lab.open_on("a", host.map(|held| HostProof { holding: held.holding + 1, ..held }));
    lab.acknowledge(a);
    let mut release = lab.update(UpdateKind::Release, address(0x10), 1);
    release.base_version = lab.index();
    lab.tell(b, release).unwrap();
    lab.acknowledge(a);
    lab.acknowledge(b);
    assert_eq!(lab.state(address(0x10)), LeaseState::Released, "the crashed session may have extended it");
    (lab, b)
}

#[test]
fn r2_a_proof_frees_what_a_crashed_session_holds_back_as_soon_as_its_promises_are_over() {
    let acked = u64::from(VALID_SECS + MCLT_SECS);
    let guard = Timing::default().guard(Duration::from_secs(acked + AUTONOMY_SECS)).as_secs();
    let (mut lab, b) = ended_lease_of_a_crashed_session(Some(HOST));
    lab.pass_with(b, acked + guard + 60);
    assert_eq!(lab.state(address(0x10)), LeaseState::Free);
}

#[test]
fn r2_a_session_superseded_before_a_holding_was_born_does_not_hold_it_back() {
    let mut lab = Lab::new();
    let (old, b) = (lab.open("a"), lab.open("b"));
    lab.grant(old, 1);
    let a = lab.open("a");
    let range = lab.grant(b, 1);
    assert_eq!(range.len(), 1);
    lab.promise(b, address(0x14), 1).unwrap();
    assert_eq!(lab.lease(address(0x14)).born, lab.index());
    let mut release = lab.update(UpdateKind::Release, address(0x14), 1);
    release.base_version = lab.index();
    lab.tell(b, release).unwrap();
    lab.acknowledge(a);
    lab.acknowledge(b);
    assert_eq!(lab.state(address(0x14)), LeaseState::Free, "the old session never heard of it");
}

#[test]
fn r2_what_a_superseded_session_made_itself_it_holds_back() {
    let mut lab = Lab::new();
    let (old, b) = (lab.open("a"), lab.open("b"));
    lab.grant(old, 1);
    let a = lab.open("a");
    let superseded = lab.index();
    lab.promise(old, address(0x10), 1).unwrap();
    assert_eq!(lab.lease(address(0x10)).born, superseded);
    let mut release = lab.update(UpdateKind::Release, address(0x10), 1);
    release.base_version = lab.index();
    lab.tell(b, release).unwrap();
    lab.acknowledge(a);
    lab.acknowledge(b);
    assert_eq!(lab.state(address(0x10)), LeaseState::Released);
    // It is still there, and reads of it.
    lab.acknowledge(old);
    assert_eq!(lab.state(address(0x10)), LeaseState::Free);
}

#[test]
fn r2_what_a_superseded_session_holds_back_stays_so_when_another_session_is_forgotten() {
    let mut lab = Lab::new();
    let (a, old) = (lab.open("a"), lab.open("b"));
    lab.grant(a, 1);
    lab.promise(a, address(0x10), 1).unwrap();
    lab.acknowledge(old);
    let b = lab.open("b");
    let mut release = lab.update(UpdateKind::Release, address(0x10), 1);
    release.base_version = lab.index();
    lab.tell(a, release).unwrap();
    lab.acknowledge(a);
    lab.acknowledge(b);
    assert_eq!(lab.state(address(0x10)), LeaseState::Released, "the old session may have extended it");
    // A clean restart: what was held back is looked at anew.
    let mut last = lab.batch(a);
    last.closing = true;
    last.acked_index = lab.index();
    lab.send(last);
    let a = lab.open("a");
    for _ in 0..5 {
        lab.pass(1);
        lab.acknowledge(a);
        lab.acknowledge(b);
        assert_eq!(lab.state(address(0x10)), LeaseState::Released);
    }
    lab.acknowledge(old);
    assert_eq!(lab.state(address(0x10)), LeaseState::Free);
}

#[test]
fn fo_704_declaring_a_frontend_down_ends_its_autonomy_now() {
    let mut lab = Lab::new();
    let (a, b) = (lab.open("a"), lab.open("b"));
    let range = lab.grant(a, 4)[0];
    assert_eq!(lab.grant(b, 1), []);
    assert_eq!(declare(&mut lab, "a").outcomes, [Outcome::Declared(vec![a])]);
    assert_eq!(standing(&lab, range), RangeStanding::Closed);
    // Fenced: extended and granted nothing more. What it promised before is taken while it can be in force.
    let batch = lab.batch(a);
    assert!(!lab.send(batch).0.extended);
    lab.promise(a, address(0x10), 1).unwrap();
    lab.pass(promise_secs() + 2);
    assert_eq!(lab.grant(b, 4).len(), 4);
    assert_eq!(lab.promise(a, address(0x11), 2).unwrap_err(), UpdateRefusal::Fenced);
    assert_eq!(
        declare(&mut lab, "a").outcomes,
        [Outcome::DeclareRefused(DeclareRefusal::NothingLeft)],
        "once is enough"
    );
}

#[test]
fn fo_704_a_session_opened_after_the_operator_looked_is_not_meant() {
    let mut lab = Lab::new();
    let old = lab.open("a");
    lab.grant(old, 1);
    let newest = lab.machine.newest_epoch();
    let new = lab.open("a");
    let applied = lab.apply(vec![Command::DeclareDown { frontend: frontend("a"), newest }]);
    assert_eq!(applied.outcomes, [Outcome::Declared(vec![old])]);
    assert!(!lab.grant(new, 1).is_empty());
}

#[test]
fn fo_914_a_declared_frontend_comes_back_without_anybody_s_word() {
    let mut lab = Lab::new();
    let a = lab.open("a");
    lab.grant(a, 1);
    declare(&mut lab, "a");
    let again = lab.open("a");
    assert_eq!(lab.grant(again, 1).len(), 1);
    let batch = lab.batch(again);
    assert!(lab.send(batch).0.extended);
}

#[test]
fn fo_704_a_declaration_is_taken_back_before_anything_followed_from_it() {
    let mut lab = Lab::new();
    let a = lab.open("a");
    let range = lab.grant(a, 1)[0];
    declare(&mut lab, "a");
    lab.pass(promise_secs() - 2);
    let applied = lab.apply(vec![Command::WithdrawDown { frontend: frontend("a") }]);
    assert_eq!(applied.outcomes, [Outcome::Declared(vec![a])]);
    assert!(applied.events.iter().any(|e| matches!(&e.event, StoreEvent::Range(r) if !r.closed)));
    assert_eq!(standing(&lab, range), RangeStanding::Granted);
    lab.promise(a, address(0x10), 1).unwrap();
    let batch = lab.batch(a);
    assert!(lab.send(batch).0.extended, "within its own deadline it goes on");
    // And its autonomy ends as if nothing had been said.
    lab.pass(promise_secs() + 2);
    assert_eq!(standing(&lab, range), RangeStanding::Granted);
}

#[test]
fn fo_704_a_declaration_that_took_effect_is_not_taken_back() {
    let mut lab = Lab::new();
    assert_eq!(withdraw(&mut lab, "a"), Outcome::DeclareRefused(DeclareRefusal::NotDeclared));
    assert_eq!(
        declare(&mut lab, "a").outcomes,
        [Outcome::DeclareRefused(DeclareRefusal::NoSession)],
        "nobody waits for it"
    );
    let a = lab.open("a");
    lab.grant(a, 1);
    declare(&mut lab, "a");
    lab.pass(promise_secs() + 2);
    assert_eq!(withdraw(&mut lab, "a"), Outcome::DeclareRefused(DeclareRefusal::TooLate));
}

#[test]
fn fo_704_unlimited_autonomy_waits_for_an_operator() {
    let mut lab = Lab::new();
    let mut network = super::lab::network();
    network.pools[0].autonomy_ms = u64::MAX;
    lab.configure(&network);
    let a = lab.open("a");
    let range = lab.grant(a, 1)[0];
    lab.open("a");
    for _ in 0..20 {
        lab.pass(86_400);
    }
    assert_eq!(standing(&lab, range), RangeStanding::Closed);
    declare(&mut lab, "a");
    // The guard covers the whole span since the session was heard last.
    lab.pass(promise_secs() + 20 * 86_400 / 1000 + 2);
    assert_eq!(standing(&lab, range), RangeStanding::Free);
}

#[test]
fn fo_704_sessions_long_dead_do_not_keep_a_declaration_in_force() {
    let mut lab = Lab::new();
    let (b, old) = (lab.open("b"), lab.open("a"));
    lab.grant(b, 1);
    let new = lab.open("a");
    for _ in 0..(AUTONOMY_SECS + 2 * promise_secs()) / 60 {
        lab.pass(60);
        lab.acknowledge(new);
        // Whoever renews moves the furthest acknowledgement, by which rows are kept.
        lab.promise(b, address(0x10), 1).unwrap();
    }
    assert!(lab.machine.session(old).is_some(), "its row is kept");
    assert_eq!(declare(&mut lab, "a").outcomes, [Outcome::Declared(vec![new])]);
    assert_eq!(withdraw(&mut lab, "a"), Outcome::Declared(vec![new]));
}
