//! Who answers by what the store says of both partners' service of a link (FO-206, RFC 7031 §4.7), what heartbeats say of
//! that, and what becomes of messages left to a partner that turns out to be deaf.

use super::super::answer::{Answer, BucketKey, Cause, Claim, OfferedBy, decide};
use super::lab::{LAN, MULTICAST, checked, frontend, network, prefix};
use super::message::DUID;
use super::{Lab, Msg, relayed};
use crate::codec::Discard;
use crate::codec::wire::{msg, status};
use crate::engine::leases::Service;
use leasehold_proto::lease::{LeaseState, UpdateKind};
use leasehold_proto::session::{InterfaceHealth, LinkReport, StoreEvent, ToStore};
use leasehold_proto::words::LinkId;

const WAN: LinkId = LinkId(2);
const RELAY: &str = "2001:db8:ff::1";
const HELD: &str = "2001:db8:1::1810";

fn through_relay() -> Vec<u8> {
    relayed("2001:db8:1::1", &[], Msg::solicit().na(1, &[]))
}

fn services() -> Vec<Service> {
    let bools = [true, false];
    let mut all = Vec::new();
    for is_live in bools {
        for is_link_up in bools {
            all.extend(bools.map(|hears_relay| Service { is_live, is_link_up, hears_relay }));
        }
    }
    all
}

/// Every word on both partners × whose bucket × offer × Elapsed Time × seen before.
#[test]
fn fo_910_decision_table() {
    let network = checked(network());
    let relationship = &network.relationships[0];
    let (a, b) = (frontend("fe-a"), frontend("fe-b"));
    let bucket = BucketKey::of_server(relationship.server_duid.as_bytes()).bucket(DUID);
    let mut cases = 0;
    for of_a in services() {
        for of_b in services() {
            // As both see it: nobody's offer, a's, b's. The bucket is a's, who is the primary.
            for offered in [None, Some(true), Some(false)] {
                let judge = |me_is_a: bool, elapsed_ms, seen_again| {
                    let (me, mine, partners) = if me_is_a { (&a, of_a, of_b) } else { (&b, of_b, of_a) };
                    let by_me = |by_a: bool| if by_a == me_is_a { OfferedBy::Me } else { OfferedBy::Partner };
                    let offered = offered.map(by_me);
                    let claim =
                        Claim { relationship, me, mine, partners, bucket, offered, elapsed_ms, seen_again };
                    decide(&claim)
                };
                let early = [judge(true, 500, false), judge(false, 500, false)];
                let by = early.map(|answer| answer != Answer::Park);
                // Of the two, the one that gets the message while the other does not.
                let reached = match (of_a.hears_relay, of_b.hears_relay) {
                    (a, b) if a != b => Some(a),
                    _ if of_a.is_link_up != of_b.is_link_up => Some(of_a.is_link_up),
                    _ => None,
                };
                match (of_a.is_live, of_b.is_live) {
                    (true, true) => {
                        let by_a = reached.or(offered).unwrap_or(true);
                        assert_eq!(by, [by_a, !by_a], "{of_a:?} {of_b:?} {offered:?}");
                    }
                    (true, false) => assert_eq!(by, [true, reached == Some(false)], "{of_a:?} {of_b:?}"),
                    (false, true) => assert_eq!(by, [reached == Some(true), true], "{of_a:?} {of_b:?}"),
                    (false, false) => {
                        assert_eq!(by, [true; 2], "neither can tell whether the other is there")
                    }
                }
                for me_is_a in [true, false] {
                    assert_ne!(judge(me_is_a, 501, false), Answer::Park);
                    assert_ne!(judge(me_is_a, 0, true), Answer::Park);
                }
                cases += 1;
            }
        }
    }
    assert_eq!(cases, 8 * 8 * 3);
}

