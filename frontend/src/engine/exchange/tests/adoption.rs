//! R7: a lease that was promised and never committed is adopted by the store before its client hears of it.

use super::lab::{ADDRESSES, network, prefix};
use super::message::{Answered, DUID, OTHER_DUID};
use super::{Lab, Msg};
use crate::codec::Discard;
use leasehold_proto::lease::{Lease, LeaseState, LeaseUpdate, UpdateKind};
use leasehold_proto::session::{
    BatchOutcome, FromStore, SessionBatch, StoreEvent, StreamEntry, ToStore, UpdateOutcome, UpdateRefusal,
};
use leasehold_proto::words::{Epoch, LogIndex};
use std::sync::Arc;

/// In the partner's range.
const THEIRS: &str = "2001:db8:1::1810";
/// In a closed range.
const CLOSED: &str = "2001:db8:1::1c10";

/// The partner serves no more.
fn bereft() -> Lab {
    let mut lab = Lab::new();
    lab.liveness("fe-b", false);
    lab
}

fn batches(lab: &mut Lab) -> Vec<Arc<SessionBatch>> {
    lab.drain();
    let sent = std::mem::take(&mut lab.to_store);
    sent.into_iter().filter_map(|m| if let ToStore::Batch(batch) = m { Some(batch) } else { None }).collect()
}

fn adoptions(batches: &[Arc<SessionBatch>]) -> Vec<LeaseUpdate> {
    let all = batches.iter().flat_map(|batch| &batch.updates);
    all.filter(|update| update.kind == UpdateKind::Adopt).cloned().collect()
}

/// The store decides batches as its machine does: the record first, then the answer, in one entry.
fn decide(lab: &mut Lab, batches: &[Arc<SessionBatch>], adopts: bool) -> Vec<Answered> {
    let mut answers = Vec::new();
    for batch in batches {
        lab.index += 1;
        let index = LogIndex(lab.index);
        let mut events = Vec::new();
        let mut refused = Vec::new();
        for update in batch.updates.iter().filter(|update| update.kind == UpdateKind::Adopt) {
            if adopts {
                events.push(StoreEvent::Lease(Arc::new(record(lab, update, index))));
            } else {
                refused.push(UpdateOutcome { prefix: update.prefix, refusal: UpdateRefusal::NotAdopted });
            }
        }
        let (sequence, stamp) = (batch.sequence, lab.cluster_now());
        events.push(StoreEvent::Batch(BatchOutcome { sequence, stamp, extended: true, refused }));
        answers.extend(lab.apply(FromStore::Entry(StreamEntry { index, events })));
    }
    answers
}

fn record(lab: &Lab, update: &LeaseUpdate, index: LogIndex) -> Lease {
    Lease {
        prefix: update.prefix,
        pool: update.pool,
        binding: update.binding.clone(),
        state: LeaseState::Active,
        state_since: lab.cluster_now(),
        valid_until: update.valid_until,
        preferred: update.preferred,
        valid: update.valid,
        acked_until: update.ack_until,
        client_last_contact: update.client_last_contact,
        epoch: Epoch(super::lab::EPOCH),
        version: index,
        others_version: LogIndex(0),
        born: index,
        extra: None,
    }
}

#[test]
fn r7_a_lease_that_nobody_recorded_is_adopted_and_then_its_client_is_answered() {
    for claimed in [THEIRS, CLOSED] {
        for message in [Msg::renew(), Msg::rebind()] {
            let mut lab = bereft();
            lab.commit();
            assert!(lab.send(message.na(1, &[claimed])).is_none(), "nothing is said before the store has it");
            let sent = batches(&mut lab);
            let asked = adoptions(&sent);
            assert_eq!(asked.len(), 1);
            assert_eq!((asked[0].prefix, asked[0].pool), (prefix(claimed), ADDRESSES));
            assert!(asked[0].ack_until > asked[0].valid_until, "the next renewal can have the full lifetime");
            let answers = decide(&mut lab, &sent, true);
            assert_eq!(answers.len(), 1);
            assert_eq!(answers[0].na().one(), prefix(claimed));
            assert_eq!(lab.engine.status(lab.now).leases.adopted, 1);
            assert!(lab.wait(5000).is_empty(), "only once");
        }
    }
}

