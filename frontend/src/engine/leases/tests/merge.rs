//! The store's word against what was promised here.

use super::*;
use leasehold_proto::lease::LeaseExtra;

#[test]
fn r2_an_expiry_read_while_a_promise_is_dirty_leaves_the_lease_to_its_client() {
    let mut b = Bench::ready();
    let record = b.record(address(200), 9, LeaseState::Active, ClusterTime::ZERO);
    b.lease(&record);
    b.extend(9, address(200)).unwrap();
    let promised = b.known(9, address(200)).valid_until;
    let expired = b.record(address(200), 9, LeaseState::Expired, ClusterTime::ZERO);
    b.lease(&expired);
    assert_eq!(b.state(address(200)), Some(LeaseState::Active));
    assert!(b.known(9, address(200)).valid_until >= promised);
    // A further promise goes with the one that revives it, no later than the acknowledgement of the expiry.
    assert!(b.extend(9, address(200)).is_some());
    let batch = b.drain().remove(0);
    assert_eq!((batch.updates.len(), batch.acked_index), (1, LogIndex(b.index)));
    b.answer(&[]);
    assert_eq!(b.state(address(200)), Some(LeaseState::Active));
    assert!(b.extend(9, address(200)).is_some());
}

#[test]
fn r2_fo_904_a_lease_whose_expiry_is_undone_by_a_promise_under_way_is_extended_through_an_outage() {
    let mut b = Bench::ready();
    let record = b.record(address(200), 9, LeaseState::Active, ClusterTime::ZERO);
    b.lease(&record);
    b.extend(9, address(200)).unwrap();
    let first = b.drain().remove(0);
    let expired = b.record(address(200), 9, LeaseState::Expired, ClusterTime::ZERO);
    b.lease(&expired);
    let expiry = LogIndex(b.index);
    b.ms += 200;
    let acknowledging = b.drain().remove(0);
    assert!(acknowledging.acked_index >= expiry);
    // The store is lost: whether it has either batch is not known.
    b.disconnect();
    for _ in 0..20 {
        b.ms += HOUR / 2;
        assert!(b.extend(9, address(200)).is_some());
    }
    // In the one sequence the reviving promise is first, and what was promised since comes after all that was sent.
    b.batches.clear();
    b.welcome(ME, true, first.sequence.0 - 1);
    let again = b.drain();
    assert_eq!((&again[0], &again[1]), (&first, &acknowledging));
    assert_eq!(again[2].updates.len(), 1);
    assert!(again[2].updates[0].valid_until > first.updates[0].valid_until);
    b.answer_all();
    // Its next end is acknowledged after everything that was promised meanwhile.
    assert_eq!(b.state(address(200)), Some(LeaseState::Active));
    b.extend(9, address(200)).unwrap();
    b.lease(&expired);
    let end = LogIndex(b.index);
    for batch in b.drain() {
        assert!(batch.acked_index < end || batch.updates.len() == 1);
    }
}

#[test]
fn r2_what_its_client_gave_back_is_not_extended_by_a_promise_under_way() {
    let mut b = Bench::ready();
    let record = b.record(address(200), 9, LeaseState::Active, ClusterTime::ZERO);
    b.lease(&record);
    b.extend(9, address(200)).unwrap();
    let released = b.record(address(200), 9, LeaseState::Released, ClusterTime::ZERO);
    b.lease(&released);
    assert_eq!(b.extend(9, address(200)), None);
    let key = binding(9, IaKind::Na);
    assert!(b.leases.remaining(b.now(), IaRef::of(&key), address(200)).is_some());
}

#[test]
fn r2_a_refused_extension_leaves_the_stores_record() {
    let mut b = Bench::ready();
    let record = b.record(address(200), 9, LeaseState::Active, ClusterTime::ZERO);
    b.lease(&record);
    b.extend(9, address(200)).unwrap();
    let expired = b.record(address(200), 9, LeaseState::Expired, ClusterTime::ZERO);
    b.lease(&expired);
    b.drain();
    b.answer(&[(address(200), UpdateRefusal::UnknownPool)]);
    assert_eq!(b.state(address(200)), Some(LeaseState::Expired));
    assert_eq!(b.extend(9, address(200)), None);
}

#[test]
fn r8_another_clients_committed_lease_stands() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    let theirs = b.record(prefix, 9, LeaseState::Active, ClusterTime::ZERO);
    b.lease(&theirs);
    assert_eq!(b.leases.status(b.now()).conflicts, 1);
    assert_eq!(b.leases.holder_of(prefix).unwrap().0, &binding(9, IaKind::Na));
    assert_eq!(b.extend(1, prefix), None);
    b.drain();
    assert!(b.batches.iter().all(|batch| batch.updates.is_empty()));
    let status = b.leases.status(b.now());
    assert_eq!((status.dirty_leases, status.pools[0].slots_free), (0, 15));
}

