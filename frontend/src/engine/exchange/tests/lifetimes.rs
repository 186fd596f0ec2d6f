//! Lifetimes that classes ask for, within the bounds of the pool; OP-05's order among classes.

use super::lab::network;
use super::message::OTHER_DUID;
use super::{Lab, Msg};
use crate::codec::wire::{msg, opt};
use leasehold_proto::v1;

/// Three classes by User Class: `short`, `long`, and one of all clients that say any of both. Lifetimes of the pool lie
/// between 1000 s and 3600 s, and are 3000 s and 4000 s by default.
fn lab() -> Lab {
    let class = |name: &str, values: &[&[u8]], preferred_secs, valid_secs| v1::Class {
        name: name.into(),
        tests: vec![v1::ClientTest {
            field: v1::ClientField::UserClass.into(),
            values: values.iter().map(|value| value.to_vec()).collect(),
        }],
        lifetimes: Some(v1::Lifetimes { preferred_secs, valid_secs, ..v1::Lifetimes::default() }),
        ..v1::Class::default()
    };
    let mut wire = network();
    wire.classes = vec![
        class("short", &[b"short"], 1200, 0),
        class("long", &[b"long"], 900_000, 900_000),
        class("both", &[b"short", b"long"], 2000, 2400),
    ];
    for pool in &mut wire.pools {
        pool.lifetimes = Some(v1::Lifetimes {
            preferred_min_secs: 1000,
            preferred_max_secs: 3600,
            valid_min_secs: 1000,
            valid_max_secs: 5000,
            ..v1::Lifetimes::default()
        });
        pool.mclt_secs = 6000;
    }
    Lab::with("fe-a", wire)
}

fn of_class(message: Msg, class: &[u8]) -> Msg {
    let item = [&[0, u8::try_from(class.len()).expect("short")], class].concat();
    message.opt(opt::USER_CLASS, &item)
}

#[test]
fn a_class_sets_lifetimes_of_addresses_and_prefixes_alike() {
    let mut lab = lab();
    for message in [Msg::solicit(), Msg::request()] {
        let answer = lab.send(of_class(message.na(1, &[]).pd(2, &[]), b"short")).expect("an answer");
        for ia in [answer.na(), answer.pd()] {
            // Preferred of the first class that says it, valid of the next.
            assert_eq!(ia.leases[0].1, 1200);
            assert_eq!(ia.leases[0].2, 2400);
            assert_eq!((ia.t1, ia.t2), (600, 960));
        }
    }
}

#[test]
fn what_a_class_asks_for_is_kept_within_the_bounds_of_the_pool() {
    let mut lab = lab();
    let reply = lab.send(of_class(Msg::request().na(1, &[]), b"long")).expect("a Reply");
    assert_eq!((reply.na().leases[0].1, reply.na().leases[0].2), (3600, 5000));
}

#[test]
fn other_clients_get_the_defaults_and_a_lease_follows_its_client() {
    let mut lab = lab();
    let other = Msg::bare(msg::REQUEST).client(OTHER_DUID).server(super::lab::SERVER_DUID);
    let reply = lab.send(other.na(1, &[])).expect("a Reply");
    assert_eq!((reply.na().leases[0].1, reply.na().leases[0].2), (3000, 4000));
    // The same client, once of a class and once not.
    let reply = lab.send(of_class(Msg::request().na(1, &[]), b"short")).expect("a Reply");
    let held = reply.na().one().to_string();
    lab.commit();
    let renewed = lab.send(Msg::renew().na(1, &[&held])).expect("a Reply");
    assert_eq!(renewed.na().lifetimes_of(&held), Some((3000, 4000)));
    let rebound = lab.send(of_class(Msg::rebind().na(1, &[&held]), b"short")).expect("a Reply");
    assert_eq!(rebound.na().lifetimes_of(&held), Some((1200, 2400)));
}
