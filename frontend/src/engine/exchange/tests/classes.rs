//! What clients are told apart by: SV-157, SV-153's selectors, and pools of classes.

use super::lab::{ip, network, options, pool, prefix};
use super::message::DUID;
use super::{Lab, Msg, relayed};
use crate::codec::wire::{msg, opt, status};
use leasehold_proto::v1;

const SERVERS: &str = "2001:db8::c1";

/// A network in which members of one class are told of another name server.
fn told_apart_by(field: v1::ClientField, value: &[u8]) -> v1::Network {
    let mut wire = network();
    wire.classes = vec![v1::Class {
        name: "c".into(),
        tests: vec![v1::ClientTest {
            field: field.into(),
            // In no order.
            values: vec![vec![0xff; value.len()], value.to_vec(), vec![1; value.len()]],
        }],
        options: options(&[(23, &ip(SERVERS).octets())]),
        ..v1::Class::default()
    }];
    wire
}

fn is_member(wire: &v1::Network, bytes: &[u8], is_relayed: bool) -> bool {
    let mut lab = Lab::with("fe-a", wire.clone());
    let answer = if is_relayed { lab.send_relayed(bytes) } else { lab.send(bytes) };
    answer.expect("an answer").option(opt::DNS_SERVERS) == Some(ip(SERVERS).octets().as_slice())
}

fn ask() -> Msg {
    Msg::of(msg::INFORMATION_REQUEST).oro(&[opt::DNS_SERVERS])
}

#[test]
fn sv_157_fields_of_the_client_match_octet_for_octet() {
    use v1::ClientField::{Architecture, Duid, UserClass, VendorClass};
    let vendor = [&[0, 0, 0, 9][..], b"box"].concat();
    let vendor_class = |enterprise: u8, items: &[&[u8]]| {
        let mut data = vec![0, 0, 0, enterprise];
        for item in items {
            data.extend(u16::try_from(item.len()).expect("short").to_be_bytes());
            data.extend(*item);
        }
        ask().opt(opt::VENDOR_CLASS, &data)
    };
    let cases: Vec<(v1::ClientField, &[u8], Msg, bool)> = vec![
        (Duid, DUID, ask(), true),
        (Duid, &DUID[1..], ask(), false),
        (UserClass, b"phone", ask().opt(15, b"\0\x03abc\0\x05phone"), true),
        (UserClass, b"phone", ask().opt(15, b"\0\x05phon\xe5"), false),
        (UserClass, b"phone", ask().opt(15, b"\0\x06phones"), false),
        (Architecture, &[0, 7], ask().opt(61, &[0, 0, 0, 7]), true),
        (Architecture, &[0, 7], ask().opt(61, &[0, 0, 7, 0]), false),
        (VendorClass, &vendor, vendor_class(9, &[b"x", b"box"]), true),
        (VendorClass, &vendor, vendor_class(8, &[b"box"]), false),
        (VendorClass, &vendor, vendor_class(9, &[b"boxes"]), false),
    ];
    for (n, (field, value, message, wanted)) in cases.into_iter().enumerate() {
        assert_eq!(is_member(&told_apart_by(field, value), message.as_ref(), false), wanted, "case {n}");
    }
}

#[test]
fn sv_156_sv_157_fields_of_relays_match_and_the_level_next_to_the_client_counts() {
    use v1::ClientField::{InterfaceId, LinkLayer, Relay, RelayId, RemoteId, SubscriberId};
    let remote = [&[0, 0, 0, 9][..], b"r1"].concat();
    let mac: &[u8] = &[0, 1, 2, 0, 0, 0, 0, 9];
    let cases: Vec<(v1::ClientField, u16, &[u8])> = vec![
        (InterfaceId, opt::INTERFACE_ID, b"port 1"),
        (RemoteId, opt::REMOTE_ID, &remote),
        (SubscriberId, opt::SUBSCRIBER_ID, b"me"),
        (RelayId, opt::RELAY_ID, &[0, 2, 0, 0, 0, 9, 7]),
        (LinkLayer, opt::CLIENT_LINKLAYER_ADDR, mac),
    ];
    for (field, code, value) in cases {
        let wire = told_apart_by(field, value);
        let inner = relayed("2001:db8:1::1", &[(code, value)], ask());
        assert!(is_member(&wire, &inner, true), "{code}");
        let other = [value, b"x"].concat();
        assert!(!is_member(&wire, &relayed("2001:db8:1::1", &[(code, &other)], ask()), true), "{code}");
        // The inner relay says something else than the outer one.
        let both = relayed("::", &[(code, value)], relayed("2001:db8:1::1", &[(code, &other)], ask()));
        assert!(!is_member(&wire, &both, true), "{code}");
        let outer_alone = relayed("::", &[(code, value)], relayed("2001:db8:1::1", &[], ask()));
        assert_eq!(is_member(&wire, &outer_alone, true), field != LinkLayer, "SV-156: {code}");
        assert!(!is_member(&wire, ask().opt(code, value).as_ref(), false), "a client cannot say it: {code}");
    }
    let wire = told_apart_by(Relay, &ip("2001:db8:ff::1").octets());
    assert!(is_member(&wire, &relayed("2001:db8:1::1", &[], ask()), true));
}

