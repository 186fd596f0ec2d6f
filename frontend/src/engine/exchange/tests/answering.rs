//! Who answers: FO-201, FO-910, buckets, and when a partner steps in.

use super::super::answer::Cause;
use super::lab::{CLIENT, MULTICAST, network, prefix};
use super::message::DUID;
use super::{Lab, Msg};
use crate::codec::Discard;
use crate::codec::wire::msg;
use leasehold_proto::lease::LeaseState;
use leasehold_proto::time::LocalTime;
use leasehold_proto::v1;

fn load_balancing() -> v1::Network {
    let mut wire = network();
    wire.relationships[0].buckets = v1::BucketMode::LoadBalancing.into();
    wire
}

fn numbered(n: u16) -> Msg {
    let [hi, lo] = n.to_be_bytes();
    Msg::bare(msg::SOLICIT).client(&[0, 4, 9, 9, hi, lo]).na(1, &[])
}

#[test]
fn fo_910_buckets_agree_between_partners_and_are_even() {
    for wire in [network(), load_balancing()] {
        let balanced = wire == load_balancing();
        let (mut a, mut b) = (Lab::with("fe-a", wire.clone()), Lab::with("fe-b", wire));
        let mut by_a = 0;
        for n in 0..400 {
            let answers = (a.send(numbered(n)), b.send(numbered(n)));
            assert!(answers.0.is_some() != answers.1.is_some(), "exactly one answers client {n}");
            by_a += i32::from(answers.0.is_some());
        }
        if balanced {
            assert!((150..250).contains(&by_a), "{by_a} of 400");
        } else {
            assert_eq!(by_a, 400, "FO-201: hot standby");
        }
    }
}

#[test]
fn fo_201_the_secondary_takes_over_when_the_primary_is_not_live() {
    let mut lab = Lab::with("fe-b", network());
    lab.lease("2001:db8:1::1810", DUID, 1, LeaseState::Active);
    assert!(lab.send(Msg::renew().na(1, &["2001:db8:1::1810"])).is_none());
    let late = lab.liveness("fe-a", false);
    assert_eq!(late.len(), 1, "what was left to the primary is answered when liveness flips");
    assert_eq!(late[0].na().one(), prefix("2001:db8:1::1810"), "FO-104");
    let now = lab.send(Msg::solicit().na(2, &[])).expect("and new clients at once");
    now.na().one();
    assert_eq!(lab.engine.counters().answered_because(Cause::PartnerDown), 2);
    assert_eq!(lab.engine.counters().takeovers(), 2);
    lab.liveness("fe-a", true);
    assert!(lab.send(Msg::solicit().xid([4, 4, 4]).na(2, &[])).is_none());
}

#[test]
fn messages_left_to_the_partner_are_dropped_in_silence_after_two_seconds() {
    let mut lab = Lab::with("fe-b", network());
    assert!(lab.send(Msg::solicit().na(1, &[])).is_none());
    assert!(lab.wait(1999).is_empty());
    assert_eq!(lab.engine.status(lab.now).parked_messages, 1);
    assert!(lab.wait(1).is_empty());
    assert_eq!(lab.engine.status(lab.now).parked_messages, 0);
    assert_eq!(lab.discarded(Discard::NotOurs), 1);
    assert!(lab.liveness("fe-a", false).is_empty());
}

#[test]
fn parked_messages_are_bounded_and_the_oldest_goes_first() {
    let mut lab = Lab::with("fe-b", network());
    for n in 0..20 {
        assert!(lab.send(numbered(n)).is_none());
    }
    assert_eq!(lab.engine.status(lab.now).parked_messages, 16);
    assert_eq!(lab.engine.counters().parked_dropped, 4);
    let answers = lab.liveness("fe-a", false);
    assert_eq!(answers.len(), 16);
    // The latest is answered first: the earlier ones have most likely had the partner's answer.
    assert_eq!(answers[0].client_id.as_deref(), Some([0, 4, 9, 9, 0, 19].as_slice()));
    assert_eq!(answers[15].client_id.as_deref(), Some([0, 4, 9, 9, 0, 4].as_slice()));
}

