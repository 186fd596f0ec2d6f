//! Relationships left to the store: shards, steps, draining; and several relationships of one frontend.

use super::lab::{Lab, address, bits, network};
use crate::machine::{Command, NetworkRefusal, Outcome};
use leasehold_proto::session::StoreEvent;
use leasehold_proto::v1;
use leasehold_proto::words::{Epoch, PoolId};
use std::collections::BTreeSet;

fn left_to_store(frontends: &[&str]) -> v1::Network {
    let mut network = network();
    network.relationships.clear();
    network.auto = Some(v1::Auto {
        frontends: frontends.iter().map(|f| (*f).to_owned()).collect(),
        shards: 4,
        ..Default::default()
    });
    network
}

fn partners(lab: &Lab) -> Vec<(String, BTreeSet<String>)> {
    let network = lab.machine.network().unwrap();
    let of = |r: &leasehold_proto::network::Relationship| {
        std::iter::once(&r.primary).chain(&r.secondary).map(ToString::to_string).collect()
    };
    network.relationships.iter().map(|r| (r.name.clone(), of(r))).collect()
}

fn respread(lab: &mut Lab) -> bool {
    let wanted = lab.machine.respread_wanted();
    let applied = lab.apply(vec![Command::Respread]);
    assert_eq!(matches!(applied.outcomes[..], [Outcome::Respread(Some(_))]), wanted);
    wanted
}

/// Lets everyone read everything, and the store take its steps, until it is content; no step may leave a server
/// without a partner that served it before.
fn settle(lab: &mut Lab, sessions: &[Epoch]) -> usize {
    for steps in 0..8 {
        for session in sessions {
            lab.acknowledge(*session);
        }
        let before = partners(lab);
        if !respread(lab) {
            return steps;
        }
        for ((name, old), (_, new)) in before.iter().zip(&partners(lab)) {
            assert!(new.difference(old).count() <= 1, "{name}: {old:?} -> {new:?}");
            assert!(new.intersection(old).count() >= 1, "{name}: {old:?} -> {new:?}");
        }
    }
    panic!("never content: {:?}", partners(lab))
}

#[test]
fn fo_101_pools_of_no_relationship_are_cut_among_logical_servers_of_two_partners() {
    let mut lab = Lab::new();
    lab.configure(&left_to_store(&["a", "b", "c"]));
    let network = lab.machine.network().unwrap();
    assert!(network.auto.is_none(), "frontends get what is concrete");
    assert_eq!(
        network.pools.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
        ["pool#0", "pool#1", "pool#2", "pool#3"]
    );
    assert!(network.pools.iter().all(|p| p.geometry.last_slot() == 3));
    assert!(network.relationships.iter().all(|r| r.secondary.is_some() && r.pools.len() == 1));
    let duids: BTreeSet<_> = network.relationships.iter().map(|r| r.server_duid.to_string()).collect();
    assert_eq!(duids.len(), 4, "each is its own server");
}

#[test]
fn fo_102_a_relationship_written_down_keeps_its_pools_from_the_store() {
    let mut lab = Lab::new();
    let mut mixed = left_to_store(&["a", "b"]);
    let mut own = mixed.pools[0].clone();
    own.name = "own".into();
    own.first = bits("2001:db8:1::80").to_be_bytes().to_vec();
    own.last = bits("2001:db8:1::8f").to_be_bytes().to_vec();
    mixed.pools.push(own);
    mixed
        .relationships
        .push(v1::Relationship { pools: vec!["own".into()], ..network().relationships[0].clone() });
    lab.configure(&mixed);
    let names: Vec<_> = lab.machine.network().unwrap().pools.iter().map(|p| p.name.clone()).collect();
    assert_eq!(names.iter().filter(|n| n.starts_with("own")).count(), 1);
    // In two: refused, whichever of the two is the store's.
    let version = lab.machine.network().unwrap().version;
    let mut twice = mixed.clone();
    twice.relationships.push(v1::Relationship { name: "more".into(), ..twice.relationships[0].clone() });
    let mut stolen = mixed.clone();
    stolen.relationships[0].pools = vec!["pool#1".into()];
    let mut named = mixed.clone();
    named.relationships[0].name = "auto-1".into();
    let mut overlapping = mixed;
    overlapping.pools[1].first = bits("2001:db8:1::1f").to_be_bytes().to_vec();
    for bad in [twice, stolen, named, overlapping] {
        let applied = lab.configure(&bad);
        assert!(
            matches!(applied.outcomes[..], [Outcome::NetworkRefused(NetworkRefusal::Invalid(_))]),
            "{bad:?}"
        );
    }
    assert_eq!(lab.machine.network().unwrap().version, version);
}

#[test]
fn what_is_shown_is_what_was_written_and_applying_it_moves_nothing() {
    let mut lab = Lab::new();
    lab.configure(&left_to_store(&["a", "b", "c"]));
    let shown = lab.machine.written_network().unwrap();
    assert_eq!(shown.auto.as_ref().unwrap().frontends, ["a", "b", "c"]);
    assert_eq!(shown.pools.len(), 1);
    let (before, ids) = (partners(&lab), lab.machine.network().unwrap().pools.clone());
    lab.configure(&shown);
    assert_eq!(partners(&lab), before);
    assert_eq!(lab.machine.network().unwrap().pools, ids);
    let again = lab.machine.written_network().unwrap();
    assert_eq!(v1::Network { version: shown.version, ..again }, shown);
}