#[test]
fn sv_157_all_tests_of_a_class_must_hold() {
    let mut wire = told_apart_by(v1::ClientField::Duid, DUID);
    let phone = v1::ClientTest { field: v1::ClientField::UserClass.into(), values: vec![b"phone".to_vec()] };
    wire.classes[0].tests.push(phone);
    assert!(!is_member(&wire, ask().as_ref(), false));
    assert!(is_member(&wire, ask().opt(15, b"\0\x05phone").as_ref(), false));
}

#[test]
fn sv_157_a_pool_for_a_class_is_for_its_members_and_what_they_hold_stays_theirs() {
    let mut wire = told_apart_by(v1::ClientField::UserClass, b"phone");
    wire.pools[0].classes = vec!["c".into()];
    let phone = |message: Msg| message.opt(15, b"\0\x05phone");
    let mut lab = Lab::with("fe-a", wire);
    let refused = lab.send(Msg::request().na(1, &[])).expect("a Reply");
    assert_eq!(refused.na().status, Some(status::NO_ADDRS_AVAIL));
    let held = lab.send(phone(Msg::request().na(1, &[]))).expect("a Reply").na().one();
    let renewed = lab.send(Msg::renew().na(1, &[&held.to_string()])).expect("a Reply");
    assert_eq!(renewed.na().one(), held, "no longer a member, it keeps its lease");
}

#[test]
fn sv_157_of_two_pools_a_client_gets_the_one_of_its_class() {
    let mut wire = told_apart_by(v1::ClientField::UserClass, b"phone");
    wire.pools.push(pool("a2", "lan", v1::IaKind::Na, ("2001:db8:1::8000", "2001:db8:1::8fff"), 128, 8));
    wire.pools[0].classes = vec!["c".into()];
    wire.relationships[0].pools.push("a2".into());
    let mut lab = Lab::with("fe-a", wire);
    lab.grant(leasehold_proto::words::PoolId(3), 0);
    let plain = lab.send(Msg::request().na(1, &[])).expect("a Reply").na().one();
    assert!(prefix("2001:db8:1::8000/116").contains(plain));
    let phone = lab.send(Msg::request().na(2, &[]).opt(15, b"\0\x05phone")).expect("a Reply").na().one();
    assert!(prefix("2001:db8:1::1000/116").contains(phone));
}

#[test]
fn sv_153_a_selector_is_scoped_to_its_relay_and_all_of_it_must_fit() {
    let mut wire = network();
    wire.links[1].selectors = vec![v1::LinkSelector {
        relay: ip("2001:db8:ff::1").octets().to_vec(),
        interface_id: b"port-7".to_vec(),
        remote_id: b"\0\0\0\x09r".to_vec(),
        ..v1::LinkSelector::default()
    }];
    let mut lab = Lab::with("fe-a", wire);
    let options: [(u16, &[u8]); 2] = [(opt::INTERFACE_ID, b"port-7"), (opt::REMOTE_ID, b"\0\0\0\x09r")];
    let all = relayed("::", &options, ask());
    let is_wan = |lab: &mut Lab, source: &str, bytes: &[u8]| {
        let answer = lab.send_on(3, source, 547, "2001:db8:ff::2", bytes)?;
        Some(answer.option(opt::DNS_SERVERS)? == ip("2001:db8::99").octets())
    };
    assert_eq!(is_wan(&mut lab, "2001:db8:ff::1", &all), Some(true));
    assert_eq!(is_wan(&mut lab, "2001:db8:ff::9", &all), None, "another relay's port 7");
    assert_eq!(is_wan(&mut lab, "2001:db8:ff::1", &relayed("::", &options[..1], ask())), None);
    // Behind another relay it is known by the peer-address of that one.
    let mut behind = relayed("::", &[], all);
    behind[18..34].copy_from_slice(&ip("2001:db8:ff::1").octets());
    assert_eq!(is_wan(&mut lab, "2001:db8:ff::9", &behind), Some(true));
    let known = relayed("2001:db8:1::1", &options, ask());
    assert_eq!(is_wan(&mut lab, "2001:db8:ff::1", &known), Some(false), "SV-152: a link-address goes first");
}
