//! Pools that grow, shrink, move and are cut anew while serving.

use super::lab::{Lab, address, bits, network};
use crate::machine::{Machine, Outcome};
use leasehold_proto::lease::{LeaseState, UpdateKind};
use leasehold_proto::session::UpdateRefusal;
use leasehold_proto::v1;
use leasehold_proto::words::{Epoch, Prefix, RangeId};

fn ending_at(last: u16) -> v1::Network {
    let mut network = network();
    network.pools[0].last = address(last).bits().to_be_bytes().to_vec();
    network
}

fn slices(lab: &mut Lab, epoch: Epoch, ranges: u32) -> Vec<u64> {
    lab.grant(epoch, ranges).iter().map(|r| r.slice).collect()
}

#[test]
fn a_pool_grows_at_its_end_and_keeps_leases_and_grants() {
    let mut lab = Lab::new();
    // 14 addresses: the last slice has two.
    lab.configure(&ending_at(0x1d));
    let pool = lab.pool();
    let (a, b) = (lab.open("a"), lab.open("b"));
    assert_eq!(slices(&mut lab, a, 4), [0, 1, 2, 3]);
    lab.promise(a, address(0x1d), 1).unwrap();
    assert_eq!(lab.promise(a, address(0x1e), 2).unwrap_err(), UpdateRefusal::UnknownPool);
    lab.configure(&ending_at(0x27));
    assert_eq!(lab.pool(), pool, "the same generation");
    assert_eq!(lab.state(address(0x1d)), LeaseState::Active);
    // The owner of the clipped slice has the rest of it; the others are fresh.
    lab.promise(a, address(0x1e), 2).unwrap();
    assert_eq!(lab.promise(b, address(0x1f), 3).unwrap_err(), UpdateRefusal::NotGranted);
    assert_eq!(slices(&mut lab, b, 8), [4, 5]);
    lab.promise(b, address(0x27), 3).unwrap();
}

#[test]
fn a_clipped_slice_does_not_grow_into_what_another_pool_holds() {
    let mut lab = Lab::new();
    let with_other = |first_ends: u16| {
        let mut both = ending_at(first_ends);
        let mut other = both.pools[0].clone();
        other.name = "other".into();
        other.first = address(0x1e).bits().to_be_bytes().to_vec();
        other.last = address(0x21).bits().to_be_bytes().to_vec();
        both.pools.push(other);
        both.relationships[0].pools.push("other".into());
        both
    };
    lab.configure(&with_other(0x1d));
    let (pool, other) = (lab.pool(), lab.machine.network().unwrap().pools[1].id);
    let (a, b) = (lab.open("a"), lab.open("b"));
    assert_eq!(slices(&mut lab, a, 4), [0, 1, 2, 3]);
    assert_eq!(lab.ask(b, other, 1).len(), 1);
    let mut update = lab.update(UpdateKind::Promise, address(0x1e), 7);
    update.pool = other;
    lab.tell(b, update).unwrap();
    // The other pool goes, this one takes its place: it is a new generation, and waits.
    lab.configure(&ending_at(0x1f));
    assert_ne!(lab.pool(), pool);
    lab.acknowledge(a);
    lab.acknowledge(b);
    assert_eq!(slices(&mut lab, a, 8), [0, 1, 2], "0x1e is leased");
    lab.pass(100);
    lab.acknowledge(a);
    lab.acknowledge(b);
    assert!(lab.machine.lease(address(0x1e)).is_none(), "dropped with its pool");
    assert_eq!(slices(&mut lab, a, 8), [3]);
}

#[test]
fn a_slice_that_is_cut_off_does_not_grow_into_what_another_pool_holds_either() {
    let mut lab = Lab::new();
    let mut both = ending_at(0x18);
    let mut other = both.pools[0].clone();
    other.name = "other".into();
    other.first = address(0x19).bits().to_be_bytes().to_vec();
    other.last = address(0x1c).bits().to_be_bytes().to_vec();
    both.pools.push(other);
    both.relationships[0].pools.push("other".into());
    lab.configure(&both);
    let (pool, other) = (lab.pool(), lab.machine.network().unwrap().pools[1].id);
    let (a, b) = (lab.open("a"), lab.open("b"));
    assert_eq!(slices(&mut lab, a, 4), [0, 1, 2], "the last has one address");
    assert_eq!(lab.ask(b, other, 1).len(), 1);
    lab.configure(&ending_at(0x14));
    assert_eq!(lab.pool(), pool);
    // Its last slice would come to have a second address, which is the other's.
    lab.configure(&ending_at(0x19));
    assert_ne!(lab.pool(), pool);
}

