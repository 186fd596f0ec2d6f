//! Rules of relationships: their partners, and that a pool is in one of them.

use super::{Checker, Item, check_name, number};
use crate::network::{Answering, BucketMode, Relationship};
use crate::v1;
use crate::words::{Duid, FrontendId, PoolId, RelationshipId};
use std::collections::{BTreeMap, BTreeSet};

/// The relationship of each pool, by its name.
pub(super) type PoolOwner = BTreeMap<String, RelationshipId>;

pub(super) fn check_relationships(c: &mut Checker, wire: &v1::Network) -> (Vec<Relationship>, PoolOwner) {
    let mut names = BTreeSet::new();
    let mut duids = BTreeSet::new();
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
        let preference = u8::try_from(r.preference).unwrap_or_else(|_| {
            c.fail(item, "preference", "is from 0 to 255 (SV-306)");
            0
        });
        if !r.server_duid.is_empty() && !duids.insert(&r.server_duid) {
            c.fail(item, "server_duid", "is that of another relationship: each is a server of its own");
        }
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
                preference,
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
