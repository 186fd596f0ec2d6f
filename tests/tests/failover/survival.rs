//! What is to survive: crashes, partitions, and both (requirements 2.1 and 2.2).

use crate::{BOTH, PATIENCE, bound, frontend, renews, secs};
use leasehold_frontend::codec::wire::{msg, status};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::network::Network;
use leasehold_proto::v1;
use leasehold_store::machine::RangeStanding;
use leasehold_tests::pair::{Client, Pair, network};

#[test]
fn fo_101_fo_901_exactly_two_partners_know_a_lease_and_a_third_frontend_leaves_it_alone() {
    let mut wire = network(64, 0);
    wire.pools.push(v1::Pool { name: "more".into(), ..wire.pools[0].clone() });
    wire.pools[1].first =
        (u128::from_be_bytes(wire.pools[0].last.clone().try_into().unwrap()) + 1).to_be_bytes().to_vec();
    wire.pools[1].last =
        (u128::from_be_bytes(wire.pools[0].last.clone().try_into().unwrap()) + 64).to_be_bytes().to_vec();
    wire.relationships.push(v1::Relationship {
        name: "cd".into(),
        primary: "fe-c".into(),
        pools: vec!["more".into()],
        ..wire.relationships[0].clone()
    });
    wire.relationships[1].secondary = String::new();
    let mut pair = Pair::serving(wire, &["fe-a", "fe-b", "fe-c"]);
    let mut clients = bound(&mut pair, 8);
    for client in &mut clients {
        let said = client.ask(&mut pair, msg::RENEW, PATIENCE).expect("its own server answers");
        let pool = pair.machine.lease(client.lease().unwrap()).unwrap().pool;
        let of_c = pair.machine.pool(pool).unwrap().name == "more";
        assert_eq!(said.by == "fe-c", of_c, "each logical server answers for its own pools only");
    }
    pair.advance(secs(1));
    for name in ["fe-a", "fe-b"] {
        let known = pair.engine(name).status(pair.now()).leases.known_leases;
        let of_ab = clients.iter().filter(|c| {
            let pool = pair.machine.lease(c.lease().unwrap()).unwrap().pool;
            pair.machine.pool(pool).unwrap().name == "na"
        });
        assert_eq!(known, of_ab.count() as u64, "{name} knows the leases of its relationship and no others");
    }
}

#[test]
fn fo_102_a_pool_in_two_relationships_and_overlapping_pools_are_refused() {
    let mut twice = network(16, 0);
    twice.relationships.push(v1::Relationship {
        name: "other".into(),
        primary: "fe-c".into(),
        secondary: String::new(),
        ..twice.relationships[0].clone()
    });
    let errors = Network::from_wire(&twice).unwrap_err();
    assert!(errors.iter().any(|e| e.to_string().contains("two relationships")), "{errors:?}");
    let mut overlap = network(16, 0);
    overlap.pools.push(v1::Pool { name: "same".into(), ..overlap.pools[0].clone() });
    overlap.relationships.push(v1::Relationship {
        name: "other".into(),
        primary: "fe-c".into(),
        pools: vec!["same".into()],
        ..twice.relationships[0].clone()
    });
    let errors = Network::from_wire(&overlap).unwrap_err();
    assert!(errors.iter().any(|e| e.to_string().contains("overlaps pool")), "{errors:?}");
}

#[test]
fn fo_103_fo_203_a_shared_standby_keeps_its_relationships_apart() {
    let mut wire = network(16, 0);
    let first = u128::from_be_bytes(wire.pools[0].last.clone().try_into().unwrap()) + 1;
    wire.pools.push(v1::Pool {
        name: "second".into(),
        first: first.to_be_bytes().to_vec(),
        last: (first + 15).to_be_bytes().to_vec(),
        ..wire.pools[0].clone()
    });
    wire.relationships[0].secondary = "fe-s".into();
    wire.relationships.push(v1::Relationship {
        name: "bs".into(),
        primary: "fe-b".into(),
        pools: vec!["second".into()],
        ..wire.relationships[0].clone()
    });
    let mut pair = Pair::serving(wire, &["fe-a", "fe-b", "fe-s"]);
    let mut clients = bound(&mut pair, 8);
    pair.crash("fe-a");
    pair.advance(secs(2));
    for client in &mut clients {
        let said = renews(&mut pair, client);
        let pool = pair.machine.lease(client.lease().unwrap()).unwrap().pool;
        let expected = if pair.machine.pool(pool).unwrap().name == "second" { "fe-b" } else { "fe-s" };
        assert_eq!(said.by, expected, "losing fe-a changes nothing for fe-b");
    }
}

