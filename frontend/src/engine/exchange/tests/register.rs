//! Address registration (RFC 9686): SV-381.

use super::lab::{
    ADDRESSES, EPOCH, LAN, MULTICAST, SERVER_DUID, checked, frontend, ip, network, pool, prefix,
};
use super::message::{Answered, DUID, OTHER_DUID};
use super::{Lab, Msg, relayed};
use crate::codec::reply::ServerMessageKind;
use crate::codec::wire::{msg, opt};
use crate::codec::{Discard, TransactionId};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::registration::{LIFETIME_MAX, Registration, RegistrationUpdate};
use leasehold_proto::session::{FromStore, RangeRecord, StoreEvent, ToStore, Welcome};
use leasehold_proto::time::ClusterTime;
use leasehold_proto::v1;
use leasehold_proto::words::{Duid, Epoch, LinkId, LogIndex, RangeId, UpdateSeq};
use std::sync::Arc;
use std::time::Duration;

/// An address of the link, in no pool.
const OWN: &str = "2001:db8:1::abcd";
/// The first address of the first own range.
const POOLED: &str = "2001:db8:1::1000";

fn registering() -> v1::Network {
    let mut wire = network();
    wire.links[0].register_addresses = true;
    wire
}

/// Data of an IA Address option.
fn told(address: &str, valid: u32) -> Vec<u8> {
    [ip(address).octets().as_slice(), &1000u32.to_be_bytes(), &valid.to_be_bytes()].concat()
}

fn inform(address: &str, valid: u32) -> Msg {
    Msg::of(msg::ADDR_REG_INFORM).opt(opt::IA_ADDR, &told(address, valid))
}

/// Sent as its client does: from the address itself.
fn send(lab: &mut Lab, address: &str, message: Msg) -> Option<Answered> {
    lab.send_on(1, address, 546, MULTICAST, message.as_ref())
}

/// What the store was told of registrations since this was asked last.
fn updates(lab: &mut Lab) -> Vec<RegistrationUpdate> {
    lab.drain();
    let told = lab.to_store.iter().flat_map(|message| match message {
        ToStore::Batch(batch) => batch.registrations.clone(),
        _ => Vec::new(),
    });
    let told = told.collect();
    lab.commit();
    told
}

/// The store's word on an address; for no time: nobody has registered it.
fn word(lab: &mut Lab, address: &str, secs: u64) {
    let valid_until =
        if secs == 0 { ClusterTime::ZERO } else { lab.cluster_now() + Duration::from_secs(secs) };
    lab.event(StoreEvent::Registration(Arc::new(Registration {
        address: ip(address).to_bits(),
        link: LAN,
        duid: Duid::new(OTHER_DUID).expect("a DUID"),
        valid_until,
        since: ClusterTime::ZERO,
        epoch: Epoch(5),
        version: LogIndex(lab.index + 1),
    })));
}

/// Another session is welcomed, and knows nothing of what the one before told.
fn another_session(lab: &mut Lab) {
    lab.engine.disconnected(lab.now);
    lab.engine.connected(lab.now);
    lab.drain();
    lab.apply(FromStore::Welcome(Welcome {
        epoch: Epoch(EPOCH + 1),
        index: LogIndex(lab.index),
        resumed: false,
        applied_sequence: UpdateSeq(0),
        network: Some(checked(registering())),
        supersedes: Epoch::NONE,
        draining: false,
        reconfigure_secret: None,
        reconfigure_orders: 0,
    }));
}

/// Which address a client gets that asks for one by name.
fn given(lab: &mut Lab, hint: &str) -> leasehold_proto::words::Prefix {
    lab.send(Msg::solicit().na(1, &[hint])).expect("an Advertise").na().one()
}

