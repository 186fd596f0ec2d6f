//! R7: what is asked to be adopted is in one sequence with everything else, and is no promise.

use super::*;
use leasehold_proto::lease::UpdateKind;

/// A frontend whose partner owns the second range.
fn bench() -> Bench {
    let mut b = Bench::ready();
    let theirs = b.range(POOL, 1, PARTNER, false);
    b.entry(vec![StoreEvent::Range(theirs)]);
    b.settle();
    b
}

fn adopt(b: &mut Bench, client: u8, prefix: Prefix) -> bool {
    let key = binding(client, IaKind::Na);
    b.leases.adopt(b.now(), IaRef::of(&key), prefix, LifetimeWish::default(), None)
}

#[test]
fn r7_only_from_a_range_of_another_session_without_any_record() {
    let mut b = bench();
    let older_self = b.range(POOL, 2, Epoch(99), false);
    b.entry(vec![StoreEvent::Range(older_self)]);
    assert!(adopt(&mut b, 1, address(16)));
    assert!(adopt(&mut b, 2, address(32)));
    assert!(!adopt(&mut b, 3, address(0)), "our own range: we know");
    assert!(!adopt(&mut b, 3, address(64)), "nobody's range");
    let lapsed = b.record(address(17), 3, LeaseState::Free, ClusterTime::ZERO);
    b.lease(&lapsed);
    assert!(!adopt(&mut b, 3, address(17)), "it had a record");
    let prefix: Prefix = "2001:db8:1:1000::/56".parse().unwrap();
    assert!(!adopt(&mut b, 3, prefix), "another kind");
}

#[test]
fn r7_an_adoption_promises_what_r3_gives_without_an_acknowledgement_and_has_no_record_yet() {
    let mut b = bench();
    assert!(adopt(&mut b, 1, address(16)));
    assert!(adopt(&mut b, 1, address(16)), "it is under way");
    let batch = b.drain().remove(0);
    assert_eq!(batch.updates.len(), 1);
    let update = &batch.updates[0];
    assert_eq!((update.kind, update.valid), (UpdateKind::Adopt, Lifetime::from_wire(3600)));
    assert_eq!(b.state(address(16)), None);
    assert_eq!(b.leases.status(b.now()).dirty_leases, 0);
    b.answer(&[]);
    // Taken, with the answer alone.
    assert_eq!(b.known(1, address(16)).acked_until, update.ack_until);
    assert_eq!(b.extend(1, address(16)).unwrap().valid, Lifetime::from_wire(2 * DAY_SECS));
    assert!(b.news.contains(&News::Adopted { link: LINK, duid: duid(1) }));
}

#[test]
fn r7_refused_leaves_nothing_behind() {
    let mut b = bench();
    assert!(adopt(&mut b, 1, address(16)));
    b.drain();
    b.answer(&[(address(16), UpdateRefusal::NotAdopted)]);
    assert_eq!(b.state(address(16)), None);
    assert!(!b.leases.knows_client(LINK, duid(1).as_bytes()));
    let status = b.leases.status(b.now());
    assert_eq!(status.refused, [(UpdateRefusal::NotAdopted, 1)]);
    assert_eq!((status.adopted, status.adoptions_under_way), (0, 0));
}

#[test]
fn r7_what_gets_a_record_before_it_is_asked_is_not_asked() {
    let mut b = bench();
    assert!(adopt(&mut b, 1, address(16)));
    let partners = b.record(address(16), 9, LeaseState::Active, ClusterTime::ZERO);
    b.lease(&partners);
    assert!(b.drain().iter().all(|batch| batch.updates.is_empty()));
    assert_eq!(b.leases.status(b.now()).adoptions_under_way, 0);
}

#[test]
fn r7_an_adoption_does_not_undo_what_the_stream_brought() {
    let mut b = bench();
    assert!(adopt(&mut b, 1, address(16)));
    b.drain();
    let another = b.record(address(16), 9, LeaseState::Active, ClusterTime::ZERO);
    b.lease(&another);
    b.answer(&[(address(16), UpdateRefusal::NotAdopted)]);
    assert_eq!(b.leases.holder_of(address(16)).unwrap().0, &binding(9, IaKind::Na));
    assert_eq!(b.extend(1, address(16)), None);
}

#[test]
fn r7_a_session_that_ends_forgets_its_adoptions_and_one_that_stops_asks_for_none() {
    let mut b = bench();
    assert!(adopt(&mut b, 1, address(16)));
    b.drain();
    b.disconnect();
    b.batches.clear();
    b.welcome(Epoch(101), false, 0);
    assert_eq!(b.leases.status(b.now()).adoptions_under_way, 0);
    assert!(b.drain().iter().all(|batch| batch.updates.is_empty()));
    let mut b = bench();
    assert!(adopt(&mut b, 1, address(16)));
    b.leases.begin_stop(b.now());
    assert!(!adopt(&mut b, 2, address(18)));
    assert!(b.drain().iter().all(|batch| batch.updates.is_empty()));
}

#[test]
fn r7_sent_again_after_a_reconnect_it_is_the_same_and_settles_once() {
    let mut b = bench();
    assert!(adopt(&mut b, 1, address(16)));
    let sent = b.drain().remove(0);
    b.disconnect();
    assert!(!adopt(&mut b, 2, address(18)), "not while cut off");
    b.batches.clear();
    b.welcome(ME, true, sent.sequence.0 - 1);
    assert_eq!(b.drain()[0], sent);
    b.answer_all();
    assert_eq!(b.leases.status(b.now()).adopted, 1);
    assert!(b.extend(1, address(16)).is_some());
}
