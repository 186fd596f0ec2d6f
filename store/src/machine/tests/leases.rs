//! Promises, renewals by the partner, releases, expiry and freeing.

use super::lab::{AUTONOMY_SECS, Lab, MCLT_SECS, VALID_SECS, address, network};
use leasehold_proto::lease::{LeaseState, UpdateKind};
use leasehold_proto::session::{StoreEvent, UpdateRefusal};
use leasehold_proto::time::{ClusterTime, Lifetime};
use leasehold_proto::words::Epoch;

/// Both partners with a range each: `a` owns ::10 to ::13, `b` ::14 to ::17.
fn partners() -> (Lab, Epoch, Epoch) {
    let mut lab = Lab::new();
    let (a, b) = (lab.open("a"), lab.open("b"));
    assert_eq!((lab.grant(a, 1).len(), lab.grant(b, 1).len()), (1, 1));
    (lab, a, b)
}

#[test]
fn r1_a_lease_outside_the_sessions_grants_is_refused() {
    let (mut lab, a, b) = partners();
    assert_eq!(lab.promise(b, address(0x10), 1).unwrap_err(), UpdateRefusal::NotGranted);
    assert_eq!(lab.promise(a, address(0x1c), 1).unwrap_err(), UpdateRefusal::NotGranted);
    assert_eq!(lab.promise(a, address(0x20), 1).unwrap_err(), UpdateRefusal::UnknownPool);
    lab.promise(a, address(0x10), 1).unwrap();
}

#[test]
fn r3_acknowledgement_merges_by_maximum_within_one_holding() {
    let (mut lab, a, _) = partners();
    lab.promise(a, address(0x10), 1).unwrap();
    let acked = lab.lease(address(0x10)).acked_until;
    assert_eq!(acked, lab.now() + std::time::Duration::from_secs(u64::from(MCLT_SECS / 2 + VALID_SECS)));
    let mut lower = lab.update(UpdateKind::Promise, address(0x10), 1);
    lower.ack_until = ClusterTime::ZERO;
    lower.valid_until = ClusterTime::ZERO;
    let promised = lab.lease(address(0x10)).valid_until;
    lab.tell(a, lower).unwrap();
    assert_eq!(
        (lab.lease(address(0x10)).acked_until, lab.lease(address(0x10)).valid_until),
        (acked, promised)
    );
}

/// With a frozen acknowledgement promises get shorter while they end at the same moment; the client may still go by
/// the longest, whose span its clock's drift is judged by.
#[test]
fn r4_the_guard_of_an_expiry_covers_the_longest_promise_outstanding() {
    let (mut lab, a, b) = partners();
    let long = lab.update(UpdateKind::Promise, address(0x10), 1);
    lab.tell(a, long.clone()).unwrap();
    lab.pass(u64::from(long.valid.to_wire()) / 2);
    let mut short = long.clone();
    short.valid = Lifetime::from_wire(long.valid.to_wire() / 2);
    short.preferred = short.valid;
    lab.tell(b, short).unwrap();
    let lease = lab.lease(address(0x10));
    assert_eq!((lease.valid_until, lease.valid), (long.valid_until, long.valid));
}

#[test]
fn r5_either_partner_extends_for_the_same_client_and_nobody_for_another() {
    let (mut lab, a, b) = partners();
    lab.promise(a, address(0x10), 1).unwrap();
    let applied = lab.promise(b, address(0x10), 1).unwrap();
    assert_eq!(lab.lease(address(0x10)).epoch, b);
    assert!(applied.events.iter().any(|e| matches!(&e.event, StoreEvent::Lease(l) if l.epoch == b)));
    assert_eq!(lab.promise(b, address(0x10), 2).unwrap_err(), UpdateRefusal::OtherClient);
}

#[test]
fn r4_others_are_judged_by_the_largest_allowances_ever_configured() {
    let expiry_secs = |lowered: bool| {
        let mut lab = Lab::new();
        let mut generous = network();
        generous.timing =
            Some(leasehold_proto::v1::Timing { rho_ppm: 1000, flight_ms: 60_000, send_ms: 1000 });
        lab.configure(&generous);
        let (a, _) = (lab.open("a"), lab.open("b"));
        lab.grant(a, 1);
        lab.promise(a, address(0x10), 1).unwrap();
        if lowered {
            // A frontend that the store does not reach goes on by the old ones.
            lab.configure(&network());
        }
        let made = lab.now();
        while lab.state(address(0x10)) == LeaseState::Active {
            lab.pass(1);
        }
        lab.now().saturating_since(made).as_secs()
    };
    assert_eq!(expiry_secs(true), expiry_secs(false));
}

