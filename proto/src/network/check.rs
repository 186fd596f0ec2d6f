//! The rules that a network configuration must keep, each with the item and field that breaks it.

use super::{Answering, BucketMode, Link, Network, Options, Relationship};
use crate::convert;
use crate::lifetimes::Timing;
use crate::pool::{Geometry, Pool};
use crate::time::Lifetime;
use crate::v1;
use crate::words::{Duid, FrontendId, IaKind, LinkId, PoolId, Prefix, RelationshipId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What an error is about: the n-th of its kind, from 0, in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// The file as a whole, or a global setting.
    Global,
    /// A link.
    Link(usize),
    /// A pool.
    Pool(usize),
    /// A relationship.
    Relationship(usize),
    /// What is left to the store.
    Auto,
}

/// One inconsistency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{item:?}, `{field}`: {message}")]
pub struct NetworkError {
    /// About what.
    pub item: Item,
    /// Which field, as it is called in the file.
    pub field: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

struct Checker {
    errors: Vec<NetworkError>,
}

impl Checker {
    fn fail(&mut self, item: Item, field: &'static str, message: impl Into<String>) {
        self.errors.push(NetworkError { item, field, message: message.into() });
    }
}

/// The valid lifetime may not be shorter than what a client needs to renew at all.
const VALID_SECS_MIN: u32 = 4;
/// The largest MCLT that makes sense: a year. Guards arithmetic and typing errors.
const MCLT_SECS_MAX: u32 = 366 * 86_400;

pub(super) fn check(wire: &v1::Network) -> Result<Network, Vec<NetworkError>> {
    let mut c = Checker { errors: Vec::new() };
    let links = check_links(&mut c, wire);
    let (relationships, owner) = check_relationships(&mut c, wire);
    let auto = super::auto::check(wire, &mut |error| c.errors.push(error));
    let pools = check_pools(&mut c, wire, &links, &owner);
    check_overlaps(&mut c, &links, &pools);
    let options = options(&mut c, Item::Global, wire.options.as_ref());
    let timing = wire.timing.map_or_else(Timing::default, |t| Timing {
        rho_ppm: t.rho_ppm,
        flight_ms: t.flight_ms,
        send_ms: t.send_ms,
    });
    for (i, pool) in pools.iter().filter(|(_, pool)| pool.commit_wait_ms > 0) {
        if pool.commit_wait_ms >= timing.send_ms {
            let message = format!(
                "must be below `send`, {} ms: a Reply held longer than that is not sent any more (R4)",
                timing.send_ms
            );
            c.fail(Item::Pool(*i), "commit_wait", message);
        }
    }
    if timing.rho_ppm > 100_000 {
        c.fail(Item::Global, "rho_ppm", "a clock that is off by more than 10 % cannot be worked with");
    }
    if c.errors.is_empty() {
        let pools = pools.into_iter().map(|(_, p)| p).collect();
        Ok(Network {
            version: wire.version,
            links,
            pools,
            relationships,
            options,
            timing,
            auto,
            wire: wire.clone(),
        })
    } else {
        Err(c.errors)
    }
}

/// The number of an item: as stored, or its place counted from 1 when it has none yet.
fn number(id: u32, place: usize) -> u32 {
    if id != 0 { id } else { u32::try_from(place + 1).unwrap_or(u32::MAX) }
}

fn check_links(c: &mut Checker, wire: &v1::Network) -> Vec<Link> {
    let mut names = BTreeSet::new();
    let mut links: Vec<Link> = Vec::new();
    for (i, link) in wire.links.iter().enumerate() {
        let item = Item::Link(i);
        check_name(c, item, &link.name, &mut names);
        let mut prefixes = Vec::new();
        for raw in &link.prefixes {
            match convert::prefix(raw) {
                Ok(p) if p.len_bits() > 0 => prefixes.push(p),
                Ok(_) => {
                    c.fail(item, "prefixes", "`::/0` would claim every link: name the link's own prefixes")
                }
                Err(e) => c.fail(item, "prefixes", e.to_string()),
            }
        }
        for other in &links {
            if let Some((a, b)) = first_overlap(&prefixes, &other.prefixes) {
                c.fail(
                    item,
                    "prefixes",
                    format!("{a} overlaps {b} of link `{}`: a prefix is on one link", other.name),
                );
            }
        }
        let interface_id = (!link.interface_id.is_empty()).then(|| link.interface_id.clone());
        let options = options(c, item, link.options.as_ref());
        links.push(Link {
            id: LinkId(number(link.id, i)),
            name: link.name.clone(),
            prefixes,
            rapid_commit: link.rapid_commit,
            options,
            interface_id,
        });
    }
    links
}

fn first_overlap(a: &[Prefix], b: &[Prefix]) -> Option<(Prefix, Prefix)> {
    a.iter().find_map(|x| b.iter().find(|y| x.overlaps(**y)).map(|y| (*x, *y)))
}

fn check_name(c: &mut Checker, item: Item, name: &str, seen: &mut BTreeSet<String>) {
    if FrontendId::new(name).is_err() {
        c.fail(item, "name", crate::words::InvalidName(name.to_owned()).to_string());
    }
    if !seen.insert(name.to_owned()) {
        c.fail(item, "name", format!("`{name}` is used twice: names are unique"));
    }
}

type PoolOwner = BTreeMap<String, RelationshipId>;

fn check_relationships(c: &mut Checker, wire: &v1::Network) -> (Vec<Relationship>, PoolOwner) {
    let mut names = BTreeSet::new();
    let mut owner = PoolOwner::new();
    let ids: BTreeMap<&str, u32> =
        wire.pools.iter().enumerate().map(|(i, p)| (p.name.as_str(), number(p.id, i))).collect();
    let mut out: Vec<Relationship> = Vec::new();
    for (i, r) in wire.relationships.iter().enumerate() {
        let item = Item::Relationship(i);
        check_name(c, item, &r.name, &mut names);
        let id = RelationshipId(number(r.id, i));
        let mut pools = Vec::new();
        for pool in &r.pools {
            match ids.get(pool.as_str()) {
                None => c.fail(item, "pools", format!("there is no pool `{pool}`")),
                Some(_) if owner.contains_key(pool) => {
                    c.fail(
                        item,
                        "pools",
                        format!("pool `{pool}` is in two relationships: it may be in one (FO-102)"),
                    );
                }
                Some(pool_id) => {
                    owner.insert(pool.clone(), id);
                    pools.push(PoolId(*pool_id));
                }
            }
        }
        let primary = frontend(c, item, "primary", &r.primary);
        let secondary =
            if r.secondary.is_empty() { None } else { frontend(c, item, "secondary", &r.secondary) };
        if secondary.is_some() && primary == secondary {
            c.fail(
                item,
                "secondary",
                "primary and secondary are the same frontend: leave `secondary` out for a standalone one",
            );
        }
        let buckets = match v1::BucketMode::try_from(r.buckets) {
            Ok(v1::BucketMode::HotStandby) => BucketMode::HotStandby,
            Ok(v1::BucketMode::LoadBalancing) => BucketMode::LoadBalancing,
            _ => {
                c.fail(item, "buckets", "is `hot-standby` or `load-balancing`");
                BucketMode::HotStandby
            }
        };
        let answering = match v1::Answering::try_from(r.answering) {
            Ok(v1::Answering::Buckets) => Answering::Buckets,
            Ok(v1::Answering::Any) => Answering::Any,
            _ => {
                c.fail(item, "answering", "is `buckets` or `any`");
                Answering::Buckets
            }
        };
        // Absent in a file that was not applied yet: the store makes one then, and checks again.
        let duid_octets: &[u8] = if r.server_duid.is_empty() { &[0, 4, 0] } else { &r.server_duid };
        match (primary, Duid::new(duid_octets)) {
            (Some(primary), Ok(server_duid)) => out.push(Relationship {
                id,
                name: r.name.clone(),
                server_duid,
                primary,
                secondary,
                pools,
                buckets,
                answering,
                takeover_after_ms: r.takeover_after_ms,
            }),
            (_, Err(e)) => c.fail(item, "server_duid", e.to_string()),
            (None, _) => {}
        }
    }
    (out, owner)
}

fn frontend(c: &mut Checker, item: Item, field: &'static str, name: &str) -> Option<FrontendId> {
    FrontendId::new(name).map_err(|e| c.fail(item, field, e.to_string())).ok()
}

fn check_pools(c: &mut Checker, wire: &v1::Network, links: &[Link], owner: &PoolOwner) -> Vec<(usize, Pool)> {
    let mut names = BTreeSet::new();
    let mut pools = Vec::new();
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
        let link = links.iter().find(|l| l.name == p.link);
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
        check_lifetimes(c, item, p);
        let kind = convert::ia_kind(p.kind).map_err(|e| c.fail(item, "kind", e.to_string())).ok();
        let geometry = geometry(c, item, p);
        let (Some(link), Some(relationship), Some(kind), Some(geometry)) =
            (link, relationship, kind, geometry)
        else {
            continue;
        };
        if kind == IaKind::Na && geometry.length_bits() != 128 {
            c.fail(item, "addresses", "an address pool leases single addresses");
        }
        if kind == IaKind::Na && !link.prefixes.iter().any(|l| inside(&geometry, *l)) {
            c.fail(
                item,
                "addresses",
                format!("lies in no prefix of link `{}`: clients could not use it", link.name),
            );
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
    }
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

fn check_lifetimes(c: &mut Checker, item: Item, p: &v1::Pool) {
    if p.valid_lifetime_secs < VALID_SECS_MIN {
        c.fail(item, "valid_lifetime", format!("must be at least {VALID_SECS_MIN}s"));
    }
    if p.preferred_lifetime_secs == 0 || p.preferred_lifetime_secs > p.valid_lifetime_secs {
        c.fail(item, "preferred_lifetime", "must be above 0 and not above the valid lifetime (SV-209)");
    }
    if p.mclt_secs == 0 || p.mclt_secs > MCLT_SECS_MAX {
        c.fail(item, "mclt", "must be from 1s to a year");
    }
    if p.autonomy_ms == 0 {
        c.fail(item, "autonomy", "must be above 0: without autonomy nothing could be leased");
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

fn inside(g: &Geometry, link: Prefix) -> bool {
    link.bits() <= g.first_bits() && g.last_bits() <= link.last_bits()
}

/// No two pools share an address, and delegated prefixes lie outside every on-link prefix (PD-11, FO-102).
fn check_overlaps(c: &mut Checker, links: &[Link], pools: &[(usize, Pool)]) {
    for (n, (i, pool)) in pools.iter().enumerate() {
        let field = if pool.kind == IaKind::Pd { "prefixes" } else { "addresses" };
        for (_, other) in &pools[..n] {
            if pool.geometry.overlaps(&other.geometry) {
                c.fail(
                    Item::Pool(*i),
                    field,
                    format!("overlaps pool `{}`: an address is in one pool (FO-102)", other.name),
                );
            }
        }
        if pool.kind != IaKind::Pd {
            continue;
        }
        for link in links {
            let clash = link.prefixes.iter().find(|l| {
                l.bits() <= pool.geometry.last_bits() && pool.geometry.first_bits() <= l.last_bits()
            });
            if let Some(clash) = clash {
                let message = format!("overlaps the on-link prefix {clash} of link `{}` (PD-11)", link.name);
                c.fail(Item::Pool(*i), field, message);
            }
        }
    }
}

fn options(c: &mut Checker, item: Item, raw: Option<&v1::DhcpOptions>) -> Options {
    let Some(raw) = raw else { return Options::default() };
    let mut out = Options::default();
    for server in &raw.dns_servers {
        match <[u8; 16]>::try_from(server.as_slice()) {
            Ok(octets) => out.dns_servers.push(u128::from_be_bytes(octets)),
            Err(_) => c.fail(item, "dns_servers", "an IPv6 address has 16 octets"),
        }
    }
    for name in &raw.domain_search {
        match encode_name(name) {
            Ok(octets) => out.domain_search.extend(octets),
            Err(message) => c.fail(item, "domain_search", message),
        }
    }
    out
}

/// A name in uncompressed DNS wire form (RFC 9915 §10).
fn encode_name(name: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    for label in name.trim_end_matches('.').split('.') {
        let fits = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        match u8::try_from(label.len()) {
            Ok(len) if (1..=63).contains(&len) && fits => {
                out.push(len);
                out.extend(label.bytes());
            }
            _ => {
                return Err(format!(
                    "`{name}` is not a domain name: labels are 1 to 63 letters, digits, `-` or `_`"
                ));
            }
        }
    }
    out.push(0);
    if out.len() > 255 { Err(format!("`{name}` is longer than 255 octets")) } else { Ok(out) }
}
