//! Service while the load runs: clients not known yet are looked up (design section 3, step 1).

use super::lab::{ADDRESSES, LAN, network, prefix};
use super::message::DUID;
use super::{Lab, Msg};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::session::{FromStore, ToStore};
use leasehold_proto::words::{Duid, IaKind, LogIndex};
use std::sync::Arc;

fn lookups(lab: &Lab) -> usize {
    lab.to_store.iter().filter(|message| matches!(message, ToStore::Lookup { .. })).count()
}

/// A frontend that has ranges already while its load runs.
fn loading() -> Lab {
    let mut lab = Lab::loading("fe-a", network());
    lab.commit();
    lab.grant(ADDRESSES, 0);
    lab.to_store.clear();
    lab
}

fn answer_look_up(lab: &mut Lab, known: bool) -> Vec<super::Answered> {
    let record =
        lab.lease_record(prefix("2001:db8:1::1810"), ADDRESSES, IaKind::Na, DUID, 1, LeaseState::Active);
    let leases = if known { vec![Arc::new(record)] } else { vec![] };
    let index = LogIndex(lab.index);
    lab.apply(FromStore::Lookup { link: LAN, duid: Duid::new(DUID).expect("a DUID"), leases, index })
}

#[test]
fn a_client_that_is_not_known_is_looked_up_first() {
    let mut lab = loading();
    let renew = Msg::renew().na(1, &["2001:db8:1::1810"]);
    assert!(lab.send(renew.clone()).is_none());
    assert_eq!(lookups(&lab), 1);
    assert!(lab.send(renew).is_none(), "the same again waits with it");
    assert_eq!(lookups(&lab), 1);
    let answers = answer_look_up(&mut lab, true);
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].na().one(), prefix("2001:db8:1::1810"));
    assert!(lab.wait(5000).is_empty(), "only once");
}

#[test]
fn a_client_that_the_store_does_not_know_is_served_as_new() {
    let mut lab = loading();
    assert!(lab.send(Msg::solicit().na(1, &[])).is_none());
    let answers = answer_look_up(&mut lab, false);
    assert_eq!(answers.len(), 1);
    answers[0].na().one();
}

#[test]
fn a_look_up_that_takes_too_long_is_not_waited_for() {
    let mut lab = loading();
    assert!(lab.send(Msg::solicit().na(1, &[])).is_none());
    assert!(lab.wait(1999).is_empty());
    assert_eq!(lab.wait(1).len(), 1);
}

#[test]
fn the_end_of_the_load_answers_what_waits() {
    let mut lab = loading();
    assert!(lab.send(Msg::solicit().na(1, &[])).is_none());
    assert_eq!(lab.load_done().len(), 1);
}

#[test]
fn sv_344_before_the_load_is_complete_what_is_not_found_is_left_alone() {
    let mut lab = loading();
    assert!(lab.send(Msg::renew().na(1, &["2001:db8:1::1042"])).is_none());
    assert!(answer_look_up(&mut lab, false).is_empty(), "it may be in what is still to come");
}