#[test]
fn sv_381_a_registration_is_recorded_and_answered_at_the_address_itself() {
    let mut lab = Lab::with("fe-a", registering());
    let message = Msg::bare(msg::ADDR_REG_INFORM)
        .xid([7, 8, 9])
        .client(DUID)
        .opt(opt::IA_ADDR, &[told(OWN, 3600), vec![0, 99, 0, 1, 5]].concat());
    let reply = send(&mut lab, OWN, message).expect("an Addr-reg-reply");
    assert_eq!(
        (reply.kind, reply.transaction_id),
        (ServerMessageKind::AddrRegReply, TransactionId([7, 8, 9]))
    );
    assert_eq!((reply.to.address, reply.to.port), (ip(OWN), 546));
    assert_eq!(reply.client_id.as_deref(), Some(DUID));
    assert_eq!(reply.server_id.as_deref(), Some(SERVER_DUID));
    let same = [told(OWN, 3600), vec![0, 99, 0, 1, 5]].concat();
    assert_eq!(reply.option(opt::IA_ADDR), Some(same.as_slice()), "octet for octet");
    assert_eq!(reply.options.len(), 3, "{reply:?}");
    let until = lab.cluster_now() + Duration::from_secs(3600);
    let told = updates(&mut lab);
    let [update] = &told[..] else { panic!("{told:?}") };
    assert_eq!((update.address, update.link, update.duid.as_bytes()), (ip(OWN).to_bits(), LAN, DUID));
    assert_eq!(update.valid_until, until);
    // Told anew when the client tells anew, for a month at most, and when it ends.
    send(&mut lab, OWN, inform(OWN, u32::MAX).xid([1, 1, 1])).expect("a refresh");
    assert_eq!(updates(&mut lab)[0].valid_until, lab.cluster_now() + LIFETIME_MAX);
    send(&mut lab, OWN, inform(OWN, 0).xid([1, 1, 2])).expect("an end");
    assert_eq!(updates(&mut lab)[0].valid_until, ClusterTime::ZERO);
    send(&mut lab, OWN, inform(OWN, 0).xid([1, 1, 3])).expect("an end again");
    assert!(updates(&mut lab).is_empty(), "there is nothing to end");
}

#[test]
fn sv_381_a_relayed_registration_goes_back_through_the_relay() {
    let mut lab = Lab::with("fe-a", registering());
    let from = |peer: &str| {
        let mut bytes = relayed("2001:db8:1::1", &[(opt::INTERFACE_ID, b"if-1")], inform(OWN, 3600));
        bytes[18..34].copy_from_slice(&ip(peer).octets());
        bytes
    };
    assert!(lab.send_relayed(&from("fe80::c")).is_none(), "not from the address that it names");
    assert_eq!(lab.discarded(Discard::RegistrationSource), 1);
    let reply = lab.send_relayed(&from(OWN)).expect("an Addr-reg-reply");
    assert_eq!((reply.kind, reply.to.port), (ServerMessageKind::AddrRegReply, 547));
    assert_eq!((reply.levels.len(), reply.levels[0].0.peer_address), (1, ip(OWN)));
    assert_eq!(updates(&mut lab).len(), 1);
}