#[test]
fn fo_104_fo_107_fo_112_one_partner_alone_carries_everything_after_the_other_is_gone() {
    for dies in BOTH {
        let mut wire = network(128, 0);
        wire.relationships[0].buckets = v1::BucketMode::LoadBalancing.into();
        let mut pair = Pair::serving(wire, &BOTH);
        let mut clients = bound(&mut pair, 24);
        pair.crash(dies);
        for client in &mut clients {
            let said = renews(&mut pair, client);
            assert_ne!(said.by, dies);
            assert_eq!(said.sent, 1, "without a retransmission: {said:?}");
        }
        let mut new = Client::new(900);
        let said = new.obtain(&mut pair, PATIENCE).expect("new clients too");
        assert_ne!(said.by, dies);
    }
}

#[test]
fn fo_105_delegated_prefixes_survive_like_addresses() {
    let mut pair = Pair::serving(network(64, 64), &BOTH);
    let mut clients: Vec<Client> = (1..=8).map(Client::of_both).collect();
    for client in &mut clients {
        client.obtain(&mut pair, PATIENCE).expect("there is room");
        assert_eq!(client.leases.len(), 2);
    }
    pair.crash("fe-a");
    for client in &mut clients {
        let before = client.leases.clone();
        let said = client.ask(&mut pair, msg::RENEW, PATIENCE).expect("the partner answers");
        assert!(before.iter().all(|l| said.leases.iter().any(|s| s.0 == l.1 && s.1 > 0)), "{said:?}");
    }
}

#[test]
fn fo_108_fo_202_fo_208_a_partition_in_which_both_served_ends_in_one_agreed_state() {
    let mut pair = Pair::serving(network(64, 0), &BOTH);
    let mut old = bound(&mut pair, 4);
    // Both have room, as the store gave it: what is out of reach cannot be asked for.
    for (number, side) in [(50, "fe-a"), (51, "fe-b")] {
        Client::new(number).obtain_at(&mut pair, Some(side), PATIENCE).expect("both serve");
    }
    pair.advance(secs(3));
    pair.cut("fe-a");
    pair.cut("fe-b");
    // Each side has clients of its own meanwhile, and both sides renew.
    let (mut left, mut right) = (Client::new(100), Client::new(200));
    let l = left.obtain_at(&mut pair, Some("fe-a"), PATIENCE).expect("fe-a goes on");
    let r = right.obtain_at(&mut pair, Some("fe-b"), PATIENCE).expect("fe-b goes on");
    assert_ne!(l.lease(), r.lease());
    for (n, client) in old.iter_mut().enumerate() {
        let side = BOTH[n % 2];
        let said =
            client.ask_at(&mut pair, Some(side), msg::RENEW, PATIENCE).expect("known leases are renewed");
        assert_eq!(said.by, side);
    }
    pair.heal("fe-a");
    pair.heal("fe-b");
    pair.advance(secs(5));
    for client in old.iter().chain([&left, &right]) {
        let prefix = client.lease().unwrap();
        let lease = pair.lease(prefix).expect("told after all");
        assert_eq!((lease.state, lease.binding.duid.as_bytes()), (LeaseState::Active, &client.duid()[..]));
    }
    assert_eq!(pair.machine.conflicts().count(), 0);
    for client in old.iter_mut().chain([&mut left, &mut right]) {
        renews(&mut pair, client);
    }
}

#[test]
fn fo_201_a_hot_standby_is_silent_until_the_primary_is_gone() {
    let mut pair = Pair::serving(network(64, 0), &BOTH);
    let mut clients = bound(&mut pair, 6);
    for client in &mut clients {
        assert_eq!(renews(&mut pair, client).by, "fe-a");
    }
    pair.crash("fe-a");
    for client in &mut clients {
        assert_eq!(renews(&mut pair, client).by, "fe-b");
    }
    assert_eq!(Client::new(77).obtain(&mut pair, PATIENCE).expect("a new one").by, "fe-b");
}

#[test]
fn fo_204_fo_213_a_standalone_frontend_serves_without_a_partner() {
    let mut wire = network(16, 0);
    wire.relationships[0].secondary = String::new();
    let mut pair = Pair::serving(wire, &["fe-a"]);
    let mut client = Client::new(1);
    client.obtain(&mut pair, PATIENCE).expect("it serves alone");
    renews(&mut pair, &mut client);
}

