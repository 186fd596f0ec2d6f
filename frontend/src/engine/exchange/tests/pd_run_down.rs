//! PD-14: leases of a pool that is configured no more run out beside their successors.

use super::lab::{ADDRESSES, PREFIXES, checked, ip, network, pool, prefix};
use super::{Lab, Msg};
use crate::codec::Discard;
use leasehold_proto::lease::UpdateKind;
use leasehold_proto::session::{StoreEvent, ToStore};
use leasehold_proto::v1;
use leasehold_proto::words::{PoolId, Prefix};

const NEW_ADDRESSES: PoolId = PoolId(8);
const NEW_PREFIXES: PoolId = PoolId(9);

/// The network after both pools were taken out for others.
fn changed() -> v1::Network {
    let mut wire = network();
    wire.version = 2;
    wire.pools = vec![
        pool("a2", "lan", v1::IaKind::Na, ("2001:db8:1::4000", "2001:db8:1::4fff"), 128, 8),
        pool("p2", "lan", v1::IaKind::Pd, ("2001:db8:a000::", "2001:db8:a000:ff00::"), 56, 4),
        pool("p3", "lan", v1::IaKind::Pd, ("2001:db8:b000::", "2001:db8:b00f::"), 48, 4),
    ];
    wire.pools[0].id = NEW_ADDRESSES.0;
    wire.pools[1].id = NEW_PREFIXES.0;
    wire.pools[2].id = 10;
    wire.relationships[0].pools = vec!["a2".into(), "p3".into(), "p2".into()];
    wire
}

fn change(lab: &mut Lab, with_ranges: bool) {
    lab.commit();
    lab.event(StoreEvent::Network(checked(changed())));
    if with_ranges {
        for pool in [NEW_ADDRESSES, NEW_PREFIXES, PoolId(10)] {
            lab.grant(pool, 0);
        }
    }
}

/// A client with an address and a prefix.
fn with_leases(lab: &mut Lab) -> (String, String) {
    let reply = lab.send(Msg::request().na(1, &[]).pd(1, &[])).expect("a Reply");
    (reply.na().one().to_string(), reply.pd().one().to_string())
}

fn renew(address: &[&str], prefix: &[&str]) -> Msg {
    Msg::renew().na(1, address).pd(1, prefix)
}

fn live(leases: &[(Prefix, u32, u32)], old: &str) -> Prefix {
    let new: Vec<_> = leases.iter().filter(|(p, _, _)| *p != prefix(old)).collect();
    assert_eq!(new.len(), 1, "{leases:?}");
    assert_eq!((new[0].1, new[0].2), (3000, 4000));
    new[0].0
}

#[test]
fn pd_14_the_old_lease_is_listed_with_what_is_left_and_a_new_one_beside_it() {
    for is_rebind in [false, true] {
        let mut lab = Lab::new();
        let (address, delegated) = with_leases(&mut lab);
        change(&mut lab, true);
        lab.wait(1_000_000);
        let asked = if is_rebind { Msg::rebind() } else { Msg::renew() };
        let reply = lab.send(asked.na(1, &[&address]).pd(1, &[&delegated])).expect("a Reply");
        for (ia, old) in [(reply.na(), &address), (reply.pd(), &delegated)] {
            let (preferred, valid) = ia.lifetimes_of(old).expect("listed");
            // What is left of 4000 s, less a second or two for drift.
            assert!(preferred == 0 && (2990..=3000).contains(&valid), "{preferred} {valid}");
            assert_eq!((ia.t1, ia.t2, ia.status), (1500, 2400, None), "SV-336: of the new one");
        }
        assert!(prefix("2001:db8:1::4000/116").contains(live(&reply.na().leases, &address)));
        let new = live(&reply.pd().leases, &delegated);
        assert!(
            prefix("2001:db8:a000::/48").contains(new),
            "as long as the old one, though /48 stands first: {new}"
        );
    }
}

#[test]
fn pd_14_the_same_successor_is_told_again_and_the_old_lease_is_never_extended() {
    let mut lab = Lab::new();
    let (address, delegated) = with_leases(&mut lab);
    change(&mut lab, true);
    lab.wait(1_000_000);
    let first = lab.send(renew(&[&address], &[&delegated])).expect("a Reply");
    let new = (live(&first.na().leases, &address), live(&first.pd().leases, &delegated));
    // The Reply was lost.
    lab.wait(1000);
    let again = lab.send(renew(&[&address], &[&delegated])).expect("a Reply");
    assert_eq!((live(&again.na().leases, &address), live(&again.pd().leases, &delegated)), new);
    lab.commit();
    // It was not.
    lab.wait(1_000_000);
    let names = (new.0.to_string(), new.1.to_string());
    let later = lab.send(renew(&[&address, &names.0], &[&delegated, &names.1])).expect("a Reply");
    let (preferred, valid) = later.na().lifetimes_of(&address).expect("listed");
    assert!(preferred == 0 && (1980..=2000).contains(&valid), "{valid}");
    assert_eq!(later.pd().lifetimes_of(&names.1), Some((3000, 4000)));
    assert_eq!((later.na().leases.len(), later.pd().leases.len()), (2, 2));
}