#[test]
fn sv_381_invalid_registrations_are_discarded_by_reason() {
    let mut lab = Lab::with("fe-a", registering());
    let bare = || Msg::bare(msg::ADDR_REG_INFORM);
    let twice = inform(OWN, 60).opt(opt::IA_ADDR, &told("2001:db8:1::abce", 60));
    let cases = [
        (bare().opt(opt::IA_ADDR, &told(OWN, 60)), Discard::NoClientId),
        (inform(OWN, 60).server(SERVER_DUID), Discard::UnexpectedServerId),
        (inform(OWN, 60).oro(&[]), Discard::OroInRegistration),
        (inform(OWN, 60).oro(&[23]), Discard::OroInRegistration),
        (Msg::of(msg::ADDR_REG_INFORM), Discard::RegistrationAddress),
        (Msg::of(msg::ADDR_REG_INFORM).na(1, &[OWN]), Discard::RegistrationAddress),
        (twice, Discard::RegistrationAddress),
        (inform("2001:db8:1::abce", 60), Discard::RegistrationSource),
        (Msg::of(msg::ADDR_REG_INFORM).opt(opt::IA_ADDR, &told(OWN, 60)[..23]), Discard::BadOptionLength),
        (Msg::of(msg::ADDR_REG_REPLY), Discard::ServerMessage),
    ];
    for (message, reason) in cases {
        let before = lab.discarded(reason);
        assert!(send(&mut lab, OWN, message).is_none(), "{reason:?}");
        assert_eq!(lab.discarded(reason), before + 1, "{reason:?}");
    }
    // An IA Address outside an IA means nothing in any other message.
    let solicit = Msg::solicit().na(1, &[]).opt(opt::IA_ADDR, &[1]);
    assert!(lab.send(solicit).is_some());
    assert!(updates(&mut lab).is_empty());
}

#[test]
fn sv_381_an_address_of_another_link_or_a_leased_one_is_dropped() {
    let mut lab = Lab::with("fe-a", registering());
    for elsewhere in ["2001:db8:2::7", "2001:db8:77::7", "fe80::c"] {
        assert!(send(&mut lab, elsewhere, inform(elsewhere, 60)).is_none());
    }
    assert_eq!(lab.discarded(Discard::RegistrationOffLink), 3);
    lab.lease("2001:db8:1::1810", OTHER_DUID, 1, LeaseState::Active);
    assert!(send(&mut lab, "2001:db8:1::1810", inform("2001:db8:1::1810", 60)).is_none());
    assert_eq!(lab.discarded(Discard::RegistrationLeased), 1);
    let delegated = "2001:db8:8000:100::7";
    lab.lease("2001:db8:8000:100::/56", OTHER_DUID, 1, LeaseState::Active);
    assert!(send(&mut lab, delegated, inform(delegated, 60)).is_none());
    assert!(updates(&mut lab).is_empty());
    let mut off = Lab::new();
    assert!(send(&mut off, OWN, inform(OWN, 60)).is_none());
    assert_eq!(off.discarded(Discard::RegistrationOff), 1);
}

#[test]
fn sv_381_what_somebody_registered_is_given_to_nobody() {
    let mut lab = Lab::with("fe-a", registering());
    assert_eq!(given(&mut lab, POOLED), prefix(POOLED), "free before");
    send(&mut lab, POOLED, inform(POOLED, 60)).expect("an Addr-reg-reply");
    assert_ne!(given(&mut lab, POOLED), prefix(POOLED));
    send(&mut lab, POOLED, inform(POOLED, 0).xid([3, 3, 3])).expect("an Addr-reg-reply");
    assert_eq!(given(&mut lab, POOLED), prefix(POOLED), "free again");
    // What the partner heard counts as well, until the store says that it is over.
    word(&mut lab, POOLED, 60);
    assert_ne!(given(&mut lab, POOLED), prefix(POOLED));
    word(&mut lab, POOLED, 0);
    assert_eq!(given(&mut lab, POOLED), prefix(POOLED));
    // And of a range that is granted only now.
    word(&mut lab, "2001:db8:1::1400", 60);
    lab.grant(ADDRESSES, 4);
    assert_ne!(given(&mut lab, "2001:db8:1::1400"), prefix("2001:db8:1::1400"));
    assert_eq!(given(&mut lab, "2001:db8:1::1401"), prefix("2001:db8:1::1401"));
}

#[test]
fn sv_381_the_stores_word_stands_unless_the_client_was_heard_since() {
    let mut lab = Lab::with("fe-a", registering());
    send(&mut lab, POOLED, inform(POOLED, 60)).expect("an Addr-reg-reply");
    assert_eq!(updates(&mut lab).len(), 1);
    // It was refused: whoever gave a lease first was right.
    word(&mut lab, POOLED, 0);
    assert_eq!(given(&mut lab, POOLED), prefix(POOLED));
    lab.engine.disconnected(lab.now);
    send(&mut lab, POOLED, inform(POOLED, 60).xid([5, 5, 5])).expect("answered without the store too");
    assert_ne!(given(&mut lab, POOLED), prefix(POOLED));
}

