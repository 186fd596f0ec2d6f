//! Loading, resuming, sessions that are over, look-ups.

use super::*;
use leasehold_proto::session::{RefusalReason, Refused};

fn refuse(b: &mut Bench, reason: RefusalReason) {
    b.apply(FromStore::Refused(Refused { reason, detail: String::new(), leader_address: None }));
}

#[test]
fn r2_a_range_with_former_owners_counts_only_once_loaded() {
    let mut b = Bench::new();
    b.welcome(ME, false, 0);
    b.drain();
    b.answer_all();
    b.grant(POOL, 0, false);
    assert!(!b.leases.is_loaded());
    assert_eq!(b.create(1), Err(NoLease::NotNow));
    b.grant(POOL, 1, true);
    let fresh = b.create(1).unwrap().prefix;
    assert!((address(16)..=address(31)).contains(&fresh));
    // The load tells of all but one address of the old range.
    let held: Vec<Lease> =
        (0..15).map(|n| b.record(address(n), 50, LeaseState::Active, ClusterTime::ZERO)).collect();
    b.load_done(&held, &[]);
    assert!(b.leases.is_loaded() && b.news.contains(&News::Loaded));
    let free = b.leases.status(b.now()).pools[0].slots_free;
    assert_eq!(free, 1 + 15);
    let key = binding(2, IaKind::Na);
    let last = b
        .leases
        .create(b.now(), IaRef::of(&key), &Wanted { hint: Some(address(15)), ..Wanted::of(&[POOL]) })
        .unwrap();
    assert_eq!(last.prefix, address(15));
    let hinted = b
        .leases
        .offer(b.now(), IaRef::of(&key), &Wanted { hint: Some(address(3)), ..Wanted::of(&[POOL]) })
        .unwrap();
    assert_ne!(hinted.prefix, address(3));
}

#[test]
fn load_pieces_and_entries_interleave_and_the_higher_version_wins() {
    let mut b = Bench::new();
    b.welcome(ME, false, 0);
    let old = b.record(address(200), 9, LeaseState::Active, ClusterTime::ZERO);
    let freed = b.record(address(200), 9, LeaseState::Free, ClusterTime::ZERO);
    b.lease(&freed);
    b.load_done(&[old], &[]);
    assert_eq!(b.state(address(200)), Some(LeaseState::Free));
    // The other way round.
    let ahead = Lease {
        version: LogIndex(b.index + 5),
        ..b.record(address(201), 9, LeaseState::Active, ClusterTime::ZERO)
    };
    let mut b = Bench::new();
    b.welcome(ME, false, 0);
    b.load_done(&[ahead], &[]);
    let before = b.record(address(201), 8, LeaseState::Active, ClusterTime::ZERO);
    b.lease(&before);
    assert_eq!(b.leases.holder_of(address(201)).unwrap().0, &binding(9, IaKind::Na));
}

#[test]
fn order_nothing_is_acknowledged_before_the_load_is_done() {
    let mut b = Bench::new();
    b.welcome(ME, false, 0);
    let expired = b.record(address(200), 9, LeaseState::Expired, ClusterTime::ZERO);
    b.lease(&expired);
    assert!(b.drain().iter().all(|batch| batch.acked_index == LogIndex(0)));
    b.answer_all();
    b.load_done(&[], &[]);
    b.ms += 200;
    assert_eq!(b.drain().last().unwrap().acked_index, LogIndex(b.index));
}

#[test]
fn a_second_load_in_the_same_session_drops_what_it_does_not_confirm() {
    let mut b = Bench::ready();
    let told = b.create(1).unwrap().prefix;
    b.settle();
    let gone = b.record(address(200), 9, LeaseState::Active, ClusterTime::ZERO);
    b.lease(&gone);
    let untold = b.create(2).unwrap().prefix;
    let sent = b.create(3).unwrap().prefix;
    let in_flight = b.drain().remove(0);
    b.batches.clear();
    let untold_too = b.create(4).unwrap().prefix;
    b.disconnect();
    // The store took what was in flight; its answer is lost.
    b.welcome(ME, false, in_flight.sequence.0);
    assert!(!b.leases.is_loaded());
    let told_record = b.record(told, 1, LeaseState::Active, b.cluster());
    let sent_record = b.record(sent, 3, LeaseState::Active, b.cluster());
    b.load_done(&[told_record, sent_record.clone()], &[]);
    b.drain();
    assert_eq!((b.state(told), b.state(sent)), (Some(LeaseState::Active), Some(LeaseState::Active)));
    assert_eq!(b.known(3, sent).acked_until, sent_record.acked_until);
    assert_eq!((b.state(address(200)), b.state(untold)), (None, None));
    assert_eq!(b.state(untold_too), Some(LeaseState::Active));
    let batch = b.batches.iter().find(|batch| !batch.updates.is_empty()).unwrap();
    assert_eq!((batch.sequence, batch.updates[0].prefix), (in_flight.sequence.next(), untold_too));
}

