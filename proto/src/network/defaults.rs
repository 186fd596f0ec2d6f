//! The defaults of the network configuration, one table, a reason each.

use super::check::{Item, MCLT_SECS_MAX, NetworkError};
use crate::pool::Geometry;
use crate::v1;
use std::collections::BTreeMap;

/// Preferred lifetime: a day. Long enough to keep renewals cheap, short enough to change an option within a day.
const PREFERRED_SECS: u32 = 86_400;
/// Valid lifetime: two days, so that a weekend outage of a client costs it nothing.
const VALID_SECS: u32 = 2 * 86_400;
/// MCLT of small address pools and of prefix pools: design section 1.
const MCLT_SCARCE_SECS: u32 = 3600;
/// Pools of 2^24 addresses and more need no quick reclamation (RFC 7031 §6): the first lease is a full one.
const PLENTY_SLOTS: u64 = 1 << 24;
/// Autonomy of address pools: 24 h, design section 1.
const AUTONOMY_ADDRESS_MS: u64 = 24 * 3_600_000;
/// Autonomy of prefix pools: 4 h, since prefixes are scarce (FO-115).
const AUTONOMY_PREFIX_MS: u64 = 4 * 3_600_000;
/// Quarantine of a declined address: 24 h (SV-371).
const DECLINE_QUARANTINE_SECS: u32 = 86_400;
/// How long a freed lease is kept for the client that had it: a day, as long as a lease is preferred.
const AFFINITY_SECS: u32 = 86_400;
/// Ranges of pools that give leases in order: so many slots a frontend keeps a map of, to know the lowest free one.
pub(super) const IN_ORDER_RANGE_BITS_MAX: u32 = 16;
/// Longest answer with options: what every link carries without fragments (SV-113).
const ANSWER_OCTETS: u32 = 1280;
/// What relays may supply: the ERP local domain name (RFC 6422 §6, SV-176).
const RELAY_SUPPLIED: [u32; 1] = [65];
/// A partner answers for the other once a client waited this long: design section 1.
const TAKEOVER_AFTER_MS: u32 = 500;

/// Writes every default that a configuration left out (zero, or absent) into it. What cannot be right, such as a
/// pool with no bounds, is left for the check to name.
pub fn fill_defaults(wire: &mut v1::Network) {
    let timing = wire.timing.get_or_insert_with(v1::Timing::default);
    let standard = crate::lifetimes::Timing::default();
    set(&mut timing.rho_ppm, standard.rho_ppm);
    set(&mut timing.flight_ms, standard.flight_ms);
    set(&mut timing.send_ms, standard.send_ms);
    set(&mut wire.answer_octets, ANSWER_OCTETS);
    if wire.relay_supplied.is_empty() && !wire.no_relay_supplied {
        wire.relay_supplied = RELAY_SUPPLIED.to_vec();
    }
    let mut of_links = BTreeMap::new();
    for link in &wire.links {
        of_links.entry(link.name.as_str()).or_insert(link.lifetimes);
    }
    for pool in &mut wire.pools {
        let link = of_links.get(pool.link.as_str()).copied().flatten();
        inherit_lifetimes(pool, [link, wire.lifetimes]);
        fill_pool(pool);
    }
    if let Some(auto) = &mut wire.auto {
        set(&mut auto.shards, super::auto::default_shards(auto.frontends.len()));
        set(&mut auto.takeover_after_ms, TAKEOVER_AFTER_MS);
        set(&mut auto.buckets, v1::BucketMode::HotStandby.into());
        set(&mut auto.answering, v1::Answering::Buckets.into());
    }
    for relationship in &mut wire.relationships {
        set(&mut relationship.takeover_after_ms, TAKEOVER_AFTER_MS);
        set(&mut relationship.buckets, v1::BucketMode::HotStandby.into());
        set(&mut relationship.answering, v1::Answering::Buckets.into());
    }
}

