//! Reconfigure: keys, whom this frontend asks, what is sent and for how long (requirements 3.7, SV-307, SEC-07).

use super::lab::{Sink, network};
use super::{Lab, Msg, relayed};
use crate::codec::reply::unwrap_relay_reply;
use crate::codec::wire::{msg, opt};
use crate::engine::ReplyTo;
use crate::engine::exchange::tests::lab::{ADDRESSES, EPOCH, LAN, ip, prefix};
use crate::engine::exchange::tests::message::{Answered, DUID, OTHER_DUID, SentOptions};
use hmac::{Hmac, Mac};
use leasehold_proto::lease::{LeaseExtra, LeaseState, RelayData};
use leasehold_proto::network::Network;
use leasehold_proto::reconfigure::{
    ReconfigureMessage, ReconfigureOrder, ReconfigureSecret, ReconfigureWhom, replay_of_order,
};
use leasehold_proto::session::{FromStore, StoreEvent, ToStore, Welcome};
use leasehold_proto::v1;
use leasehold_proto::words::{Duid, Epoch, IaKind, LogIndex, PoolId, UpdateSeq};
use md5::Md5;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const SECRET: [u8; 32] = [0xa5; 32];

/// [`network`] with Reconfigure on `lan`.
fn willing() -> v1::Network {
    let mut wire = network();
    wire.links[0].reconfigure = true;
    wire
}

fn lab_of(me: &str, wire: v1::Network) -> Lab {
    let mut lab = Lab::with(me, wire);
    lab.event(StoreEvent::ReconfigureSecret(ReconfigureSecret::new(SECRET)));
    lab
}

fn lab() -> Lab {
    lab_of("fe-a", willing())
}

/// A message of a client that accepts Reconfigure.
fn accepting(message: Msg) -> Msg {
    message.opt(opt::RECONF_ACCEPT, &[])
}

/// An Authentication option under RKAP: replay value, type, key or digest.
fn rkap(data: &[u8]) -> (u64, u8, [u8; 16]) {
    assert_eq!(data.len(), 28);
    assert_eq!(data[..3], [3, 1, 0], "RKAP, HMAC-MD5, a counter");
    (u64::from_be_bytes(data[3..11].try_into().unwrap()), data[11], data[12..].try_into().unwrap())
}

/// The key that an answer gives, with its replay value.
fn key_in(answer: &Answered) -> Option<(u64, [u8; 16])> {
    let (replay, kind, key) = rkap(answer.option(opt::AUTH)?);
    assert_eq!(kind, 1, "a key");
    assert!(answer.option(opt::RECONF_ACCEPT).is_some());
    Some((replay, key))
}

/// A Reconfigure as a client and its relays get it.
#[derive(Debug)]
struct Asking {
    to: ReplyTo,
    /// Link-addresses and options of relay levels, outermost first.
    levels: Vec<(String, SentOptions)>,
    message: Vec<u8>,
    options: SentOptions,
}

impl Asking {
    fn read(to: ReplyTo, bytes: &[u8]) -> Self {
        let (mut levels, mut message) = (Vec::new(), bytes);
        if bytes[0] == msg::RELAY_REPLY {
            let relay = unwrap_relay_reply(bytes).expect("a sound Relay-reply");
            message = relay.payload;
            for level in &relay.levels {
                let others = level.options.iter().filter(|o| o.code != opt::RELAY_MESSAGE);
                let others = others.map(|o| (o.code, o.data.to_vec())).collect();
                levels.push((level.header.link_address.to_string(), others));
            }
        }
        let (mut options, mut rest) = (Vec::new(), &message[4..]);
        while let [c0, c1, l0, l1, data @ ..] = rest {
            let (data, after) = data.split_at(usize::from(u16::from_be_bytes([*l0, *l1])));
            options.push((u16::from_be_bytes([*c0, *c1]), data.to_vec()));
            rest = after;
        }
        Self { to, levels, message: message.to_vec(), options }
    }

    fn option(&self, code: u16) -> &[u8] {
        &self.options.iter().find(|(c, _)| *c == code).expect("the option").1
    }

    fn client(&self) -> Vec<u8> {
        self.option(opt::CLIENT_ID).to_vec()
    }