#[test]
fn r1_a_refused_creation_is_forgotten_and_counted() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    b.drain();
    b.answer(&[(prefix, UpdateRefusal::NotGranted)]);
    assert_eq!(b.state(prefix), None);
    assert_eq!(b.leases.status(b.now()).refused, [(UpdateRefusal::NotGranted, 1)]);
    assert!(!b.leases.knows_client(LINK, duid(1).as_bytes()));
}

#[test]
fn r8_refused_for_another_client_nobody_has_it_until_its_record_comes() {
    let mut b = Bench::ready();
    let given: Vec<Prefix> = (0..16).map(|c| b.create(c).unwrap().prefix).collect();
    b.drain();
    b.answer(&[(given[5], UpdateRefusal::OtherClient)]);
    assert_eq!(b.extend(5, given[5]), None);
    assert_eq!(b.create(77), Err(NoLease::NotNow));
    let theirs = b.record(given[5], 9, LeaseState::Active, ClusterTime::ZERO);
    b.lease(&theirs);
    assert!(b.extend(9, given[5]).is_some());
}

#[test]
fn r2_a_release_refused_because_the_partner_extended_keeps_the_stores_record() {
    let mut b = Bench::ready();
    let record = b.record(address(200), 9, LeaseState::Active, ClusterTime::ZERO);
    b.lease(&record);
    b.release(9, address(200));
    b.drain();
    b.lease(&record);
    assert_eq!(b.state(address(200)), Some(LeaseState::Active));
    b.answer(&[(address(200), UpdateRefusal::ChangedSince)]);
    assert_eq!(b.state(address(200)), Some(LeaseState::Active));
    // Not sent yet: not sent at all.
    b.release(9, address(200));
    b.lease(&record);
    b.ms += 200;
    assert!(b.drain().iter().all(|batch| batch.updates.is_empty()));
}

/// The partner extended the lease and then had it released too, both before it could read of our Release.
#[test]
fn r2_a_release_on_its_way_that_was_overtaken_keeps_nothing_active() {
    let mut b = Bench::ready();
    let record = b.record(address(200), 9, LeaseState::Active, ClusterTime::ZERO);
    b.lease(&record);
    b.release(9, address(200));
    b.drain();
    b.lease(&record);
    assert_eq!(b.state(address(200)), Some(LeaseState::Active));
    let released = b.record(address(200), 9, LeaseState::Released, ClusterTime::ZERO);
    b.lease(&released);
    assert_eq!(b.state(address(200)), Some(LeaseState::Released));
    let key = binding(9, IaKind::Na);
    assert_eq!(b.leases.remaining(b.now(), IaRef::of(&key), address(200)), None);
}

#[test]
fn r2_an_accepted_release_waits_for_the_word_that_it_is_free() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    b.settle();
    b.release(1, prefix);
    let batch = b.drain().remove(0);
    b.batches.clear();
    let outcome = b.outcome(batch.sequence, true, &[]);
    let released = Lease {
        epoch: ME,
        version: LogIndex(b.index + 1),
        ..b.record(prefix, 1, LeaseState::Released, ClusterTime::ZERO)
    };
    b.entry(vec![outcome, StoreEvent::Lease(Arc::new(released))]);
    assert_eq!(b.state(prefix), Some(LeaseState::Released));
    assert_eq!(b.leases.status(b.now()).pools[0].slots_free, 15);
    let free = b.record(prefix, 1, LeaseState::Free, ClusterTime::ZERO);
    b.lease(&free);
    assert_eq!(b.leases.status(b.now()).pools[0].slots_free, 16);
}

#[test]
fn a_word_of_a_lower_version_changes_nothing() {
    let mut b = Bench::ready();
    let active = b.record(address(200), 9, LeaseState::Active, ClusterTime::ZERO);
    b.lease(&active);
    let stale =
        Lease { version: LogIndex(3), ..b.record(address(200), 8, LeaseState::Free, ClusterTime::ZERO) };
    b.entry(vec![StoreEvent::Lease(Arc::new(stale))]);
    assert_eq!(b.leases.holder_of(address(200)).unwrap(), (&binding(9, IaKind::Na), LeaseState::Active));
}

/// Seed 1795452413311 of a soak: who had given a client its key, cut off, read of its adoption by the partner, and held
/// that for what the store knows last.
#[test]
fn rare_fields_told_here_last_stay_when_older_ones_are_read_meanwhile() {
    let mut b = Bench::ready();
    let extra = |reconfigure| Some(Arc::new(LeaseExtra { reconfigure, ..LeaseExtra::default() }));
    let key = binding(9, IaKind::Na);
    b.lease(&b.record(address(200), 9, LeaseState::Active, ClusterTime::ZERO));
    b.leases.extend(b.now(), IaRef::of(&key), address(200), LifetimeWish::default(), extra(true)).unwrap();
    assert_eq!(b.drain()[0].updates[0].extra, extra(true));
    let mut before = b.record(address(200), 9, LeaseState::Active, ClusterTime::ZERO);
    before.extra = extra(false);
    b.lease(&before);
    b.answer(&[]);
    assert!(b.leases.extra_of(address(200)).unwrap().reconfigure, "so the store has it now");
}