#[test]
fn r2_an_expired_lease_is_free_only_when_both_partners_have_read_so() {
    let (mut lab, a, b) = partners();
    lab.promise(a, address(0x10), 1).unwrap();
    lab.pass(u64::from(MCLT_SECS) + 20);
    assert_eq!(lab.state(address(0x10)), LeaseState::Expired);
    lab.acknowledge(a);
    assert_eq!(lab.state(address(0x10)), LeaseState::Expired);
    let applied = lab.acknowledge(b);
    assert_eq!(lab.state(address(0x10)), LeaseState::Free);
    assert_eq!(lab.lease(address(0x10)).acked_until, ClusterTime::ZERO);
    assert!(
        applied
            .events
            .iter()
            .any(|e| matches!(&e.event, StoreEvent::Lease(l) if l.state == LeaseState::Free))
    );
    // Now, and only from the owner, it may go to another client.
    assert_eq!(lab.promise(b, address(0x10), 2).unwrap_err(), UpdateRefusal::NotGranted);
    lab.promise(a, address(0x10), 2).unwrap();
}

#[test]
fn r2_an_extension_before_the_acknowledgement_revives_an_expired_lease() {
    let (mut lab, a, b) = partners();
    lab.promise(a, address(0x10), 1).unwrap();
    lab.pass(u64::from(MCLT_SECS) + 20);
    lab.acknowledge(a);
    // `b` extended it before it read of the expiry: its update comes before its acknowledgement.
    let applied = lab.promise(b, address(0x10), 1).unwrap();
    assert_eq!(lab.state(address(0x10)), LeaseState::Active);
    assert_eq!(applied.events.iter().filter(|e| matches!(e.event, StoreEvent::Lease(_))).count(), 1);
    lab.acknowledge(b);
    assert_eq!(lab.state(address(0x10)), LeaseState::Active);
    // It needs a new event, acknowledged anew.
    lab.pass(u64::from(MCLT_SECS) + 20);
    assert_eq!(lab.state(address(0x10)), LeaseState::Expired);
}

#[test]
fn r2_a_silent_partner_holds_a_lease_back_until_it_is_dead_for_certain() {
    let (mut lab, a, b) = partners();
    lab.promise(a, address(0x10), 1).unwrap();
    let acked = lab.lease(address(0x10)).acked_until;
    // Only `a` is heard from now on: it extends its session every minute.
    let mut freed_at = None;
    for _ in 0..60 {
        lab.pass(60);
        lab.acknowledge(a);
        if freed_at.is_none() && lab.state(address(0x10)) == LeaseState::Free {
            freed_at = Some(lab.now());
        }
    }
    let freed_at = freed_at.expect("it is freed in the end");
    let deadline = ClusterTime::from_millis(1000) + std::time::Duration::from_secs(AUTONOMY_SECS);
    let promised = acked.max(deadline) + std::time::Duration::from_secs(u64::from(MCLT_SECS));
    assert!(freed_at > promised, "{freed_at:?} is not after {promised:?}");
    assert!(freed_at < promised + std::time::Duration::from_secs(90));
    assert!(lab.machine.session(b).is_some_and(|s| s.ended));
}

/// Found by the simulation: with nobody about, every index counts as read, and what expired was freed at once.
#[test]
fn r2_what_expires_when_every_session_is_silent_waits_for_their_certain_death() {
    let (mut lab, a, _) = partners();
    lab.promise(a, address(0x10), 1).unwrap();
    let acked = lab.lease(address(0x10)).acked_until;
    let mut freed_at = None;
    for _ in 0..600 {
        lab.pass(10);
        if freed_at.is_none() && lab.state(address(0x10)) == LeaseState::Free {
            freed_at = Some(lab.now());
        }
    }
    let deadline = ClusterTime::from_millis(1000) + std::time::Duration::from_secs(AUTONOMY_SECS);
    let promised = acked.max(deadline) + std::time::Duration::from_secs(u64::from(MCLT_SECS));
    assert!(freed_at.expect("it is freed in the end") > promised);
}

