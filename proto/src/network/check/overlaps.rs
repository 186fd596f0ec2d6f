//! Nothing overlaps: a prefix is on one link, an address in one pool, and delegated prefixes lie outside what is on-link.
//!
//! Owns the one look-up behind these rules. Every node checks every configuration, and none caps prefixes by itself, so
//! each span is compared with its neighbour and not with all others. Whatever overlaps something before it in the file
//! is named once and left out of what follows, so that spans that are kept are apart.

use super::{Checker, Item};
use crate::network::Link;
use crate::pool::Pool;
use crate::words::{IaKind, Prefix};
use std::collections::BTreeMap;

/// Spans of addresses, apart from each other, each with what it belongs to: by their first address, with their last.
struct Spans<T>(BTreeMap<u128, (u128, T)>);

impl<T> Spans<T> {
    fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// One that shares an address with a span. Since none overlaps another, only the last that begins in it or before
    /// can be the one that reaches into it from before.
    fn overlapping(&self, first: u128, last: u128) -> Option<&T> {
        let (_, (end, of)) = self.0.range(..=last).next_back()?;
        (*end >= first).then_some(of)
    }

    /// All that share an address with a span.
    fn all_overlapping(&self, first: u128, last: u128) -> impl Iterator<Item = &T> {
        let before = self.0.range(..first).next_back().filter(|(_, (end, _))| *end >= first);
        before.into_iter().chain(self.0.range(first..=last)).map(|(_, (_, of))| of)
    }

    fn add(&mut self, first: u128, last: u128, of: T) {
        self.0.insert(first, (last, of));
    }
}

/// The prefixes of a link that lie in no other of it, sorted: a link may have one inside another.
pub(super) fn outermost(prefixes: &[Prefix]) -> Vec<Prefix> {
    let mut sorted = prefixes.to_vec();
    sorted.sort_unstable();
    sorted.dedup_by(|inner, outer| outer.contains(*inner));
    sorted
}

/// Whether a span lies in one of the prefixes that [`outermost`] gave.
pub(super) fn any_contains(outermost: &[Prefix], first: u128, last: u128) -> bool {
    let after = outermost.partition_point(|prefix| prefix.bits() <= first);
    after.checked_sub(1).is_some_and(|at| last <= outermost[at].last_bits())
}

/// A prefix is on one link; no two pools share an address; delegated prefixes lie outside every on-link prefix, but for
/// what is excluded from them (PD-11, FO-102).
pub(super) fn check_overlaps(c: &mut Checker, links: &[Link], pools: &[(usize, Pool)]) {
    let on_link = on_link(c, links);
    let mut taken: Spans<&str> = Spans::new();
    for (i, pool) in pools {
        let item = Item::Pool(*i);
        let field = if pool.kind == IaKind::Pd { "prefixes" } else { "addresses" };
        let (first, last) = (pool.geometry.first_bits(), pool.geometry.last_bits());
        if let Some(other) = taken.overlapping(first, last) {
            c.fail(item, field, format!("overlaps pool `{other}`: an address is in one pool (FO-102)"));
            continue;
        }
        taken.add(first, last, &pool.name);
        if pool.kind != IaKind::Pd {
            continue;
        }
        let clash = on_link.all_overlapping(first, last).find(|(on_link, _)| !is_excluded(pool, *on_link));
        if let Some((on_link, link)) = clash {
            c.fail(item, field, format!("overlaps the on-link prefix {on_link} of link `{link}` (PD-11)"));
        }
    }
}

/// The prefixes of all links; complains of a link that has one of another's.
fn on_link<'l>(c: &mut Checker, links: &'l [Link]) -> Spans<(Prefix, &'l str)> {
    let mut spans: Spans<(Prefix, &str)> = Spans::new();
    for (i, link) in links.iter().enumerate() {
        let mut own = Vec::new();
        let mut clash = None;
        for prefix in outermost(&link.prefixes) {
            match spans.overlapping(prefix.bits(), prefix.last_bits()) {
                Some(other) => clash = clash.or(Some((prefix, *other))),
                None => own.push(prefix),
            }
        }
        if let Some((prefix, (other, name))) = clash {
            let message = format!("{prefix} overlaps {other} of link `{name}`: a prefix is on one link");
            c.fail(Item::Link(i), "prefixes", message);
        }
        for prefix in own {
            spans.add(prefix.bits(), prefix.last_bits(), (prefix, &link.name));
        }
    }
    spans
}