    /// Checks the digest as a client with this key does; gives the replay value.
    fn accepted_by(&self, key: [u8; 16]) -> u64 {
        let (replay, kind, digest) = rkap(self.option(opt::AUTH));
        assert_eq!(kind, 2, "a digest");
        let at = self.message.windows(16).position(|w| w == digest).expect("it stands in the message");
        let mut zeroed = self.message.clone();
        zeroed[at..at + 16].fill(0);
        let mut mac: Hmac<Md5> = Mac::new_from_slice(&key).unwrap();
        mac.update(&zeroed);
        mac.verify_slice(&digest).expect("the digest of the whole message");
        replay
    }
}

/// Lets so much time pass in small steps; the Reconfigures sent, with the milliseconds passed until each.
fn pass(lab: &mut Lab, ms: u64) -> Vec<(u64, Asking)> {
    let mut sent = Vec::new();
    for passed in (0..=ms).step_by(50) {
        if passed > 0 {
            lab.now = lab.now + Duration::from_millis(50);
        }
        let mut sink = Sink::default();
        lab.engine.batch_begin(lab.now);
        lab.engine.turn(lab.now, &mut sink);
        lab.drain();
        sent.extend(sink.sent.iter().map(|(to, bytes)| (passed, Asking::read(*to, bytes))));
    }
    sent
}

/// The store's order, the first of its life.
fn order(lab: &mut Lab, whom: ReconfigureWhom, message: ReconfigureMessage) -> u64 {
    let replay = replay_of_order(0, 1, lab.cluster_now());
    lab.event(StoreEvent::Reconfigure(Arc::new(ReconfigureOrder { whom, message, number: 1, replay })));
    replay
}

/// Binds the usual client; its address and its key.
fn bound(lab: &mut Lab) -> (String, [u8; 16]) {
    let answer = lab.send(accepting(Msg::request().na(1, &[]))).expect("a Reply");
    (answer.na().one().ip().to_string(), key_in(&answer).expect("a key").1)
}

/// A lease of another session, of a client that was heard directly.
fn others_lease(lab: &mut Lab, what: &str, client: &[u8], extra: Option<LeaseExtra>) {
    let mut lease = lab.lease_record(prefix(what), ADDRESSES, IaKind::Na, client, 1, LeaseState::Active);
    lease.extra = extra.map(Arc::new);
    lab.event(StoreEvent::Lease(Arc::new(lease)));
}

fn direct() -> Option<LeaseExtra> {
    let relay = RelayData { peer_address: ip("fe80::c").to_bits(), relay_chain: vec![], relay_source: None };
    Some(LeaseExtra { relay: Some(relay), reconfigure: true, name: None })
}

#[test]
fn sv_307_sv_401_keys_are_given_in_replies_to_request_rapid_solicit_and_information_request() {
    let mut wire = willing();
    wire.links[0].rapid_commit = true;
    let mut lab = lab_of("fe-a", wire);
    let advertise = lab.send(accepting(Msg::solicit().na(1, &[]))).expect("an Advertise");
    assert!(advertise.option(opt::RECONF_ACCEPT).is_some() && advertise.option(opt::AUTH).is_none());
    let request = lab.send(accepting(Msg::request().na(1, &[]))).expect("a Reply");
    let (_, key) = key_in(&request).expect("a key");
    let address = request.na().one().ip().to_string();
    let renew = lab.send(accepting(Msg::renew().na(1, &[&address]))).expect("a Reply");
    assert!(renew.option(opt::RECONF_ACCEPT).is_some() && renew.option(opt::AUTH).is_none());
    for message in [
        Msg::of(msg::INFORMATION_REQUEST),
        Msg::solicit().rapid_commit().na(2, &[]),
        Msg::request().na(1, &[&address]),
    ] {
        let answer = lab.send(accepting(message.clone())).expect("a Reply");
        assert_eq!(key_in(&answer).map(|(_, key)| key), Some(key), "{message:?}");
        let unwilling = lab.send(message).expect("a Reply");
        assert!(unwilling.option(opt::RECONF_ACCEPT).is_none() && unwilling.option(opt::AUTH).is_none());
    }
    let nameless = accepting(Msg::bare(msg::INFORMATION_REQUEST));
    assert!(lab.send(nameless).expect("a Reply").option(opt::AUTH).is_none(), "keys are clients'");
}

#[test]
fn sv_307_a_link_without_reconfigure_or_a_cluster_without_a_secret_gives_none() {
    let mut without_secret = Lab::with("fe-a", willing());
    for lab in [&mut lab_of("fe-a", network()), &mut without_secret] {
        for message in [Msg::solicit().na(1, &[]), Msg::request().na(1, &[])] {
            let answer = lab.send(accepting(message)).expect("an answer");
            assert!(answer.option(opt::RECONF_ACCEPT).is_none() && answer.option(opt::AUTH).is_none());
        }
    }
}