#[test]
fn r7_a_partner_that_serves_is_not_forestalled_in_its_ranges() {
    let mut lab = Lab::new();
    lab.commit();
    let asks = |lab: &mut Lab, claimed: &str, xid: u8| {
        // Left to the partner, and seen again: this frontend looks at it.
        let message = || Msg::rebind().xid([7, 7, xid]).elapsed_ms(6000).na(1, &[claimed]);
        assert!(lab.send(message()).is_none());
        adoptions(&batches(lab)).len()
    };
    assert_eq!(
        asks(&mut lab, THEIRS, 1),
        0,
        "it may promise the address to another, and has told what it promised"
    );
    assert_eq!(asks(&mut lab, CLOSED, 2), 1);
    lab.liveness("fe-b", false);
    assert_eq!(asks(&mut lab, THEIRS, 3), 1);
}

#[test]
fn r7_what_the_store_does_not_adopt_gets_no_answer() {
    let mut lab = bereft();
    lab.commit();
    assert!(lab.send(Msg::renew().na(1, &[THEIRS])).is_none());
    let sent = batches(&mut lab);
    assert!(decide(&mut lab, &sent, false).is_empty(), "neither NoBinding nor lifetimes 0");
    assert_eq!(lab.discarded(Discard::UnrecordedLease), 1);
    assert!(adoptions(&batches(&mut lab)).is_empty(), "it is not asked again by itself");
    assert!(lab.wait(5000).is_empty());
    let status = lab.engine.status(lab.now);
    assert_eq!((status.parked_messages, status.leases.adoptions_under_way), (0, 0));
}

#[test]
fn r7_cut_off_nothing_is_adopted_and_nothing_said() {
    let mut lab = bereft();
    lab.commit();
    lab.engine.disconnected(lab.now);
    assert!(lab.send(Msg::renew().na(1, &[THEIRS])).is_none());
    assert_eq!(lab.discarded(Discard::UnrecordedLease), 1);
    assert_eq!(lab.engine.status(lab.now).leases.adoptions_under_way, 0);
}

#[test]
fn r7_a_store_that_does_not_answer_in_time_leaves_the_message_without_an_answer() {
    let mut lab = bereft();
    lab.commit();
    assert!(lab.send(Msg::renew().na(1, &[THEIRS])).is_none());
    let sent = batches(&mut lab);
    assert!(lab.wait(2000).is_empty());
    assert_eq!(lab.discarded(Discard::UnrecordedLease), 1);
    // Adopted afterwards, the next message is a renewal like any other.
    assert!(decide(&mut lab, &sent, true).is_empty());
    let reply = lab.send(Msg::renew().xid([9, 9, 9]).na(1, &[THEIRS])).expect("it is on record");
    assert_eq!(reply.na().one(), prefix(THEIRS));
}

#[test]
fn r7_one_message_claims_two_leases_at_most_and_an_address_is_claimed_once_at_a_time() {
    let mut lab = bereft();
    lab.commit();
    let three = ["2001:db8:1::1811", "2001:db8:1::1812", "2001:db8:1::1813"];
    assert!(lab.send(Msg::renew().na(1, &three)).is_none());
    let sent = batches(&mut lab);
    assert_eq!(adoptions(&sent).len(), 2);
    // Somebody else claims one of them meanwhile: he is not answered, and does not wait.
    let other = Msg::bare(5).client(OTHER_DUID).server(super::lab::SERVER_DUID).na(1, &[three[0]]);
    assert!(lab.send(other).is_none());
    assert_eq!(lab.discarded(Discard::UnrecordedLease), 1);
    assert!(adoptions(&batches(&mut lab)).is_empty());
}

