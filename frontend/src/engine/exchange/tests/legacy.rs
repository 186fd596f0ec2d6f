//! RFC 8415's answers where the configuration asks for them, and silence where it does not: SV-134, SV-135, V-01.

use super::lab::{CLIENT, OTHER_SERVER_DUID, SERVER_DUID, ip, network, options};
use super::message::{Answered, DUID};
use super::{Lab, Msg};
use crate::codec::Discard;
use crate::codec::reply::ServerMessageKind;
use crate::codec::wire::{IAS_MAX, msg, opt, status};
use leasehold_proto::v1;

/// An address of this server.
const SERVER: &str = "2001:db8:1::2";
const FITS: &str = "2001:db8:1::7";

fn legacy() -> v1::Network {
    let mut wire = network();
    wire.legacy = true;
    wire
}

fn unicast(lab: &mut Lab, message: Msg) -> Option<Answered> {
    lab.send_on(1, CLIENT, 546, SERVER, message.as_ref())
}

fn ta(message: Msg, iaid: u32, addresses: &[&str]) -> Msg {
    let mut data = iaid.to_be_bytes().to_vec();
    for address in addresses {
        data.extend([0, 5, 0, 24]);
        data.extend(ip(address).octets());
        data.extend([0, 0, 0, 77, 0, 0, 0, 88]);
    }
    message.opt(opt::IA_TA, &data)
}

/// IAID and status of each IA_TA of an answer, which hold nothing else.
fn tas(answer: &Answered) -> Vec<(u32, u16)> {
    let all = answer.options.iter().filter(|(code, _)| *code == opt::IA_TA).map(|(_, data)| {
        let iaid = u32::from_be_bytes(data[..4].try_into().expect("an IAID"));
        assert_eq!(data[4..6], opt::STATUS_CODE.to_be_bytes());
        assert_eq!(usize::from(u16::from_be_bytes([data[6], data[7]])), data.len() - 8, "and no more");
        (iaid, u16::from_be_bytes([data[8], data[9]]))
    });
    all.collect()
}

#[test]
fn sv_134_without_the_switch_every_direct_unicast_is_silently_dropped() {
    let mut lab = Lab::new();
    let held = lab.send(Msg::request().na(1, &[])).expect("a Reply").na().one().ip().to_string();
    for kind in [msg::REQUEST, msg::RENEW, msg::RELEASE, msg::DECLINE] {
        assert!(unicast(&mut lab, Msg::to_server(kind).na(1, &[&held])).is_none());
    }
    for kind in [msg::SOLICIT, msg::CONFIRM, msg::REBIND, msg::INFORMATION_REQUEST] {
        assert!(unicast(&mut lab, Msg::of(kind)).is_none());
    }
    assert_eq!(lab.discarded(Discard::UnicastDestination), 8);
}

#[test]
fn sv_135_unicast_is_answered_by_use_multicast_alone_and_changes_nothing() {
    let mut wire = legacy();
    // Not even what is forced goes into such a Reply.
    wire.options = options(&[(23, &ip("2001:db8::53").octets())]);
    wire.options.iter_mut().flat_map(|o| &mut o.options).for_each(|o| o.forced = true);
    let mut lab = Lab::with("fe-a", wire);
    let granted = lab.send(Msg::request().na(1, &[])).expect("a Reply");
    let held = granted.na().one().ip().to_string();
    lab.commit();
    for kind in [msg::REQUEST, msg::RENEW, msg::RELEASE, msg::DECLINE] {
        let reply = unicast(&mut lab, Msg::to_server(kind).na(1, &[&held]).oro(&[23])).expect("a Reply");
        assert_eq!((reply.kind, reply.status), (ServerMessageKind::Reply, Some(status::USE_MULTICAST)));
        assert_eq!(reply.client_id.as_deref(), Some(DUID));
        assert_eq!(reply.server_id.as_deref(), Some(SERVER_DUID));
        let codes: Vec<u16> = reply.options.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, [opt::CLIENT_ID, opt::SERVER_ID, opt::STATUS_CODE], "{kind}");
        assert_eq!((reply.to.address, reply.to.port), (ip(CLIENT), 546));
        assert_eq!(reply.to.source, Some(ip(SERVER)));
    }
    lab.drain();
    let told = lab.to_store.iter().any(|message| match message {
        leasehold_proto::session::ToStore::Batch(batch) => !batch.updates.is_empty(),
        _ => false,
    });
    assert!(!told, "no lease was extended or ended");
    let still = lab.send(Msg::renew().na(1, &[&held])).expect("a Reply");
    assert_eq!(still.na().one().ip().to_string(), held);
}

#[test]
fn sv_135_other_unicast_messages_and_those_to_others_are_dropped() {
    let mut lab = Lab::with("fe-a", legacy());
    for kind in [msg::SOLICIT, msg::CONFIRM, msg::REBIND, msg::INFORMATION_REQUEST, msg::ADDR_REG_INFORM] {
        assert!(unicast(&mut lab, Msg::of(kind)).is_none());
    }
    assert_eq!(lab.discarded(Discard::UnicastDestination), 5);
    assert!(unicast(&mut lab, Msg::of(msg::RENEW).server(OTHER_SERVER_DUID).na(1, &[])).is_none());
    assert_eq!(lab.discarded(Discard::OtherServer), 1);
    assert!(unicast(&mut lab, Msg::of(msg::REQUEST).na(1, &[])).is_none());
    assert_eq!(lab.discarded(Discard::NoServerId), 1);
    assert!(unicast(&mut lab, Msg::bare(msg::RELEASE).server(SERVER_DUID)).is_none());
    assert_eq!(lab.discarded(Discard::NoClientId), 1);
}