#[test]
fn a_pool_shrinks_and_what_is_past_its_end_runs_out() {
    let mut lab = Lab::new();
    let pool = lab.pool();
    let (a, b) = (lab.open("a"), lab.open("b"));
    assert_eq!(slices(&mut lab, a, 4), [0, 1, 2, 3]);
    lab.promise(a, address(0x10), 1).unwrap();
    lab.promise(a, address(0x1c), 2).unwrap();
    lab.configure(&ending_at(0x15));
    assert_eq!(lab.pool(), pool);
    let extent = |lab: &Lab| lab.machine.pool(pool).unwrap().geometry.last_slot();
    assert_eq!(extent(&lab), 15, "the extent stays while something is there");
    // A promise made before its frontend read so is taken, and so is an extension by the partner.
    lab.promise(a, address(0x1d), 3).unwrap();
    lab.promise(b, address(0x1c), 2).unwrap();
    assert!(lab.machine.pool_views().any(|p| p.shrinking && p.slots == 6));
    lab.acknowledge(a);
    // Slices wholly past the end went back; the one cut in two is still the owner's.
    let owned: Vec<u64> = lab.machine.ranges().filter(|r| r.owner.is_some()).map(|r| r.range.slice).collect();
    assert_eq!(owned, [0, 1]);
    assert_eq!(slices(&mut lab, b, 8), [0u64; 0], "nothing past the end is granted");
    lab.acknowledge(b);
    lab.pass(100);
    assert_eq!(lab.state(address(0x1c)), LeaseState::Expired);
    lab.acknowledge(a);
    assert_eq!(extent(&lab), 15);
    lab.acknowledge(b);
    assert!(lab.machine.lease(address(0x1c)).is_none() && lab.machine.lease(address(0x1d)).is_none());
    assert_eq!(lab.state(address(0x10)), LeaseState::Free);
    assert_eq!(extent(&lab), 5, "nothing is left: the extent follows");
    // It grows again: what is past the end is as new, but for adoption.
    lab.configure(&ending_at(0x1f));
    assert_eq!(lab.pool(), pool);
    assert_eq!(slices(&mut lab, b, 8), [2, 3]);
    let claim = lab.update(UpdateKind::Adopt, address(0x1d), 3);
    assert_eq!(lab.tell(a, claim).unwrap_err(), UpdateRefusal::NotAdopted);
}

#[test]
fn the_rest_of_a_slice_cut_in_two_waits_until_its_owner_has_read_so() {
    let mut lab = Lab::new();
    let (a, b) = (lab.open("a"), lab.open("b"));
    let pool = lab.pool();
    assert_eq!(slices(&mut lab, a, 2), [0, 1]);
    let mut moved = ending_at(0x15);
    let mut other = moved.pools[0].clone();
    other.name = "other".into();
    other.first = address(0x16).bits().to_be_bytes().to_vec();
    other.last = address(0x17).bits().to_be_bytes().to_vec();
    other.range_bits = Some(0);
    moved.pools.push(other);
    moved.relationships[0].pools.push("other".into());
    lab.configure(&moved);
    let other = lab.machine.network().unwrap().pools[1].id;
    let granted = |lab: &mut Lab| lab.ask(b, other, 8).len();
    lab.acknowledge(b);
    assert_eq!(granted(&mut lab), 1, "dry: both may still be promised");
    lab.promise(a, address(0x16), 1).unwrap();
    lab.acknowledge(a);
    assert_eq!(granted(&mut lab), 1, "dry: 0x16 is leased");
    lab.pass(100);
    lab.acknowledge(a);
    lab.acknowledge(b);
    assert_eq!(lab.machine.pool(pool).unwrap().geometry.last_slot(), 5);
    assert_eq!(granted(&mut lab), 2, "both");
}

#[test]
fn a_pool_that_shrinks_and_grows_at_once_again_keeps_what_was_not_given_back() {
    let mut lab = Lab::new();
    let (a, b) = (lab.open("a"), lab.open("b"));
    assert_eq!(slices(&mut lab, a, 4), [0, 1, 2, 3]);
    lab.promise(a, address(0x1c), 2).unwrap();
    lab.configure(&ending_at(0x15));
    lab.configure(&ending_at(0x1f));
    lab.acknowledge(a);
    lab.acknowledge(b);
    lab.promise(a, address(0x1f), 3).unwrap();
    assert_eq!(lab.state(address(0x1c)), LeaseState::Active);
    let owned = lab.machine.ranges().filter(|r| r.owner.is_some()).count();
    assert_eq!(owned, 4);
    assert!(lab.machine.pool_views().all(|p| !p.shrinking));
}

