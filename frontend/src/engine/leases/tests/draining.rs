//! A frontend that is drained gives everything back and goes on renewing.

use super::ranges::requests;
use super::*;

fn drain_it(b: &mut Bench, on: bool) {
    b.entry(vec![StoreEvent::Draining { on }]);
}

fn last_heartbeat(b: &Bench) -> Option<bool> {
    b.others.iter().rev().find_map(|m| if let ToStore::Heartbeat(h) = m { Some(h.serving) } else { None })
}

#[test]
fn fo_913_a_drained_frontend_creates_nothing_renews_on_and_says_at_once_that_it_does_not_serve() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    b.settle();
    assert_eq!(last_heartbeat(&b), Some(true));
    drain_it(&mut b, true);
    b.drain();
    assert_eq!(last_heartbeat(&b), Some(false));
    assert!(b.leases.status(b.now()).is_draining);
    assert!(b.news.contains(&News::Draining { on: true }));
    assert_eq!(b.create(2), Err(NoLease::NotNow));
    assert!(b.extend(1, prefix).is_some(), "nobody else answers it before the store has said so");
}

#[test]
fn fo_606_a_drained_frontend_returns_each_range_once_nothing_in_it_is_untold() {
    let mut b = Bench::ready();
    b.create(1).unwrap();
    b.drain();
    drain_it(&mut b, true);
    let returned: Vec<RangeId> = b.drain().iter().flat_map(|batch| batch.returned.clone()).collect();
    assert_eq!(returned.iter().map(|r| r.pool).collect::<Vec<_>>(), [PREFIXES, VAST]);
    b.answer_all();
    b.ms += 200;
    let batches = b.drain();
    assert_eq!(batches[0].returned, [RangeId { pool: POOL, slice: 0 }]);
    assert!(!batches[0].closing && batches.iter().all(|batch| batch.requests.is_empty()));
    b.answer_all();
    for _ in 0..20 {
        b.ms += 200;
        assert!(b.drain().iter().all(|batch| batch.returned.is_empty() && batch.requests.is_empty()));
        b.answer_all();
    }
    assert!(!b.leases.is_stopped());
}

#[test]
fn a_grant_that_was_under_way_goes_back_too() {
    let mut b = Bench::ready();
    drain_it(&mut b, true);
    b.drain();
    b.answer_all();
    b.grant(POOL, 5, true);
    assert_eq!(b.create(1), Err(NoLease::NotNow));
    b.ms += 200;
    assert_eq!(b.drain()[0].returned, [RangeId { pool: POOL, slice: 5 }]);
}

#[test]
fn drained_no_more_it_asks_for_ranges_and_serves() {
    let mut b = Bench::ready();
    drain_it(&mut b, true);
    b.drain();
    b.answer_all();
    for pool in [POOL, PREFIXES, VAST] {
        let gone = b.range(pool, 0, Epoch::NONE, false);
        b.entry(vec![StoreEvent::Range(gone)]);
    }
    drain_it(&mut b, false);
    let batches = b.drain();
    assert_eq!(requests(&batches, POOL), [1]);
    assert_eq!(last_heartbeat(&b), Some(true));
    b.grant(POOL, 0, false);
    assert!(b.create(1).is_ok());
}

#[test]
fn a_session_that_opens_while_drained_knows_it_from_the_start() {
    let mut b = Bench::new();
    b.connect();
    b.apply(FromStore::Welcome(Welcome {
        epoch: ME,
        index: LogIndex(b.index),
        resumed: false,
        applied_sequence: UpdateSeq(0),
        network: Some(network()),
        supersedes: Epoch::NONE,
        draining: true,
        reconfigure_secret: None,
        reconfigure_orders: 0,
    }));
    b.load_done(&[], &[]);
    assert!(b.drain().iter().all(|batch| batch.requests.is_empty()));
    b.answer_all();
    assert_eq!(last_heartbeat(&b), Some(false));
}
