//! Who may speak to this server: SEC-01, SEC-04, SEC-05, SEC-09, SEC-10, SEC-13, SV-301.

use super::lab::{ADDRESSES, CLIENT, MULTICAST, ip, network, prefix};
use super::message::{DUID, OTHER_DUID};
use super::{Lab, Msg, relayed};
use crate::codec::Discard;
use crate::codec::wire::{msg, opt};
use crate::engine::Interface;
use leasehold_proto::lease::LeaseState;
use leasehold_proto::session::{StoreEvent, ToStore};
use leasehold_proto::v1;
use std::sync::Arc;

fn on_link(text: &str) -> v1::Prefix {
    let p = prefix(text);
    v1::Prefix { address: p.ip().octets().to_vec(), length_bits: u32::from(p.len_bits()) }
}

#[test]
fn sec_04_relays_that_are_not_listed_get_no_answer() {
    let mut wire = network();
    wire.relays = vec![on_link("2001:db8:ff::/64")];
    let mut lab = Lab::with("fe-a", wire);
    let message = relayed("2001:db8:1::1", &[], Msg::solicit().na(1, &[]));
    assert!(lab.send_on(3, "2001:db8:ff::1", 547, "2001:db8:ff::2", &message).is_some());
    assert!(lab.send_on(3, "2001:db8:fe::1", 547, "2001:db8:ff::2", &message).is_none());
    assert_eq!(lab.discarded(Discard::RelayNotAllowed), 1);
    assert!(lab.send(Msg::solicit().na(1, &[])).is_some(), "a list of relays is none of clients");
}

#[test]
fn sec_05_a_relay_forward_by_an_interface_for_clients_alone_is_forged() {
    let mut lab = Lab::new();
    let interface = |index, link: Option<&str>, relays| Interface {
        index,
        name: format!("eth{index}"),
        link: link.map(Into::into),
        relays,
    };
    lab.engine.set_interfaces(vec![
        interface(1, Some("lan"), false),
        interface(2, Some("wan"), true),
        interface(3, None, true),
    ]);
    let message = relayed("2001:db8:1::1", &[], Msg::solicit().na(1, &[]));
    assert!(lab.send_on(1, "fe80::66", 547, MULTICAST, &message).is_none());
    assert_eq!(lab.discarded(Discard::RelayNotAllowed), 1);
    assert_eq!(lab.engine.counters().relayed, 0, "nor does it count as a relay that is heard");
    for by in [2, 3] {
        assert!(lab.send_on(by, "fe80::66", 547, MULTICAST, &message).is_some(), "{by}");
    }
}

#[test]
fn sec_01_a_client_that_sends_too_much_is_bounded_and_its_leases_are_kept_longest() {
    let mut wire = network();
    wire.limits = Some(v1::Limits { messages_per_client: Some(20), ..v1::Limits::default() });
    let mut lab = Lab::with("fe-a", wire);
    let held = lab.send(Msg::request().na(1, &[])).expect("a Reply").na().one().to_string();
    let solicit = |n: u8| Msg::solicit().xid([0, 1, n]).na(1, &[]);
    let answered = (0..40).filter(|n| lab.send(solicit(*n)).is_some()).count();
    assert_eq!(answered, 14, "15 of the 20 messages in 20 s, less the Request");
    let renew = |n: u8| Msg::renew().xid([0, 2, n]).na(1, &[&held]);
    assert_eq!((0..10).filter(|n| lab.send(renew(*n)).is_some()).count(), 5);
    assert_eq!(lab.discarded(Discard::RateLimited), 31);
    let other = Msg::bare(msg::SOLICIT).client(OTHER_DUID).na(1, &[]);
    assert!(lab.send(other).is_some(), "others are none the worse for it");
    lab.wait(1000);
    assert!(lab.send(renew(99)).is_some());
}

#[test]
fn sec_01_a_port_of_a_relay_is_bounded_whatever_names_its_clients_take() {
    let mut wire = network();
    wire.limits = Some(v1::Limits { messages_per_port: Some(40), ..v1::Limits::default() });
    let mut lab = Lab::with("fe-a", wire);
    let mut answered = |port: &[u8], link_layer: Option<&[u8]>| {
        (0..100u8)
            .filter(|n| {
                let message = Msg::bare(msg::SOLICIT).client(&[0, 3, 0, 1, *n, port[0]]).na(1, &[]);
                let mut options = vec![(opt::INTERFACE_ID, port)];
                options.extend(link_layer.map(|address| (opt::CLIENT_LINKLAYER_ADDR, address)));
                lab.send_relayed(&relayed("2001:db8:1::1", &options, message)).is_some()
            })
            .count()
    };
    assert_eq!(answered(b"1", None), 30);
    assert_eq!(answered(b"2", None), 30);
    assert_eq!(answered(b"3", Some(&[0, 1, 2, 0, 0, 0, 0, 9])), 30);
    assert_eq!(answered(b"4", Some(&[0, 1, 2, 0, 0, 0, 0, 9])), 0, "the same host at another port");
}