#[test]
fn sv_135_no_temporary_address_is_given() {
    let mut lab = Lab::with("fe-a", legacy());
    let none = status::NO_ADDRS_AVAIL;
    let offer = lab.send(ta(ta(Msg::solicit().na(1, &[]), 5, &[]), 6, &[FITS])).expect("an Advertise");
    assert_eq!(tas(&offer), [(5, none), (6, none)]);
    offer.na().one();
    let reply = lab.send(ta(Msg::request().na(1, &[]), 5, &[])).expect("a Reply");
    assert_eq!(tas(&reply), [(5, none)]);
    let held = reply.na().one().ip().to_string();
    for message in [Msg::renew(), Msg::rebind()] {
        let reply = lab.send(ta(message.na(1, &[&held]), 7, &[FITS])).expect("a Reply");
        assert_eq!(tas(&reply), [(7, none)]);
        reply.na().one();
    }
    // With nothing but IA_TAs as well.
    for message in [Msg::solicit(), Msg::request(), Msg::renew(), Msg::rebind()] {
        let answer = lab.send(ta(ta(message, 7, &[]), 7, &[FITS])).expect("an answer");
        assert_eq!((tas(&answer), answer.ias.len()), (vec![(7, none)], 0), "an IAID is answered once");
    }
}

#[test]
fn sv_135_there_is_no_binding_of_temporary_addresses() {
    let mut lab = Lab::with("fe-a", legacy());
    for kind in [msg::RELEASE, msg::DECLINE] {
        let reply = lab.send(ta(Msg::to_server(kind), 5, &[FITS])).expect("a Reply");
        assert_eq!((reply.status, tas(&reply)), (Some(status::SUCCESS), vec![(5, status::NO_BINDING)]));
    }
}

#[test]
fn sv_135_a_confirm_of_temporary_addresses_is_judged_by_the_link() {
    let mut lab = Lab::with("fe-a", legacy());
    let confirm = || Msg::of(msg::CONFIRM);
    let fit = lab.send(ta(confirm(), 1, &[FITS])).expect("a Reply");
    assert_eq!((fit.status, tas(&fit)), (Some(status::SUCCESS), vec![]));
    let unfit = lab.send(ta(confirm().na(1, &[FITS]), 1, &["2001:db8:2::7"])).expect("a Reply");
    assert_eq!(unfit.status, Some(status::NOT_ON_LINK));
    assert!(lab.send(ta(confirm(), 1, &[])).is_none());
    assert_eq!(lab.discarded(Discard::ConfirmWithoutAddress), 1);
}

#[test]
fn sv_135_temporary_ias_are_bounded_and_checked_like_others() {
    let mut lab = Lab::with("fe-a", legacy());
    assert!(lab.send(ta(Msg::bare(msg::INFORMATION_REQUEST), 1, &[])).is_none());
    assert_eq!(lab.discarded(Discard::IaInInformationRequest), 1);
    let many = |count: usize| (1..).take(count).fold(Msg::solicit().na(1, &[]), |m, n| ta(m, n, &[]));
    assert_eq!(tas(&lab.send(many(IAS_MAX - 1)).expect("an Advertise")).len(), IAS_MAX - 1);
    assert!(lab.send(many(IAS_MAX)).is_none());
    assert_eq!(lab.discarded(Discard::TooManyIas), 1);
    for (data, reason) in [
        (vec![0, 0, 0], Discard::BadOptionLength),
        (vec![0, 0, 0, 1, 0, 5, 0, 24, 1], Discard::TruncatedOption),
        (vec![0, 0, 0, 1, 0, 5, 0, 3, 1, 2, 3], Discard::BadOptionLength),
    ] {
        let before = lab.discarded(reason);
        assert!(lab.send(Msg::solicit().na(1, &[]).opt(opt::IA_TA, &data)).is_none());
        assert_eq!(lab.discarded(reason), before + 1, "{reason:?}");
    }
}

#[test]
fn sv_135_without_the_switch_temporary_ias_are_not_even_looked_at() {
    let mut lab = Lab::new();
    let offer = lab.send(ta(Msg::solicit().na(1, &[]), 5, &[]).opt(opt::IA_TA, &[1])).expect("an Advertise");
    assert_eq!(tas(&offer), []);
    assert!(lab.send(ta(Msg::bare(msg::INFORMATION_REQUEST), 1, &[])).is_some());
    assert!(lab.send(ta(Msg::of(msg::CONFIRM), 1, &[FITS])).is_none());
    assert_eq!(lab.discarded(Discard::ConfirmWithoutAddress), 1);
    let reply = lab.send(ta(Msg::to_server(msg::RELEASE), 5, &[FITS])).expect("a Reply");
    assert_eq!(tas(&reply), []);
}

#[test]
fn sv_135_sec_01_sec_10_nobody_is_told_to_use_multicast_who_is_told_nothing_else() {
    let mut wire = legacy();
    wire.limits = Some(v1::Limits { messages_per_client: Some(4), ..v1::Limits::default() });
    let mut lab = Lab::with("fe-a", wire.clone());
    let answered = (0..10).filter(|_| unicast(&mut lab, Msg::renew().na(1, &[FITS])).is_some()).count();
    assert_eq!((answered, lab.discarded(Discard::RateLimited)), (4, 6));
    let known = v1::ClientTest { field: v1::ClientField::Duid.into(), values: vec![DUID.to_vec()] };
    wire.classes =
        vec![v1::Class { name: "out".into(), tests: vec![known], drop: true, ..v1::Class::default() }];
    let mut lab = Lab::with("fe-a", wire);
    assert!(unicast(&mut lab, Msg::renew().na(1, &[FITS])).is_none());
    assert_eq!(lab.discarded(Discard::ClientNotAllowed), 1);
}