#[test]
fn r7_address_and_prefix_of_one_message_are_adopted_together() {
    let mut lab = bereft();
    lab.commit();
    let delegated = "2001:db8:8000:8100::/56";
    assert!(lab.send(Msg::renew().na(1, &[THEIRS]).pd(2, &[delegated])).is_none());
    let sent = batches(&mut lab);
    assert_eq!(adoptions(&sent).len(), 2);
    let answers = decide(&mut lab, &sent, true);
    assert_eq!(answers.len(), 1);
    assert_eq!((answers[0].na().one(), answers[0].pd().one()), (prefix(THEIRS), prefix(delegated)));
}

#[test]
fn r7_claims_are_limited_in_number() {
    let mut lab = Lab::with_parked("fe-a", network(), 4096);
    lab.liveness("fe-b", false);
    lab.commit();
    let claim = |lab: &mut Lab, from: u32, to: u32| {
        for n in from..to {
            let [_, _, high, low] = n.to_be_bytes();
            let message = Msg::bare(5).client(&[0, 3, 0, 1, 9, high, low]).server(super::lab::SERVER_DUID);
            let slice = if n < 256 { 0x1800 } else { 0x1c00 };
            let address = format!("2001:db8:1::{:x}", slice + n % 256);
            assert!(lab.send(message.na(1, &[&address])).is_none());
        }
    };
    let refuse_all = |lab: &mut Lab| {
        let mut asked = 0;
        loop {
            let sent = batches(lab);
            if sent.is_empty() {
                return asked;
            }
            asked += adoptions(&sent).len();
            decide(lab, &sent, false);
        }
    };
    claim(&mut lab, 0, 300);
    assert_eq!(lab.engine.status(lab.now).leases.adoptions_under_way, 256, "outstanding at once");
    assert_eq!(refuse_all(&mut lab), 256);
    claim(&mut lab, 300, 500);
    assert_eq!(refuse_all(&mut lab), 400 - 256, "the bucket is empty");
    lab.wait(100);
    claim(&mut lab, 0, 50);
    assert_eq!(refuse_all(&mut lab), 20, "200 a second come back");
}

#[test]
fn fo_209_a_lease_that_expired_while_somebody_extended_it_unheard_is_revived_by_the_store() {
    // In our own range, a partner's, and a closed one.
    for expired in ["2001:db8:1::1010", THEIRS, CLOSED] {
        for message in [Msg::renew(), Msg::rebind()] {
            let mut lab = bereft();
            lab.lease(expired, DUID, 1, LeaseState::Expired);
            lab.commit();
            assert!(lab.send(message.na(1, &[expired])).is_none(), "nothing is said before the store has it");
            let sent = batches(&mut lab);
            assert_eq!(adoptions(&sent).len(), 1);
            let answers = decide(&mut lab, &sent, true);
            assert_eq!(answers.len(), 1);
            assert_eq!(answers[0].na().one(), prefix(expired));
        }
    }
}

/// Seed 1795421089252 of a soak: the client gave up waiting, began anew, and lost what it got then.
#[test]
fn r9_what_a_client_got_while_its_message_was_kept_is_not_released() {
    let mut lab = bereft();
    lab.commit();
    assert!(lab.send(Msg::rebind().na(1, &[CLOSED])).is_none());
    let sent = batches(&mut lab);
    let since = lab.send(Msg::request().xid([0, 0, 9]).na(1, &[])).expect("a Reply").na().one().to_string();
    let answers = decide(&mut lab, &sent, true);
    assert_eq!(answers[0].na().one(), prefix(CLOSED));
    let renewed = lab.send(Msg::renew().xid([0, 0, 10]).na(1, &[&since])).expect("a Reply");
    assert_eq!(renewed.na().one().to_string(), since);
}

/// A lease given and committed, then given back.
fn released(lab: &mut Lab) -> String {
    lab.commit();
    let held = lab.send(Msg::request().na(1, &[])).expect("a Reply").na().one().to_string();
    lab.commit();
    lab.send(Msg::to_server(crate::codec::wire::msg::RELEASE).na(1, &[&held])).expect("a Reply");
    held
}