#[test]
fn sec_10_sv_301_clients_that_policy_shuts_out_get_no_answer_to_any_message() {
    let class = |name: &str, drop, duid: &[u8]| v1::Class {
        name: name.into(),
        tests: vec![v1::ClientTest { field: v1::ClientField::Duid.into(), values: vec![duid.to_vec()] }],
        drop,
        ..v1::Class::default()
    };
    let mut dropping = network();
    dropping.classes = vec![class("bad", true, DUID)];
    let mut admitting = network();
    admitting.classes = vec![class("good", false, OTHER_DUID)];
    admitting.links[0].classes = vec!["good".into()];
    for wire in [dropping, admitting] {
        let mut lab = Lab::with("fe-a", wire);
        lab.lease("2001:db8:1::1810", DUID, 1, LeaseState::Active);
        let held = ["2001:db8:1::1810"];
        let all = [
            Msg::solicit().na(1, &[]),
            Msg::rebind().na(1, &held),
            Msg::renew().na(1, &held),
            Msg::request().na(1, &held),
            Msg::of(msg::CONFIRM).na(1, &held),
            Msg::of(msg::INFORMATION_REQUEST),
        ];
        let count = all.len() as u64;
        for message in all {
            assert!(lab.send(message).is_none());
        }
        assert_eq!(lab.discarded(Discard::ClientNotAllowed), count);
        assert!(lab.send(Msg::bare(msg::SOLICIT).client(OTHER_DUID).na(1, &[])).is_some());
    }
}

#[test]
fn sv_301_a_solicit_without_reconfigure_accept_where_policy_demands_it_gets_no_answer() {
    let mut wire = network();
    wire.links[0].require_reconfigure_accept = true;
    let mut lab = Lab::with("fe-a", wire);
    assert!(lab.send(Msg::solicit().na(1, &[])).is_none());
    assert_eq!(lab.discarded(Discard::ClientNotAllowed), 1);
    assert!(lab.send(Msg::solicit().na(1, &[]).opt(opt::RECONF_ACCEPT, &[])).is_some());
    assert!(lab.send(Msg::request().na(1, &[])).is_some(), "it is a matter of Solicits alone");
}

#[test]
fn sec_13_nothing_outside_the_pools_is_given_whatever_hint_or_store_say() {
    let mut lab = Lab::new();
    let outside = ["2001:db8:1::1", "2001:db8:1::2000", "2001:db8:1::fff", "2001:db8:2::1001"];
    for (n, hint) in (1u8..).zip(outside) {
        let offered =
            lab.send(Msg::solicit().xid([0, 0, n]).na(1, &[hint])).expect("an Advertise").na().one();
        assert!(prefix("2001:db8:1::1000/116").contains(offered), "{hint}: {offered}");
    }
    // A record that no pool of the configuration holds.
    let foreign = lab.lease_record(
        prefix("2001:db8:1::9999"),
        ADDRESSES,
        leasehold_proto::words::IaKind::Na,
        DUID,
        1,
        LeaseState::Active,
    );
    lab.event(StoreEvent::Lease(Arc::new(foreign)));
    let reply = lab.send(Msg::request().na(1, &["2001:db8:1::9999"])).expect("a Reply");
    let alive: Vec<_> = reply.na().leases.iter().filter(|(_, preferred, _)| *preferred > 0).collect();
    assert!(alive.iter().all(|(p, _, _)| prefix("2001:db8:1::1000/116").contains(*p)), "{alive:?}");
}

#[test]
fn sec_09_a_name_that_a_client_sends_is_used_for_nothing_unchecked() {
    let mut lab = Lab::new();
    lab.to_store.clear();
    let hostile = b"\x01\x0a\x1b]0;evil\x07..\x00";
    let reply =
        lab.send(Msg::request().na(1, &[]).opt(opt::CLIENT_FQDN, hostile).oro(&[39])).expect("a Reply");
    assert!(reply.option(opt::CLIENT_FQDN).is_none());
    for message in &lab.to_store {
        if let ToStore::Batch(batch) = message {
            assert!(batch.updates.iter().all(|u| u.extra.as_ref().is_none_or(|extra| extra.name.is_none())));
        }
    }
}

#[test]
fn sv_104_sv_105_sv_133_the_server_is_known_by_its_duid_whichever_partner_and_address_answers() {
    // The layer below is not asked how a packet was addressed there: multicast at layer 3 is all that counts.
    for me in ["fe-a", "fe-b"] {
        let mut lab = Lab::with(me, network());
        let request = Msg::request().na(1, &[]).elapsed_ms(600);
        let reply = lab.send_on(1, CLIENT, 546, MULTICAST, request.as_ref()).expect("a Reply");
        assert_eq!(reply.server_id.as_deref(), Some(super::lab::SERVER_DUID), "{me}");
        // Another address of the machine, another interface of the link: the DUID stays.
        lab.engine.set_interfaces(vec![Interface {
            index: 9,
            name: "new0".into(),
            link: Some("lan".into()),
            relays: false,
        }]);
        let again =
            lab.send_on(9, "fe80::99", 546, MULTICAST, Msg::request().na(1, &[]).elapsed_ms(600).as_ref());
        assert_eq!(again.expect("a Reply").server_id.as_deref(), Some(super::lab::SERVER_DUID));
    }
    assert_ne!(ip(CLIENT), ip("fe80::99"));
}
