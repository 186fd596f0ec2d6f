//! FO-907: a cluster founded anew from the rows of an old one.

use super::lab::{AUTONOMY_SECS, Lab, MCLT_SECS, VALID_SECS, address, frontend, network};
use crate::machine::{Command, CommandBatch, Found, Machine, OldRows, Outcome, Restored, invariants};
use leasehold_proto::lease::{LeaseState, UpdateKind};
use leasehold_proto::session::UpdateRefusal;
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{Epoch, LogIndex};
use std::ops::Bound;
use std::time::Duration;

/// A cluster with a lease of `a`'s, told, and one that waits to be freed; `b` is drained.
fn old_cluster() -> Lab {
    let mut lab = Lab::new();
    let (a, b) = (lab.open("a"), lab.open("b"));
    lab.grant(a, 1);
    lab.grant(b, 1);
    lab.promise(a, address(0x10), 1).unwrap();
    lab.promise(a, address(0x11), 2).unwrap();
    let mut release = lab.update(UpdateKind::Release, address(0x11), 2);
    release.base_version = lab.index();
    lab.tell(a, release).unwrap();
    lab.apply(vec![Command::Drain { frontend: frontend("b"), on: true }]);
    lab.pass(30);
    lab
}

fn rows(lab: &Lab) -> Vec<(Vec<u8>, Vec<u8>)> {
    lab.machine.rows().collect()
}

fn whole(lab: &Lab) -> Command {
    Command::RestoreRows { first: true, rows: OldRows(rows(lab)) }
}

fn found(without_waiting: bool) -> Command {
    Command::Found(Found {
        cluster: "test".into(),
        incarnation: 2,
        server_duid_seed: [7; 16],
        restored: Some(Restored { without_waiting }),
    })
}

/// The same rows in a new cluster, in pieces of three.
fn founded_anew(old: &Lab, without_waiting: bool) -> Lab {
    let mut lab = Lab::blank(old.now());
    for (place, piece) in rows(old).chunks(3).enumerate() {
        let applied =
            lab.apply(vec![Command::RestoreRows { first: place == 0, rows: OldRows(piece.to_vec()) }]);
        assert_eq!(applied.outcomes, [Outcome::RowsTaken]);
    }
    assert!(lab.machine.is_restoring() && lab.machine.cluster().is_none());
    let applied = lab.apply(vec![found(without_waiting)]);
    assert_eq!(applied.outcomes, [Outcome::Founded]);
    lab
}

fn wait_secs() -> u64 {
    let span = AUTONOMY_SECS + u64::from(VALID_SECS / 4 + VALID_SECS + MCLT_SECS);
    span + 6 + span / 1000 + 1
}

#[test]
fn fo_907_leases_configuration_and_server_duids_are_taken_over_and_sessions_are_not() {
    let old = old_cluster();
    let mut lab = founded_anew(&old, false);
    let duid = |lab: &Lab| lab.machine.network().unwrap().relationships[0].server_duid.clone();
    assert_eq!(duid(&lab), duid(&old));
    assert_eq!(lab.machine.network().unwrap().version, old.machine.network().unwrap().version);
    assert_eq!(lab.machine.cluster(), Some(("test", 2)));
    assert!(lab.machine.time() >= old.machine.time(), "cluster time never goes back");
    let (was, is) = (old.lease(address(0x10)), lab.lease(address(0x10)));
    assert_eq!((&is.binding, is.state, is.acked_until), (&was.binding, LeaseState::Active, was.acked_until));
    assert!(is.version <= lab.index(), "numbered by the new log");
    assert_eq!(lab.machine.sessions().count(), 0);
    assert!(lab.machine.is_draining(&frontend("b")));
    // Somebody of whom nothing is known here may have extended what ended; and what runs out, likewise.
    lab.pass(wait_secs() - 5);
    assert_eq!(lab.state(address(0x10)), LeaseState::Active);
    assert_eq!(lab.state(address(0x11)), LeaseState::Released);
    lab.pass(10);
    assert_eq!(lab.state(address(0x11)), LeaseState::Free);
    assert_eq!(lab.state(address(0x10)), LeaseState::Free);
    invariants::check(&lab.machine).unwrap();
    let again = Machine::from_rows(&mut lab.machine.rows()).unwrap();
    assert!(again.rows().eq(lab.machine.rows()));
}

#[test]
fn fo_907_nothing_is_granted_until_the_old_promises_are_over_and_known_leases_are_renewed() {
    let mut lab = founded_anew(&old_cluster(), false);
    let a = lab.open("a");
    assert!(a > Epoch::new(1, u64::MAX >> 16), "above all epochs of the old cluster");
    assert_eq!(lab.grant(a, 1), []);
    lab.promise(a, address(0x10), 1).unwrap();
    // What these rows do not know may have been promised all the same: it is not given away, nor adopted.
    let refused = lab.tell(a, lab.update(UpdateKind::Adopt, address(0x12), 5)).unwrap_err();
    assert_eq!(refused, UpdateRefusal::NotAdopted);
    for _ in 0..(wait_secs() - 5) / 100 {
        lab.pass(100);
        lab.acknowledge(a);
        assert_eq!(lab.grant(a, 1), [], "at {:?}", lab.now());
    }
    lab.pass(wait_secs() % 100 + 100);
    assert!(!lab.grant(a, 1).is_empty());
}

