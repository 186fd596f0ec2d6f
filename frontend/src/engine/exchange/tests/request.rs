//! Request: SV-311 to SV-315, SV-207 to SV-209.

use super::lab::{network, prefix};
use super::message::OTHER_DUID;
use super::{Lab, Msg};
use crate::codec::reply::ServerMessageKind;
use crate::codec::wire::{msg, status};
use leasehold_proto::lease::UpdateKind;
use leasehold_proto::session::ToStore;

#[test]
fn sv_311_not_on_link_inside_the_ia_while_others_are_served() {
    let mut lab = Lab::new();
    let reply = lab
        .send(
            Msg::request()
                .na(1, &["2001:db8:1::1042", "2001:db8:77::1"])
                .na(2, &[])
                .pd(3, &["2001:db8:77::/56"]),
        )
        .expect("a Reply");
    assert_eq!(reply.kind, ServerMessageKind::Reply);
    assert_eq!(reply.ias[0].status, Some(status::NOT_ON_LINK));
    assert_eq!((reply.ias[0].leases.len(), reply.ias[0].t1, reply.ias[0].t2), (0, 0, 0));
    reply.ias[1].one();
    assert_eq!(reply.pd().status, None, "an IA_PD never gets NotOnLink");
    reply.pd().one();
    assert_eq!(reply.status, None);
}

#[test]
fn sv_313_the_lease_is_on_record_and_queued_before_the_reply_leaves() {
    let mut lab = Lab::new();
    lab.to_store.clear();
    let reply = lab.send(Msg::request().na(1, &[])).expect("a Reply");
    let promised = lab.to_store.iter().any(|message| match message {
        ToStore::Batch(batch) => batch
            .updates
            .iter()
            .any(|update| update.prefix == reply.na().one() && update.kind == UpdateKind::Promise),
        _ => false,
    });
    assert!(promised);
}

#[test]
fn sv_314_an_existing_binding_is_answered_with_refreshed_lifetimes() {
    let mut lab = Lab::new();
    let first = lab.send(Msg::request().na(1, &[])).expect("a Reply");
    lab.commit();
    lab.wait(500_000);
    lab.commit();
    let again = lab.send(Msg::request().xid([9, 9, 9]).na(1, &["2001:db8:1::1077"])).expect("a Reply");
    assert_eq!(again.na().leases, first.na().leases);
}

#[test]
fn sv_315_a_taken_lease_is_replaced_by_another() {
    let mut lab = Lab::new();
    let first = lab.send(Msg::request().na(1, &["2001:db8:1::1042"])).expect("a Reply");
    assert_eq!(first.na().one(), prefix("2001:db8:1::1042"));
    let other = Msg::bare(msg::REQUEST).client(OTHER_DUID).server(super::lab::SERVER_DUID);
    let second = lab.send(other.na(1, &["2001:db8:1::1042"])).expect("a Reply");
    assert_ne!(second.na().one(), first.na().one());
    assert_eq!(second.na().status, None);
}

#[test]
fn sv_207_trap_4_timers_are_equal_over_all_ias() {
    let mut wire = network();
    wire.pools[1].preferred_lifetime_secs = 1000;
    let mut lab = Lab::with("fe-a", wire);
    let reply = lab.send(Msg::request().na(1, &[]).pd(2, &[])).expect("a Reply");
    assert_eq!((reply.na().t1, reply.na().t2), (500, 800));
    assert_eq!((reply.pd().t1, reply.pd().t2), (500, 800));
    assert_eq!(reply.na().leases[0].1, 3000);
}

#[test]
fn sv_136_trap_5_a_clients_own_lifetimes_and_timers_are_ignored() {
    let mut lab = Lab::new();
    let reply = lab.send(Msg::request().na(1, &["2001:db8:1::1042"])).expect("a Reply");
    assert_eq!(reply.na().lifetimes_of("2001:db8:1::1042"), Some((3000, 4000)));
    assert_eq!((reply.na().t1, reply.na().t2), (1500, 2400));
}

#[test]
fn fo_403_trap_10_a_short_mclt_bounds_the_first_lease_and_fo_407_preferred_follows() {
    let mut wire = network();
    wire.pools[0].mclt_secs = 600;
    let mut lab = Lab::with("fe-a", wire);
    let reply = lab.send(Msg::request().na(1, &[])).expect("a Reply");
    let (address, preferred, valid) = reply.na().leases[0];
    assert!(valid <= 600 && preferred <= valid, "{preferred} {valid}");
    assert!(reply.na().t1 <= reply.na().t2 && reply.na().t2 <= preferred);
    lab.commit();
    lab.wait(300_000);
    lab.commit();
    let renewed = lab.send(Msg::renew().na(1, &[&address.to_string()])).expect("a Reply");
    assert_eq!(renewed.na().leases[0], (address, 3000, 4000), "acknowledged: the full lifetime");
}

#[test]
fn sv_112_trap_8_the_same_transaction_is_answered_anew() {
    let mut lab = Lab::new();
    let request = Msg::request().na(1, &[]).oro(&[23]);
    assert!(lab.send(request.clone()).expect("a Reply").option(23).is_some());
    let mut wire = network();
    wire.version = 2;
    wire.options = None;
    lab.event(leasehold_proto::session::StoreEvent::Network(super::lab::checked(wire)));
    let again = lab.send(request).expect("a Reply");
    again.na().one();
    assert!(again.option(23).is_none());
    assert_eq!(lab.engine.counters().replies, 2);
}

#[test]
fn sec_02_a_client_has_a_bound_of_leases() {
    let mut lab = Lab::new();
    let mut request = Msg::request();
    for iaid in 1..=10 {
        request = request.na(iaid, &[]);
    }
    let reply = lab.send(request).expect("a Reply");
    let refused = reply.ias.iter().filter(|ia| ia.status == Some(status::NO_ADDRS_AVAIL)).count();
    assert_eq!(refused, 2);
}