#[test]
fn sv_402_partners_and_later_processes_give_a_client_the_same_key_and_others_another() {
    let (_, key) = bound(&mut lab());
    let mut wire = willing();
    wire.relationships[0].primary = "fe-b".into();
    wire.relationships[0].secondary = "fe-a".into();
    assert_eq!(bound(&mut lab_of("fe-b", wire)).1, key);
    let other = Msg::bare(msg::REQUEST).client(OTHER_DUID).server(super::lab::SERVER_DUID).na(1, &[]);
    let answer = lab().send(accepting(other)).expect("a Reply");
    assert_ne!(key_in(&answer).expect("a key").1, key);
}

#[test]
fn sv_403_sv_404_a_reconfigure_has_its_options_and_no_other_and_the_clients_digest() {
    for (message, code) in [
        (ReconfigureMessage::Renew, 5),
        (ReconfigureMessage::Rebind, 6),
        (ReconfigureMessage::InformationRequest, 11),
    ] {
        let mut lab = lab();
        let (_, key) = bound(&mut lab);
        let replay = order(&mut lab, ReconfigureWhom::Everyone, message);
        let sent = pass(&mut lab, 0);
        let [(0, asking)] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!(asking.message[..4], [msg::RECONFIGURE, 0, 0, 0]);
        let mut codes: Vec<u16> = asking.options.iter().map(|(code, _)| *code).collect();
        codes.sort_unstable();
        assert_eq!(codes, [opt::CLIENT_ID, opt::SERVER_ID, opt::AUTH, opt::RECONF_MSG]);
        assert_eq!(asking.option(opt::CLIENT_ID), DUID);
        assert_eq!(asking.option(opt::SERVER_ID), super::lab::SERVER_DUID);
        assert_eq!(asking.option(opt::RECONF_MSG), [code]);
        assert_eq!(asking.accepted_by(key), replay);
        assert_eq!(asking.to.address, ip("fe80::c"), "to the client alone");
        assert_eq!((asking.to.port, asking.to.interface_index), (546, 1));
    }
}

#[test]
fn sv_405_trap_11_replay_values_rise_over_keys_and_orders_as_a_client_sees_them() {
    let mut lab = lab();
    let information = || accepting(Msg::of(msg::INFORMATION_REQUEST));
    let (address, key) = bound(&mut lab);
    let mut seen = Vec::new();
    for number in 1..4 {
        let answer = lab.send(information()).expect("a Reply");
        seen.push(key_in(&answer).expect("a key").0);
        lab.now = lab.now + Duration::from_millis(1);
        let replay = replay_of_order(0, number, lab.cluster_now());
        let whom = ReconfigureWhom::Client(Duid::new(DUID).unwrap());
        let message = ReconfigureMessage::InformationRequest;
        lab.event(StoreEvent::Reconfigure(Arc::new(ReconfigureOrder { whom, message, number, replay })));
        let sent = pass(&mut lab, 50);
        assert_eq!(sent.len(), 1, "{sent:?}");
        seen.push(sent[0].1.accepted_by(key));
    }
    let answer = lab.send(accepting(Msg::request().na(1, &[&address]))).expect("a Reply");
    seen.push(key_in(&answer).expect("a key").0);
    assert!(seen.windows(2).all(|w| w[0] < w[1]), "{seen:?}");
}

#[test]
fn sv_406_a_relayed_client_is_asked_through_its_relays() {
    let mut lab = lab();
    lab.to_store.clear();
    let inner = relayed(
        "2001:db8:1::1",
        &[(opt::INTERFACE_ID, b"in"), (opt::RELAY_SOURCE_PORT, &[0, 0])],
        accepting(Msg::request().na(1, &[])),
    );
    let outer = relayed("::", &[(opt::INTERFACE_ID, b"out"), (opt::RELAY_SOURCE_PORT, &[0x12, 0x34])], inner);
    let reply = lab.send_on(3, "2001:db8:ff::1", 6000, "2001:db8:ff::2", &outer).expect("a Relay-reply");
    let (_, key) = key_in(&reply).expect("a key");
    order(&mut lab, ReconfigureWhom::Link(LAN), ReconfigureMessage::Renew);
    let sent = pass(&mut lab, 0);
    let [(_, asking)] = &sent[..] else { panic!("{sent:?}") };
    asking.accepted_by(key);
    assert_eq!((asking.to.address, asking.to.port), (ip("2001:db8:ff::1"), 6000));
    let levels: Vec<_> = reply
        .levels
        .iter()
        .map(|(header, options)| (header.link_address.to_string(), options.clone()))
        .collect();
    assert_eq!(asking.levels, levels, "the way of the Reply");

    // Port 547 where the relay did not ask for another (SV-103).
    let mut lab = self::lab();
    let message = relayed("2001:db8:1::1", &[], accepting(Msg::request().na(1, &[])));
    lab.send_on(3, "2001:db8:ff::1", 6000, "2001:db8:ff::2", &message).expect("a Relay-reply");
    order(&mut lab, ReconfigureWhom::Link(LAN), ReconfigureMessage::Renew);
    assert_eq!(pass(&mut lab, 0)[0].1.to.port, 547);
}

