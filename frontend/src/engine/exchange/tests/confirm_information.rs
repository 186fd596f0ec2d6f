//! Confirm and Information-request: SV-321 to SV-324, SV-351, FO-911's part that needs no lease.

use super::lab::{CLIENT, MULTICAST, network};
use super::message::OTHER_DUID;
use super::{Lab, Msg};
use crate::codec::Discard;
use crate::codec::wire::{msg, opt, status};
use leasehold_proto::lease::LeaseState;

fn confirm() -> Msg {
    Msg::of(msg::CONFIRM)
}

#[test]
fn sv_321_link_fitness_decides_at_the_top_level() {
    let mut lab = Lab::new();
    let fit = lab.send(confirm().na(1, &["2001:db8:1::7", "2001:db8:11::7"]).na(2, &[])).expect("a Reply");
    assert_eq!((fit.status, fit.ias.len()), (Some(status::SUCCESS), 0));
    let unfit = lab.send(confirm().na(1, &["2001:db8:1::7"]).na(2, &["2001:db8:2::7"])).expect("a Reply");
    assert_eq!((unfit.status, unfit.ias.len()), (Some(status::NOT_ON_LINK), 0));
}

#[test]
fn sv_322_trap_3_no_address_or_no_link_no_answer() {
    let mut lab = Lab::new();
    for silent in [confirm(), confirm().na(1, &[]), confirm().pd(1, &["2001:db8:8000::/56"])] {
        assert!(lab.send(silent).is_none());
    }
    assert_eq!(lab.discarded(Discard::ConfirmWithoutAddress), 3);
    let message = confirm().na(1, &["2001:db8:1::7"]);
    assert!(lab.send_on(3, CLIENT, 546, MULTICAST, message.as_ref()).is_none());
    assert_eq!(lab.discarded(Discard::UnknownLinkConfirm), 1);
}

#[test]
fn sv_323_an_address_that_another_client_holds_fits_the_link_all_the_same() {
    let mut lab = Lab::new();
    lab.lease("2001:db8:1::1810", OTHER_DUID, 1, LeaseState::Active);
    let reply = lab.send(confirm().na(1, &["2001:db8:1::1810"])).expect("a Reply");
    assert_eq!((reply.status, reply.ias.len()), (Some(status::SUCCESS), 0));
}

#[test]
fn sv_324_an_ia_pd_in_a_confirm_is_ignored() {
    let mut lab = Lab::new();
    let reply = lab.send(confirm().na(1, &["2001:db8:1::7"]).pd(1, &["2001:db8:77::/56"])).expect("a Reply");
    assert_eq!(reply.status, Some(status::SUCCESS));
}

#[test]
fn sv_351_configuration_without_leases_with_or_without_a_client_id() {
    let mut lab = Lab::new();
    for (message, client_id) in [
        (Msg::bare(msg::INFORMATION_REQUEST), None),
        (Msg::of(msg::INFORMATION_REQUEST), Some(super::message::DUID.to_vec())),
        (Msg::to_server(msg::INFORMATION_REQUEST), Some(super::message::DUID.to_vec())),
    ] {
        let reply = lab.send(message.oro(&[opt::DNS_SERVERS])).expect("a Reply");
        assert_eq!((reply.client_id.clone(), reply.status, reply.ias.len()), (client_id, None, 0));
        assert!(reply.option(opt::DNS_SERVERS).is_some());
    }
}

#[test]
fn fo_911_what_needs_no_lease_is_answered_without_a_session() {
    // Nothing loaded, nothing granted: the configuration alone is here.
    let mut lab = Lab::loading("fe-a", network());
    assert!(lab.send(confirm().na(1, &["2001:db8:1::7"])).is_some());
    assert!(lab.send(Msg::bare(msg::INFORMATION_REQUEST)).is_some());
}