#[test]
fn fo_206_messages_left_to_a_partner_are_answered_when_it_is_said_not_to_serve_the_link() {
    let mut lab = Lab::with("fe-b", network());
    assert!(lab.send(Msg::solicit().na(1, &[])).is_none());
    assert!(lab.send(Msg::solicit().xid([2, 2, 2]).na(2, &[])).is_none());
    assert!(lab.service("fe-a", true, &[WAN], None).is_empty(), "another link");
    let answers = lab.service("fe-a", true, &[LAN, WAN], None);
    assert_eq!(answers.iter().map(|a| a.na().iaid).collect::<Vec<_>>(), [2, 1], "the latest first");
    assert!(lab.send(Msg::solicit().xid([3, 3, 3]).na(3, &[])).is_some(), "and what comes now");
    assert_eq!(lab.engine.counters().answered_because(Cause::PartnerLinkDown), 3);
    lab.service("fe-a", true, &[], None);
    assert!(lab.send(Msg::solicit().xid([4, 4, 4]).na(4, &[])).is_none(), "it serves again");
}

/// Frontends read a new configuration at different moments: the old partner drops what the new one had no part in.
#[test]
fn fo_913_what_was_left_to_a_partner_is_answered_when_another_takes_its_place() {
    let mut lab = Lab::with("fe-b", network());
    assert!(lab.send(Msg::solicit().na(1, &[])).is_none());
    let mut later = network();
    later.version = 2;
    assert!(lab.event(StoreEvent::Network(checked(later.clone()))).is_empty(), "the same partner has it");
    later.relationships[0].primary = "fe-c".into();
    later.version = 3;
    assert_eq!(lab.event(StoreEvent::Network(checked(later))).len(), 1);
    assert_eq!(lab.engine.status(lab.now).parked_messages, 0);
    lab.liveness("fe-c", true);
    assert!(lab.send(Msg::solicit().xid([2, 2, 2]).na(2, &[])).is_none(), "the new one has its turn");
}

#[test]
fn fo_913_what_was_left_to_a_partner_is_answered_when_the_turn_changes() {
    let mut lab = Lab::with("fe-b", network());
    assert!(lab.send(Msg::solicit().na(1, &[])).is_none());
    let mut turned = network();
    turned.version = 2;
    turned.relationships[0].primary = "fe-b".into();
    turned.relationships[0].secondary = "fe-a".into();
    let answers = lab.event(StoreEvent::Network(checked(turned)));
    assert_eq!(answers.len(), 1);
    assert_eq!(lab.engine.counters().answered_because(Cause::Bucket), 1);
}

#[test]
fn fo_206_a_frontend_that_is_said_not_to_serve_a_link_leaves_it_to_its_partner() {
    let mut lab = Lab::new();
    lab.service("fe-a", true, &[LAN], None);
    assert!(lab.send(Msg::solicit().na(1, &[])).is_none());
    assert_eq!(lab.engine.status(lab.now).parked_messages, 1);
    let answers = lab.service("fe-b", false, &[], None);
    assert_eq!(answers.len(), 1, "the partner is gone: better deaf than nobody");
    lab.service("fe-b", true, &[LAN], None);
    assert!(
        lab.send(Msg::solicit().xid([2, 2, 2]).na(1, &[])).is_some(),
        "both are down: neither is excluded"
    );
    lab.service("fe-b", true, &[], None);
    assert!(lab.send(Msg::solicit().xid([3, 3, 3]).na(1, &[])).is_none());
    let answers = lab.service("fe-a", true, &[], None);
    assert_eq!(answers.len(), 1, "it serves again, and so does what it left");
}

#[test]
fn a_frontend_cut_off_from_the_store_presumes_that_it_serves() {
    let mut lab = Lab::new();
    lab.service("fe-a", false, &[LAN], None);
    assert!(lab.send(Msg::solicit().na(1, &[])).is_none());
    lab.engine.disconnected(lab.now);
    assert!(lab.send(Msg::solicit().xid([2, 2, 2]).na(1, &[])).is_some());
}

#[test]
fn a_word_that_changes_nothing_for_a_message_leaves_it_where_it_was_and_as_old() {
    let mut lab = Lab::with("fe-b", network());
    assert!(lab.send(Msg::solicit().na(1, &[])).is_none());
    lab.wait(1500);
    lab.service("fe-b", false, &[], None);
    assert!(lab.service("fe-b", true, &[], None).is_empty(), "the bucket is still the partner's");
    assert_eq!(lab.engine.status(lab.now).parked_messages, 1);
    let parked = lab.engine.counters().parked;
    assert!(lab.wait(500).is_empty());
    assert_eq!((lab.engine.status(lab.now).parked_messages, parked), (0, 1), "two seconds since it came");
}

