//! Renew: SV-331 to SV-336, SV-344 as it applies here, R5, R7's silence, R9.

use super::lab::{ADDRESSES, EPOCH, network, prefix};
use super::message::{DUID, OTHER_DUID};
use super::{Lab, Msg};
use crate::codec::Discard;
use crate::codec::wire::{msg, status};
use leasehold_proto::lease::{Lease, LeaseState};
use leasehold_proto::session::StoreEvent;
use leasehold_proto::words::{Epoch, IaKind, LogIndex, PoolId};
use std::sync::Arc;

#[test]
fn sv_331_fo_104_a_lease_that_the_partner_gave_is_extended() {
    let mut lab = Lab::new();
    lab.lease("2001:db8:1::1810", DUID, 1, LeaseState::Active);
    let reply = lab.send(Msg::renew().na(1, &["2001:db8:1::1810"])).expect("R5: either partner extends");
    assert_eq!(reply.na().one(), prefix("2001:db8:1::1810"));
    assert_eq!(reply.na().lifetimes_of("2001:db8:1::1810"), Some((3000, 4000)));
    assert_eq!((reply.na().t1, reply.na().t2), (1500, 2400));
}

#[test]
fn sv_332_trap_2_a_lease_wrong_for_the_link_gets_lifetimes_0_and_never_not_on_link() {
    let mut lab = Lab::new();
    let held = lab.send(Msg::request().na(1, &[])).expect("a Reply").na().one();
    let reply = lab.send(Msg::renew().na(1, &["2001:db8:77::1", &held.to_string()])).expect("a Reply");
    assert_eq!(reply.na().lifetimes_of("2001:db8:77::1"), Some((0, 0)));
    assert_eq!(reply.na().lifetimes_of(&held.to_string()), Some((3000, 4000)));
    assert_eq!(reply.na().status, None);
    assert_eq!((reply.na().t1, reply.na().t2), (1500, 2400), "SV-336: from the extended one only");
}

#[test]
fn sv_332_another_clients_lease_gets_lifetimes_0() {
    let mut lab = Lab::new();
    lab.lease("2001:db8:1::1810", OTHER_DUID, 1, LeaseState::Active);
    let reply = lab.send(Msg::renew().na(1, &["2001:db8:1::1810"])).expect("a Reply");
    assert_eq!(reply.na().lifetimes_of("2001:db8:1::1810"), Some((0, 0)));
    let fresh: Vec<_> = reply.na().leases.iter().filter(|(_, _, valid)| *valid > 0).collect();
    assert_eq!(fresh.len(), 1, "FO-810: and a fresh lease");
}

#[test]
fn sv_344_r7_a_lease_nobody_recorded_in_anothers_range_is_left_alone() {
    let mut lab = Lab::new();
    for (n, address) in [(1, "2001:db8:1::1810"), (2, "2001:db8:1::1c10")] {
        assert!(lab.send(Msg::renew().xid([0, 0, n]).na(1, &[address])).is_none(), "{address}");
    }
    assert!(lab.wait(2000).is_empty(), "the store does not say that it adopts them");
    assert_eq!(lab.discarded(Discard::UnrecordedLease), 2);
    let reply =
        lab.send(Msg::renew().na(1, &["2001:db8:1::1810"]).pd(2, &[])).expect("the other IA is served");
    assert_eq!(reply.ias.len(), 1);
    reply.pd().one();
}

#[test]
fn sv_344_cut_off_an_address_past_every_pool_is_left_alone_since_one_may_have_grown() {
    let mut lab = Lab::new();
    let past = "2001:db8:1::9999";
    let reply = lab.send(Msg::renew().na(1, &[past])).expect("a Reply");
    assert_eq!(reply.na().lifetimes_of(past), Some((0, 0)));
    lab.engine.disconnected(lab.now);
    assert!(lab.send(Msg::renew().xid([0, 0, 9]).na(1, &[past])).is_none());
    assert_eq!(lab.discarded(Discard::UnrecordedLease), 1);
}

