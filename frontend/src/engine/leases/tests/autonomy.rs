//! R4: the deadline, the check before sending, jumps of the clock.

use super::*;

/// A prefix pool has an hour of autonomy; the session was last extended at `from` (local ms).
fn delegated(b: &mut Bench) -> Prefix {
    let key = binding(1, IaKind::Pd);
    b.leases.create(b.now(), IaRef::of(&key), &Wanted::of(&[PREFIXES])).unwrap().prefix
}

fn autonomy_left(b: &Bench) -> std::time::Duration {
    b.leases.status(b.now()).pools.iter().find(|p| p.pool == PREFIXES).unwrap().autonomy_left
}

#[test]
fn r4_deadline_counts_from_before_the_request() {
    let mut b = Bench::ready();
    b.ms += 60_000;
    let sent_at = b.ms;
    assert_eq!(b.drain().len(), 1);
    b.ms += 30_000;
    b.answer_all();
    b.ms = sent_at;
    assert_eq!(autonomy_left(&b).as_millis(), u128::from(HOUR));
}

#[test]
fn r4_resend_keeps_the_first_moment() {
    let mut b = Bench::ready();
    b.ms += 60_000;
    let first = b.drain().remove(0);
    let sent_at = b.ms;
    b.disconnect();
    b.ms += 120_000;
    b.batches.clear();
    b.welcome(ME, true, first.sequence.0 - 1);
    let again = b.drain();
    assert_eq!(*again[0], *first);
    b.batches.truncate(1);
    b.answer(&[]);
    b.ms = sent_at;
    assert_eq!(autonomy_left(&b).as_millis(), u128::from(HOUR));
}

#[test]
fn r4_past_the_deadline_only_what_is_acknowledged_and_nothing_new() {
    let mut b = Bench::ready();
    let prefix = delegated(&mut b);
    b.settle();
    b.disconnect();
    b.ms += HOUR - 2000;
    let key = binding(2, IaKind::Pd);
    assert!(b.leases.create(b.now(), IaRef::of(&key), &Wanted::of(&[PREFIXES])).is_ok());
    let before = b.extend(1, prefix).unwrap();
    b.ms += 3000;
    let key = binding(3, IaKind::Pd);
    assert_eq!(b.leases.create(b.now(), IaRef::of(&key), &Wanted::of(&[PREFIXES])), Err(NoLease::NotNow));
    // Address pools have a day.
    assert!(b.create(3).is_ok());
    let acked = b.known(1, prefix).acked_until;
    let after = b.extend(1, prefix).unwrap();
    let acknowledged = acked.saturating_since(b.cluster()).as_secs();
    assert!(before.valid > after.valid);
    assert!(u64::from(after.valid.to_wire()) <= acknowledged);
    assert!(u64::from(after.valid.to_wire()) + 60 > acknowledged);
    // Never acknowledged: nothing at all.
    assert_eq!(b.extend(2, b.known_prefix(2)), None);
    b.ms += 3 * 24 * HOUR;
    assert_eq!(b.extend(1, prefix), None);
}

impl Bench {
    fn known_prefix(&self, client: u8) -> Prefix {
        let key = binding(client, IaKind::Pd);
        let mut out = smallvec::SmallVec::new();
        self.leases.leases_of(IaRef::of(&key), &mut out);
        out[0].prefix
    }
}

#[test]
fn r4_nothing_is_promised_before_the_store_extended_the_session() {
    let mut b = Bench::new();
    b.welcome(ME, false, 0);
    b.load_done(&[], &[]);
    b.grant(POOL, 0, true);
    assert_eq!(b.create(1), Err(NoLease::NotNow));
    b.drain();
    let batch = b.batches.remove(0);
    let not_extended = b.outcome(batch.sequence, false, &[]);
    b.entry(vec![not_extended]);
    assert_eq!(b.create(1), Err(NoLease::NotNow));
}

#[test]
fn r4_replies_computed_too_long_ago_or_past_the_deadline_are_not_sent() {
    let mut b = Bench::ready();
    assert!(!b.leases.may_send(b.now()));
    b.leases.batch_begin(b.now());
    delegated(&mut b);
    assert!(b.leases.may_send(b.now()));
    b.ms += 1001;
    assert!(!b.leases.may_send(b.now()));

    let mut b = Bench::ready();
    let left = u64::try_from(autonomy_left(&b).as_millis()).unwrap();
    b.ms += left - 100;
    b.leases.batch_begin(b.now());
    delegated(&mut b);
    assert!(b.leases.may_send(b.now()));
    b.ms += 100;
    assert!(!b.leases.may_send(b.now()));
    b.leases.batch_begin(b.now());
    assert!(b.leases.may_send(b.now()));
}

#[test]
fn r4_the_session_is_extended_by_empty_batches() {
    let mut b = Bench::ready();
    b.ms += 9_000;
    assert!(b.drain().is_empty());
    b.ms += 1_001;
    let batches = b.drain();
    assert_eq!(batches.len(), 1);
    assert!(batches[0].updates.is_empty());
    assert!(b.drain().is_empty());
}

#[test]
fn design_4_after_a_clock_jump_nothing_is_promised_until_the_store_answers_a_later_batch() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    b.leases.batch_begin(b.now());
    let before = b.drain();
    assert_eq!(before.len(), 1);
    b.leases.clock_jumped(b.now());
    assert!(!b.leases.may_send(b.now()));
    b.answer(&[]);
    assert_eq!(b.extend(1, prefix), None);
    assert_eq!(b.create(2), Err(NoLease::NotNow));
    assert_eq!(b.drain().len(), 1);
    b.answer(&[]);
    assert!(b.extend(1, prefix).is_some());
    assert!(b.create(2).is_ok());
}