#[test]
fn r2_a_release_is_refused_when_the_partner_changed_the_record_since() {
    let (mut lab, a, b) = partners();
    lab.promise(a, address(0x10), 1).unwrap();
    let seen = lab.lease(address(0x10)).version;
    lab.promise(b, address(0x10), 1).unwrap();
    let mut stale = lab.update(UpdateKind::Release, address(0x10), 1);
    stale.base_version = seen;
    assert_eq!(lab.tell(a, stale.clone()).unwrap_err(), UpdateRefusal::ChangedSince);
    assert_eq!(lab.state(address(0x10)), LeaseState::Active);
    stale.base_version = lab.lease(address(0x10)).version;
    lab.tell(a, stale).unwrap();
    assert_eq!(lab.state(address(0x10)), LeaseState::Released);
    lab.acknowledge(a);
    lab.acknowledge(b);
    assert_eq!(lab.state(address(0x10)), LeaseState::Free);
}

/// Found by the simulation: `a`, cut off, extended and then released a lease that `b` extended meanwhile. Reconnected,
/// it tells its old promise first, which must not hide what `b` did.
#[test]
fn r2_a_late_promise_does_not_hide_the_partners_change_from_a_release() {
    let (mut lab, a, b) = partners();
    lab.promise(a, address(0x10), 1).unwrap();
    let seen = lab.lease(address(0x10)).version;
    lab.promise(b, address(0x10), 1).unwrap();
    lab.promise(a, address(0x10), 1).unwrap();
    let mut stale = lab.update(UpdateKind::Release, address(0x10), 1);
    stale.base_version = seen;
    assert_eq!(lab.tell(a, stale.clone()).unwrap_err(), UpdateRefusal::ChangedSince);
    assert_eq!(lab.state(address(0x10)), LeaseState::Active);
    stale.base_version = lab.lease(address(0x10)).version;
    lab.tell(a, stale).unwrap();
    assert_eq!(lab.state(address(0x10)), LeaseState::Released);
}

#[test]
fn r2_a_release_of_another_clients_lease_changes_nothing() {
    let (mut lab, a, _) = partners();
    lab.promise(a, address(0x10), 1).unwrap();
    let update = lab.update(UpdateKind::Release, address(0x10), 2);
    assert_eq!(lab.tell(a, update).unwrap_err(), UpdateRefusal::OtherClient);
    let update = lab.update(UpdateKind::Release, address(0x11), 2);
    assert_eq!(lab.tell(a, update).unwrap_err(), UpdateRefusal::UnknownLease);
}

#[test]
fn fo_509_a_declined_address_stays_away_until_its_quarantine_is_over() {
    let (mut lab, a, b) = partners();
    lab.promise(a, address(0x10), 1).unwrap();
    let update = lab.update(UpdateKind::Decline, address(0x10), 1);
    lab.tell(a, update).unwrap();
    for _ in 0..9 {
        lab.pass(100);
        lab.acknowledge(a);
        lab.acknowledge(b);
        assert_eq!(lab.state(address(0x10)), LeaseState::Abandoned);
    }
    lab.pass(101);
    assert_eq!(lab.state(address(0x10)), LeaseState::Reset);
    lab.acknowledge(a);
    lab.acknowledge(b);
    assert_eq!(lab.state(address(0x10)), LeaseState::Free);
}

#[test]
fn fo_410_an_infinite_lease_never_expires() {
    let (mut lab, a, _) = partners();
    let mut update = lab.update(UpdateKind::Promise, address(0x10), 1);
    update.valid_until = ClusterTime::NEVER;
    update.ack_until = ClusterTime::NEVER;
    lab.tell(a, update).unwrap();
    lab.pass(100_000_000);
    assert_eq!(lab.state(address(0x10)), LeaseState::Active);
}

#[test]
fn r9_a_binding_keeps_all_its_leases() {
    let (mut lab, a, b) = partners();
    lab.promise(a, address(0x10), 1).unwrap();
    lab.promise(b, address(0x14), 1).unwrap();
    let link = lab.machine.network().unwrap().links[0].id;
    let duid = lab.lease(address(0x10)).binding.duid.clone();
    let held: Vec<_> = lab.machine.leases_of_client(link, &duid).map(|l| l.prefix).collect();
    assert_eq!(held, [address(0x10), address(0x14)]);
}