#[test]
fn sv_332_cut_off_an_address_off_the_link_is_left_alone_since_a_prefix_may_have_been_added() {
    let mut lab = Lab::new();
    let off_link = "2001:db8:77::1";
    let reply = lab.send(Msg::renew().na(1, &[off_link])).expect("a Reply");
    assert_eq!(reply.na().lifetimes_of(off_link), Some((0, 0)));
    lab.engine.disconnected(lab.now);
    assert!(lab.send(Msg::renew().xid([0, 0, 9]).na(1, &[off_link])).is_none());
    assert_eq!(lab.discarded(Discard::UnrecordedLease), 1);
}

#[test]
fn r7_a_lapsed_record_of_the_same_client_in_anothers_range_is_not_withdrawn() {
    let mut lab = Lab::new();
    lab.lease("2001:db8:1::1810", DUID, 1, LeaseState::Free);
    assert!(lab.send(Msg::renew().na(1, &["2001:db8:1::1810"])).is_none());
    lab.lease("2001:db8:1::1811", OTHER_DUID, 1, LeaseState::Free);
    assert!(lab.send(Msg::renew().na(1, &["2001:db8:1::1811"])).is_none(), "it may be promised anew");
}

/// The partner's Decline of the same address was over before ours could be told: the address may be another's by now.
#[test]
fn r2_while_our_decline_of_what_has_ended_is_on_its_way_its_next_holder_is_not_told_to_stop() {
    let mut lab = Lab::new();
    let address = "2001:db8:1::1810";
    lab.lease(address, OTHER_DUID, 1, LeaseState::Active);
    lab.send(Msg::to_server(msg::DECLINE).client(OTHER_DUID).na(1, &[address])).expect("a Reply");
    let renewed = lab.send(Msg::renew().na(1, &[address])).expect("a Reply");
    assert_eq!(renewed.na().lifetimes_of(address), Some((0, 0)), "nobody can have it yet");
    lab.lease(address, OTHER_DUID, 1, LeaseState::Reset);
    let renewed = lab.send(Msg::renew().xid([0, 0, 7]).na(1, &[address]));
    assert!(renewed.is_none_or(|reply| reply.na().lifetimes_of(address).is_none()));
}

/// The store does not wait for a superseded session before it gives what was born later to another client.
#[test]
fn r6_a_superseded_session_tells_nobody_to_stop_on_account_of_what_was_born_later() {
    let mut lab = Lab::new();
    let (before, after) = ("2001:db8:1::1810", "2001:db8:1::1811");
    lab.lease(before, OTHER_DUID, 1, LeaseState::Active);
    lab.event(StoreEvent::Superseded { by: Epoch(EPOCH + 1), at: LogIndex(lab.index) });
    let born = lab.lease_record(prefix(after), ADDRESSES, IaKind::Na, OTHER_DUID, 1, LeaseState::Active);
    lab.event(StoreEvent::Lease(Arc::new(Lease { born: born.version, ..born })));
    let reply = lab.send(Msg::renew().na(1, &[before])).expect("a Reply");
    assert_eq!(reply.na().lifetimes_of(before), Some((0, 0)), "that would have been read of");
    assert!(lab.send(Msg::renew().xid([0, 0, 7]).na(1, &[after])).is_none());
}

#[test]
fn sv_334_an_unrecorded_lease_in_our_own_range_is_given() {
    let mut lab = Lab::new();
    let reply = lab.send(Msg::renew().na(1, &["2001:db8:1::1042"])).expect("a Reply");
    assert_eq!(reply.na().one(), prefix("2001:db8:1::1042"));
}

