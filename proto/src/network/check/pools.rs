//! Rules of pools: their shape, their times, and where they lie.

use super::clients::class_names;
use super::options::options;
use super::overlaps::{any_contains, outermost};
use super::relationships::PoolOwner;
use super::{Checker, Item, check_name, lifetimes, number};
use crate::convert;
use crate::network::Link;
use crate::network::defaults::IN_ORDER_RANGE_BITS_MAX;
use crate::pool::{Allocator, Exclude, Geometry, Pool};
use crate::time::Lifetime;
use crate::v1;
use crate::words::{FrontendId, IaKind, LinkId, PoolId, RelationshipId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The largest MCLT that makes sense: a year. Guards arithmetic and typing errors.
pub(in crate::network) const MCLT_SECS_MAX: u32 = 366 * 86_400;

pub(super) fn check_pools(
    c: &mut Checker,
    wire: &v1::Network,
    links: &[Link],
    owner: &PoolOwner,
) -> Vec<(usize, Pool)> {
    let mut names = BTreeSet::new();
    let mut pools = Vec::new();
    let tables = lifetimes::Tables::of(wire);
    let mut by_name = BTreeMap::new();
    for link in links {
        by_name.entry(link.name.as_str()).or_insert_with(|| (link, outermost(&link.prefixes)));
    }
    for (i, p) in wire.pools.iter().enumerate() {
        let item = Item::Pool(i);
        // A shard of a pool that the store cut has the pool's name and a number.
        let is_shard = |(pool, shard): &(&str, &str)| {
            wire.auto.is_none() && FrontendId::new(pool).is_ok() && shard.parse::<u8>().is_ok()
        };
        match p.name.split_once('#').filter(is_shard) {
            Some(_) if names.insert(p.name.clone()) => {}
            _ => check_name(c, item, &p.name, &mut names),
        }
        let link = by_name.get(p.link.as_str());
        if link.is_none() {
            c.fail(item, "link", format!("there is no link `{}`", p.link));
        }
        let left_to_store = wire.auto.is_some().then_some(RelationshipId(0));
        let relationship = owner.get(&p.name).copied().or(left_to_store);
        if relationship.is_none() {
            c.fail(
                item,
                "name",
                format!(
                    "pool `{}` is in no relationship: list it in one's `pools`, or write [auto] and leave it to the store",
                    p.name
                ),
            );
        }
        lifetimes::check_pool(c, item, &tables, p);
        check_times(c, item, p);
        let kind = convert::ia_kind(p.kind).map_err(|e| c.fail(item, "kind", e.to_string())).ok();
        let geometry = geometry(c, item, p);
        let (Some((link, prefixes)), Some(relationship), Some(kind), Some(geometry)) =
            (link, relationship, kind, geometry)
        else {
            continue;
        };
        if kind == IaKind::Na && geometry.length_bits() != 128 {
            c.fail(item, "addresses", "an address pool leases single addresses");
        }
        if kind == IaKind::Na && !any_contains(prefixes, geometry.first_bits(), geometry.last_bits()) {
            c.fail(
                item,
                "addresses",
                format!("lies in no prefix of link `{}`: clients could not use it", link.name),
            );
        }
        options(c, item, p.options.as_ref());
        class_names(c, item, &p.classes);
        check_exclude(c, item, p, kind);
        if p.allocator() == v1::Allocator::InOrder
            && u32::from(geometry.range_bits()) > IN_ORDER_RANGE_BITS_MAX
        {
            let most = 1u32 << IN_ORDER_RANGE_BITS_MAX;
            c.fail(item, "range_size", format!("is at most {most} where leases are given in order"));
        }
        pools.push((i, pool(p, number(p.id, i), link.id, relationship, kind, geometry)));
    }
    pools
}

fn pool(
    wire: &v1::Pool,
    id: u32,
    link: LinkId,
    relationship: RelationshipId,
    kind: IaKind,
    geometry: Geometry,
) -> Pool {
    let unlimited = wire.autonomy_ms == u64::MAX;
    let said = wire.lifetimes.unwrap_or_default();
    Pool {
        id: PoolId(id),
        name: wire.name.clone(),
        link,
        relationship,
        kind,
        geometry,
        preferred: Lifetime::from_wire(wire.preferred_lifetime_secs),
        valid: Lifetime::from_wire(wire.valid_lifetime_secs),
        mclt: Lifetime::from_wire(wire.mclt_secs),
        autonomy: if unlimited { Duration::MAX } else { Duration::from_millis(wire.autonomy_ms) },
        commit_wait_ms: wire.commit_wait_ms,
        decline_quarantine: Duration::from_secs(u64::from(wire.decline_quarantine_secs)),
        preferred_bounds: bounds(
            wire.preferred_lifetime_secs,
            said.preferred_min_secs,
            said.preferred_max_secs,
        ),
        valid_bounds: bounds(wire.valid_lifetime_secs, said.valid_min_secs, said.valid_max_secs),
        options: super::options::values(wire.options.as_ref()),
        classes: wire.classes.clone(),
        allocator: if wire.allocator() == v1::Allocator::InOrder {
            Allocator::InOrder
        } else {
            Allocator::Hashed
        },
        affinity: Duration::from_secs(u64::from(wire.affinity_secs.unwrap_or(0))),
        exclude: exclude(wire),
    }
}

/// The shortest and the longest that a class may ask for: what is not said is the default itself.
fn bounds(default_secs: u32, min_secs: u32, max_secs: u32) -> (Lifetime, Lifetime) {
    let or_default = |secs: u32| Lifetime::from_wire(if secs == 0 { default_secs } else { secs });
    (or_default(min_secs), or_default(max_secs))
}

fn exclude(wire: &v1::Pool) -> Option<Exclude> {
    let raw = wire.exclude?;
    Some(Exclude { len_bits: u8::try_from(raw.length_bits).ok()?, subnet: raw.subnet })
}

/// A pool generation as the store wrote it down, its link and relationship by number: it may be one that no
/// configuration names any more.
///
/// # Errors
/// When its bounds are not 16 octets or its shape cannot be.
pub fn stored_pool(
    wire: &v1::Pool,
    link: LinkId,
    relationship: RelationshipId,
) -> Result<Pool, convert::ConvertError> {
    let first = convert::address(&wire.first, "pool.first")?;
    let last = convert::address(&wire.last, "pool.last")?;
    let geometry = Geometry::new(first, last, wire.length_bits, wire.range_bits.unwrap_or(0))
        .map_err(|e| convert::ConvertError::Network(e.to_string()))?;
    Ok(pool(wire, wire.id, link, relationship, convert::ia_kind(wire.kind)?, geometry))
}

fn check_times(c: &mut Checker, item: Item, p: &v1::Pool) {
    if p.mclt_secs == 0 || p.mclt_secs > MCLT_SECS_MAX {
        c.fail(item, "mclt", "must be from 1s to 366d");
    }
    if p.autonomy_ms == 0 {
        c.fail(item, "autonomy", "must be above 0: without autonomy nothing could be leased");
    }
}

/// PD-08: the excluded prefix is longer than the delegated one and lies in it.
fn check_exclude(c: &mut Checker, item: Item, p: &v1::Pool, kind: IaKind) {
    let Some(exclude) = p.exclude else { return };
    if kind != IaKind::Pd {
        c.fail(item, "exclude_length", "is for pools of `prefixes` only: leave it out");
        return;
    }
    let Some(subnet_bits) = exclude.length_bits.checked_sub(p.length_bits).filter(|bits| *bits > 0) else {
        c.fail(item, "exclude_length", "must be above the delegated length (PD-08)");
        return;
    };
    if exclude.length_bits > 128 {
        c.fail(item, "exclude_length", "a prefix has at most 128 bits");
    } else if exclude.subnet.checked_shr(subnet_bits).unwrap_or(0) != 0 {
        let message = format!("a delegated prefix has 2^{subnet_bits} of that length, counted from 0");
        c.fail(item, "exclude_subnet", message);
    }
}

fn geometry(c: &mut Checker, item: Item, p: &v1::Pool) -> Option<Geometry> {
    let field = if p.kind == i32::from(v1::IaKind::Pd) { "prefixes" } else { "addresses" };
    let bounds = (<[u8; 16]>::try_from(p.first.as_slice()), <[u8; 16]>::try_from(p.last.as_slice()));
    let (Ok(first), Ok(last)) = bounds else {
        c.fail(item, field, "is missing: write a prefix, or `first-last`");
        return None;
    };
    let (first, last) = (u128::from_be_bytes(first), u128::from_be_bytes(last));
    Geometry::new(first, last, p.length_bits, p.range_bits.unwrap_or(0))
        .map_err(|e| c.fail(item, field, e.to_string()))
        .ok()
}
