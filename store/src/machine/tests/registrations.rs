//! SV-381 at the machine's boundary: addresses that clients registered (RFC 9686).

use super::lab::{Lab, address, network};
use crate::machine::{Applied, Audience, Command, FORMAT_VERSION, Found, Machine, Outcome, Restored};
use leasehold_proto::lease::{LeaseState, UpdateKind};
use leasehold_proto::registration::{LIFETIME_MAX, Registration, RegistrationUpdate};
use leasehold_proto::session::StoreEvent;
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{Duid, Epoch, LinkId};
use std::sync::Arc;
use std::time::Duration;

/// The usual two partners, on a link that registers addresses.
fn lab() -> (Lab, Epoch, Epoch) {
    let mut lab = Lab::new();
    let mut network = network();
    network.links[0].register_addresses = true;
    lab.configure(&network);
    let (a, b) = (lab.open("a"), lab.open("b"));
    (lab, a, b)
}

fn update(lab: &Lab, last: u16, client: u8, secs: u64) -> RegistrationUpdate {
    RegistrationUpdate {
        address: address(last).bits(),
        link: lab.machine.network().unwrap().links[0].id,
        duid: Duid::new(&[0, 3, 0, 1, client]).unwrap(),
        valid_until: if secs == 0 { ClusterTime::ZERO } else { lab.now() + Duration::from_secs(secs) },
    }
}

fn tell(lab: &mut Lab, epoch: Epoch, last: u16, client: u8, secs: u64) -> Applied {
    let update = update(lab, last, client, secs);
    tell_update(lab, epoch, update)
}

fn tell_update(lab: &mut Lab, epoch: Epoch, update: RegistrationUpdate) -> Applied {
    let mut batch = lab.batch(epoch);
    batch.registrations.push(update);
    lab.send(batch).1
}

/// What was said of registrations, and to whom.
fn said(applied: &Applied) -> Vec<(Audience, Arc<Registration>)> {
    let events = applied.events.iter().filter_map(|e| match &e.event {
        StoreEvent::Registration(r) => Some((e.audience, Arc::clone(r))),
        _ => None,
    });
    events.collect()
}

fn is_registered(lab: &Lab, last: u16) -> bool {
    lab.machine.registration(address(last).bits()).is_some()
}

#[test]
fn sv_381_a_registration_is_recorded_told_to_the_links_partners_and_ends_in_time() {
    let (mut lab, a, _) = lab();
    let relationship = lab.machine.network().unwrap().relationships[0].id;
    let applied = tell(&mut lab, a, 0x99, 1, 100);
    let said = said(&applied);
    let [(Audience::Relationship(told), registration)] = &said[..] else { panic!("{said:?}") };
    assert_eq!(*told, relationship, "who told it hears of it too");
    assert_eq!(registration.duid.as_bytes(), [0, 3, 0, 1, 1]);
    assert_eq!((registration.epoch, registration.version), (a, lab.index()));
    assert_eq!(registration.valid_until, lab.now() + Duration::from_secs(100));
    assert_eq!(lab.machine.next_due().unwrap(), registration.valid_until);
    lab.pass(99);
    assert!(is_registered(&lab, 0x99));
    let events = lab.pass(1);
    assert!(!is_registered(&lab, 0x99));
    let over = |e: &StoreEvent| matches!(e, StoreEvent::Registration(r) if r.is_over());
    assert_eq!(events.iter().filter(|e| over(e)).count(), 1, "{events:?}");
}

