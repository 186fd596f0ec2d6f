//! Balance, minimal movement, one step at a time, and how pools are cut.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn written(frontends: &[String], shards: u32, last: u128) -> v1::Network {
    let link = v1::Link {
        name: "lan".into(),
        prefixes: vec![v1::Prefix {
            address: (0x2001_0db8_u128 << 96).to_be_bytes().to_vec(),
            length_bits: 64,
        }],
        ..Default::default()
    };
    let first = 0x2001_0db8_u128 << 96;
    let pool = v1::Pool {
        name: "pool".into(),
        link: "lan".into(),
        kind: v1::IaKind::Na.into(),
        first: first.to_be_bytes().to_vec(),
        last: (first + last).to_be_bytes().to_vec(),
        length_bits: 128,
        ..Default::default()
    };
    let auto = v1::Auto { frontends: frontends.to_vec(), shards, ..Default::default() };
    let mut network =
        v1::Network { links: vec![link], pools: vec![pool], auto: Some(auto), ..Default::default() };
    super::super::fill_defaults(&mut network);
    network
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("fe-{n}")).collect()
}

fn expanded(written: &v1::Network, before: Option<&v1::Network>, usable: &[String]) -> v1::Network {
    let usable = usable.iter().cloned().collect();
    expand(written, before, &Standing { usable: &usable, up: &|_, _| true })
}

fn is_balanced(network: &v1::Network, usable: &[String]) -> bool {
    let mut counts: BTreeMap<&str, (u32, u32)> = usable.iter().map(|f| (f.as_str(), (0, 0))).collect();
    for r in &network.relationships {
        if let Some(count) = counts.get_mut(r.primary.as_str()) {
            count.0 += 1;
        } else {
            return false;
        }
        if let Some(count) = counts.get_mut(r.secondary.as_str()) {
            count.1 += 1;
        }
        if r.primary == r.secondary || (usable.len() > 1) == r.secondary.is_empty() {
            return false;
        }
    }
    let even = |of: fn(&(u32, u32)) -> u32| {
        let counts: Vec<u32> = counts.values().map(of).collect();
        counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1
    };
    even(|c| c.0) && even(|c| c.1)
}

#[test]
fn shards_are_of_a_power_of_two_and_cover_the_pool() {
    for (last, shards, sizes) in [
        (4095u128, 4, vec![1024, 1024, 1024, 1024]),
        (4094, 4, vec![1024, 1024, 1024, 1023]),
        (9, 8, vec![2, 2, 2, 2, 2]),
        (0, 2, vec![1]),
        (u128::from(u64::MAX), 2, vec![1u128 << 63, 1 << 63]),
    ] {
        let network = expanded(&written(&names(2), shards, last), None, &names(2));
        let cut: Vec<u128> = network
            .pools
            .iter()
            .map(|p| {
                let bits = |octets: &[u8]| u128::from_be_bytes(octets.try_into().unwrap());
                bits(&p.last) - bits(&p.first) + 1
            })
            .collect();
        assert_eq!(cut, sizes);
        assert_eq!(network.relationships.len(), shards as usize);
        let mut numbered = network.clone();
        numbered.version = 1;
        crate::network::Network::from_wire(&numbered).unwrap();
    }
}

#[test]
fn fo_102_what_is_left_to_the_store_is_checked() {
    let wrong = |change: &dyn Fn(&mut v1::Network)| {
        let mut network = written(&names(2), 4, 4095);
        change(&mut network);
        let errors = crate::network::Network::from_wire(&network).unwrap_err();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let auto = |n: &mut v1::Network, change: &dyn Fn(&mut v1::Auto)| change(n.auto.as_mut().unwrap());
    assert!(wrong(&|n| auto(n, &|a| a.frontends.clear())).contains("names no frontend"));
    assert!(wrong(&|n| auto(n, &|a| a.frontends.push("fe-0".into()))).contains("listed twice"));
    assert!(wrong(&|n| auto(n, &|a| a.shards = 3)).contains("2, 4, 8 or 16"));
    assert!(wrong(&|n| n.pools[0].name = "pool#1".into()).contains("is not a name"));
    assert!(wrong(&|n| n.auto = None).contains("is in no relationship"));
}

#[test]
fn the_default_is_twice_the_frontends_as_a_power_of_two() {
    let shards: Vec<u32> = (0..10).map(default_shards).collect();
    assert_eq!(shards, [2, 2, 4, 8, 8, 16, 16, 16, 16, 16]);
}

proptest! {
    /// From any balanced assignment, for any change of who may serve: it becomes balanced in a few steps, in each of
    /// which at most one partner of a server comes and one stays; then it is final.
    #[test]
    fn it_becomes_balanced_one_partner_at_a_time(
        shards in prop::sample::select(vec![2u32, 4, 8, 16]),
        sets in prop::collection::vec(prop::collection::btree_set(0usize..7, 1..7), 1..5),
    ) {
        let all = names(7);
        let network = written(&all, shards, 65_535);
        let mut concrete: Option<v1::Network> = None;
        for set in sets {
            let usable: Vec<String> = set.iter().map(|n| all[*n].clone()).collect();
            let usable_set: BTreeSet<String> = usable.iter().cloned().collect();
            let mut now = match &concrete {
                None => expanded(&network, None, &usable),
                Some(before) => before.clone(),
            };
            let standing = Standing { usable: &usable_set, up: &|_, _| true };
            let mut steps = 0;
            while let Some(next) = next_step(&network, &now, &standing) {
                for (old, new) in now.relationships.iter().zip(&next.relationships) {
                    let set = |r: &v1::Relationship| {
                        [r.primary.clone(), r.secondary.clone()].into_iter().filter(|f| !f.is_empty()).collect::<BTreeSet<_>>()
                    };
                    let (old, new) = (set(old), set(new));
                    prop_assert!(new.difference(&old).count() <= 1 && new.intersection(&old).count() >= 1);
                }
                now = next;
                steps += 1;
                prop_assert!(steps <= 6, "never final");
            }
            prop_assert!(is_balanced(&now, &usable), "{:?}", now.relationships);
            prop_assert_eq!(
                expand(&network, Some(&now), &standing).relationships.into_iter().map(|r| (r.primary, r.secondary)).collect::<Vec<_>>(),
                now.relationships.iter().map(|r| (r.primary.clone(), r.secondary.clone())).collect::<Vec<_>>()
            );
            concrete = Some(now);
        }
    }

    /// Adding one frontend to balanced ones moves no more than its share.
    #[test]
    fn adding_one_frontend_moves_its_share_only(count in 2usize..6, shards in prop::sample::select(vec![4u32, 8, 16])) {
        let all = names(count + 1);
        let network = written(&all, shards, 65_535);
        let before = expanded(&network, None, &all[..count]);
        let usable: BTreeSet<String> = all.iter().cloned().collect();
        let standing = Standing { usable: &usable, up: &|_, _| true };
        let mut after = before.clone();
        while let Some(next) = next_step(&network, &after, &standing) { after = next }
        let moved = before.relationships.iter().zip(&after.relationships);
        let came = moved.filter(|(b, a)| b.primary != a.primary && b.secondary != a.primary).count();
        prop_assert!(came <= (shards as usize).div_ceil(count + 1), "{came} primaries came anew");
    }
}