#[test]
fn fo_205_one_address_through_crash_return_partition_and_heal() {
    let mut pair = Pair::serving(network(64, 0), &BOTH);
    let mut client = Client::new(1);
    let address = client.obtain(&mut pair, PATIENCE).unwrap().lease();
    for _ in 0..3 {
        pair.crash("fe-a");
        renews(&mut pair, &mut client);
        pair.start("fe-a");
        pair.advance(secs(5));
        renews(&mut pair, &mut client);
        pair.cut("fe-a");
        renews(&mut pair, &mut client);
        pair.cut("fe-b");
        renews(&mut pair, &mut client);
        pair.heal("fe-a");
        pair.heal("fe-b");
        pair.advance(secs(20));
        renews(&mut pair, &mut client);
    }
    assert_eq!(client.lease(), address);
}

#[test]
fn fo_207_r6_a_returning_frontend_serves_from_new_ranges_once_it_has_loaded() {
    let mut pair = Pair::serving(network(64, 0), &BOTH);
    bound(&mut pair, 2);
    let before: Vec<_> = pair.machine.ranges().filter(|r| r.standing == RangeStanding::Granted).collect();
    pair.crash("fe-a");
    pair.start("fe-a");
    pair.advance(secs(3));
    let mut client = Client::new(50);
    let said = client.obtain(&mut pair, PATIENCE).expect("it serves");
    assert_eq!(said.by, "fe-a");
    let range = pair
        .machine
        .pool(pair.lease(said.lease().unwrap()).unwrap().pool)
        .unwrap()
        .range_of(said.lease().unwrap());
    let old: Vec<_> = before
        .iter()
        .filter(|r| r.owner.as_ref().is_some_and(|o| o.1 == frontend("fe-a")))
        .map(|r| r.range)
        .collect();
    assert!(range.is_some_and(|r| !old.contains(&r)), "not from the ranges of its old session");
}

#[test]
fn fo_209_r7_a_lease_promised_in_the_last_moment_before_a_crash_is_adopted() {
    let mut pair = Pair::serving(network(64, 0), &BOTH);
    bound(&mut pair, 1);
    // The promise leaves, and its update does not.
    pair.cut("fe-a");
    let mut client = Client::new(2);
    let address = client.obtain_at(&mut pair, Some("fe-a"), PATIENCE).expect("it goes on").lease().unwrap();
    assert!(pair.lease(address).is_none());
    pair.crash("fe-a");
    pair.advance(secs(2));
    let said = client.ask(&mut pair, msg::RENEW, PATIENCE).expect("the partner adopts it");
    assert_eq!((said.by.as_str(), said.lease()), ("fe-b", Some(address)));
    assert_eq!(pair.state(address), Some(LeaseState::Active));
}

#[test]
fn fo_211_of_two_clients_at_the_two_sides_of_a_partition_one_gets_the_only_address() {
    for owner in 0..2 {
        let mut pair = Pair::serving(network(1, 0), &BOTH);
        let (near, far) = (BOTH[owner], BOTH[1 - owner]);
        // The address moves to whoever has a client for it.
        let mut first = Client::new(1);
        first.obtain_at(&mut pair, Some(near), PATIENCE).expect("it is handed over");
        first.ask_at(&mut pair, Some(near), msg::RELEASE, PATIENCE).expect("released");
        pair.advance(secs(5));
        pair.cut(near);
        let (mut one, mut two) = (Client::new(2), Client::new(3));
        let got_near = one.obtain_at(&mut pair, Some(near), secs(20));
        let got_far = two.obtain_at(&mut pair, Some(far), secs(20));
        assert!(got_near.is_none() || got_far.is_none(), "{got_near:?} and {got_far:?}");
        assert!(got_near.is_some(), "the side that owns it gives it");
        let refused = two.ask_at(&mut pair, Some(far), msg::SOLICIT, secs(10)).expect("the store says: dry");
        assert_eq!(refused.statuses, [status::NO_ADDRS_AVAIL]);
    }
}

#[test]
fn fo_115_a_prefix_pool_is_used_to_the_last_prefix_by_both_partners_together() {
    let mut pair = Pair::serving(network(0, 16), &BOTH);
    let mut given = Vec::new();
    for number in 0..16 {
        let mut client = Client::of_prefix(number + 1);
        let side = BOTH[usize::from(number) % 2];
        let said = client.obtain_at(&mut pair, Some(side), PATIENCE);
        given.push(said.unwrap_or_else(|| panic!("prefix {number} at {side}")).lease().unwrap());
    }
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), 16);
    let none = Client::of_prefix(99).ask(&mut pair, msg::SOLICIT, PATIENCE).expect("dry is told");
    assert_eq!(none.statuses, [status::NO_PREFIX_AVAIL]);
}