#[test]
fn sv_381_a_refresh_extends_and_only_its_client_ends_a_registration() {
    let (mut lab, a, b) = lab();
    tell(&mut lab, a, 0x99, 1, 100);
    let since = lab.now();
    lab.pass(50);
    tell(&mut lab, b, 0x99, 1, 100);
    // Heard before that by a frontend that tells of it late.
    tell(&mut lab, a, 0x99, 1, 10);
    let known = lab.machine.registration(address(0x99).bits()).unwrap();
    assert_eq!((known.since, known.valid_until), (since, lab.now() + Duration::from_secs(100)));
    // Another client cannot end it, and hears what stands; but what was heard last of an address counts.
    let applied = tell(&mut lab, a, 0x99, 2, 0);
    assert!(matches!(&said(&applied)[..], [(Audience::Session(to), r)] if *to == a && !r.is_over()));
    tell(&mut lab, a, 0x99, 2, 30);
    let known = lab.machine.registration(address(0x99).bits()).unwrap();
    assert_eq!((known.duid.as_bytes()[4], known.valid_until), (2, lab.now() + Duration::from_secs(30)));
    let applied = tell(&mut lab, b, 0x99, 2, 0);
    assert!(matches!(&said(&applied)[..], [(Audience::Relationship(_), r)] if r.is_over()));
    assert!(!is_registered(&lab, 0x99));
}

#[test]
fn sv_381_no_registration_lasts_longer_than_a_month() {
    let (mut lab, a, _) = lab();
    let mut endless = update(&lab, 0x99, 1, 1);
    endless.valid_until = ClusterTime::NEVER;
    tell_update(&mut lab, a, endless);
    let until = lab.machine.registration(address(0x99).bits()).unwrap().valid_until;
    assert_eq!(until, lab.now() + LIFETIME_MAX);
}

#[test]
fn sv_381_a_leased_address_is_not_registered_until_it_is_free() {
    let (mut lab, a, b) = lab();
    lab.grant(a, 1);
    lab.promise(a, address(0x10), 1).unwrap();
    let refused = |lab: &mut Lab, session| {
        // Also not by the client that has leased it.
        for client in [1, 2] {
            let applied = tell(lab, session, 0x10, client, 100);
            assert!(
                matches!(&said(&applied)[..], [(Audience::Session(to), r)] if *to == session && r.is_over())
            );
        }
        assert!(!is_registered(lab, 0x10));
    };
    refused(&mut lab, b);
    let mut release = lab.update(UpdateKind::Release, address(0x10), 1);
    release.base_version = lab.index();
    lab.tell(a, release).unwrap();
    refused(&mut lab, b);
    lab.acknowledge(a);
    lab.acknowledge(b);
    assert_eq!(lab.state(address(0x10)), LeaseState::Free);
    tell(&mut lab, b, 0x10, 2, 100);
    assert!(is_registered(&lab, 0x10));
    assert_eq!(lab.machine.counters().registrations_refused, 4);
}

#[test]
fn sv_381_a_lease_given_by_who_was_not_told_yet_ends_a_registration() {
    let (mut lab, a, b) = lab();
    lab.grant(a, 1);
    tell(&mut lab, b, 0x10, 2, 100);
    let applied = lab.promise(a, address(0x10), 1).unwrap();
    assert!(matches!(&said(&applied)[..], [(Audience::Relationship(_), r)] if r.is_over()));
    assert!(!is_registered(&lab, 0x10));
    assert_eq!(lab.state(address(0x10)), LeaseState::Active);
    // In one batch a lease goes first as well.
    let mut batch = lab.batch(a);
    batch.registrations.push(update(&lab, 0x11, 2, 100));
    batch.updates.push(lab.update(UpdateKind::Promise, address(0x11), 1));
    assert!(lab.send(batch).0.refused.is_empty());
    assert!(!is_registered(&lab, 0x11));
}