#[test]
fn sv_406_what_is_needed_to_reach_a_client_is_recorded_with_its_lease_and_no_more() {
    let extra_of = |lab: &mut Lab, accepts: bool| {
        lab.to_store.clear();
        let request = Msg::request().na(1, &[]);
        lab.send(if accepts { accepting(request) } else { request }).expect("a Reply");
        let promise = lab.to_store.iter().find_map(|message| match message {
            ToStore::Batch(batch) => batch.updates.first(),
            _ => None,
        });
        promise.expect("a promise").extra.as_deref().cloned()
    };
    assert_eq!(extra_of(&mut lab(), true), direct());
    assert_eq!(extra_of(&mut lab(), false), None, "a direct client's record stays small");
    assert_eq!(extra_of(&mut lab_of("fe-a", network()), true), None);
}

#[test]
fn sv_407_it_is_sent_eight_times_at_growing_distances_and_given_up() {
    let mut lab = lab();
    bound(&mut lab);
    order(&mut lab, ReconfigureWhom::Everyone, ReconfigureMessage::Renew);
    let sent: Vec<u64> = pass(&mut lab, 600_000).iter().map(|(at, _)| at / 1000).collect();
    assert_eq!(sent, [0, 2, 6, 14, 30, 62, 126, 254]);
    let counters = lab.engine.counters();
    assert_eq!((counters.reconfigures_sent, counters.reconfigures_unanswered), (8, 1));
    assert_eq!(lab.engine.status(lab.now).reconfigures_waiting, 0);
}

#[test]
fn sv_407_the_message_asked_for_ends_it_and_another_does_not() {
    let mut lab = lab();
    let (address, _) = bound(&mut lab);
    order(&mut lab, ReconfigureWhom::Everyone, ReconfigureMessage::Rebind);
    assert_eq!(pass(&mut lab, 1000).len(), 1);
    lab.send(Msg::of(msg::INFORMATION_REQUEST)).expect("a Reply");
    lab.send(Msg::renew().na(1, &[&address])).expect("a Reply");
    assert_eq!(pass(&mut lab, 2000).len(), 1, "still asked");
    lab.send(Msg::rebind().na(1, &[&address])).expect("a Reply");
    assert_eq!(pass(&mut lab, 600_000).len(), 0);
    let counters = lab.engine.counters();
    assert_eq!((counters.reconfigures_answered, counters.reconfigures_unanswered), (1, 0));
}

#[test]
fn sv_407_a_renewal_that_only_the_partner_heard_ends_it_too() {
    let mut lab = lab();
    others_lease(&mut lab, "2001:db8:1::1810", OTHER_DUID, direct());
    order(&mut lab, ReconfigureWhom::Everyone, ReconfigureMessage::Renew);
    assert_eq!(pass(&mut lab, 1000).len(), 1);
    others_lease(&mut lab, "2001:db8:1::1810", OTHER_DUID, direct());
    assert_eq!(pass(&mut lab, 600_000).len(), 0);
    assert_eq!(lab.engine.counters().reconfigures_answered, 1);
}

#[test]
fn sv_401_only_clients_that_accepted_and_are_meant_are_asked() {
    let whom = [
        (ReconfigureWhom::Client(Duid::new(DUID).unwrap()), 1),
        (ReconfigureWhom::Client(Duid::new(OTHER_DUID).unwrap()), 0),
        (ReconfigureWhom::Link(LAN), 1),
        (ReconfigureWhom::Link(leasehold_proto::words::LinkId(2)), 0),
        (ReconfigureWhom::Pool(ADDRESSES), 1),
        (ReconfigureWhom::Pool(PoolId(2)), 0),
    ];
    for (whom, count) in whom {
        let mut lab = lab();
        bound(&mut lab);
        others_lease(&mut lab, "2001:db8:1::1810", OTHER_DUID, None);
        order(&mut lab, whom.clone(), ReconfigureMessage::Renew);
        assert_eq!(pass(&mut lab, 100).len(), count, "{whom:?}");
    }
}

