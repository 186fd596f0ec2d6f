//! FO-903, FO-210: Replies of a pool with `commit_wait` are held for the commit, and go out lazily all the same.

use super::lab::{ADDRESSES, LAN, network, prefix};
use super::message::Answered;
use super::{Lab, Msg};
use crate::codec::Discard;
use leasehold_proto::lease::LeaseState;
use leasehold_proto::session::{BatchOutcome, FromStore, StoreEvent, ToStore, UpdateOutcome, UpdateRefusal};
use leasehold_proto::v1;
use leasehold_proto::words::{Duid, LogIndex};

/// Addresses wait for 200 ms, prefixes do not.
fn waiting_with(change: impl FnOnce(&mut v1::Network)) -> Lab {
    let mut wire = network();
    wire.pools[0].commit_wait_ms = 200;
    wire.limits = Some(v1::Limits { messages_per_client: Some(0), ..v1::Limits::default() });
    change(&mut wire);
    let mut lab = Lab::with("fe-a", wire);
    lab.commit();
    lab
}

fn waiting() -> Lab {
    waiting_with(|_| {})
}

/// The store decides what was sent, refusing each update if told to; what is due then is done.
fn decide(lab: &mut Lab, refusal: Option<UpdateRefusal>) -> Vec<Answered> {
    lab.drain();
    for message in std::mem::take(&mut lab.to_store) {
        let ToStore::Batch(batch) = message else { continue };
        let refuse = |u: &leasehold_proto::lease::LeaseUpdate| {
            refusal.map(|refusal| UpdateOutcome { prefix: u.prefix, refusal })
        };
        let refused = batch.updates.iter().filter_map(refuse).collect();
        let (sequence, stamp) = (batch.sequence, lab.cluster_now());
        lab.event(StoreEvent::Batch(BatchOutcome { sequence, stamp, extended: true, refused }));
    }
    lab.wait(0)
}

#[test]
fn fo_903_fo_210_a_reply_waits_for_the_commit_of_what_it_promises() {
    let mut lab = waiting();
    assert!(lab.send(Msg::request().na(1, &[])).is_none());
    assert!(lab.wait(50).is_empty());
    assert_eq!(lab.engine.status(lab.now).held_replies, 1);
    let answers = decide(&mut lab, None);
    assert_eq!(answers.len(), 1);
    let held = answers[0].na().one().to_string();
    assert_eq!(lab.engine.counters().held_committed, 1);
    // An extension waits as well.
    assert!(lab.send(Msg::renew().na(1, &[&held])).is_none());
    assert_eq!(decide(&mut lab, None)[0].na().one(), prefix(&held));
    assert_eq!(lab.engine.counters().replies, 2);
    assert!(lab.wait(1000).is_empty(), "once");
}

#[test]
fn fo_903_fo_106_without_the_commit_it_goes_out_when_it_has_waited() {
    let mut lab = waiting();
    lab.engine.disconnected(lab.now);
    assert!(lab.send(Msg::request().na(1, &[])).is_none());
    let due = lab.now + std::time::Duration::from_millis(200);
    assert_eq!(lab.engine.next_deadline(), Some(due));
    assert!(lab.wait(199).is_empty());
    let answers = lab.wait(1);
    assert_eq!(answers.len(), 1);
    answers[0].na().one();
    assert_eq!(lab.engine.counters().held_waited_out, 1);
    assert!(lab.engine.may_send(lab.now));
}

#[test]
fn fo_903_what_promises_nothing_of_such_a_pool_does_not_wait() {
    let mut lab = waiting();
    assert!(lab.send(Msg::solicit().na(1, &[])).is_some(), "an Advertise promises nothing");
    assert!(lab.send(Msg::request().pd(1, &[])).is_some());
    lab.lease("2001:db8:1::1810", super::message::DUID, 7, LeaseState::Active);
    let release = Msg::to_server(8).na(7, &["2001:db8:1::1810"]);
    assert!(lab.send(release).is_some());
    assert!(lab.send(Msg::request().na(1, &[]).pd(1, &[])).is_none(), "one of its leases is such");
}

#[test]
fn fo_903_what_the_store_refuses_is_not_sent() {
    let mut lab = waiting();
    assert!(lab.send(Msg::request().na(1, &[])).is_none());
    assert!(decide(&mut lab, Some(UpdateRefusal::NotGranted)).is_empty());
    assert_eq!(lab.discarded(Discard::PromiseRefused), 1);
    assert_eq!(lab.engine.status(lab.now).held_replies, 0);
}