#[test]
fn sv_381_only_addresses_of_links_that_register_them_are_taken() {
    let (mut lab, a, _) = lab();
    let mut elsewhere = update(&lab, 0x99, 1, 100);
    elsewhere.address = "2001:db8:2::1".parse::<std::net::Ipv6Addr>().unwrap().to_bits();
    let mut unknown = update(&lab, 0x99, 1, 100);
    unknown.link = LinkId(99);
    for update in [elsewhere, unknown] {
        let address = update.address;
        let applied = tell_update(&mut lab, a, update);
        assert!(matches!(&said(&applied)[..], [(Audience::Session(_), r)] if r.is_over()));
        assert!(lab.machine.registration(address).is_none());
    }
    // A frontend that has no pool on the link has no say there.
    let stranger = lab.open("stranger");
    tell(&mut lab, stranger, 0x99, 1, 100);
    assert!(!is_registered(&lab, 0x99));
    tell(&mut lab, a, 0x99, 1, 100);
    lab.configure(&network());
    tell(&mut lab, a, 0x98, 1, 100);
    assert!(!is_registered(&lab, 0x98), "the link registers none any more");
    lab.pass(100);
    assert!(!is_registered(&lab, 0x99), "what was registered runs out");
}

#[test]
fn sv_381_a_batch_sent_again_registers_nothing_anew() {
    let (mut lab, a, _) = lab();
    let mut batch = lab.batch(a);
    batch.registrations.push(update(&lab, 0x99, 1, 100));
    let again = Command::Session(Arc::new(batch.clone()));
    lab.send(batch);
    tell(&mut lab, a, 0x99, 1, 0);
    let applied = lab.apply(vec![again]);
    assert!(matches!(applied.outcomes[..], [Outcome::BatchRepeated { .. }]));
    assert!(!is_registered(&lab, 0x99));
}

#[test]
fn sv_381_registrations_survive_a_restart_and_a_cluster_founded_anew() {
    let (mut lab, a, _) = lab();
    tell(&mut lab, a, 0x99, 1, 100);
    tell(&mut lab, a, 0x98, 1, 50);
    let rows: Vec<_> = lab.machine.rows().collect();
    lab.machine = Machine::from_rows(&mut rows.clone().into_iter()).unwrap();
    assert!(lab.machine.rows().eq(rows.clone()));
    lab.pass(50);
    assert_eq!(
        (is_registered(&lab, 0x98), is_registered(&lab, 0x99)),
        (false, true),
        "the reminders are there"
    );

    let mut new = Lab::blank(lab.now());
    new.apply(vec![Command::RestoreRows {
        first: true,
        rows: crate::machine::OldRows(lab.machine.rows().collect()),
    }]);
    let restored = Some(Restored { without_waiting: false });
    let found = Found { cluster: "test".into(), incarnation: 2, server_duid_seed: [7; 16], restored };
    assert_eq!(new.apply(vec![Command::Found(found)]).outcomes, [Outcome::Founded]);
    assert!(is_registered(&new, 0x99));
    new.pass(50);
    assert!(!is_registered(&new, 0x99));
}

#[test]
fn sv_381_a_row_of_a_newer_program_is_refused() {
    let (mut lab, a, _) = lab();
    tell(&mut lab, a, 0x99, 1, 100);
    let mut rows: Vec<_> = lab.machine.rows().collect();
    // The first field of the row is its version.
    let (_, value) = rows.iter_mut().find(|(key, _)| key[0] == 11).unwrap();
    assert_eq!((value[0], u32::from(value[1])), (8, FORMAT_VERSION));
    value[1] += 1;
    let error = Machine::from_rows(&mut rows.into_iter()).unwrap_err();
    assert!(error.to_string().contains(&format!("format {}", FORMAT_VERSION + 1)), "{error}");
}

#[test]
fn sec_01_refreshes_without_end_leave_nothing_behind() {
    let (mut lab, a, _) = lab();
    let before = lab.machine.due.len();
    for n in 0..50 {
        tell(&mut lab, a, 0x99, 1, 1000 + n);
    }
    // Two clients that take it from each other, and one that ends it.
    for n in 0..50 {
        tell(&mut lab, a, 0x99, (n % 2) as u8 + 1, 2000 - n);
    }
    assert_eq!(lab.machine.due.len(), before + 1, "one reminder for one registration");
    tell(&mut lab, a, 0x99, 2, 0);
    assert!(!is_registered(&lab, 0x99));
    assert_eq!(lab.machine.due.len(), before);
}
