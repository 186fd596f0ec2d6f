//! Which link: SV-151 to SV-155. The link shows in the name servers: `wan` has one of its own.

use super::lab::{CLIENT, MULTICAST, ip, network};
use super::message::Answered;
use super::{Lab, Msg, relayed};
use crate::codec::Discard;
use crate::codec::wire::{msg, opt};
use crate::engine::Interface;

fn ask() -> Msg {
    Msg::bare(msg::INFORMATION_REQUEST).oro(&[opt::DNS_SERVERS])
}

fn is_wan(answer: Option<Answered>) -> Option<bool> {
    let servers = answer?.option(opt::DNS_SERVERS).expect("asked for").to_vec();
    Some(servers == ip("2001:db8::99").octets())
}

#[test]
fn sv_151_direct_messages_come_from_the_receiving_interfaces_link() {
    let mut lab = Lab::new();
    assert_eq!(is_wan(lab.send_on(1, CLIENT, 546, MULTICAST, ask().as_ref())), Some(false));
    assert_eq!(is_wan(lab.send_on(2, CLIENT, 546, MULTICAST, ask().as_ref())), Some(true));
    assert_eq!(is_wan(lab.send_on(3, CLIENT, 546, MULTICAST, ask().as_ref())), None);
    assert_eq!(is_wan(lab.send_on(1, "2001:db8:2::9", 546, MULTICAST, ask().as_ref())), Some(true));
    assert_eq!(lab.discarded(Discard::NoLink), 1, "SV-155");
}

#[test]
fn sv_152_trap_6_innermost_nonzero_link_address_wins() {
    let mut lab = Lab::new();
    let lan = |inner: Vec<u8>| relayed("2001:db8:1::1", &[], inner);
    let wan = |inner: Vec<u8>| relayed("2001:db8:2::1", &[], inner);
    let bridge = |inner: Vec<u8>| relayed("::", &[], inner);
    let plain = || ask().as_ref().to_vec();
    assert_eq!(is_wan(lab.send_relayed(&lan(wan(plain())))), Some(true));
    assert_eq!(is_wan(lab.send_relayed(&wan(lan(plain())))), Some(false));
    assert_eq!(is_wan(lab.send_relayed(&wan(bridge(plain())))), Some(true));
    assert_eq!(is_wan(lab.send_relayed(&bridge(wan(bridge(plain()))))), Some(true));
}

#[test]
fn sv_152_bridges_alone_mean_the_receiving_interface() {
    let mut lab = Lab::new();
    let bridged = relayed("::", &[], ask());
    assert_eq!(is_wan(lab.send_on(2, "fe80::1d", 547, MULTICAST, &bridged)), Some(true));
    assert_eq!(is_wan(lab.send_relayed(&bridged)), None, "an interface without a link tells nothing");
}

#[test]
fn sv_153_an_interface_id_selects_where_the_address_cannot() {
    let mut lab = Lab::new();
    let by_id = |address: &str, id: &[u8]| relayed(address, &[(opt::INTERFACE_ID, id)], ask());
    assert_eq!(is_wan(lab.send_relayed(&by_id("::", b"port-7"))), Some(true));
    assert_eq!(is_wan(lab.send_relayed(&by_id("fe80::1", b"port-7"))), Some(true));
    assert_eq!(is_wan(lab.send_relayed(&by_id("2001:db8:1::1", b"port-7"))), Some(false));
    assert_eq!(
        is_wan(lab.send_relayed(&by_id("fe80::1", b"port-8"))),
        None,
        "link-local only by configuration"
    );
}

#[test]
fn sv_154_any_prefix_of_a_link_selects_it() {
    let mut lab = Lab::new();
    for address in ["2001:db8:1::1", "2001:db8:11:0:ffff::1"] {
        assert_eq!(is_wan(lab.send_relayed(&relayed(address, &[], ask()))), Some(false));
    }
    assert_eq!(is_wan(lab.send_relayed(&relayed("2001:db8:3::1", &[], ask()))), None);
}

#[test]
fn an_interface_that_appears_later_or_changes_its_index_is_served() {
    let mut lab = Lab::with("fe-a", network());
    let eth = |index| vec![Interface { index, name: "eth9".into(), link: Some("wan".into()), relays: false }];
    lab.engine.set_interfaces(eth(9));
    assert_eq!(is_wan(lab.send_on(9, CLIENT, 546, MULTICAST, ask().as_ref())), Some(true));
    assert_eq!(is_wan(lab.send_on(1, CLIENT, 546, MULTICAST, ask().as_ref())), None);
    lab.engine.set_interfaces(eth(12));
    assert_eq!(is_wan(lab.send_on(12, CLIENT, 546, MULTICAST, ask().as_ref())), Some(true));
    lab.engine.set_interfaces(vec![Interface {
        index: 1,
        name: "x".into(),
        link: Some("nowhere".into()),
        relays: false,
    }]);
    assert_eq!(lab.engine.status(lab.now).interfaces_without_link, ["x"]);
}