#[test]
fn sv_381_a_client_has_a_bounded_number_of_registrations() {
    let mut wire = registering();
    // So many messages at once are more than a client may send.
    wire.limits = Some(v1::Limits { messages_per_client: Some(0), ..v1::Limits::default() });
    let mut lab = Lab::with("fe-a", wire);
    let register = |lab: &mut Lab, n: u8, duid: &[u8]| {
        let address = format!("2001:db8:1::beef:{n:x}");
        let message = Msg::bare(msg::ADDR_REG_INFORM).client(duid).opt(opt::IA_ADDR, &told(&address, 60));
        send(lab, &address, message.xid([9, 9, n])).is_some()
    };
    assert!((0..32).all(|n| register(&mut lab, n, DUID)), "four times its eight leases");
    assert!(!register(&mut lab, 32, DUID));
    assert_eq!(lab.discarded(Discard::TooManyRegistrations), 1);
    assert!(register(&mut lab, 33, OTHER_DUID));
    assert!(register(&mut lab, 31, DUID), "one that it has may be told anew");
    let last = "2001:db8:1::beef:1f";
    send(&mut lab, last, inform(last, 0)).expect("an end");
    updates(&mut lab);
    assert!(register(&mut lab, 32, DUID), "room again");
}

#[test]
fn sv_381_clients_are_told_that_they_may_register() {
    let mut lab = Lab::with("fe-a", registering());
    let offers =
        |answer: Option<Answered>| answer.expect("an answer").option(opt::ADDR_REG_ENABLE).map(<[u8]>::len);
    assert_eq!(offers(lab.send(Msg::bare(msg::INFORMATION_REQUEST))), Some(0));
    let asked = lab.send(Msg::bare(msg::INFORMATION_REQUEST).oro(&[opt::ADDR_REG_ENABLE]));
    assert_eq!(offers(asked), Some(0));
    assert_eq!(offers(lab.send(Msg::solicit().na(1, &[]))), None);
    assert_eq!(offers(lab.send(Msg::solicit().na(1, &[]).oro(&[opt::ADDR_REG_ENABLE]))), Some(0));
    assert_eq!(offers(lab.send(Msg::request().na(1, &[]).oro(&[opt::ADDR_REG_ENABLE]))), Some(0));
    let mut off = Lab::new();
    let asked = off.send(Msg::bare(msg::INFORMATION_REQUEST).oro(&[opt::ADDR_REG_ENABLE]));
    assert_eq!(offers(asked), None);
}

#[test]
fn sv_381_nothing_is_registered_before_leases_are_known() {
    let mut lab = Lab::loading("fe-a", registering());
    assert!(send(&mut lab, OWN, inform(OWN, 60)).is_none());
    assert_eq!(lab.discarded(Discard::RegistrationNotNow), 1);
    lab.load_done();
    assert!(send(&mut lab, OWN, inform(OWN, 60)).is_some());
}

#[test]
fn sv_381_one_partner_registers_and_the_other_does_if_that_one_is_down() {
    let mut lab = Lab::with("fe-b", registering());
    assert!(send(&mut lab, OWN, inform(OWN, 60)).is_none());
    let late = lab.liveness("fe-a", false);
    assert_eq!(late.iter().map(|a| a.kind).collect::<Vec<_>>(), [ServerMessageKind::AddrRegReply]);
    assert_eq!(late[0].to.address, ip(OWN));
    assert_eq!(updates(&mut lab).len(), 1);
}

