//! R8 and R9: what reconciliation finds is decided by one rule each, and written down.

use super::lab::{Lab, address, frontend, network};
use crate::machine::{Command, ConflictKind, Machine};
use leasehold_proto::lease::{LeaseState, UpdateKind};
use leasehold_proto::session::UpdateRefusal;
use leasehold_proto::time::{ClusterTime, Lifetime};

#[test]
fn fo_808_r8_after_an_override_the_lease_committed_first_stays_and_the_conflict_is_on_record() {
    let mut lab = Lab::new();
    let (a, b) = (lab.open("a"), lab.open("b"));
    lab.grant(a, 1);
    lab.promise(a, address(0x10), 1).unwrap();
    // An operator is wrong: `a` lives, cut off. It promises 0x11 to client 2, and the store does not hear of it.
    let unheard = lab.update(UpdateKind::Promise, address(0x10), 2);
    let newest = lab.machine.newest_epoch();
    lab.apply(vec![Command::DeclareDown { frontend: frontend("a"), newest }]);
    assert_eq!(lab.tell(a, unheard).unwrap_err(), UpdateRefusal::OtherClient);
    assert_eq!(lab.state(address(0x10)), LeaseState::Active);
    let conflicts: Vec<_> = lab.machine.conflicts().collect();
    let [(1, conflict)] = conflicts[..] else { panic!("{conflicts:?}") };
    assert_eq!(conflict.prefix, address(0x10));
    assert_eq!(conflict.kept, lab.lease(address(0x10)).binding);
    assert!(matches!(&conflict.kind, ConflictKind::TwoClients { lost, .. } if lost.duid.as_bytes()[4] == 2));
    assert_eq!(lab.machine.counters().conflicts_two_clients, 1);
    lab.acknowledge(b);
}

#[test]
fn r9_two_addresses_of_one_binding_by_two_sessions_are_kept_and_on_record() {
    let mut lab = Lab::new();
    let (a, b) = (lab.open("a"), lab.open("b"));
    lab.grant(a, 1);
    lab.grant(b, 1);
    lab.promise(a, address(0x10), 1).unwrap();
    lab.promise(b, address(0x14), 1).unwrap();
    assert_eq!(lab.state(address(0x10)), LeaseState::Active);
    assert_eq!(lab.state(address(0x14)), LeaseState::Active);
    let kinds: Vec<_> = lab.machine.conflicts().map(|(_, c)| c.kind.clone()).collect();
    assert_eq!(kinds, [ConflictKind::TwoAddresses { earlier: address(0x10) }]);
    // One session that gives a client two is no conflict.
    lab.promise(a, address(0x11), 2).unwrap();
    lab.promise(a, address(0x12), 2).unwrap();
    assert_eq!(lab.machine.conflicts().count(), 1);
}

#[test]
fn conflicts_are_bounded_and_survive_a_restart() {
    let mut lab = Lab::new();
    let (a, _b) = (lab.open("a"), lab.open("b"));
    lab.grant(a, 1);
    lab.promise(a, address(0x10), 1).unwrap();
    for _ in 0..1005 {
        lab.promise(a, address(0x10), 2).unwrap_err();
    }
    let numbers: Vec<u64> = lab.machine.conflicts().map(|(n, _)| n).collect();
    assert_eq!((numbers.len(), numbers[0], numbers[999]), (1000, 6, 1005));
    let again = Machine::from_rows(&mut lab.machine.rows()).unwrap();
    assert!(again.conflicts().eq(lab.machine.conflicts()));
}

/// Found by the simulation: the new holding's acknowledgement made a dead session's late word count, and it was taken for
/// a second client's.
#[test]
fn r4_a_dead_sessions_late_promise_from_a_pool_cut_anew_is_fenced() {
    let mut lab = Lab::new();
    let (old, b) = (lab.open("a"), lab.open("b"));
    lab.grant(old, 2);
    // As long as this one lasts the old pool is known.
    let mut lasting = lab.update(UpdateKind::Promise, address(0x14), 7);
    (lasting.valid_until, lasting.valid) = (ClusterTime::NEVER, Lifetime::INFINITE);
    (lasting.preferred, lasting.ack_until) = (Lifetime::INFINITE, ClusterTime::NEVER);
    lab.tell(old, lasting).unwrap();
    let late = lab.update(UpdateKind::Promise, address(0x10), 1);
    lab.open("a");
    let mut cut_anew = network();
    cut_anew.pools[0].range_bits = Some(1);
    lab.configure(&cut_anew);
    lab.pass_with(b, 1200);
    while !lab.grant(b, 1).is_empty() {}
    lab.promise(b, address(0x10), 1).unwrap();
    assert_eq!(lab.tell(old, late).unwrap_err(), UpdateRefusal::Fenced);
    assert_eq!(lab.machine.conflicts().count(), 0);
}