/// Found by reading: the old cluster may have gone on after the export, with pools and ends of which that tells nothing.
#[test]
fn fo_907_r7_nothing_is_adopted_where_the_old_cluster_may_have_grown_after_the_export() {
    let mut old = Lab::new();
    let mut shorter = network();
    shorter.pools[0].last = address(0x15).bits().to_be_bytes().to_vec();
    old.configure(&shorter);
    let mut lab = Lab::blank(old.now());
    let (network_row, others): (Vec<_>, Vec<_>) = rows(&old).into_iter().partition(|(key, _)| key[0] < 4);
    for (first, piece) in [(true, network_row), (false, others)] {
        lab.apply(vec![Command::RestoreRows { first, rows: OldRows(piece) }]);
    }
    lab.apply(vec![found(true)]);
    lab.configure(&network());
    let (a, b) = (lab.open("a"), lab.open("b"));
    assert_eq!(lab.grant(a, 8).len(), 4);
    for last in [0x10, 0x14, 0x19, 0x1f] {
        let claim = lab.update(UpdateKind::Adopt, address(last), 5);
        assert_eq!(lab.tell(b, claim).unwrap_err(), UpdateRefusal::NotAdopted, "{last:x}");
    }
}

#[test]
fn fo_907_an_operator_may_override_the_wait() {
    let mut lab = founded_anew(&old_cluster(), true);
    assert_eq!(lab.machine.grants_held_until(), ClusterTime::ZERO);
    let a = lab.open("a");
    assert!(!lab.grant(a, 1).is_empty());
}

#[test]
fn fo_907_unlimited_autonomy_waits_for_an_override() {
    let mut old = Lab::new();
    let mut unlimited = network();
    unlimited.pools[0].autonomy_ms = u64::MAX;
    old.configure(&unlimited);
    assert_eq!(founded_anew(&old, false).machine.grants_held_until(), ClusterTime::NEVER);
}

#[test]
fn a_restoring_that_broke_off_is_begun_again_and_nothing_else_is_founded_meanwhile() {
    let old = old_cluster();
    let mut lab = Lab::blank(old.now());
    // Of another export, which says more.
    let mut other = old_cluster();
    let a = other.machine.sessions().next().unwrap().epoch;
    other.promise(a, address(0x12), 9).unwrap();
    other.apply(vec![Command::Drain { frontend: frontend("a"), on: true }]);
    lab.apply(vec![whole(&other)]);
    let mut blank = found(false);
    if let Command::Found(found) = &mut blank {
        found.restored = None;
    }
    assert_eq!(lab.apply(vec![blank]).outcomes, [Outcome::RestoringUnfinished]);
    // A node rebuilt from its disk goes on.
    let applied = lab.apply(vec![whole(&old)]);
    assert_eq!(applied.outcomes, [Outcome::RowsTaken]);
    let mut rebuilt = Machine::from_rows(&mut lab.machine.rows()).unwrap();
    assert!(rebuilt.is_restoring());
    lab.apply(vec![found(false)]);
    let batch = CommandBatch::new(lab.now(), vec![found(false)]);
    rebuilt.apply(LogIndex(lab.index().0), &batch);
    assert!(rebuilt.rows().eq(lab.machine.rows()));
    invariants::check(&rebuilt).unwrap();
    let mut in_one_go = Lab::blank(old.now());
    in_one_go.apply(vec![whole(&old)]);
    in_one_go.apply(vec![found(false)]);
    let leases = |lab: &Lab| lab.machine.leases_from(Bound::Unbounded).map(|l| l.prefix).collect::<Vec<_>>();
    assert_eq!(leases(&lab), leases(&in_one_go), "nothing of the first attempt is left");
    assert!(!lab.machine.is_draining(&frontend("a")));
    let mut founded = founded_anew(&old, false);
    let applied = founded.apply(vec![whole(&old)]);
    assert_eq!(applied.outcomes, [Outcome::AlreadyFounded], "a cluster that lives is not overwritten");
    // Without the rows there is nothing to be founded from.
    assert_eq!(Lab::blank(old.now()).apply(vec![found(false)]).outcomes, [Outcome::RestoringUnfinished]);
    let nonsense = vec![(vec![77u8], vec![1u8])];
    let applied =
        Lab::blank(old.now()).apply(vec![Command::RestoreRows { first: true, rows: OldRows(nonsense) }]);
    assert!(matches!(&applied.outcomes[..], [Outcome::RowRefused(why)] if why.contains("newer")));
}

#[test]
fn fo_907_the_wait_covers_what_was_acknowledged_under_a_longer_lifetime() {
    let mut old = old_cluster();
    let acked_until = old.lease(address(0x10)).acked_until;
    let mut shorter = network();
    shorter.pools[0].preferred_lifetime_secs = 60;
    shorter.pools[0].valid_lifetime_secs = 60;
    shorter.pools[0].autonomy_ms = 1000;
    old.configure(&shorter);
    let lab = founded_anew(&old, false);
    let over = acked_until + Duration::from_secs(u64::from(MCLT_SECS));
    assert!(lab.machine.grants_held_until() >= over);
}