#[test]
fn sv_401_who_comes_back_without_accepting_is_asked_no_more() {
    let mut lab = lab();
    let (address, _) = bound(&mut lab);
    lab.send(Msg::renew().na(1, &[&address])).expect("a Reply");
    order(&mut lab, ReconfigureWhom::Everyone, ReconfigureMessage::Renew);
    assert_eq!(pass(&mut lab, 100).len(), 1, "a Renew says nothing about it");
    lab.send(Msg::request().na(1, &[&address])).expect("a Reply");
    assert_eq!(pass(&mut lab, 10_000).len(), 0);
    order(&mut lab, ReconfigureWhom::Everyone, ReconfigureMessage::Renew);
    assert_eq!(pass(&mut lab, 10_000).len(), 0);
}

#[test]
fn sv_401_a_client_with_several_leases_is_asked_once_and_not_after_its_lease_ended() {
    let mut lab = lab();
    let answer = lab.send(accepting(Msg::request().na(1, &[]).pd(1, &[]))).expect("a Reply");
    let (address, delegated) = (answer.na().one(), answer.pd().one());
    order(&mut lab, ReconfigureWhom::Everyone, ReconfigureMessage::Renew);
    assert_eq!(pass(&mut lab, 1000).len(), 1);
    let release = Msg::to_server(msg::RELEASE).na(1, &[&address.ip().to_string()]);
    lab.send(release.pd(1, &[&delegated.to_string()])).expect("a Reply");
    assert_eq!(pass(&mut lab, 600_000).len(), 0);
    assert_eq!(lab.engine.counters().reconfigures_ended, 1);
}

#[test]
fn sv_401_a_link_that_is_for_it_no_more_ends_it() {
    let mut lab = lab();
    bound(&mut lab);
    order(&mut lab, ReconfigureWhom::Everyone, ReconfigureMessage::Renew);
    assert_eq!(pass(&mut lab, 1000).len(), 1);
    let mut wire = network();
    wire.version = 2;
    lab.event(StoreEvent::Network(super::lab::checked(wire)));
    assert_eq!(pass(&mut lab, 600_000).len(), 0);
}

#[test]
fn sv_401_a_client_is_asked_by_who_would_answer_it() {
    let asked = |me: &str, partner_lives: bool, answering: v1::Answering| {
        let mut wire = willing();
        wire.relationships[0].answering = answering.into();
        let mut lab = lab_of(me, wire);
        others_lease(&mut lab, "2001:db8:1::1e10", OTHER_DUID, direct());
        lab.liveness(me, true);
        lab.liveness(if me == "fe-a" { "fe-b" } else { "fe-a" }, partner_lives);
        order(&mut lab, ReconfigureWhom::Everyone, ReconfigureMessage::Renew);
        pass(&mut lab, 100).iter().map(|(_, asking)| asking.client()).collect::<Vec<_>>()
    };
    for answering in [v1::Answering::Buckets, v1::Answering::Any] {
        let count = asked("fe-a", true, answering).len() + asked("fe-b", true, answering).len();
        assert_eq!(count, 1, "one of two that live");
        for alone in ["fe-a", "fe-b"] {
            assert_eq!(asked(alone, false, answering), [OTHER_DUID], "{alone} alone");
        }
    }
}

#[test]
fn sv_407_many_clients_are_asked_at_a_pace_and_each_once() {
    let mut lab = lab();
    for n in 0..120u8 {
        let what = format!("2001:db8:1::18{n:02x}");
        others_lease(&mut lab, &what, &[0, 3, 0, 1, 2, 0, 0, 0, 1, n], direct());
    }
    lab.liveness("fe-b", false);
    order(&mut lab, ReconfigureWhom::Everyone, ReconfigureMessage::InformationRequest);
    let sent = pass(&mut lab, 1000);
    let counts = [0, 50, 100, 150].map(|at| sent.iter().filter(|(when, _)| *when == at).count());
    assert_eq!(counts, [50, 50, 20, 0]);
    let mut clients: Vec<_> = sent.iter().map(|(_, asking)| asking.client()).collect();
    clients.sort();
    clients.dedup();
    assert_eq!(clients.len(), 120);
    assert!(lab.engine.next_deadline().is_some(), "they are waited for");
}