#[test]
fn thousands_of_parked_messages_are_answered_in_turns_and_none_is_lost() {
    let mut lab = Lab::with_parked("fe-b", network(), 4096);
    for n in 0..700 {
        assert!(lab.send(numbered(n)).is_none());
    }
    let mut answered = lab.liveness("fe-a", false).len();
    assert_eq!(answered, 256, "a batch of replies has room for these");
    for _ in 0..10 {
        if lab.engine.next_deadline() == Some(LocalTime::ZERO) {
            answered += lab.wait(0).len();
        }
    }
    assert_eq!(answered, 700);
    assert_eq!(lab.engine.status(lab.now).parked_messages, 0);
}

#[test]
fn a_parked_message_is_answered_as_if_it_had_just_arrived() {
    let mut lab = Lab::with("fe-b", network());
    assert!(lab.send_on(1, "fe80::77", 546, MULTICAST, Msg::request().na(1, &[]).as_ref()).is_none());
    lab.wait(900);
    let answers = lab.liveness("fe-a", false);
    assert_eq!((answers.len(), answers[0].to.address), (1, super::lab::ip("fe80::77")));
    assert_eq!(answers[0].to.interface_index, 1);
    answers[0].na().one();
    assert!(lab.wait(5000).is_empty(), "and only once");
}

#[test]
fn sv_115_elapsed_time_past_takeover_after_makes_the_partner_answer() {
    let mut lab = Lab::with("fe-b", network());
    assert!(lab.send(Msg::solicit().na(1, &[]).elapsed_ms(500)).is_none());
    assert!(lab.send(Msg::solicit().xid([2, 2, 2]).na(1, &[]).elapsed_ms(510)).is_some());
    assert_eq!(lab.engine.counters().answered_because(Cause::Elapsed), 1);
}

#[test]
fn a_retransmission_that_was_left_to_the_partner_is_answered_and_a_mere_copy_is_not() {
    let mut lab = Lab::with("fe-b", network());
    let message = Msg::solicit().na(1, &[]);
    assert!(lab.send(message.clone()).is_none());
    assert!(lab.send(message.clone()).is_none(), "a copy on another path");
    lab.wait(950);
    assert!(lab.send(message).is_some());
    assert_eq!(lab.engine.counters().answered_because(Cause::SeenAgain), 1);
    assert!(lab.liveness("fe-a", false).is_empty(), "the first one was answered with it");
}

#[test]
fn a_request_is_answered_by_the_owner_of_the_offered_range() {
    let mut standby = Lab::with("fe-b", network());
    let offered_by_us = Msg::request().na(1, &["2001:db8:1::1042"]);
    assert!(standby.send(offered_by_us).is_some());
    assert_eq!(standby.engine.counters().answered_because(Cause::RangeOwner), 1);
    let mut primary = Lab::with("fe-a", network());
    let offered_by_partner = Msg::request().na(1, &["2001:db8:1::1810"]);
    assert!(primary.send(offered_by_partner.clone()).is_none(), "slice 8 is the live partner's");
    primary.liveness("fe-b", false);
    assert!(primary.send(offered_by_partner.xid([3, 3, 3])).is_some());
}

#[test]
fn answering_any_answers_whatever_comes() {
    let mut wire = network();
    wire.relationships[0].answering = v1::Answering::Any.into();
    let mut lab = Lab::with("fe-b", wire);
    assert!(lab.send(Msg::solicit().na(1, &[])).is_some());
    assert_eq!(lab.engine.counters().answered_because(Cause::Any), 1);
}

#[test]
fn fo_204_a_standalone_relationship_needs_no_partner() {
    let mut wire = network();
    wire.relationships[0].secondary = String::new();
    let mut lab = Lab::with("fe-a", wire);
    assert!(lab.send(Msg::solicit().na(1, &[])).is_some());
    assert_eq!(lab.engine.counters().answered_because(Cause::Standalone), 1);
}

#[test]
fn every_kind_of_message_obeys_the_buckets() {
    let mut lab = Lab::with("fe-b", network());
    for kind in [msg::RENEW, msg::RELEASE, msg::DECLINE, msg::INFORMATION_REQUEST] {
        assert!(lab.send(Msg::to_server(kind)).is_none());
    }
    for kind in [msg::SOLICIT, msg::REBIND, msg::CONFIRM, msg::INFORMATION_REQUEST] {
        assert!(lab.send(Msg::of(kind).xid([8, 8, kind])).is_none());
    }
    assert_eq!(lab.engine.status(lab.now).parked_messages, 8);
    assert!(lab.send_on(1, CLIENT, 546, MULTICAST, Msg::bare(msg::INFORMATION_REQUEST).as_ref()).is_none());
}
