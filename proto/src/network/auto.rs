//! Relationships left to the store: which frontends are partners of which logical server, and which part of which pool
//! each has.
//!
//! Pure and the same on every node. Owns how pools are cut into shards and how partners are chosen; refuses to know
//! sessions and time. Input: the network as written, the partners so far, and which frontends may serve. Output: a
//! concrete network, without an `auto` section.
//!
//! Each pool of no relationship is cut into `shards` parts of a power of two addresses or prefixes (a pool too small
//! gives the last shards nothing); shard i of every pool is of the logical server `auto-i`. So a frontend that comes or
//! goes moves no pool and no lease: only partners change, as few as balance allows, and in one step at most one of each
//! logical server, so that the other goes on answering.

use super::check::Item;
use super::{Auto, NetworkError};
use crate::pool::Geometry;
use crate::v1;
use crate::words::FrontendId;
use std::collections::BTreeSet;

/// The most and the fewest parts that a pool may be cut into.
pub const SHARDS: std::ops::RangeInclusive<u32> = 2..=16;
/// A shard of more ranges than this keeps the range size of its pool; a smaller one has smaller ranges.
const RANGES_PLENTY: u128 = 256;
/// What one frontend too many costs against keeping partners: balance goes first.
const UNEVEN: i64 = 1_000;
/// The same for two too many.
const LOPSIDED: i64 = 1_000_000;

/// Who can be a partner.
pub struct Standing<'a> {
    /// Frontends that may serve: listed, and not being drained.
    pub usable: &'a BTreeSet<String>,
    /// Whether a frontend is up and knows all leases of a logical server, by the server's and the frontend's name.
    pub up: &'a dyn Fn(&str, &str) -> bool,
}

/// The partners of one logical server.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Partners {
    primary: String,
    secondary: Option<String>,
}

impl Partners {
    fn has(&self, frontend: &str) -> bool {
        self.all().any(|f| f == frontend)
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.primary).chain(&self.secondary)
    }

    fn same_frontends(&self, other: &Self) -> bool {
        self.all().all(|f| other.has(f)) && other.all().all(|f| self.has(f))
    }
}

/// The number of shards for so many frontends, unless written: twice as many, so that each is the primary of two and
/// one more frontend can take a share of each.
#[must_use]
pub fn default_shards(frontends: usize) -> u32 {
    let wanted = u32::try_from(frontends.saturating_mul(2)).unwrap_or(u32::MAX).min(*SHARDS.end());
    wanted.next_power_of_two().clamp(*SHARDS.start(), *SHARDS.end())
}

/// The name of a logical server.
#[must_use]
pub fn server_name(shard: u32) -> String {
    format!("auto-{shard}")
}