#[test]
fn a_pool_moved_to_another_relationship_hands_over_by_r2_and_r4() {
    let mut lab = Lab::new();
    let (a, b, c) = (lab.open("a"), lab.open("b"), lab.open("c"));
    let old = lab.pool();
    lab.acknowledge(b);
    lab.grant(a, 1);
    lab.promise(a, address(0x10), 1).unwrap();
    let mut moved = network();
    moved.relationships[0].name = "cd".into();
    moved.relationships[0].primary = "c".into();
    moved.relationships[0].secondary = "d".into();
    assert!(matches!(lab.configure(&moved).outcomes[..], [Outcome::NetworkApplied { .. }]));
    assert_ne!(lab.pool(), old);
    assert_eq!(slices(&mut lab, c, 8), [1, 2, 3], "the first slice is the old partner's");
    // A promise under way is taken; the lease ends by R2 among the old partners.
    let mut late = lab.update(UpdateKind::Promise, address(0x11), 2);
    late.pool = old;
    lab.tell(a, late).unwrap();
    lab.pass(100);
    lab.acknowledge(a);
    assert_eq!(slices(&mut lab, c, 8), [0u64; 0]);
    lab.acknowledge(b);
    assert!(lab.machine.pool(old).is_none());
    assert_eq!(slices(&mut lab, c, 8), [0]);
    lab.promise(c, address(0x10), 9).unwrap();
}

#[test]
fn a_release_that_names_the_new_pool_ends_a_lease_of_the_old_one_among_its_own_partners() {
    let mut lab = Lab::new();
    let (a, b) = (lab.open("a"), lab.open("b"));
    lab.acknowledge(b);
    lab.grant(a, 1);
    lab.promise(a, address(0x10), 1).unwrap();
    let mut renamed = network();
    renamed.relationships[0].name = "ac".into();
    renamed.relationships[0].secondary = "c".into();
    lab.configure(&renamed);
    let c = lab.open("c");
    let mut release = lab.update(UpdateKind::Release, address(0x10), 1);
    release.base_version = lab.lease(address(0x10)).version;
    assert_eq!(lab.tell(c, release.clone()).unwrap_err(), UpdateRefusal::NotGranted);
    lab.tell(a, release).unwrap();
    assert_eq!(lab.state(address(0x10)), LeaseState::Released);
    lab.acknowledge(a);
    assert_eq!(lab.state(address(0x10)), LeaseState::Released, "its other partner has not read so");
    lab.acknowledge(b);
    assert!(lab.machine.lease(address(0x10)).is_none());
}

#[test]
fn a_pool_cut_to_another_length_drops_free_records_before_it_grants() {
    let delegating = |length: u32| {
        let mut network = network();
        let pool = &mut network.pools[0];
        pool.kind = v1::IaKind::Pd.into();
        pool.first = bits("2001:db8:100::").to_be_bytes().to_vec();
        let last = if length == 56 { "2001:db8:100:f00::" } else { "2001:db8:100:fff0::" };
        pool.last = bits(last).to_be_bytes().to_vec();
        pool.length_bits = length;
        pool.range_bits = Some(0);
        network
    };
    let mut lab = Lab::new();
    let promise = |lab: &mut Lab, epoch: Epoch, prefix: &str, client: u8| {
        let mut update = lab.update(UpdateKind::Promise, prefix.parse::<Prefix>().unwrap(), client);
        update.binding.kind = leasehold_proto::words::IaKind::Pd;
        lab.tell(epoch, update)
    };
    let (a, b) = (lab.open("a"), lab.open("b"));
    let (long, short) = ("2001:db8:100:100::/56", "2001:db8:100:110::/60");
    lab.configure(&delegating(56));
    assert_eq!(lab.grant(a, 2).len(), 2);
    promise(&mut lab, a, long, 1).unwrap();
    lab.pass(100);
    lab.acknowledge(a);
    lab.acknowledge(b);
    assert_eq!(lab.state(long.parse().unwrap()), LeaseState::Free);
    let old = lab.pool();
    lab.configure(&delegating(60));
    lab.acknowledge(a);
    lab.acknowledge(b);
    assert!(lab.machine.lease(long.parse().unwrap()).is_none() && lab.machine.pool(old).is_none());
    assert!(lab.grant(b, 64).len() > 16);
    promise(&mut lab, b, short, 2).unwrap();
}