#[test]
fn r1_after_the_stream_broke_off_nothing_is_created_from_a_range_before_the_load_names_it() {
    let mut b = Bench::ready();
    assert!(b.create(1).is_ok());
    b.grant(POOL, 1, true);
    b.settle();
    b.disconnect();
    b.welcome(ME, false, 99);
    assert_eq!(b.create(2), Err(NoLease::NotNow), "of neither is it known whose it is now");
    // One is still this session's, the other nobody's.
    let kept = b.range(POOL, 1, ME, true);
    b.load_done(&[], &[kept]);
    let made: Vec<Prefix> = (10..26).map(|n| b.create(n).unwrap().prefix).collect();
    assert!(made.iter().all(|p| (address(16)..=address(31)).contains(p)), "{made:?}");
    assert_eq!(b.create(30).ok().map(|made| made.prefix), None);
    assert_eq!(b.leases.status(b.now()).pools[0].ranges_owned, 1);
}

#[test]
fn r4_an_unknown_session_is_fenced_and_another_opened() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    b.drain();
    b.create(2).unwrap();
    b.batches.clear();
    b.disconnect();
    b.connect();
    refuse(&mut b, RefusalReason::UnknownSession);
    assert_eq!(b.extend(1, prefix), None);
    assert_eq!(b.create(3), Err(NoLease::NotNow));
    assert!(!b.leases.is_loaded());
    b.disconnect();
    let epoch = Epoch(300);
    b.welcome(epoch, false, 0);
    assert_eq!(b.hellos.last().unwrap().resume_epoch, Epoch::NONE);
    let batch = b.drain().remove(0);
    assert_eq!((batch.epoch, batch.sequence, batch.updates.len()), (epoch, UpdateSeq(1), 0));
    assert_eq!(b.leases.status(b.now()).pools[0].ranges_owned, 0);
}

#[test]
fn r6_a_superseded_session_is_not_opened_again() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    b.settle();
    b.disconnect();
    b.connect();
    refuse(&mut b, RefusalReason::Superseded);
    assert!(b.news.contains(&News::Superseded));
    assert!(b.extend(1, prefix).is_some());
    assert_eq!(b.create(2), Err(NoLease::NotNow));
    refuse(&mut b, RefusalReason::UnknownSession);
    b.disconnect();
    b.connect();
    assert_eq!(b.hellos.last().unwrap().resume_epoch, ME);
}

#[test]
fn a_load_that_runs_ahead_of_an_outcome_is_believed() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    let batch = b.drain().remove(0);
    b.batches.clear();
    b.disconnect();
    b.welcome(ME, false, batch.sequence.0 - 1);
    b.drain();
    // Taken at the next index, expired at the one after; the load shows the end of it.
    let expired = Lease {
        version: LogIndex(b.index + 2),
        ..b.record(prefix, 1, LeaseState::Expired, ClusterTime::ZERO)
    };
    let chunk =
        LoadChunk { leases: vec![Arc::new(expired)], ranges: vec![], registrations: vec![], done: None };
    b.apply(FromStore::Load(chunk));
    assert_eq!(b.state(prefix), Some(LeaseState::Active));
    let outcome = b.outcome(batch.sequence, true, &[]);
    b.entry(vec![outcome]);
    assert_eq!(b.state(prefix), Some(LeaseState::Expired));
    assert_eq!(b.extend(1, prefix), None);
}

#[test]
fn while_loading_the_store_is_asked_about_an_unknown_client_once() {
    let mut b = Bench::new();
    b.welcome(ME, false, 0);
    b.drain();
    b.others.clear();
    let client = duid(9);
    let ask = |b: &mut Bench| b.leases.lookup_pending_or_request(b.now(), LINK, client.as_bytes());
    assert!(ask(&mut b));
    assert!(ask(&mut b));
    b.drain();
    let asked = b.others.iter().filter(|m| matches!(m, ToStore::Lookup { .. })).count();
    assert_eq!(asked, 1);
    let record = Arc::new(b.record(address(200), 9, LeaseState::Active, ClusterTime::ZERO));
    b.apply(FromStore::Lookup {
        link: LINK,
        duid: client.clone(),
        leases: vec![record],
        index: LogIndex(b.index),
    });
    assert!(b.news.contains(&News::LookedUp { link: LINK, duid: client.clone() }));
    assert!(!ask(&mut b));
    assert!(b.leases.knows_client(LINK, client.as_bytes()));
    b.load_done(&[], &[]);
    assert!(!b.leases.lookup_pending_or_request(b.now(), LINK, duid(8).as_bytes()));
}

#[test]
fn resuming_reads_no_entry_twice() {
    let mut b = Bench::ready();
    let active = b.record(address(200), 9, LeaseState::Active, ClusterTime::ZERO);
    b.lease(&active);
    let again = StreamEntry {
        index: LogIndex(b.index),
        events: vec![StoreEvent::Superseded { by: Epoch(101), at: LogIndex(b.index) }],
    };
    b.apply(FromStore::Entry(again));
    assert!(!b.news.contains(&News::Superseded));
}
