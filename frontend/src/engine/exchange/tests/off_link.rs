//! Addresses that are wrong for their link since it was renumbered, though their leases are on record: SV-303, SV-311,
//! SV-332, SV-341. Where the old prefix stays on the link, they run out instead (PD-14).

use super::lab::{checked, network, pool, prefix};
use super::message::DUID;
use super::{Lab, Msg};
use crate::codec::wire::status;
use leasehold_proto::lease::LeaseState;
use leasehold_proto::session::StoreEvent;
use leasehold_proto::v1;
use leasehold_proto::words::PoolId;

const NEW_ADDRESSES: PoolId = PoolId(8);

/// The network after its link was given another prefix.
fn renumbered() -> v1::Network {
    let mut wire = network();
    wire.version = 2;
    wire.links[0].prefixes[0].address =
        "2001:db8:7::".parse::<std::net::Ipv6Addr>().expect("sound").octets().into();
    wire.links[0].limits = Some(v1::Limits { leases_per_client: Some(1), ..v1::Limits::default() });
    wire.pools = vec![pool("a2", "lan", v1::IaKind::Na, ("2001:db8:7::4000", "2001:db8:7::4fff"), 128, 8)];
    wire.pools[0].id = NEW_ADDRESSES.0;
    wire.relationships[0].pools = vec!["a2".into()];
    wire
}

/// A client that had an address before, and the network after.
fn with_old_address() -> (Lab, String) {
    let mut lab = Lab::new();
    let held = lab.send(Msg::request().na(1, &[])).expect("a Reply").na().one().to_string();
    lab.commit();
    lab.event(StoreEvent::Network(checked(renumbered())));
    lab.grant(NEW_ADDRESSES, 0);
    (lab, held)
}

#[test]
fn sv_303_what_is_advertised_after_a_renumbering_is_what_a_request_gets() {
    let (mut lab, held) = with_old_address();
    let offered = lab.send(Msg::solicit().na(1, &[&held])).expect("an Advertise").na().one();
    assert!(prefix("2001:db8:7::/64").contains(offered), "and nothing of the old prefix: {offered}");
    let reply = lab.send(Msg::request().na(1, &[&offered.to_string()])).expect("a Reply");
    assert_eq!(reply.na().one(), offered);
    // SV-311.
    let named = lab.send(Msg::request().na(1, &[&held])).expect("a Reply");
    assert_eq!(named.na().status, Some(status::NOT_ON_LINK));
}

#[test]
fn sv_332_sv_341_an_address_that_is_wrong_for_the_link_is_withdrawn_from_its_own_client() {
    let (mut lab, held) = with_old_address();
    let reply = lab.send(Msg::renew().na(1, &[&held])).expect("a Reply");
    assert_eq!(reply.na().lifetimes_of(&held), Some((0, 0)));
    let live: Vec<_> = reply.na().leases.iter().filter(|(_, _, valid)| *valid > 0).copied().collect();
    assert!(live.len() == 1 && prefix("2001:db8:7::/64").contains(live[0].0), "{live:?}");
    let (mut lab, held) = with_old_address();
    let reply = lab.send(Msg::rebind().na(1, &[&held])).expect("a Reply");
    assert_eq!(reply.na().lifetimes_of(&held), Some((0, 0)));
}

#[test]
fn sv_344_cut_off_nothing_is_withdrawn_for_the_link_may_have_its_prefix_back() {
    let (mut lab, held) = with_old_address();
    lab.engine.disconnected(lab.now);
    let reply = lab.send(Msg::renew().na(1, &[&held])).expect("a Reply");
    let (_, valid) = reply.na().lifetimes_of(&held).expect("listed");
    assert!(valid > 0, "what is left of it");
}

#[test]
fn sv_332_sv_334_what_was_given_back_of_a_pool_that_is_gone_is_withdrawn_when_it_is_renewed() {
    for wire in [renumbered(), {
        let mut wire = renumbered();
        wire.links[0].prefixes = network().links[0].prefixes.clone();
        wire.links[0].prefixes.extend(renumbered().links[0].prefixes.clone());
        wire
    }] {
        let mut lab = Lab::new();
        let held = lab.send(Msg::request().na(1, &[])).expect("a Reply").na().one().to_string();
        lab.send(Msg::to_server(crate::codec::wire::msg::RELEASE).na(1, &[&held])).expect("a Reply");
        lab.commit();
        lab.event(StoreEvent::Network(checked(wire)));
        lab.grant(NEW_ADDRESSES, 0);
        lab.lease(&held, DUID, 1, LeaseState::Free);
        let reply = lab.send(Msg::renew().na(1, &[&held])).expect("no silence");
        assert_eq!(reply.na().lifetimes_of(&held), Some((0, 0)));
        assert_eq!(reply.na().leases.iter().filter(|(_, _, valid)| *valid > 0).count(), 1, "and a new one");
    }
}