#[test]
fn sv_381_what_was_on_its_way_when_a_session_ended_is_told_by_the_next_one() {
    let mut lab = Lab::with("fe-a", registering());
    send(&mut lab, OWN, inform(OWN, 60)).expect("an Addr-reg-reply");
    word(&mut lab, POOLED, 60);
    lab.drain();
    lab.to_store.clear();
    // The answer to the batch never comes.
    another_session(&mut lab);
    let told: Vec<_> = updates(&mut lab).into_iter().map(|update| update.address).collect();
    assert_eq!(told, [ip(OWN).to_bits()], "the other one is the store's word, not to be told");
    lab.load_done();
    lab.event(StoreEvent::Range(RangeRecord {
        range: RangeId { pool: ADDRESSES, slice: 0 },
        owner: Epoch(EPOCH + 1),
        frontend: Some(frontend("fe-a")),
        closed: false,
        fresh: true,
    }));
    assert_eq!(given(&mut lab, POOLED), prefix(POOLED), "the load did not name it");
}

#[test]
fn sv_381_of_several_things_on_their_way_about_an_address_the_last_is_told_again() {
    let mut lab = Lab::with("fe-a", registering());
    let xids = [(60, [1, 1, 1]), (0, [1, 1, 2]), (90, [1, 1, 3]), (0, [1, 1, 4])];
    for (valid, xid) in xids {
        send(&mut lab, OWN, inform(OWN, valid).xid(xid)).expect("an Addr-reg-reply");
        // A batch of its own, which is not answered.
        lab.drain();
    }
    let sent = lab.to_store.iter().filter(|m| matches!(m, ToStore::Batch(b) if !b.registrations.is_empty()));
    assert_eq!(sent.count(), 4, "each was on its way");
    lab.to_store.clear();
    another_session(&mut lab);
    let told: Vec<_> = updates(&mut lab).into_iter().map(|update| update.valid_until).collect();
    assert_eq!(told, [ClusterTime::ZERO], "the client has ended it");
}

#[test]
fn sv_381_links_are_told_apart_by_the_interface_not_by_the_address() {
    let mut wire = registering();
    wire.links[1].register_addresses = true;
    wire.pools.push(pool("a2", "wan", v1::IaKind::Na, ("2001:db8:2::1000", "2001:db8:2::1fff"), 128, 8));
    wire.relationships[0].pools.push("a2".into());
    let mut lab = Lab::with("fe-a", wire);
    // The address is of `lan`, the message came by the interface of `wan`.
    assert!(lab.send_on(2, OWN, 546, MULTICAST, inform(OWN, 60).as_ref()).is_none());
    assert_eq!(lab.discarded(Discard::RegistrationOffLink), 1);
    let address = "2001:db8:2::7";
    assert!(lab.send_on(2, address, 546, MULTICAST, inform(address, 60).as_ref()).is_some());
    assert_eq!(updates(&mut lab)[0].link, LinkId(2));
}

#[test]
fn sv_381_what_is_registered_in_a_range_before_it_is_granted_is_not_counted_as_free() {
    let mut lab = Lab::with("fe-a", registering());
    let free = |lab: &Lab| lab.engine.status(lab.now).leases.pools[0].slots_free;
    let before = free(&lab);
    word(&mut lab, "2001:db8:1::1500", 1000);
    lab.grant(ADDRESSES, 5);
    assert_eq!(free(&lab), before + 255);
    word(&mut lab, "2001:db8:1::1500", 0);
    assert_eq!(free(&lab), before + 256);
}

#[test]
fn sv_381_while_the_process_stops_nothing_more_is_recorded_that_would_have_to_be_told_first() {
    let mut lab = Lab::with("fe-a", registering());
    lab.commit();
    lab.engine.begin_stop(lab.now);
    assert!(send(&mut lab, OWN, inform(OWN, 1000)).is_none());
    assert_eq!(lab.discarded(Discard::RegistrationNotNow), 1);
}