/// Refuses a configuration that leaves something to defaults: what is stored must mean the same to every release.
///
/// # Errors
/// Every field that has no value.
pub fn check_complete(wire: &v1::Network) -> Result<(), Vec<NetworkError>> {
    let mut errors = Vec::new();
    let mut missing = |item, field, is_missing: bool| {
        if is_missing {
            let message = "has no value, and the store fills no defaults in: fill them in before".to_owned();
            errors.push(NetworkError { item, field, option: None, message });
        }
    };
    let timing = wire.timing.unwrap_or_default();
    missing(Item::Global, "rho_ppm", timing.rho_ppm == 0);
    missing(Item::Global, "flight", timing.flight_ms == 0);
    missing(Item::Global, "send", timing.send_ms == 0);
    missing(Item::Global, "answer_octets", wire.answer_octets == 0);
    for (i, pool) in wire.pools.iter().enumerate() {
        let item = Item::Pool(i);
        missing(item, "valid_lifetime", pool.valid_lifetime_secs == 0);
        missing(item, "preferred_lifetime", pool.preferred_lifetime_secs == 0);
        missing(item, "mclt", pool.mclt_secs == 0);
        missing(item, "autonomy", pool.autonomy_ms == 0);
        missing(item, "decline_quarantine", pool.decline_quarantine_secs == 0);
        missing(item, "range_size", pool.range_bits.is_none());
        missing(item, "allocator", pool.allocator == 0);
        missing(item, "affinity", pool.affinity_secs.is_none());
    }
    for (i, relationship) in wire.relationships.iter().enumerate() {
        let item = Item::Relationship(i);
        missing(item, "takeover_after", relationship.takeover_after_ms == 0);
        missing(item, "buckets", relationship.buckets == 0);
        missing(item, "answering", relationship.answering == 0);
    }
    if let Some(auto) = &wire.auto {
        missing(Item::Auto, "shards", auto.shards == 0);
        missing(Item::Auto, "takeover_after", auto.takeover_after_ms == 0);
        missing(Item::Auto, "buckets", auto.buckets == 0);
        missing(Item::Auto, "answering", auto.answering == 0);
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Lifetimes that the pool does not say are its link's, then the network's; each bound and each default by itself.
fn inherit_lifetimes(pool: &mut v1::Pool, from: [Option<v1::Lifetimes>; 2]) {
    let mut bounds = pool.lifetimes.unwrap_or_default();
    for above in from.into_iter().flatten() {
        set(&mut bounds.preferred_min_secs, above.preferred_min_secs);
        set(&mut bounds.preferred_max_secs, above.preferred_max_secs);
        set(&mut bounds.valid_min_secs, above.valid_min_secs);
        set(&mut bounds.valid_max_secs, above.valid_max_secs);
        set(&mut pool.preferred_lifetime_secs, above.preferred_secs);
        set(&mut pool.valid_lifetime_secs, above.valid_secs);
    }
    pool.lifetimes = (bounds != v1::Lifetimes::default()).then_some(bounds);
}

fn fill_pool(pool: &mut v1::Pool) {
    let is_prefix = pool.kind == i32::from(v1::IaKind::Pd);
    let bounds = pool.lifetimes.unwrap_or_default();
    let within = |secs: u32, min: u32, max: u32| secs.max(min).min(if max == 0 { u32::MAX } else { max });
    if pool.valid_lifetime_secs == 0 {
        let wanted = VALID_SECS.max(pool.preferred_lifetime_secs);
        pool.valid_lifetime_secs = within(wanted, bounds.valid_min_secs, bounds.valid_max_secs);
    }
    if pool.preferred_lifetime_secs == 0 {
        let wanted = PREFERRED_SECS.min(pool.valid_lifetime_secs / 2).max(1);
        pool.preferred_lifetime_secs = within(wanted, bounds.preferred_min_secs, bounds.preferred_max_secs);
    }
    set(&mut pool.autonomy_ms, if is_prefix { AUTONOMY_PREFIX_MS } else { AUTONOMY_ADDRESS_MS });
    set(&mut pool.decline_quarantine_secs, DECLINE_QUARANTINE_SECS);
    set(&mut pool.allocator, v1::Allocator::Hashed.into());
    pool.affinity_secs.get_or_insert(AFFINITY_SECS);
    if pool.mclt_secs == 0 {
        let plenty = !is_prefix && last_slot(pool).is_some_and(|last| last >= PLENTY_SLOTS - 1);
        pool.mclt_secs = if plenty && pool.valid_lifetime_secs != u32::MAX {
            pool.valid_lifetime_secs.min(MCLT_SECS_MAX)
        } else {
            MCLT_SCARCE_SECS
        };
    }
    if pool.range_bits.is_none()
        && let (Some(last), Ok(kind)) = (last_slot(pool), crate::convert::ia_kind(pool.kind))
    {
        let bits = Geometry::default_range_bits(kind, last);
        let in_order = pool.allocator == i32::from(v1::Allocator::InOrder);
        pool.range_bits = Some(if in_order { bits.min(IN_ORDER_RANGE_BITS_MAX) } else { bits });
    }
}

fn last_slot(pool: &v1::Pool) -> Option<u64> {
    let first = u128::from_be_bytes(pool.first.as_slice().try_into().ok()?);
    let last = u128::from_be_bytes(pool.last.as_slice().try_into().ok()?);
    Some(Geometry::new(first, last, pool.length_bits, 0).ok()?.last_slot())
}

fn set<T: Default + PartialEq>(field: &mut T, value: T) {
    if *field == T::default() {
        *field = value;
    }
}