fn is_server_name(name: &str) -> bool {
    name.strip_prefix("auto-").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Takes over from the configuration in force what a later one left out and what may not change by itself: the number
/// of shards, since it cuts the pools.
pub fn keep_shards(wire: &mut v1::Network, in_force: Option<&v1::Network>) {
    if let (Some(auto), Some(old)) = (wire.auto.as_mut(), in_force.and_then(|n| n.auto.as_ref()))
        && auto.shards == 0
    {
        auto.shards = old.shards;
    }
}

/// Checks the `auto` section.
pub(super) fn check(wire: &v1::Network, fail: &mut dyn FnMut(NetworkError)) -> Option<Auto> {
    let raw = wire.auto.as_ref()?;
    let mut complain =
        |field, message: String| fail(NetworkError { item: Item::Auto, field, option: None, message });
    let (mut frontends, mut listed) = (Vec::new(), BTreeSet::new());
    for name in &raw.frontends {
        match FrontendId::new(name) {
            Err(error) => complain("frontends", error.to_string()),
            Ok(frontend) if !listed.insert(frontend.clone()) => {
                complain("frontends", format!("`{name}` is listed twice"));
            }
            Ok(frontend) => frontends.push(frontend),
        }
    }
    if raw.frontends.is_empty() {
        complain("frontends", "names no frontend: list those among which the store may choose".to_owned());
    }
    if !SHARDS.contains(&raw.shards) || !raw.shards.is_power_of_two() {
        complain("shards", "must be 2, 4, 8 or 16".to_owned());
    }
    if v1::BucketMode::try_from(raw.buckets).is_ok_and(|b| b == v1::BucketMode::Unspecified)
        || v1::BucketMode::try_from(raw.buckets).is_err()
    {
        complain("buckets", "is `hot-standby` or `load-balancing`".to_owned());
    }
    if v1::Answering::try_from(raw.answering).is_ok_and(|a| a == v1::Answering::Unspecified)
        || v1::Answering::try_from(raw.answering).is_err()
    {
        complain("answering", "is `buckets` or `any`".to_owned());
    }
    if raw.preference > u32::from(u8::MAX) {
        complain("preference", "is from 0 to 255 (SV-306)".to_owned());
    }
    for (i, relationship) in wire.relationships.iter().enumerate() {
        if is_server_name(&relationship.name) {
            let message =
                format!("`{}` is the name of one that the store makes: choose another", relationship.name);
            fail(NetworkError { item: Item::Relationship(i), field: "name", option: None, message });
        }
    }
    Some(Auto { frontends, shards: raw.shards })
}

/// The concrete network of one as written: with nothing left to the store it is the same. `before` is the concrete
/// network in force: its partners stay as far as one step allows.
#[must_use]
pub fn expand(written: &v1::Network, before: Option<&v1::Network>, standing: &Standing<'_>) -> v1::Network {
    let mut out = written.clone();
    let Some(auto) = out.auto.take() else { return out };
    let listed: BTreeSet<&String> = written.relationships.iter().flat_map(|r| &r.pools).collect();
    let mut of_shard = vec![Vec::new(); auto.shards as usize];
    out.pools.clear();
    for pool in &written.pools {
        if listed.contains(&pool.name) {
            out.pools.push(pool.clone());
            continue;
        }
        for (shard, names) in cut(pool, auto.shards).into_iter().zip(&mut of_shard) {
            names.push(shard.name.clone());
            out.pools.push(shard);
        }
    }
    let servers: Vec<String> = (0..auto.shards).map(server_name).collect();
    let before: Vec<Option<Partners>> =
        servers.iter().map(|name| before.and_then(|n| partners_of(n, name))).collect();
    let partners = steps(&servers, &before, &auto.frontends, standing);
    for ((name, partners), pools) in servers.into_iter().zip(partners).zip(of_shard) {
        out.relationships.push(v1::Relationship {
            id: 0,
            name,
            server_duid: Vec::new(),
            primary: partners.primary,
            secondary: partners.secondary.unwrap_or_default(),
            pools,
            buckets: auto.buckets,
            answering: auto.answering,
            takeover_after_ms: auto.takeover_after_ms,
            preference: auto.preference,
        });
    }
    out
}

/// The next step towards balance from the concrete network in force, or nothing when there is none to take (now).
#[must_use]
pub fn next_step(
    written: &v1::Network,
    concrete: &v1::Network,
    standing: &Standing<'_>,
) -> Option<v1::Network> {
    let auto = written.auto.as_ref()?;
    let servers: Vec<String> = (0..auto.shards).map(server_name).collect();
    let before: Vec<Option<Partners>> = servers.iter().map(|name| partners_of(concrete, name)).collect();
    let after = steps(&servers, &before, &auto.frontends, standing);
    if before.iter().zip(&after).all(|(before, after)| before.as_ref() == Some(after)) {
        return None;
    }
    let mut out = concrete.clone();
    for (name, partners) in servers.iter().zip(after) {
        if let Some(relationship) = out.relationships.iter_mut().find(|r| r.name == *name) {
            relationship.primary = partners.primary;
            relationship.secondary = partners.secondary.unwrap_or_default();
        }
    }
    Some(out)
}

fn partners_of(concrete: &v1::Network, server: &str) -> Option<Partners> {
    let r = concrete.relationships.iter().find(|r| r.name == server)?;
    let secondary = (!r.secondary.is_empty()).then(|| r.secondary.clone());
    Some(Partners { primary: r.primary.clone(), secondary })
}

/// The parts of a pool, in order; fewer than `shards` when it is too small.
fn cut(pool: &v1::Pool, shards: u32) -> Vec<v1::Pool> {
    let bounds = (<[u8; 16]>::try_from(&pool.first[..]), <[u8; 16]>::try_from(&pool.last[..]));
    let (Ok(first), Ok(last)) = bounds else { return Vec::new() };
    let (first, last) = (u128::from_be_bytes(first), u128::from_be_bytes(last));
    let range_bits = pool.range_bits.unwrap_or(0);
    let Ok(geometry) = Geometry::new(first, last, pool.length_bits, range_bits) else { return Vec::new() };
    let slots = u128::from(geometry.last_slot()) + 1;
    let size = slots.div_ceil(u128::from(shards)).next_power_of_two();
    let plenty = size >> range_bits >= RANGES_PLENTY;
    let range_bits = if plenty { range_bits } else { range_bits.saturating_sub(shards.ilog2()) };
    (0..shards)
        .map(|shard| (shard, u128::from(shard) * size))
        .take_while(|(_, from)| *from < slots)
        .map(|(shard, from)| {
            let to = (from + size).min(slots) - 1;
            let unit = 128 - pool.length_bits;
            v1::Pool {
                id: 0,
                name: format!("{}#{shard}", pool.name),
                first: (first + (from << unit)).to_be_bytes().to_vec(),
                last: (first + (to << unit)).to_be_bytes().to_vec(),
                range_bits: Some(range_bits),
                ..pool.clone()
            }
        })
        .collect()
}

/// One step of every logical server towards balance.
fn steps(
    servers: &[String],
    before: &[Option<Partners>],
    listed: &[String],
    standing: &Standing<'_>,
) -> Vec<Partners> {
    let mut usable: Vec<&String> = listed.iter().filter(|f| standing.usable.contains(*f)).collect();
    if usable.is_empty() {
        // All are being drained: whoever serves goes on.
        usable = listed.iter().collect();
        if before.iter().all(Option::is_some) {
            return before.iter().flatten().cloned().collect();
        }
    }
    usable.sort_unstable();
    let wanted = balanced(before, &usable);
    let each = servers.iter().zip(before).zip(wanted);
    each.map(|((server, before), wanted)| match before {
        None => wanted,
        Some(before) => step(before, &wanted, &|frontend| (standing.up)(server, frontend)),
    })
    .collect()
}

/// From some partners towards others: at most one comes, and of those who are up one stays.
fn step(before: &Partners, wanted: &Partners, up: &dyn Fn(&str) -> bool) -> Partners {
    if before.same_frontends(wanted) {
        return wanted.clone();
    }
    let anyone_up = before.all().any(|f| up(f));
    let keeps = |next: &Partners| before.all().any(|f| next.has(f) && (up(f) || !anyone_up));
    if keeps(wanted) {
        return wanted.clone();
    }
    // Whoever is up stays as the secondary, rather one who is to stay anyway, until the new one is up too.
    let stays = before.all().filter(|f| up(f) || !anyone_up).last().unwrap_or(&before.primary);
    let Some(comes) = wanted.all().find(|f| *f != stays) else { return before.clone() };
    let next = Partners { primary: comes.clone(), secondary: Some(stays.clone()) };
    if next.same_frontends(before) { before.clone() } else { next }
}

/// Balanced partners that differ as little as possible from those before: each frontend is the primary of as many
/// logical servers as any other, give or take one, and the secondary likewise.
fn balanced(before: &[Option<Partners>], usable: &[&String]) -> Vec<Partners> {
    let count = usable.len();
    let was = |shard: usize| before.get(shard).and_then(Option::as_ref);
    let primaries = assign(before.len(), count, &|shard, f| {
        let name = usable[f];
        Some(match was(shard) {
            Some(b) if b.primary == *name => 0,
            Some(b) if b.has(name) => 1,
            _ => 3,
        })
    });
    if count < 2 {
        return primaries.iter().map(|f| Partners { primary: usable[*f].clone(), secondary: None }).collect();
    }
    let secondaries = assign(before.len(), count, &|shard, f| {
        let name = usable[f];
        // With nothing to keep, the servers of one primary have different secondaries: they share its load.
        let fresh = (primaries[shard] + 1 + (shard / count) % (count - 1)) % count;
        match was(shard) {
            _ if primaries[shard] == f => None,
            Some(b) if b.secondary.as_ref() == Some(name) => Some(0),
            Some(b) if b.has(name) => Some(1),
            _ if f == fresh => Some(3),
            _ => Some(4),
        }
    });
    let pairs = primaries.iter().zip(&secondaries);
    pairs
        .map(|(p, s)| Partners { primary: usable[*p].clone(), secondary: Some(usable[*s].clone()) })
        .collect()
}

/// Gives each of `items` one of `bins`, evenly first and cheaply second: shortest augmenting paths, one for each item.
/// `cost` is below 5; nothing: not allowed. The first bin stands in where none is allowed.
fn assign(items: usize, bins: usize, cost: &dyn Fn(usize, usize) -> Option<i64>) -> Vec<usize> {
    let floor = items / bins.max(1);
    let price = |load: usize| match load.checked_sub(floor) {
        None => 0,
        Some(0) => UNEVEN,
        Some(_) => LOPSIDED,
    };
    let mut given: Vec<usize> = Vec::with_capacity(items);
    for item in 0..items {
        // What it costs that a bin gets one more, and whose move brings it there.
        let mut reach: Vec<Option<(i64, usize, Option<usize>)>> =
            (0..bins).map(|bin| cost(item, bin).map(|c| (c, item, None))).collect();
        for _ in 0..bins {
            for (moved, from) in given.iter().copied().enumerate() {
                let (Some((base, ..)), Some(now)) = (reach[from], cost(moved, from)) else { continue };
                for to in (0..bins).filter(|to| *to != from) {
                    let Some(c) = cost(moved, to) else { continue };
                    let total = base - now + c;
                    if reach[to].is_none_or(|(best, ..)| total < best) {
                        reach[to] = Some((total, moved, Some(from)));
                    }
                }
            }
        }
        let load = |bin: usize| given.iter().filter(|b| **b == bin).count();
        let end = (0..bins).filter_map(|bin| Some((reach[bin]?.0 + price(load(bin)), bin))).min();
        let mut bin = end.map_or(0, |(_, bin)| bin);
        given.push(bin);
        while let Some((_, moved, from)) = reach[bin] {
            given[moved] = bin;
            let Some(from) = from else { break };
            bin = from;
        }
    }
    given
}

#[cfg(test)]
mod tests;
