//! Release and Decline: SV-361, SV-362, SV-371.

use super::message::{DUID, OTHER_DUID};
use super::{Lab, Msg};
use crate::codec::IaKind;
use crate::codec::wire::{msg, status};
use leasehold_proto::lease::{LeaseState, UpdateKind};
use leasehold_proto::session::ToStore;

fn release() -> Msg {
    Msg::to_server(msg::RELEASE)
}

fn decline() -> Msg {
    Msg::to_server(msg::DECLINE)
}

fn said(lab: &Lab, what: &str, kind: UpdateKind) -> bool {
    lab.to_store.iter().any(|message| match message {
        ToStore::Batch(batch) => batch.updates.iter().any(|u| u.prefix.to_string() == what && u.kind == kind),
        _ => false,
    })
}

#[test]
fn sv_361_trap_9_success_at_the_top_and_only_unbound_ias_listed() {
    let mut lab = Lab::new();
    let held = lab.send(Msg::request().na(1, &[])).expect("a Reply").na().one().to_string();
    lab.commit();
    let reply = lab.send(release().na(1, &[&held]).na(2, &["2001:db8:1::1042"]).pd(3, &[])).expect("a Reply");
    assert_eq!(reply.status, Some(status::SUCCESS));
    let listed: Vec<_> = reply.ias.iter().map(|ia| (ia.kind, ia.iaid, ia.status)).collect();
    assert_eq!(
        listed,
        [(IaKind::Na, 2, Some(status::NO_BINDING)), (IaKind::Pd, 3, Some(status::NO_BINDING))]
    );
    assert!(reply.ias.iter().all(|ia| ia.leases.is_empty() && ia.t1 == 0 && ia.t2 == 0));
    assert!(said(&lab, &held, UpdateKind::Release));
}

#[test]
fn sv_361_a_release_sent_again_is_answered_as_the_first_was() {
    let mut lab = Lab::new();
    let held = lab.send(Msg::request().na(1, &[])).expect("a Reply").na().one().to_string();
    let first = lab.send(release().na(1, &[&held])).expect("a Reply");
    let again = lab.send(release().na(1, &[&held])).expect("a Reply");
    assert_eq!((first.ias.len(), again.ias.len()), (0, 0));
}

#[test]
fn sv_362_only_leases_of_that_client_and_ia_are_freed() {
    let mut lab = Lab::new();
    lab.lease("2001:db8:1::1810", OTHER_DUID, 1, LeaseState::Active);
    lab.lease("2001:db8:1::1811", DUID, 2, LeaseState::Active);
    let held = lab.send(Msg::request().na(1, &[])).expect("a Reply").na().one().to_string();
    lab.commit();
    let reply = lab.send(release().na(1, &["2001:db8:1::1810", "2001:db8:1::1811"])).expect("a Reply");
    assert_eq!((reply.status, reply.ias.len()), (Some(status::SUCCESS), 0));
    for what in ["2001:db8:1::1810", "2001:db8:1::1811", &held] {
        assert!(!said(&lab, what, UpdateKind::Release), "{what}");
    }
}

#[test]
fn sv_371_declined_addresses_leave_the_binding_and_are_quarantined() {
    let mut lab = Lab::new();
    let held = lab.send(Msg::request().na(1, &[])).expect("a Reply").na().one().to_string();
    lab.commit();
    let reply = lab.send(decline().na(1, &[&held]).na(2, &["2001:db8:1::1042"]).pd(3, &[])).expect("a Reply");
    assert_eq!(reply.status, Some(status::SUCCESS));
    let listed: Vec<_> = reply.ias.iter().map(|ia| (ia.kind, ia.iaid, ia.status)).collect();
    assert_eq!(listed, [(IaKind::Na, 2, Some(status::NO_BINDING))], "an IA_PD in a Decline is ignored");
    assert!(said(&lab, &held, UpdateKind::Decline));
    let next = lab.send(Msg::request().xid([7, 7, 7]).na(1, &[&held])).expect("a Reply");
    assert_ne!(next.na().one().to_string(), held);
}

#[test]
fn sv_363_a_client_that_gave_its_lease_back_gets_the_same_again() {
    let mut lab = Lab::new();
    let held = lab.send(Msg::request().na(1, &[])).expect("a Reply").na().one().to_string();
    lab.commit();
    lab.send(release().na(1, &[&held])).expect("a Reply");
    lab.commit();
    lab.lease(&held, DUID, 1, LeaseState::Free);
    let again = lab.send(Msg::solicit().xid([9, 9, 9]).na(1, &[])).expect("an Advertise");
    assert_eq!(again.na().one().to_string(), held);
}