/// Whether an on-link prefix lies in the part that is excluded from a delegated one, which stays with the delegating side
/// (PD-11).
fn is_excluded(pool: &Pool, on_link: Prefix) -> bool {
    let length = u32::from(pool.geometry.length_bits());
    let delegated = Prefix::containing(on_link.bits(), length).ok();
    let excluded = delegated
        .filter(|delegated| pool.geometry.slot_of(*delegated).is_some())
        .and_then(|delegated| pool.exclude?.of(delegated));
    excluded.is_some_and(|excluded| excluded.contains(on_link))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{octets, wire};
    use super::*;
    use crate::network::{Network, fill_defaults};
    use crate::v1;
    use proptest::prelude::*;

    fn errors(mut wire: v1::Network) -> Vec<(Item, &'static str)> {
        fill_defaults(&mut wire);
        let errors = Network::from_wire(&wire).err().unwrap_or_default();
        errors.iter().map(|error| (error.item, error.field)).collect()
    }

    /// A network of links and pools, each pool on the first link and in a relationship.
    fn network(links: Vec<Vec<Prefix>>, pools: Vec<(v1::IaKind, u128, u128, u32)>) -> v1::Network {
        let mut network = wire();
        let link = |(i, prefixes): (usize, Vec<Prefix>)| v1::Link {
            name: format!("l{i}"),
            prefixes: prefixes.into_iter().map(Into::into).collect(),
            ..v1::Link::default()
        };
        let pool = |(i, (kind, first, last, length_bits)): (usize, (v1::IaKind, u128, u128, u32))| v1::Pool {
            name: format!("p{i}"),
            link: "l0".into(),
            kind: kind.into(),
            first: first.to_be_bytes().to_vec(),
            last: last.to_be_bytes().to_vec(),
            length_bits,
            ..v1::Pool::default()
        };
        network.links = links.into_iter().enumerate().map(link).collect();
        network.pools = pools.into_iter().enumerate().map(pool).collect();
        network.relationships[0].pools = network.pools.iter().map(|pool| pool.name.clone()).collect();
        network
    }

    /// Few bits behind one start, so that prefixes meet.
    const BASE: u128 = 0x2001_0db8 << 96;

    fn prefix() -> impl Strategy<Value = Prefix> {
        (0u128..64, 90u32..=96)
            .prop_map(|(bits, length)| Prefix::containing(BASE | bits << 32, length).unwrap())
    }

    proptest! {
        /// What each compared with each would find.
        #[test]
        fn pd_11_fo_102_whatever_overlaps_is_found(
            links in prop::collection::vec(prop::collection::vec(prefix(), 0..5), 1..5),
            delegated in prop::collection::vec((0u128..64, 0u128..4), 0..4),
        ) {
            let spans: Vec<(u128, u128)> = delegated
                .iter()
                .map(|(first, more)| (BASE | first << 32, BASE | (first + more) << 32 | 0xffff_ffff))
                .collect();
            let pools =
                spans.iter().map(|(first, last)| (v1::IaKind::Pd, *first, last & !0xffff_ffff, 96)).collect();
            let found = errors(network(links.clone(), pools));
            let pairs = |n: usize| (0..n).flat_map(move |b| (0..b).map(move |a| (a, b)));
            let links_meet = pairs(links.len())
                .any(|(a, b)| links[a].iter().any(|x| links[b].iter().any(|y| x.overlaps(*y))));
            let pools_meet = pairs(spans.len()).any(|(a, b)| spans[a].0 <= spans[b].1 && spans[b].0 <= spans[a].1);
            let on_link = spans.iter().any(|(first, last)| {
                links.iter().flatten().any(|link| link.bits() <= *last && *first <= link.last_bits())
            });
            let of_links = found.iter().any(|(item, _)| matches!(item, Item::Link(_)));
            let of_pools = found.iter().any(|(item, _)| matches!(item, Item::Pool(_)));
            prop_assert_eq!(of_links, links_meet);
            prop_assert_eq!(of_links || of_pools, links_meet || pools_meet || on_link);
            // What a link may not have is not looked at again.
            prop_assert!(of_links || of_pools == (pools_meet || on_link));
        }

        #[test]
        fn an_address_pool_lies_in_any_prefix_of_its_link(
            prefixes in prop::collection::vec(prefix(), 1..6), first in 0u128..64, more in 0u128..4,
        ) {
            let (first, last) = (BASE | first << 32, BASE | (first + more) << 32);
            let inside = prefixes.iter().any(|prefix| prefix.bits() <= first && last <= prefix.last_bits());
            let found = errors(network(vec![prefixes], vec![(v1::IaKind::Na, first, last, 128)]));
            prop_assert_eq!(found.is_empty(), inside);
        }
    }

    #[test]
    fn the_largest_networks_are_checked_without_comparing_all_with_all() {
        let prefix = |n: u128| Prefix::new(BASE + (n << 32), 96).unwrap();
        let prefixes = |from: u128| (from..from + 100_000).map(prefix).collect::<Vec<_>>();
        let delegated = |n: u128| {
            let first = u128::from_be_bytes(octets("2001:db9::").try_into().unwrap()) + (n << 64);
            (v1::IaKind::Pd, first, first, 64)
        };
        let pools = || (0..super::super::POOLS_MAX as u128).map(delegated).collect::<Vec<_>>();
        assert_eq!(errors(network(vec![prefixes(0), prefixes(100_000)], pools())), []);
        let overlapping = network(vec![prefixes(0), prefixes(99_999)], pools());
        assert_eq!(errors(overlapping), [(Item::Link(1), "prefixes")]);
    }
}
