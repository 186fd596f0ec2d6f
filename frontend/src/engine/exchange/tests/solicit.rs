//! Solicit: SV-301 to SV-305, and what an offer may not do.

use super::lab::{ADDRESSES, PREFIXES, pool, prefix};
use super::{Lab, Msg};
use crate::codec::reply::ServerMessageKind;
use crate::codec::wire::status;
use crate::codec::{Discard, IaKind};
use leasehold_proto::v1;

fn rapid_network() -> v1::Network {
    let mut wire = super::lab::network();
    wire.links[0].rapid_commit = true;
    wire
}

#[test]
fn sv_301_sv_303_an_advertise_shows_what_a_request_gets() {
    let mut lab = Lab::new();
    let offer = lab.send(Msg::solicit().na(1, &[]).pd(2, &[])).expect("an Advertise");
    assert_eq!(offer.kind, ServerMessageKind::Advertise);
    let (address, delegated) = (offer.na().one(), offer.pd().one());
    assert!(prefix("2001:db8:1::/64").contains(address) && delegated.len_bits() == 56);
    assert_eq!(offer.na().leases[0], (address, 3000, 4000));

    let request = Msg::request().na(1, &[&address.to_string()]).pd(2, &[&delegated.to_string()]);
    let reply = lab.send(request).expect("a Reply");
    assert_eq!((reply.na().one(), reply.pd().one()), (address, delegated));
    assert_eq!(reply.na().leases[0], (address, 3000, 4000));
}

#[test]
fn sv_303_sec_03_an_advertise_records_nothing() {
    let mut lab = Lab::new();
    lab.to_store.clear();
    let first = lab.send(Msg::solicit().na(1, &[])).expect("an Advertise");
    let again = lab.send(Msg::solicit().na(1, &[])).expect("an Advertise");
    assert_eq!(first.na().one(), again.na().one());
    assert_eq!(lab.engine.status(lab.now).leases.known_leases, 0);
}

#[test]
fn sv_302_rapid_commit_where_it_is_enabled() {
    let mut lab = Lab::with("fe-a", rapid_network());
    let reply = lab.send(Msg::solicit().rapid_commit().na(1, &[])).expect("a Reply");
    assert_eq!(reply.kind, ServerMessageKind::Reply);
    assert!(reply.rapid_commit);
    assert_eq!(lab.engine.status(lab.now).leases.known_leases, 1);
    let advertise = lab.send(Msg::solicit().na(1, &[])).expect("an Advertise without option 14");
    assert_eq!(advertise.kind, ServerMessageKind::Advertise);
    assert!(!advertise.rapid_commit);
    assert_eq!(advertise.na().one(), reply.na().one(), "the lease it holds is the one that is offered");
}

#[test]
fn sv_302_an_advertise_without_option_14_where_rapid_commit_is_not_enabled() {
    let mut lab = Lab::new();
    let advertise = lab.send(Msg::solicit().rapid_commit().na(1, &[])).expect("an Advertise");
    assert_eq!(advertise.kind, ServerMessageKind::Advertise);
    assert!(!advertise.rapid_commit);
}

#[test]
fn sv_304_hints_are_honoured_or_passed_over_and_never_echoed() {
    let mut lab = Lab::new();
    let honoured = lab.send(Msg::solicit().na(1, &["2001:db8:1::1042"])).expect("an Advertise");
    assert_eq!(honoured.na().one(), prefix("2001:db8:1::1042"));
    for unfit in ["2001:db8:1::1842", "2001:db8:1::1c42", "2001:db8:1::1", "2001:db8:77::1", "::"] {
        let offer = lab.send(Msg::solicit().na(1, &[unfit])).expect("never NotOnLink in an Advertise");
        assert_ne!(offer.na().one(), prefix(unfit));
        assert_eq!(offer.na().status, None);
    }
    let length_only = lab.send(Msg::solicit().pd(1, &["::/60"])).expect("an Advertise");
    assert_eq!(length_only.pd().one().len_bits(), 56, "PD-04: the longest available that is shorter");
}

#[test]
fn sv_305_trap_1_status_inside_the_ia_while_others_carry_leases() {
    let mut lab = Lab::new();
    let mut wire = super::lab::network();
    wire.pools.remove(1);
    wire.relationships[0].pools.remove(1);
    wire.version = 2;
    lab.event(leasehold_proto::session::StoreEvent::Network(super::lab::checked(wire)));
    let offer = lab.send(Msg::solicit().na(1, &[]).pd(2, &[])).expect("PD-12: each on its own merits");
    offer.na().one();
    assert_eq!(offer.pd().status, Some(status::NO_PREFIX_AVAIL));
    assert_eq!((offer.pd().leases.len(), offer.pd().t1, offer.pd().t2), (0, 0, 0));
    assert_eq!(offer.status, None);
}

/// A pool of one address, which is not ours to give until a range is granted.
fn tiny_network() -> v1::Network {
    let mut wire = super::lab::network();
    wire.pools[0] = pool("a1", "lan", v1::IaKind::Na, ("2001:db8:1::1000", "2001:db8:1::1000"), 128, 0);
    wire
}

#[test]
fn dry_ranges_mean_silence_until_the_store_has_said_that_the_pool_is_dry() {
    let mut lab = Lab::loading("fe-a", tiny_network());
    lab.load_done();
    assert!(lab.send(Msg::solicit().na(1, &[])).is_none());
    assert_eq!(lab.discarded(Discard::RangesDry), 1);
    lab.pool_dry(ADDRESSES);
    let offer = lab.send(Msg::solicit().na(1, &[])).expect("now it may be told");
    assert_eq!(offer.na().status, Some(status::NO_ADDRS_AVAIL));
}

#[test]
fn one_ia_is_given_and_the_other_cannot_be_now() {
    let mut lab = Lab::loading("fe-a", super::lab::network());
    lab.load_done();
    lab.grant(PREFIXES, 0);
    let offer = lab.send(Msg::solicit().na(1, &[]).pd(1, &[])).expect("one of them can be given");
    offer.pd().one();
    assert_eq!(offer.na().status, Some(status::NO_ADDRS_AVAIL));
}

#[test]
fn sv_212_several_ias_are_offered_distinct_leases_even_in_a_small_pool() {
    let mut wire = super::lab::network();
    wire.pools[0] = pool("a1", "lan", v1::IaKind::Na, ("2001:db8:1::1000", "2001:db8:1::1003"), 128, 2);
    let mut lab = Lab::loading("fe-a", wire);
    lab.load_done();
    lab.grant(ADDRESSES, 0);
    let offer = lab.send(Msg::solicit().na(1, &[]).na(2, &[]).na(3, &[]).na(4, &[])).expect("an Advertise");
    let mut given: Vec<_> = offer.ias.iter().map(super::IaView::one).collect();
    given.sort();
    given.dedup();
    assert_eq!(given.len(), 4);
}

#[test]
fn sv_211_sv_110_every_iaid_is_answered_once() {
    let mut lab = Lab::new();
    let offer = lab.send(Msg::solicit().na(1, &[]).na(1, &[]).pd(1, &[]).na(9, &[])).expect("an Advertise");
    let ids: Vec<_> = offer.ias.iter().map(|ia| (ia.kind, ia.iaid)).collect();
    assert_eq!(ids, [(IaKind::Na, 1), (IaKind::Pd, 1), (IaKind::Na, 9)]);
    assert_eq!(lab.engine.counters().repeated_iaids, 1);
}
