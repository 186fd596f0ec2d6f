//! Pools that are taken out of the configuration and come back (PD-14).

use super::lab::{Lab, address, bits, network};
use leasehold_proto::lease::{LeaseState, UpdateKind};
use leasehold_proto::session::UpdateRefusal;
use leasehold_proto::v1;
use leasehold_proto::words::Epoch;

/// The same pool somewhere else, and by another name.
fn elsewhere() -> v1::Network {
    let mut network = network();
    network.pools[0].name = "other".into();
    network.pools[0].first = bits("2001:db8:1::110").to_be_bytes().to_vec();
    network.pools[0].last = bits("2001:db8:1::11f").to_be_bytes().to_vec();
    network.relationships[0].pools = vec!["other".into()];
    network
}

/// Another pool over half of the same addresses.
fn in_its_place() -> v1::Network {
    let mut network = network();
    network.pools[0].name = "other".into();
    network.pools[0].last = address(0x17).bits().to_be_bytes().to_vec();
    network.relationships[0].pools = vec!["other".into()];
    network
}

fn slices(lab: &mut Lab, epoch: Epoch, ranges: u32) -> Vec<u64> {
    lab.grant(epoch, ranges).iter().map(|r| r.slice).collect()
}

#[test]
fn pd_14_a_pool_that_comes_back_while_it_has_leases_is_the_same_and_they_go_on() {
    let mut lab = Lab::new();
    let pool = lab.pool();
    let (a, b) = (lab.open("a"), lab.open("b"));
    assert_eq!(slices(&mut lab, a, 2), [0, 1]);
    lab.promise(a, address(0x11), 1).unwrap();
    lab.configure(&elsewhere());
    assert_ne!(lab.pool(), pool);
    lab.acknowledge(a);
    lab.acknowledge(b);
    assert_eq!(lab.machine.ranges().filter(|r| r.owner.is_some()).count(), 0, "both have read so");
    assert_eq!(lab.state(address(0x11)), LeaseState::Active);
    lab.configure(&network());
    assert_eq!(lab.pool(), pool, "the same generation");
    assert_eq!(lab.state(address(0x11)), LeaseState::Active);
    // Either partner extends it (R5), and every slice can be granted again, once.
    lab.promise(b, address(0x11), 1).unwrap();
    let mut granted = slices(&mut lab, b, 8);
    granted.extend(slices(&mut lab, a, 8));
    granted.sort_unstable();
    granted.dedup();
    assert_eq!(granted, [0, 1, 2, 3]);
    assert_eq!(lab.promise(b, address(0x11), 2).unwrap_err(), UpdateRefusal::OtherClient, "R2");
}

#[test]
fn pd_14_who_has_not_read_of_its_going_keeps_its_ranges() {
    let mut lab = Lab::new();
    let pool = lab.pool();
    let (a, b) = (lab.open("a"), lab.open("b"));
    assert_eq!(slices(&mut lab, a, 1), [0]);
    assert_eq!(slices(&mut lab, b, 1), [1]);
    lab.configure(&elsewhere());
    lab.acknowledge(b);
    lab.configure(&network());
    assert_eq!(lab.pool(), pool);
    let owners: Vec<_> = lab.machine.ranges().filter(|r| r.owner.is_some()).map(|r| r.range.slice).collect();
    assert_eq!(owners, [0], "a's, which never was told of as gone");
    lab.promise(a, address(0x12), 1).unwrap();
    assert_eq!(lab.promise(b, address(0x15), 2).unwrap_err(), UpdateRefusal::NotGranted, "R1");
    let mut granted = slices(&mut lab, b, 8);
    granted.sort_unstable();
    assert_eq!(granted, [1, 2, 3]);
}

#[test]
fn a_pool_of_which_nothing_is_left_comes_back_as_another() {
    let mut lab = Lab::new();
    let pool = lab.pool();
    let (a, b) = (lab.open("a"), lab.open("b"));
    assert_eq!(slices(&mut lab, a, 2), [0, 1]);
    lab.promise(a, address(0x11), 1).unwrap();
    lab.configure(&elsewhere());
    lab.acknowledge(a);
    lab.acknowledge(b);
    lab.pass(100);
    lab.acknowledge(a);
    lab.acknowledge(b);
    assert!(lab.machine.lease(address(0x11)).is_none(), "its lease has run out");
    assert!(lab.machine.pool_views().all(|p| !p.retired), "and it is forgotten");
    lab.configure(&network());
    assert_ne!(lab.pool(), pool);
    // Seed 1795445513064 of a soak: a client that was rolled back claimed what it held before all of that, and another
    // had been given it, untold.
    assert_eq!(slices(&mut lab, a, 2), [0, 1]);
    let mut claim = lab.update(UpdateKind::Adopt, address(0x11), 1);
    claim.pool = lab.pool();
    assert_eq!(lab.tell(b, claim.clone()).unwrap_err(), UpdateRefusal::NotAdopted, "R7");
    claim.prefix = address(0x19);
    assert_eq!(slices(&mut lab, a, 1), [2]);
    lab.tell(b, claim).expect("never granted before");
}

#[test]
fn what_came_in_its_place_is_not_granted_before_it_is_gone() {
    let mut lab = Lab::new();
    let pool = lab.pool();
    let (a, b) = (lab.open("a"), lab.open("b"));
    assert_eq!(slices(&mut lab, a, 2), [0, 1]);
    assert_eq!(slices(&mut lab, b, 2), [2, 3]);
    lab.promise(b, address(0x1c), 1).unwrap();
    lab.configure(&in_its_place());
    lab.acknowledge(a);
    lab.acknowledge(b);
    let other = lab.pool();
    assert_eq!(slices(&mut lab, a, 1), [0]);
    let mut update = lab.update(UpdateKind::Promise, address(0x11), 9);
    update.pool = other;
    lab.tell(a, update).unwrap();
    lab.configure(&network());
    assert_eq!(lab.pool(), pool);
    let mut granted = slices(&mut lab, b, 8);
    granted.sort_unstable();
    assert_eq!(granted, [1, 2, 3], "slice 0 is a's as the other pool's");
    lab.acknowledge(a);
    lab.acknowledge(b);
    assert_eq!(slices(&mut lab, b, 8), [0u64; 0], "and holds a lease of it");
    lab.pass(100);
    lab.acknowledge(a);
    lab.acknowledge(b);
    lab.acknowledge(a);
    assert_eq!(slices(&mut lab, b, 8), [0]);
    let claim = lab.update(UpdateKind::Adopt, address(0x12), 3);
    assert_eq!(lab.tell(a, claim).unwrap_err(), UpdateRefusal::NotAdopted, "R7");
}

#[test]
fn a_pool_that_comes_back_otherwise_is_another() {
    let mut lab = Lab::new();
    let pool = lab.pool();
    let a = lab.open("a");
    assert_eq!(slices(&mut lab, a, 1), [0]);
    lab.promise(a, address(0x11), 1).unwrap();
    lab.configure(&elsewhere());
    let mut shorter = network();
    shorter.pools[0].last = address(0x1b).bits().to_be_bytes().to_vec();
    lab.configure(&shorter);
    assert_ne!(lab.pool(), pool);
}