#[test]
fn r4_each_held_reply_is_judged_by_itself_when_it_leaves() {
    // The thread was stopped for longer than the share for sending.
    let mut lab = waiting();
    assert!(lab.send(Msg::request().na(1, &[])).is_none());
    assert!(lab.wait(1001).is_empty());
    assert_eq!(lab.discarded(Discard::SentTooLate), 1);
    // The autonomy on which it rests ended while it waited; another Reply of the same turn is none the worse for it.
    let mut lab = waiting_with(|wire| {
        wire.pools[0].autonomy_ms = 2000;
        wire.pools[1].commit_wait_ms = 200;
    });
    lab.engine.disconnected(lab.now);
    lab.wait(1900);
    assert!(lab.send(Msg::request().na(1, &[])).is_none());
    assert!(lab.send(Msg::request().pd(1, &[])).is_none());
    let answers = lab.wait(200);
    assert_eq!(answers.len(), 1);
    answers[0].pd().one();
    assert_eq!(lab.discarded(Discard::SentTooLate), 1);
}

#[test]
fn r4_the_batch_with_which_a_held_reply_leaves_rests_on_what_that_reply_rests_on() {
    let mut lab = waiting();
    assert!(lab.send(Msg::request().na(1, &[])).is_none());
    let computed = lab.now;
    lab.wait(100);
    lab.engine.batch_begin(lab.now);
    assert_eq!(decide(&mut lab, None).len(), 1);
    assert!(lab.engine.may_send(computed + std::time::Duration::from_millis(1000)));
    assert!(!lab.engine.may_send(computed + std::time::Duration::from_millis(1001)));
}

#[test]
fn r4_when_local_time_is_in_doubt_held_replies_are_dropped() {
    let mut lab = waiting();
    assert!(lab.send(Msg::request().na(1, &[])).is_none());
    lab.engine.clock_jumped(lab.now);
    assert!(decide(&mut lab, None).is_empty());
    assert_eq!(lab.discarded(Discard::SentTooLate), 1);
}

#[test]
fn fo_903_with_no_room_left_replies_go_out_at_once() {
    let mut lab = waiting();
    lab.lease("2001:db8:1::1810", super::message::DUID, 1, LeaseState::Active);
    let mut answered = 0;
    for n in 0..1100u32 {
        let [_, a, b, c] = n.to_be_bytes();
        answered += usize::from(lab.send(Msg::renew().xid([a, b, c]).na(1, &["2001:db8:1::1810"])).is_some());
    }
    assert_eq!((answered, lab.engine.counters().held_no_room), (76, 76));
    // What is due leaves in pieces that a batch of replies has room for.
    let mut left = Vec::new();
    while lab.engine.status(lab.now).held_replies > 0 {
        left.push(lab.wait(if left.is_empty() { 200 } else { 0 }).len());
    }
    assert_eq!(left, [256, 256, 256, 256]);
}

#[test]
fn fo_903_r4_a_wait_as_long_as_the_share_for_sending_is_refused_by_name() {
    let refused = |wait_ms: u32| {
        let mut wire = network();
        wire.pools[0].commit_wait_ms = wait_ms;
        leasehold_proto::network::fill_defaults(&mut wire);
        let errors = leasehold_proto::network::Network::from_wire(&wire).err().unwrap_or_default();
        errors.iter().map(|error| (error.item, error.field)).collect::<Vec<_>>()
    };
    assert_eq!(refused(999), []);
    assert_eq!(refused(1000), [(leasehold_proto::network::Item::Pool(0), "commit_wait")]);
}

#[test]
fn fo_903_a_kept_message_is_answered_once_though_its_reply_is_held() {
    let mut wire = network();
    wire.pools[0].commit_wait_ms = 200;
    let mut lab = Lab::loading("fe-a", wire);
    lab.commit();
    lab.grant(ADDRESSES, 0);
    lab.commit();
    assert!(lab.send(Msg::request().na(1, &[])).is_none());
    assert_eq!(lab.engine.status(lab.now).parked_messages, 1);
    let duid = Duid::new(super::message::DUID).expect("a DUID");
    let index = LogIndex(lab.index);
    assert!(lab.apply(FromStore::Lookup { link: LAN, duid, leases: vec![], index }).is_empty());
    let status = lab.engine.status(lab.now);
    assert_eq!((status.parked_messages, status.held_replies), (0, 1));
    assert_eq!(decide(&mut lab, None).len(), 1);
    assert!(lab.wait(5000).is_empty() && lab.wait(500).is_empty(), "once");
}