#[test]
fn sec_07_neither_secret_nor_keys_are_in_what_the_engine_shows() {
    let mut lab = lab();
    let news = format!("{:?}", lab.engine.news());
    let (_, key) = bound(&mut lab);
    let shown = format!("{news} {:?} {:?}", lab.engine.status(lab.now), lab.engine.counters());
    assert!(news.contains("ReconfigureSecret"), "{news}");
    for secret in [&SECRET[..8], &key[..8]] {
        let numbers = format!("{secret:?}");
        let digits: String = secret.iter().map(|octet| format!("{octet:02x}")).collect();
        assert!(!shown.contains(numbers.trim_matches(['[', ']'])) && !shown.contains(&digits), "{shown}");
    }
}

#[test]
fn sv_405_a_restarted_frontend_goes_on_above_the_orders_that_its_welcome_counts() {
    let network: Arc<Network> = super::lab::checked(willing());
    let mut lab = lab();
    let (_, key) = bound(&mut lab);
    lab.apply(FromStore::Welcome(Welcome {
        epoch: Epoch::new(0, EPOCH),
        index: LogIndex(lab.index),
        resumed: true,
        applied_sequence: UpdateSeq(0),
        network: Some(network),
        supersedes: Epoch::NONE,
        draining: false,
        reconfigure_secret: Some(ReconfigureSecret::new(SECRET)),
        reconfigure_orders: 9,
    }));
    let answer = lab.send(accepting(Msg::of(msg::INFORMATION_REQUEST))).expect("a Reply");
    let (replay, same) = key_in(&answer).expect("a key");
    assert_eq!(same, key);
    assert!(replay > replay_of_order(0, 9, lab.cluster_now()), "{replay}");
}

#[test]
fn sv_407_a_new_session_that_knows_leases_in_another_order_asks_those_that_were_not_asked() {
    let mut lab = lab();
    let clients: Vec<(String, Vec<u8>)> =
        (0..60u8).map(|n| (format!("2001:db8:1::18{n:02x}"), vec![0, 3, 0, 1, 9, n])).collect();
    for (address, client) in &clients {
        others_lease(&mut lab, address, client, direct());
    }
    order(&mut lab, ReconfigureWhom::Everyone, ReconfigureMessage::Renew);
    let mut asked: BTreeSet<Vec<u8>> = pass(&mut lab, 0).iter().map(|(_, asking)| asking.client()).collect();
    assert_eq!(asked.len(), 50, "a piece");
    lab.engine.disconnected(lab.now);
    lab.engine.connected(lab.now);
    lab.drain();
    lab.apply(FromStore::Welcome(Welcome {
        epoch: Epoch(EPOCH + 1),
        index: LogIndex(lab.index),
        resumed: false,
        applied_sequence: UpdateSeq(0),
        network: None,
        supersedes: Epoch::NONE,
        draining: false,
        reconfigure_secret: None,
        reconfigure_orders: 1,
    }));
    for (address, client) in clients.iter().rev() {
        others_lease(&mut lab, address, client, direct());
    }
    lab.load_done();
    asked.extend(pass(&mut lab, 1000).iter().map(|(_, asking)| asking.client()));
    assert_eq!(asked.len(), 60);
}

/// Seed 1795452413103 of a soak.
#[test]
fn sv_401_fo_903_a_client_whose_reply_waits_for_its_commit_is_not_asked_before_it_has_its_key() {
    let mut wire = willing();
    wire.pools[0].commit_wait_ms = 200;
    let mut lab = lab_of("fe-a", wire);
    assert!(lab.send(accepting(Msg::request().na(1, &[]))).is_none(), "its Reply waits");
    order(&mut lab, ReconfigureWhom::Everyone, ReconfigureMessage::Renew);
    let sent = pass(&mut lab, 2500);
    let types = |sent: &[(u64, Asking)]| sent.iter().map(|(_, s)| s.message[0]).collect::<Vec<_>>();
    assert_eq!(types(&sent), [msg::REPLY, msg::RECONFIGURE]);
    // Committed with the same entry that brings the order.
    let mut wire = willing();
    wire.pools[0].commit_wait_ms = 200;
    let mut lab = lab_of("fe-a", wire);
    assert!(lab.send(accepting(Msg::request().na(1, &[]))).is_none());
    lab.commit();
    order(&mut lab, ReconfigureWhom::Everyone, ReconfigureMessage::Renew);
    assert_eq!(types(&pass(&mut lab, 0)), [msg::REPLY, msg::RECONFIGURE]);
}
