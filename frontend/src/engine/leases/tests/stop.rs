//! The clean stop.

use super::*;

#[test]
fn a_clean_stop_tells_everything_then_gives_back_all_ranges() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    b.leases.begin_stop(b.now());
    assert_eq!(b.create(2), Err(NoLease::NotNow));
    assert_eq!(b.extend(1, prefix), None);
    let batches = b.drain();
    assert!(batches.iter().all(|batch| !batch.closing));
    assert_eq!(batches.iter().map(|batch| batch.updates.len()).sum::<usize>(), 1);
    // Nothing is given back while anything is unacknowledged.
    assert!(b.drain().is_empty());
    b.answer_all();
    let closing = b.drain().remove(0);
    assert!(closing.closing);
    assert_eq!(closing.returned.len(), 3);
    assert!(!b.leases.is_stopped());
    b.answer_all();
    assert!(b.leases.is_stopped());
    assert!(b.drain().is_empty());
}

#[test]
fn without_a_session_there_is_nothing_to_stop() {
    let mut b = Bench::new();
    b.leases.begin_stop(b.now());
    assert!(b.leases.is_stopped());
}

#[test]
fn a_closing_batch_that_was_taken_before_the_connection_broke_counts() {
    let mut b = Bench::ready();
    b.leases.begin_stop(b.now());
    let closing = b.drain().remove(0);
    b.disconnect();
    b.welcome(ME, false, closing.sequence.0);
    assert!(b.leases.is_stopped());
}