#[test]
fn a_relayed_message_is_answered_by_whoever_hears_the_relay() {
    let (mut a, mut b) = (Lab::new(), Lab::with("fe-b", network()));
    for lab in [&mut a, &mut b] {
        lab.service("fe-a", true, &[], Some(&[]));
        lab.service("fe-b", true, &[], Some(&[]));
    }
    assert!(b.send_relayed(&through_relay()).is_none(), "nobody is known to hear it yet");
    b.service("fe-b", true, &[], Some(&[RELAY]));
    assert_eq!(b.engine.status(b.now).parked_messages, 0, "its own relays are news as well");
    assert_eq!(b.engine.counters().answered_because(Cause::RelayUnheard), 1);
    a.service("fe-b", true, &[], Some(&[RELAY]));
    let again = relayed("2001:db8:1::1", &[], Msg::solicit().xid([2, 2, 2]).na(1, &[]));
    assert!(b.send_relayed(&again).is_some());
    assert!(a.send_relayed(&again).is_none(), "were it to hear it after all, it is told that it does not");
    // Both hear it: the bucket decides, which is the primary's.
    let both = relayed("2001:db8:1::1", &[], Msg::solicit().xid([3, 3, 3]).na(1, &[]));
    for lab in [&mut a, &mut b] {
        lab.service("fe-a", true, &[], Some(&[RELAY]));
    }
    assert!(a.send_relayed(&both).is_some() && b.send_relayed(&both).is_none());
    // With more relays than can be listed nothing is concluded.
    b.service("fe-a", true, &[], None);
    let unknown = relayed("2001:db8:1::1", &[], Msg::solicit().xid([4, 4, 4]).na(1, &[]));
    assert!(b.send_relayed(&unknown).is_none());
    assert!(b.send(Msg::solicit().xid([5, 5, 5]).na(1, &[])).is_none(), "direct messages know no relay");
}

/// What the heartbeats among the messages to the store said of links, in order.
fn reports(lab: &mut Lab) -> Vec<Vec<LinkReport>> {
    let messages = std::mem::take(&mut lab.to_store);
    let said = messages.into_iter().filter_map(|m| match m {
        ToStore::Heartbeat(heartbeat) => Some(heartbeat.links),
        _ => None,
    });
    said.collect()
}

fn report(link: LinkId, heard: u64, unanswered: u64) -> LinkReport {
    LinkReport { link, heard, unanswered }
}

#[test]
fn fo_206_heartbeats_say_what_was_heard_on_each_link_and_what_came_again() {
    let mut lab = Lab::with("fe-b", network());
    lab.wait(200);
    reports(&mut lab);
    let message = Msg::solicit().na(1, &[]);
    lab.send(message.clone());
    lab.send_on(2, "fe80::9", 546, MULTICAST, Msg::of(msg::INFORMATION_REQUEST).as_ref());
    lab.wait(200);
    assert_eq!(reports(&mut lab), [[report(LAN, 1, 0), report(WAN, 1, 0)]]);
    lab.wait(800);
    reports(&mut lab);
    assert!(lab.send(message).is_some(), "the partner did not answer it");
    lab.send(Msg::solicit().xid([2, 2, 2]).na(1, &[]).elapsed_ms(10_000));
    lab.wait(200);
    assert_eq!(reports(&mut lab), [[report(LAN, 2, 2)]]);
    lab.wait(200);
    assert_eq!(reports(&mut lab), [[]], "each is said once");
}

#[test]
fn a_partner_is_not_accused_of_silence_to_which_there_is_no_answer() {
    let mut lab = Lab::with("fe-b", network());
    lab.wait(200);
    reports(&mut lab);
    // A lease of which nobody knows, in the partner's own range: neither has an answer.
    let renew = Msg::renew().na(1, &[HELD]);
    lab.send(renew.clone());
    lab.wait(1000);
    reports(&mut lab);
    assert!(lab.send(renew).is_none());
    lab.wait(200);
    assert_eq!(reports(&mut lab), [[report(LAN, 1, 0)]]);
}

#[test]
fn what_was_heard_while_cut_off_is_not_told_afterwards() {
    let mut lab = Lab::with("fe-b", network());
    reports(&mut lab);
    lab.engine.disconnected(lab.now);
    lab.send(Msg::solicit().na(1, &[]).elapsed_ms(10_000));
    lab.engine.connected(lab.now);
    assert!(lab.engine.status(lab.now).leases.epoch.0 > 0);
    lab.wait(200);
    assert!(reports(&mut lab).iter().all(Vec::is_empty));
}