#[test]
fn pd_14_a_client_that_asks_anew_gets_a_current_lease() {
    let mut lab = Lab::new();
    let (address, _) = with_leases(&mut lab);
    change(&mut lab, true);
    for asked in [Msg::solicit(), Msg::request()] {
        let answer = lab.send(asked.na(1, &[])).expect("an answer");
        assert!(prefix("2001:db8:1::4000/116").contains(answer.na().one()));
    }
    // What it names is told of.
    let reply = lab.send(Msg::request().na(1, &[&address])).expect("a Reply");
    assert!(reply.na().leases.iter().any(|(p, _, _)| prefix("2001:db8:1::4000/116").contains(*p)));
}

#[test]
fn pd_14_while_the_new_pool_may_have_room_the_client_is_left_to_ask_again() {
    let mut lab = Lab::new();
    let (address, delegated) = with_leases(&mut lab);
    change(&mut lab, false);
    let before = lab.discarded(Discard::RangesDry);
    assert!(lab.send(renew(&[&address], &[&delegated])).is_none());
    assert_eq!(lab.discarded(Discard::RangesDry), before + 1);
    lab.pool_dry(NEW_ADDRESSES);
    lab.pool_dry(NEW_PREFIXES);
    lab.pool_dry(PoolId(10));
    let reply = lab.send(renew(&[&address], &[&delegated])).expect("a Reply");
    let (preferred, valid) = reply.na().lifetimes_of(&address).expect("listed");
    assert!(preferred == 0 && valid > 3900);
    assert_eq!((reply.na().t1, reply.na().t2, reply.na().status), (valid, valid, None), "SV-210");
}

#[test]
fn pd_14_a_bound_on_leases_does_not_keep_the_successor_away() {
    let mut wire = network();
    wire.limits = Some(v1::Limits { leases_per_client: Some(1), ..v1::Limits::default() });
    let mut lab = Lab::with("fe-a", wire);
    let held = lab.send(Msg::request().na(1, &[])).expect("a Reply").na().one().to_string();
    lab.commit();
    let mut wire = changed();
    wire.limits = Some(v1::Limits { leases_per_client: Some(1), ..v1::Limits::default() });
    lab.event(StoreEvent::Network(checked(wire)));
    lab.grant(NEW_ADDRESSES, 0);
    let reply = lab.send(Msg::renew().na(1, &[&held])).expect("a Reply");
    live(&reply.na().leases, &held);
}

#[test]
fn pd_14_a_pool_that_comes_back_as_the_same_generation_is_extended_again() {
    let mut lab = Lab::new();
    let (address, delegated) = with_leases(&mut lab);
    change(&mut lab, true);
    lab.send(renew(&[&address], &[&delegated])).expect("a Reply");
    lab.commit();
    let mut wire = network();
    wire.version = 3;
    wire.pools[0].id = ADDRESSES.0;
    wire.pools[1].id = PREFIXES.0;
    lab.event(StoreEvent::Network(checked(wire)));
    let reply = lab.send(renew(&[&address], &[&delegated])).expect("a Reply");
    assert_eq!(reply.na().lifetimes_of(&address), Some((3000, 4000)));
    assert_eq!(reply.pd().lifetimes_of(&delegated), Some((3000, 4000)));
}

#[test]
fn r9_an_old_lease_that_its_client_does_not_name_beside_the_new_one_is_released() {
    let mut lab = Lab::new();
    let (address, delegated) = with_leases(&mut lab);
    change(&mut lab, true);
    let first = lab.send(renew(&[&address], &[&delegated])).expect("a Reply");
    let new = live(&first.na().leases, &address).to_string();
    lab.commit();
    lab.send(Msg::renew().na(1, &[&new])).expect("a Reply");
    lab.drain();
    let released = lab.to_store.iter().any(|message| match message {
        ToStore::Batch(batch) => batch
            .updates
            .iter()
            .any(|u| u.kind == UpdateKind::Release && u.prefix == Prefix::address(ip(&address).to_bits())),
        _ => false,
    });
    assert!(released);
}