#[test]
fn fo_606_a_frontend_is_added_and_drained_without_moving_a_pool_or_a_lease() {
    let mut lab = Lab::new();
    lab.configure(&left_to_store(&["a", "b"]));
    let sessions: Vec<Epoch> = ["a", "b", "c"].iter().map(|name| lab.open(name)).collect();
    let (pools, duids) = {
        let network = lab.machine.network().unwrap();
        (
            network.pools.clone(),
            network.relationships.iter().map(|r| r.server_duid.clone()).collect::<Vec<_>>(),
        )
    };
    // A lease with the first logical server, from its primary.
    let first = lab.machine.network().unwrap().relationships[0].clone();
    let owner = if first.primary.as_str() == "a" { sessions[0] } else { sessions[1] };
    let pool = first.pools[0];
    assert!(lab.ask(owner, pool, 1).iter().any(|(_, e)| matches!(e, StoreEvent::Range(_))));
    let promise = |lab: &mut Lab, epoch: Epoch| {
        let mut update = lab.update(leasehold_proto::lease::UpdateKind::Promise, address(0x10), 1);
        update.pool = pool;
        lab.tell(epoch, update)
    };
    promise(&mut lab, owner).unwrap();
    settle(&mut lab, &sessions);
    // A third frontend: it gets its share, one partner at a time.
    lab.configure(&left_to_store(&["a", "b", "c"]));
    assert!(settle(&mut lab, &sessions) <= 4);
    let shares = |lab: &Lab, name: &str| {
        let network = lab.machine.network().unwrap();
        network.relationships.iter().filter(|r| r.primary.as_str() == name).count()
    };
    assert!(["a", "b", "c"].iter().all(|name| (1..=2).contains(&shares(&lab, name))));
    // One is drained: nothing is left to it in the end.
    lab.apply(vec![Command::Drain { frontend: super::lab::frontend("a"), on: true }]);
    settle(&mut lab, &sessions);
    assert!(partners(&lab).iter().all(|(_, p)| !p.contains("a")), "{:?}", partners(&lab));
    // Pools, servers and the lease stayed; its partner now renews it.
    let network = lab.machine.network().unwrap();
    assert_eq!(network.pools, pools);
    assert_eq!(network.relationships.iter().map(|r| r.server_duid.clone()).collect::<Vec<_>>(), duids);
    promise(&mut lab, sessions[1]).unwrap();
    promise(&mut lab, sessions[2]).unwrap();
    // It serves again.
    lab.apply(vec![Command::Drain { frontend: super::lab::frontend("a"), on: false }]);
    settle(&mut lab, &sessions);
    assert!(shares(&lab, "a") >= 1);
}

#[test]
fn a_partner_that_is_up_is_not_let_go_before_another_is() {
    let mut lab = Lab::new();
    lab.configure(&left_to_store(&["a", "b"]));
    let a = lab.open("a");
    lab.acknowledge(a);
    // `b` is down; `a` is to be drained, and `c` and `d` take over, but know nothing yet.
    lab.configure(&left_to_store(&["a", "b", "c", "d"]));
    lab.apply(vec![Command::Drain { frontend: super::lab::frontend("a"), on: true }]);
    for _ in 0..4 {
        respread(&mut lab);
        assert!(partners(&lab).iter().all(|(_, p)| p.contains("a")), "{:?}", partners(&lab));
    }
    let sessions = [a, lab.open("b"), lab.open("c"), lab.open("d")];
    settle(&mut lab, &sessions);
    assert!(partners(&lab).iter().all(|(_, p)| !p.contains("a")));
}

/// m-to-1: `s` is the secondary of two relationships.
#[test]
fn fo_103_a_shared_standby_has_ranges_of_its_own_in_each_relationship() {
    let mut lab = Lab::new();
    let mut two = network();
    let mut second = two.pools[0].clone();
    second.name = "second".into();
    second.first = bits("2001:db8:1::20").to_be_bytes().to_vec();
    second.last = bits("2001:db8:1::2f").to_be_bytes().to_vec();
    two.pools.push(second);
    two.relationships[0].secondary = "s".into();
    two.relationships.push(v1::Relationship {
        name: "bs".into(),
        primary: "b".into(),
        secondary: "s".into(),
        pools: vec!["second".into()],
        ..Default::default()
    });
    lab.configure(&two);
    let ids: Vec<PoolId> = lab.machine.network().unwrap().pools.iter().map(|p| p.id).collect();
    let (a, b, s) = (lab.open("a"), lab.open("b"), lab.open("s"));
    let owns = |lab: &Lab, epoch: Epoch, pool: PoolId| {
        let mut ranges = lab.machine.ranges();
        ranges.any(|r| r.range.pool == pool && r.owner.as_ref().is_some_and(|o| o.0 == epoch))
    };
    lab.ask(a, ids[0], 4);
    lab.ask(b, ids[1], 1);
    // Dry in one relationship, where its own primary is asked; granted in the other.
    let events = lab.ask(s, ids[0], 1);
    assert!(matches!(&events[..], [(to, StoreEvent::GiveBack { pool, .. })]
        if *to == crate::machine::Audience::Session(a) && *pool == ids[0]));
    lab.ask(s, ids[1], 1);
    assert!(!owns(&lab, s, ids[0]) && owns(&lab, s, ids[1]) && owns(&lab, b, ids[1]));
    // FO-203: what one primary has is nothing to the other.
    assert_eq!(lab.ask(b, ids[0], 1), []);
    lab.pass(1);
    let dry = lab.ask(s, ids[0], 1);
    assert!(matches!(&dry[..], [(_, StoreEvent::PoolDry { pool, dry: true })] if *pool == ids[0]));
    let more = lab.ask(s, ids[1], 1);
    assert!(more.iter().any(|(_, e)| matches!(e, StoreEvent::Range(r) if r.owner == s)));
}