#[test]
fn sv_334_sv_335_an_ia_that_is_new_or_empty_gets_a_binding() {
    let mut lab = Lab::new();
    let held = lab.send(Msg::request().na(1, &[])).expect("a Reply").na().one().to_string();
    let reply = lab.send(Msg::renew().na(1, &[&held]).pd(2, &[])).expect("a Reply");
    assert_eq!(reply.na().one().to_string(), held);
    let delegated = reply.pd().one();
    let retried = lab.send(Msg::renew().na(1, &[&held]).pd(2, &[])).expect("the Reply was lost");
    assert_eq!(retried.pd().one(), delegated);
}

#[test]
fn sv_334_nothing_to_give_is_said_inside_the_ia() {
    let mut lab = Lab::loading("fe-a", network());
    lab.load_done();
    lab.pool_dry(ADDRESSES);
    let reply = lab.send(Msg::renew().na(1, &[])).expect("a Reply");
    assert_eq!(reply.na().status, Some(status::NO_ADDRS_AVAIL));
    assert_eq!(reply.status, None);
}

#[test]
fn r9_leases_of_the_binding_that_the_client_does_not_use_are_released() {
    let mut lab = Lab::new();
    let held = lab.send(Msg::request().na(1, &[])).expect("a Reply").na().one().to_string();
    lab.commit();
    lab.lease("2001:db8:1::1810", DUID, 1, LeaseState::Active);
    let reply = lab.send(Msg::renew().na(1, &["2001:db8:1::1810"])).expect("a Reply");
    assert_eq!(reply.na().one(), prefix("2001:db8:1::1810"));
    lab.commit();
    let again = lab.send(Msg::request().na(1, &[])).expect("a Reply");
    assert!(again.na().lifetimes_of(&held).is_none(), "the unused one is gone");
    assert!(again.na().lifetimes_of("2001:db8:1::1810").is_some());
}

#[test]
fn sv_210_a_lease_whose_pool_is_gone_is_listed_with_what_is_left() {
    let mut lab = Lab::new();
    lab.lease("2001:db8:1::1810", DUID, 1, LeaseState::Active);
    let mut wire = network();
    wire.version = 2;
    wire.pools[0].id = 9;
    wire.pools[0].first = super::lab::ip("2001:db8:1::4000").octets().to_vec();
    wire.pools[0].last = super::lab::ip("2001:db8:1::4fff").octets().to_vec();
    lab.event(StoreEvent::Network(super::lab::checked(wire)));
    // Nothing can be had in its place.
    lab.pool_dry(PoolId(9));
    lab.wait(400_000);
    let reply = lab.send(Msg::renew().na(1, &["2001:db8:1::1810"])).expect("a Reply");
    let (preferred, valid) = reply.na().lifetimes_of("2001:db8:1::1810").expect("listed");
    assert!(valid > 500 && valid <= 600 && preferred <= valid, "{preferred} {valid}");
    assert_eq!((reply.na().t1, reply.na().t2), (valid, valid));
}

#[test]
fn sv_333_what_cannot_be_extended_is_left_to_the_clients_own_timers() {
    let mut lab = Lab::new();
    lab.lease("2001:db8:1::1810", DUID, 1, LeaseState::Active);
    // Past autonomy and past all that was acknowledged: nothing may be promised, and nothing is left to tell.
    lab.engine.disconnected(lab.now);
    lab.wait(25 * 3_600_000);
    let renewed = lab.send(Msg::renew().na(1, &["2001:db8:1::1810"]));
    assert!(renewed.is_none_or(|reply| reply.na().lifetimes_of("2001:db8:1::1810").is_none()));
}

#[test]
fn sv_336_what_is_withdrawn_and_its_replacement_share_an_ia() {
    let mut lab = Lab::new();
    lab.lease("2001:db8:1::1810", OTHER_DUID, 1, LeaseState::Active);
    let reply = lab.send(Msg::renew().na(1, &["2001:db8:1::1810"])).expect("a Reply");
    assert_eq!(reply.na().leases.len(), 2);
    assert_eq!(reply.na().lifetimes_of("2001:db8:1::1810"), Some((0, 0)));
    assert_eq!((reply.na().t1, reply.na().t2), (1500, 2400), "from the extended one only");
}