#[test]
fn fo_206_a_lost_carrier_is_told_without_waiting_for_the_next_heartbeat() {
    let mut lab = Lab::new();
    let health = |carrier, packets_seen| {
        vec![InterfaceHealth {
            name: "eth0".into(),
            link: "lan".into(),
            present: true,
            carrier,
            packets_seen,
            errors: 0,
        }]
    };
    let heartbeats = |lab: &mut Lab| {
        lab.drain();
        reports(lab).len()
    };
    lab.engine.report_health(health(true, 1), vec![]);
    assert_eq!(heartbeats(&mut lab), 1, "the first word on it");
    lab.engine.report_health(health(true, 2), vec![]);
    assert_eq!(heartbeats(&mut lab), 0);
    lab.engine.report_health(health(false, 2), vec![]);
    assert!(lab.engine.next_deadline().is_some_and(|due| due <= lab.now));
    assert_eq!(heartbeats(&mut lab), 1);
}

fn ended(lab: &Lab, kind: UpdateKind) -> bool {
    lab.to_store.iter().any(|message| match message {
        ToStore::Batch(batch) => batch.updates.iter().any(|u| u.prefix == prefix(HELD) && u.kind == kind),
        _ => false,
    })
}

#[test]
fn fo_206_a_release_or_decline_left_to_a_deaf_partner_is_carried_out_after_two_seconds() {
    for (kind, update) in [(msg::RELEASE, UpdateKind::Release), (msg::DECLINE, UpdateKind::Decline)] {
        let mut lab = Lab::with("fe-b", network());
        lab.lease(HELD, DUID, 1, LeaseState::Active);
        lab.to_store.clear();
        assert!(lab.send(Msg::to_server(kind).na(1, &[HELD])).is_none());
        assert!(lab.wait(1999).is_empty());
        let late = lab.wait(1);
        assert_eq!((late.len(), late[0].status), (1, Some(status::SUCCESS)), "the client may still wait");
        assert!(ended(&lab, update));
        assert_eq!(lab.engine.counters().answered_because(Cause::Unhandled), 1);
        lab.wait(200);
        let said: u64 = reports(&mut lab).iter().flatten().map(|r| r.unanswered).sum();
        assert_eq!(said, 1, "and it speaks against the partner");
    }
}

#[test]
fn a_release_on_which_the_partner_acted_is_dropped() {
    let mut lab = Lab::with("fe-b", network());
    for (after, xid) in [(LeaseState::Active, 1), (LeaseState::Released, 2), (LeaseState::Free, 3)] {
        lab.lease(HELD, DUID, 1, LeaseState::Active);
        lab.to_store.clear();
        assert!(lab.send(Msg::to_server(msg::RELEASE).xid([xid; 3]).na(1, &[HELD])).is_none());
        lab.wait(1000);
        // Active again: the client has changed its mind, and the partner has extended the lease.
        lab.lease(HELD, DUID, 1, after);
        let before = lab.discarded(Discard::NotOurs);
        assert!(lab.wait(1000).is_empty());
        assert_eq!(lab.discarded(Discard::NotOurs), before + 1);
        assert!(!ended(&lab, UpdateKind::Release), "{after:?}");
    }
}

#[test]
fn a_release_is_dropped_by_a_frontend_that_cannot_know_what_the_partner_did() {
    let mut lab = Lab::with("fe-b", network());
    lab.lease(HELD, DUID, 1, LeaseState::Active);
    lab.to_store.clear();
    assert!(lab.send(Msg::to_server(msg::RELEASE).na(1, &[HELD])).is_none());
    lab.engine.disconnected(lab.now);
    assert!(lab.wait(2000).is_empty());
    assert_eq!(lab.discarded(Discard::NotOurs), 1);
    // And so is one that ends nothing, as ever.
    let mut lab = Lab::with("fe-b", network());
    assert!(lab.send(Msg::to_server(msg::RELEASE).na(1, &[HELD])).is_none());
    assert!(lab.wait(2000).is_empty());
    assert_eq!(lab.discarded(Discard::NotOurs), 1);
}