#[test]
fn sv_363_fo_502_a_client_that_comes_back_before_its_lease_is_free_gets_it_again_from_the_store() {
    for asks in
        [Msg::request().xid([9, 9, 9]).na(1, &[]), Msg::request().xid([9, 9, 9]).na(1, &["2001:db8:1::1077"])]
    {
        let mut lab = Lab::new();
        let held = released(&mut lab);
        let offered = lab.send(Msg::solicit().xid([8, 8, 8]).na(1, &[])).expect("an Advertise");
        assert_eq!(offered.na().one().to_string(), held, "the offer is what a Request gets");
        assert_eq!(offered.na().leases[0].2, 4000);
        assert!(lab.send(asks).is_none(), "the store may be about to free it");
        let sent = batches(&mut lab);
        let at = |kind| sent.iter().position(|batch| batch.updates.iter().any(|update| update.kind == kind));
        assert!(at(UpdateKind::Release) < at(UpdateKind::Adopt), "one thing a batch of one lease, in order");
        let answers = decide(&mut lab, &sent, true);
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].na().one().to_string(), held);
        let renewed = lab.send(Msg::renew().na(1, &[&held])).expect("a Reply");
        assert_eq!(renewed.na().one().to_string(), held);
    }
}

#[test]
fn sv_334_a_renew_after_the_release_is_answered_through_the_store_and_never_given_behind_its_back() {
    for message in [Msg::renew(), Msg::rebind()] {
        let mut lab = Lab::new();
        let held = released(&mut lab);
        assert!(lab.send(message.clone().xid([9, 9, 9]).na(1, &[&held])).is_none());
        let sent = batches(&mut lab);
        let answers = decide(&mut lab, &sent, true);
        assert_eq!(answers[0].na().one().to_string(), held);
        // The store has freed it meanwhile, and may have given it to the partner's client.
        let mut lab = Lab::new();
        let held = released(&mut lab);
        assert!(lab.send(message.xid([9, 9, 9]).na(1, &[&held])).is_none());
        let sent = batches(&mut lab);
        let answers = decide(&mut lab, &sent, false);
        assert!(
            answers.iter().all(|answer| answer.na().lifetimes_of(&held).is_none_or(|(_, valid)| valid == 0))
        );
    }
}

#[test]
fn sv_313_what_the_store_does_not_give_back_is_replaced_and_all_ias_are_answered_at_once() {
    let mut lab = Lab::new();
    let held = released(&mut lab);
    assert!(lab.send(Msg::request().xid([9, 9, 9]).na(1, &[]).pd(2, &[])).is_none());
    let sent = batches(&mut lab);
    let answers = decide(&mut lab, &sent, false);
    assert_eq!((answers.len(), answers[0].ias.len()), (1, 2));
    assert_ne!(answers[0].na().one().to_string(), held);
    answers[0].pd().one();
}

#[test]
fn fo_904_cut_off_a_client_that_comes_back_gets_another_lease_at_once() {
    let mut lab = Lab::new();
    let held = released(&mut lab);
    lab.engine.disconnected(lab.now);
    let reply = lab.send(Msg::request().xid([9, 9, 9]).na(1, &[])).expect("a Reply");
    assert_ne!(reply.na().one().to_string(), held);
}

#[test]
fn a_renew_that_was_kept_takes_no_release_back() {
    let mut lab = Lab::with("fe-b", network());
    lab.lease(THEIRS, DUID, 1, LeaseState::Active);
    assert!(lab.send(Msg::renew().na(1, &[THEIRS])).is_none(), "left to the partner");
    lab.lease(THEIRS, DUID, 1, LeaseState::Released);
    lab.to_store.clear();
    lab.liveness("fe-a", false);
    assert!(adoptions(&batches(&mut lab)).is_empty());
}