#[test]
fn a_partner_that_leaves_a_relationship_gives_its_ranges_back_by_reading_so() {
    let mut lab = Lab::new();
    let (a, b, c) = (lab.open("a"), lab.open("b"), lab.open("c"));
    let pool = lab.pool();
    assert_eq!(slices(&mut lab, b, 3), [0, 1, 2]);
    lab.promise(b, address(0x10), 1).unwrap();
    let mut other = network();
    other.relationships[0].secondary = "c".into();
    lab.configure(&other);
    assert_eq!(lab.pool(), pool, "the pool stays with its logical server");
    assert_eq!(slices(&mut lab, c, 8), [3]);
    // What it promised before it read so is taken.
    lab.promise(b, address(0x14), 2).unwrap();
    lab.acknowledge(b);
    assert_eq!(slices(&mut lab, c, 8), [0, 1, 2]);
    assert_eq!(lab.promise(b, address(0x18), 3).unwrap_err(), UpdateRefusal::NotGranted);
    // The lease is whose it was.
    lab.promise(a, address(0x10), 1).unwrap();
    assert_eq!(lab.promise(c, address(0x10), 4).unwrap_err(), UpdateRefusal::OtherClient);
}

#[test]
fn r7_nothing_is_adopted_where_a_pool_grew_into_what_another_had_granted() {
    let mut lab = Lab::new();
    let mut both = ending_at(0x15);
    let mut other = both.pools[0].clone();
    other.name = "other".into();
    other.first = address(0x16).bits().to_be_bytes().to_vec();
    other.last = address(0x1d).bits().to_be_bytes().to_vec();
    both.pools.push(other);
    both.relationships[0].pools.push("other".into());
    lab.configure(&both);
    let (pool, other) = (lab.pool(), lab.machine.network().unwrap().pools[1].id);
    let (a, b) = (lab.open("a"), lab.open("b"));
    assert_eq!(slices(&mut lab, a, 2), [0, 1], "the last has two addresses");
    assert_eq!(lab.ask(b, other, 1).len(), 1);
    // The other pool goes, and nobody had a lease of it that is known.
    lab.configure(&ending_at(0x15));
    for epoch in [a, b] {
        lab.acknowledge(epoch);
    }
    assert!(lab.machine.pool_views().all(|p| p.name != "other"), "nothing is left of it");
    let rows: Vec<_> = lab.machine.rows().collect();
    let restored = Machine::from_rows(&mut rows.clone().into_iter()).unwrap();
    assert_eq!(restored.rows().collect::<Vec<_>>(), rows, "it is remembered over a restart");
    lab.machine = restored;
    lab.configure(&ending_at(0x1f));
    assert_eq!(lab.pool(), pool, "the same generation");
    assert_eq!(slices(&mut lab, a, 8), [2, 3]);
    for once_the_others in [0x16, 0x17, 0x18] {
        let claim = lab.update(UpdateKind::Adopt, address(once_the_others), 1);
        assert_eq!(lab.tell(b, claim).unwrap_err(), UpdateRefusal::NotAdopted, "{once_the_others:x}");
    }
    let claim = lab.update(UpdateKind::Adopt, address(0x1e), 1);
    lab.tell(b, claim).expect("never granted before");
}

/// Found by reading: a slice granted while it was clipped, and cut off then, grew into what another pool had come to hold.
#[test]
fn r1_a_slice_clipped_twice_does_not_grow_into_what_another_pool_holds() {
    let mut lab = Lab::new();
    let pool = lab.pool();
    let (a, b) = (lab.open("a"), lab.open("b"));
    assert_eq!(slices(&mut lab, a, 2), [0, 1]);
    assert_eq!(slices(&mut lab, b, 2), [2, 3]);
    lab.promise(b, address(0x1c), 1).unwrap();
    lab.give_back(a, &[RangeId { pool, slice: 1 }]);
    let with_other = |ends: u16| {
        let mut both = ending_at(ends);
        let mut other = both.pools[0].clone();
        other.name = "other".into();
        other.first = address(0x16).bits().to_be_bytes().to_vec();
        other.last = address(0x1b).bits().to_be_bytes().to_vec();
        other.range_bits = Some(1);
        both.pools.push(other);
        both.relationships[0].pools.push("other".into());
        both
    };
    lab.configure(&with_other(0x15));
    assert_eq!(lab.pool(), pool);
    let other = lab.machine.network().unwrap().pools[1].id;
    assert_eq!(lab.ask(b, other, 1).len(), 1, "0x16 and 0x17");
    assert_eq!(slices(&mut lab, a, 1), [1], "0x14 and 0x15");
    lab.configure(&with_other(0x12));
    assert_eq!(lab.pool(), pool);
    // Neither has read on.
    lab.configure(&network());
    assert_ne!(lab.pool(), pool, "slice 1 would come to have what is the other's");
}