#[test]
fn r6_a_superseded_session_extends_but_creates_nothing_and_asks_for_nothing() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    b.settle();
    b.entry(vec![StoreEvent::Superseded { by: Epoch(101), at: LogIndex(b.index) }]);
    assert!(b.news.contains(&News::Superseded));
    assert_eq!(b.create(2), Err(NoLease::NotNow));
    assert!(b.extend(1, prefix).is_some());
    let batches = b.drain();
    assert!(batches.iter().all(|batch| batch.requests.is_empty()));
    assert_eq!(batches[0].updates.len(), 1);
}

#[test]
fn fo_914_a_session_past_its_deadline_is_told_out_and_then_followed_by_another() {
    let mut b = Bench::ready();
    b.create(1).unwrap();
    b.drain();
    b.create(2).unwrap();
    let batch = b.batches.remove(0);
    let late = b.outcome(batch.sequence, false, &[]);
    b.entry(vec![late]);
    assert!(!b.news.contains(&News::SessionOver));
    b.drain();
    let batch = b.batches.remove(0);
    assert_eq!(batch.updates.len(), 1);
    let late = b.outcome(batch.sequence, false, &[]);
    b.entry(vec![late]);
    assert!(b.news.contains(&News::SessionOver));
    b.disconnect();
    b.connect();
    assert_eq!(b.hellos.last().unwrap().resume_epoch, Epoch::NONE);
}

#[test]
fn cluster_time_is_bounded_by_the_tightest_proof() {
    use super::super::clock::ClusterClock;
    use leasehold_proto::lifetimes::Timing;
    let (timing, at) = (Timing::default(), LocalTime::from_millis);
    let mut clock = ClusterClock::default();
    assert_eq!(clock.now_at_most(at(0), &timing), None);
    clock.prove(ClusterTime::from_millis(5000), at(1000), at(3000), &timing);
    assert_eq!(clock.now_at_most(at(3000), &timing), Some(ClusterTime::from_millis(7002)));
    // An answer that took long proves less.
    clock.prove(ClusterTime::from_millis(9000), at(1000), at(3000), &timing);
    assert_eq!(clock.now_at_most(at(3000), &timing), Some(ClusterTime::from_millis(7002)));
    clock.prove(ClusterTime::from_millis(6900), at(3000), at(3000), &timing);
    assert_eq!(clock.now_at_most(at(3000), &timing), Some(ClusterTime::from_millis(6900)));
    // Parts of a millisecond round up.
    let later = LocalTime::from_nanos(3_000_000_001);
    assert_eq!(clock.now_at_most(later, &timing), Some(ClusterTime::from_millis(6901)));
}

#[test]
fn r4_a_deadline_that_is_past_stays_past_when_the_autonomy_is_raised() {
    let mut b = Bench::ready();
    let prefix = delegated(&mut b);
    b.settle();
    b.disconnect();
    b.ms += 2 * HOUR;
    let key = binding(1, IaKind::Pd);
    let before = b
        .leases
        .offer_extension(b.now(), IaRef::of(&key), prefix, LifetimeWish::default())
        .expect("what was acknowledged");
    let raised = network_with(|n| {
        n.version += 1;
        n.pools.iter_mut().for_each(|p| p.autonomy_ms = u64::MAX);
    });
    b.welcome_with(ME, false, u64::MAX, &raised);
    assert!(autonomy_left(&b).is_zero(), "the store may have judged by the old one");
    let after = b.leases.offer_extension(b.now(), IaRef::of(&key), prefix, LifetimeWish::default());
    assert!(after.is_none_or(|after| after.valid <= before.valid));
    b.load_done(&[], &[]);
    b.drain();
    b.answer_all();
    assert!(!autonomy_left(&b).is_zero());
}

/// A session with one lease that is over, all told, between two connections.
fn over() -> (Bench, Prefix) {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    b.settle();
    b.ms += HOUR;
    b.drain();
    let batch = b.batches.remove(0);
    let late = b.outcome(batch.sequence, false, &[]);
    b.entry(vec![late]);
    assert!(b.news.contains(&News::SessionOver));
    b.disconnect();
    (b, prefix)
}

#[test]
fn fo_914_a_busy_session_that_is_over_promises_nothing_while_its_successor_is_expected() {
    let (mut b, prefix) = over();
    b.ms += 600;
    assert!(
        b.extend(1, prefix).is_none() && b.remaining(1, prefix).is_none(),
        "it would have to be told first"
    );
    b.connect();
    assert_eq!(b.hellos.last().unwrap().resume_epoch, Epoch::NONE);
}

#[test]
fn fo_914_a_session_that_is_over_goes_on_when_the_store_cannot_be_reached() {
    let (mut b, prefix) = over();
    b.ms += 2001;
    assert!(b.extend(1, prefix).is_some());
}

#[test]
fn sv_210_a_session_that_stops_leaves_renewals_to_whoever_follows() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    b.settle();
    assert!(b.remaining(1, prefix).is_some());
    b.leases.begin_stop(b.now());
    assert_eq!(b.remaining(1, prefix), None, "T1 and T2 of what is left would be its end");
}
