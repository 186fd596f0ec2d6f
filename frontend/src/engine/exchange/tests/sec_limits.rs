//! SEC-02: bounds on leases by client and by port, and on declined addresses.

use super::lab::{ADDRESSES, SERVER_DUID, checked, network};
use super::message::{Answered, DUID};
use super::{Lab, Msg, relayed};
use crate::codec::wire::{msg, opt, status};
use leasehold_proto::lease::{Lease, LeaseState, UpdateKind};
use leasehold_proto::session::{FromStore, LoadChunk, StoreEvent, ToStore};
use leasehold_proto::v1;
use leasehold_proto::words::{Epoch, LogIndex};
use std::sync::Arc;

type Options<'a> = &'a [(u16, &'a [u8])];

const MAC: Options<'_> = &[(opt::CLIENT_LINKLAYER_ADDR, &[0, 1, 2, 0, 0, 0, 0, 1])];
const OTHER_MAC: Options<'_> = &[(opt::CLIENT_LINKLAYER_ADDR, &[0, 1, 2, 0, 0, 0, 0, 2])];
const PORT: Options<'_> = &[(opt::INTERFACE_ID, b"ge-0/0/1")];
const OTHER_PORT: Options<'_> = &[(opt::INTERFACE_ID, b"ge-0/0/2")];
const REMOTE: Options<'_> = &[(opt::REMOTE_ID, &[0, 0, 0, 9, 1])];
const OTHER_REMOTE: Options<'_> = &[(opt::REMOTE_ID, &[0, 0, 0, 9, 2])];

fn limited(limits: v1::Limits) -> v1::Network {
    let mut wire = network();
    wire.links[0].limits = Some(limits);
    wire
}

fn by_mac(bound: u32) -> v1::Limits {
    v1::Limits { leases_per_link_layer: Some(bound), ..v1::Limits::default() }
}

fn by_port(bound: u32) -> v1::Limits {
    v1::Limits { leases_per_interface_id: Some(bound), ..v1::Limits::default() }
}

fn by_remote(bound: u32) -> v1::Limits {
    v1::Limits { leases_per_remote_id: Some(bound), ..v1::Limits::default() }
}

fn duid(client: u8) -> [u8; 10] {
    [0, 3, 0, 1, 2, 0, 0, 0, 9, client]
}

fn request(client: u8) -> Msg {
    Msg::bare(msg::REQUEST).client(&duid(client)).server(SERVER_DUID)
}

fn through(lab: &mut Lab, relay: &str, options: Options<'_>, message: Msg) -> Answered {
    lab.send_relayed(&relayed(relay, options, message)).expect("an answer")
}

/// Whether a client gets an address through a relay, in an Advertise and in a Reply alike.
fn is_served(lab: &mut Lab, relay: &str, options: Options<'_>, client: u8) -> bool {
    let offered = through(lab, relay, options, Msg::bare(msg::SOLICIT).client(&duid(client)).na(1, &[]));
    let given = through(lab, relay, options, request(client).na(1, &[]));
    for answer in [&offered, &given] {
        let ia = answer.na();
        assert!(ia.leases.len() == 1 || ia.status == Some(status::NO_ADDRS_AVAIL), "{ia:?}");
        assert_eq!(answer.status, None);
    }
    assert_eq!(offered.na().leases.len(), given.na().leases.len(), "an Advertise shows what a Request gets");
    given.na().leases.len() == 1
}

const RELAY: &str = "2001:db8:1::1";

#[test]
fn sec_02_leases_of_one_link_layer_address_are_bounded_whatever_duids_it_uses() {
    let mut lab = Lab::with("fe-a", limited(by_mac(2)));
    assert!(is_served(&mut lab, RELAY, MAC, 1) && is_served(&mut lab, RELAY, MAC, 2));
    assert!(!is_served(&mut lab, RELAY, MAC, 3));
    assert!(!is_served(&mut lab, "2001:db8:11::1", MAC, 3), "by another relay of the link too");
    assert!(is_served(&mut lab, RELAY, OTHER_MAC, 3));
    assert!(is_served(&mut lab, RELAY, MAC, 1), "what it holds it keeps");
    let delegated = through(&mut lab, RELAY, MAC, request(1).pd(1, &[]));
    assert_eq!(delegated.pd().status, Some(status::NO_PREFIX_AVAIL));
}

#[test]
fn sec_02_leases_behind_one_interface_of_one_relay_are_bounded() {
    let mut lab = Lab::with("fe-a", limited(by_port(1)));
    assert!(is_served(&mut lab, RELAY, PORT, 1));
    assert!(!is_served(&mut lab, RELAY, PORT, 2));
    assert!(is_served(&mut lab, RELAY, OTHER_PORT, 2));
    assert!(is_served(&mut lab, "2001:db8:11::1", PORT, 3), "that interface of another relay");
}

#[test]
fn sec_02_an_interface_id_is_that_of_the_level_next_to_the_client_that_has_one() {
    let mut lab = Lab::with("fe-a", limited(by_port(1)));
    // RFC 6221: the inner level has no link-address; the outer ones tell two of them apart.
    let mut ask = |outer: &str, client: u8| {
        let inner = relayed("::", PORT, request(client).na(1, &[]));
        let answer = lab.send_relayed(&relayed(outer, &[(opt::INTERFACE_ID, b"up")], inner));
        answer.expect("an answer").na().leases.len() == 1
    };
    assert!(ask("2001:db8:1::1", 1) && !ask("2001:db8:1::1", 2) && ask("2001:db8:11::1", 2));
}

#[test]
fn sec_02_leases_behind_one_remote_id_are_bounded() {
    let mut lab = Lab::with("fe-a", limited(by_remote(1)));
    assert!(is_served(&mut lab, RELAY, REMOTE, 1));
    assert!(!is_served(&mut lab, "2001:db8:11::1", REMOTE, 2));
    assert!(is_served(&mut lab, RELAY, OTHER_REMOTE, 2));
    assert!(is_served(&mut lab, RELAY, PORT, 3), "who has none is not bounded by it");
    assert!(
        lab.send(request(4).na(1, &[])).expect("a Reply").na().one().is_address(),
        "nor who has no relay"
    );
}

/// What was told to the store, as records of it.
fn committed(lab: &mut Lab) -> Vec<Lease> {
    lab.drain();
    let updates: Vec<_> = lab
        .to_store
        .iter()
        .filter_map(|message| if let ToStore::Batch(batch) = message { Some(batch) } else { None })
        .flat_map(|batch| batch.updates.iter().filter(|u| u.kind == UpdateKind::Promise).cloned())
        .collect();
    let record = |u: leasehold_proto::lease::LeaseUpdate| Lease {
        extra: u.extra,
        epoch: Epoch(5),
        version: LogIndex(5),
        ..lab.lease_record(u.prefix, u.pool, u.binding.kind, u.binding.duid.as_bytes(), 1, LeaseState::Active)
    };
    updates.into_iter().map(record).collect()
}

#[test]
fn sec_02_counts_follow_from_the_records_after_a_restart_and_at_the_partner() {
    let limits = v1::Limits {
        leases_per_link_layer: Some(2),
        leases_per_interface_id: Some(2),
        leases_per_remote_id: Some(2),
        ..v1::Limits::default()
    };
    for options in [MAC, PORT, REMOTE] {
        let mut first = Lab::with("fe-a", limited(limits));
        assert!(is_served(&mut first, RELAY, options, 1) && is_served(&mut first, RELAY, options, 2));
        let leases = committed(&mut first);
        assert_eq!(leases.len(), 2);
        let mut lab = Lab::loading("fe-a", limited(limits));
        let leases = leases.into_iter().map(Arc::new).collect();
        lab.apply(FromStore::Load(LoadChunk { leases, ranges: vec![], registrations: vec![], done: None }));
        lab.load_done();
        lab.grant(ADDRESSES, 2);
        assert!(!is_served(&mut lab, RELAY, options, 3));
        assert!(is_served(&mut lab, RELAY, options, 1), "extended");
    }
}

#[test]
fn sec_02_what_is_free_counts_no_more() {
    let mut lab = Lab::with("fe-a", limited(by_mac(1)));
    let held = through(&mut lab, RELAY, MAC, request(1).na(1, &[])).na().one();
    let lease = committed(&mut lab).remove(0);
    lab.commit();
    assert!(!is_served(&mut lab, RELAY, MAC, 2));
    for (state, served) in
        [(LeaseState::Expired, true), (LeaseState::Active, false), (LeaseState::Free, true)]
    {
        let record = Lease { state, version: LogIndex(lab.index + 1), prefix: held, ..lease.clone() };
        lab.event(StoreEvent::Lease(Arc::new(record)));
        let offered = through(&mut lab, RELAY, MAC, Msg::bare(msg::SOLICIT).client(&duid(2)).na(1, &[]));
        assert_eq!(offered.na().leases.len() == 1, served, "{state:?}");
    }
}

#[test]
fn sec_02_leases_that_have_ended_are_bounded_at_a_port_too() {
    let mut lab = Lab::with("fe-a", limited(by_mac(1)));
    let mut served = 0;
    for client in 0..20 {
        let reply = through(&mut lab, RELAY, MAC, request(client).na(1, &[]));
        let Some((held, _, _)) = reply.na().leases.first().copied() else { break };
        served += 1;
        let release = Msg::bare(msg::RELEASE).client(&duid(client)).server(SERVER_DUID);
        through(&mut lab, RELAY, MAC, release.na(1, &[&held.to_string()]));
    }
    assert_eq!(served, 8, "eight times the bound, while freeing is held back");
}

#[test]
fn sec_02_a_bound_that_is_set_later_counts_what_is_there() {
    let mut lab = Lab::with("fe-a", network());
    assert!(is_served(&mut lab, RELAY, MAC, 1) && is_served(&mut lab, RELAY, MAC, 2));
    lab.commit();
    let mut wire = limited(by_mac(2));
    wire.version = 2;
    lab.event(StoreEvent::Network(checked(wire)));
    assert!(!is_served(&mut lab, RELAY, MAC, 3));
    let mut wire = network();
    wire.version = 3;
    lab.event(StoreEvent::Network(checked(wire)));
    assert!(is_served(&mut lab, RELAY, MAC, 3));
    let mut wire = limited(by_mac(3));
    wire.version = 4;
    lab.event(StoreEvent::Network(checked(wire)));
    assert!(!is_served(&mut lab, RELAY, MAC, 4));
}

#[test]
fn sec_02_leases_of_a_client_are_bounded_as_configured() {
    let of_client = |bound| v1::Limits { leases_per_client: Some(bound), ..v1::Limits::default() };
    let mut lab = Lab::with("fe-a", limited(of_client(1)));
    let reply = lab.send(request(1).na(1, &[]).na(2, &[]).pd(3, &[])).expect("a Reply");
    assert!(reply.ias[0].leases.len() == 1 && reply.ias[0].status.is_none());
    assert_eq!(reply.ias[1].status, Some(status::NO_ADDRS_AVAIL));
    assert_eq!(reply.ias[2].status, Some(status::NO_PREFIX_AVAIL));
    assert!(lab.send(request(2).na(1, &[])).expect("a Reply").na().one().is_address());
    let mut lab = Lab::with("fe-a", limited(of_client(0)));
    let many = (0..20).fold(request(1), |message, iaid| message.na(iaid, &[]));
    let reply = lab.send(many).expect("a Reply");
    assert!(reply.ias.iter().all(|ia| ia.leases.len() == 1), "0 is no bound");
}

/// Declines one address after another; how many updates of each kind came of it.
fn decline(lab: &mut Lab, times: usize) -> (usize, usize) {
    let mut kinds = Vec::new();
    for _ in 0..times {
        // Of an IA of its own each time: what is given back would else be offered again.
        let iaid = u32::try_from(lab.index).expect("few");
        let held = lab.send(Msg::request().na(iaid, &[])).expect("a Reply").na().one().to_string();
        lab.commit();
        let reply = lab.send(Msg::to_server(msg::DECLINE).na(iaid, &[&held])).expect("a Reply");
        assert_eq!((reply.status, reply.ias.len()), (Some(status::SUCCESS), 0));
        lab.drain();
        for message in &lab.to_store {
            if let ToStore::Batch(batch) = message {
                kinds.extend(batch.updates.iter().map(|update| update.kind));
            }
        }
        lab.commit();
    }
    let count = |kind| kinds.iter().filter(|k| **k == kind).count();
    (count(UpdateKind::Decline), count(UpdateKind::Release))
}

#[test]
fn sec_02_a_client_puts_a_bounded_number_of_addresses_into_quarantine() {
    let mut lab =
        Lab::with("fe-a", limited(v1::Limits { declines_per_client: Some(3), ..v1::Limits::default() }));
    assert_eq!(decline(&mut lab, 5), (3, 2), "the others leave the binding, and that is all");
    assert_eq!(lab.engine.status(lab.now).leases.declines_over_limit, 2);
    assert_eq!(decline(&mut lab, 1), (0, 1));
}

#[test]
fn sec_02_declines_are_counted_from_the_records() {
    let limits = v1::Limits { declines_per_client: Some(1), ..v1::Limits::default() };
    let mut lab = Lab::with("fe-a", limited(limits));
    lab.lease("2001:db8:1::1010", DUID, 1, LeaseState::Abandoned);
    assert_eq!(decline(&mut lab, 1), (0, 1));
    lab.lease("2001:db8:1::1010", DUID, 1, LeaseState::Reset);
    assert_eq!(decline(&mut lab, 1), (1, 0));
}

#[test]
fn sec_02_sv_303_one_message_is_offered_no_more_than_a_request_of_the_same_form_gets() {
    let mut wire = network();
    wire.links[0].limits = Some(v1::Limits { leases_per_client: Some(3), ..v1::Limits::default() });
    let ias = |mut message: Msg| {
        for iaid in 1..=3 {
            message = message.na(iaid, &[]).pd(iaid, &[]);
        }
        message
    };
    let mut lab = Lab::with("fe-a", wire);
    let offered = lab.send(ias(Msg::solicit())).expect("an Advertise");
    let given = lab.send(ias(Msg::request())).expect("a Reply");
    let leases = |answer: &Answered| answer.ias.iter().map(|ia| ia.leases.len()).sum::<usize>();
    assert_eq!((leases(&offered), leases(&given)), (3, 3));
    // What it holds by now is no more than that.
    assert_eq!(leases(&lab.send(ias(Msg::solicit())).expect("an Advertise")), 3);
}
