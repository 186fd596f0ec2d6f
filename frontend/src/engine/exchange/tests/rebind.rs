//! Rebind: SV-341 to SV-344.

use super::lab::{network, prefix};
use super::message::{DUID, OTHER_DUID};
use super::{Lab, Msg};
use crate::codec::Discard;
use crate::codec::wire::status;
use leasehold_proto::lease::LeaseState;

fn rapid() -> Lab {
    let mut wire = network();
    wire.links[0].rapid_commit = true;
    Lab::with("fe-a", wire)
}

#[test]
fn sv_341_a_known_ia_is_answered_as_in_a_renew() {
    let mut lab = Lab::new();
    lab.lease("2001:db8:1::1810", DUID, 1, LeaseState::Active);
    let reply = lab.send(Msg::rebind().na(1, &["2001:db8:1::1810", "2001:db8:77::1"])).expect("a Reply");
    assert_eq!(reply.na().lifetimes_of("2001:db8:1::1810"), Some((3000, 4000)));
    assert_eq!(reply.na().lifetimes_of("2001:db8:77::1"), Some((0, 0)));
}

#[test]
fn sv_342_trap_7_an_unknown_ia_on_the_wrong_link_by_configuration() {
    let mut lab = Lab::new();
    let reply = lab.send(Msg::rebind().na(1, &["2001:db8:77::1"])).expect("a Reply");
    assert_eq!(reply.na().lifetimes_of("2001:db8:77::1"), Some((0, 0)));
    assert_eq!(reply.na().status, None, "NotOnLink is not for a Rebind");
}

#[test]
fn sv_343_creation_only_where_rapid_commit_is_allowed() {
    let reply = rapid().send(Msg::rebind().na(1, &["2001:db8:1::1042"])).expect("a Reply");
    assert_eq!(reply.na().one(), prefix("2001:db8:1::1042"));
    let mut lab = Lab::new();
    let reply = lab.send(Msg::rebind().na(1, &["2001:db8:1::1042"])).expect("a Reply");
    assert_eq!(reply.na().status, Some(status::NO_BINDING));
    assert!(reply.na().leases.is_empty(), "SV-344: not found is no reason for lifetimes 0");
}

#[test]
fn sv_344_silence_for_what_may_have_been_promised_elsewhere() {
    for mut lab in [Lab::new(), rapid()] {
        assert!(lab.send(Msg::rebind().na(1, &["2001:db8:1::1810"])).is_none());
        assert!(lab.wait(2000).is_empty(), "the store does not say that it adopts it");
        assert_eq!(lab.discarded(Discard::UnrecordedLease), 1);
    }
}

#[test]
fn sv_343_a_server_cut_off_does_not_say_no_binding() {
    let mut lab = Lab::new();
    lab.engine.disconnected(lab.now);
    assert!(lab.send(Msg::rebind().na(1, &[])).is_none());
    assert_eq!(lab.discarded(Discard::NothingToSay), 1);
}

#[test]
fn sv_341_another_clients_lease_is_withdrawn() {
    let mut lab = Lab::new();
    lab.lease("2001:db8:1::1810", OTHER_DUID, 1, LeaseState::Active);
    let reply = lab.send(Msg::rebind().na(1, &["2001:db8:1::1810"])).expect("a Reply");
    assert_eq!(reply.na().lifetimes_of("2001:db8:1::1810"), Some((0, 0)));
}

#[test]
fn sv_342_a_rebind_without_an_ia_gets_no_answer() {
    let mut lab = Lab::new();
    assert!(lab.send(Msg::rebind()).is_none());
    assert_eq!(lab.discarded(Discard::NothingToSay), 1);
}
