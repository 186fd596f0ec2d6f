//! The network configuration as the packet path asks it: which link has this prefix, which relationships serve a
//! link, and which pools of a relationship may serve an IA.
//!
//! Owns an index over one version of the configuration, built when that arrives and never changed. Refuses to know
//! leases, ranges and packets. Links and relationships are named by their position in the configuration, which is
//! valid for this index only. Look-ups allocate nothing.

use super::answer::BucketKey;
use super::classes::{Classes, is_of_one};
use super::options::{PlaceOptions, SpeakingOptions};
use crate::codec::RelayLevel;
use leasehold_proto::network::{Link, LinkSelector, Network, Relationship};
use leasehold_proto::pool::{Exclude, Geometry, Pool};
use leasehold_proto::words::{FrontendId, IaKind, LinkId, PoolId, Prefix};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Position of a link in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct LinkAt(usize);

/// Position of a relationship in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct RelationshipAt(usize);

/// The pools of one relationship on one link, in the order of the configuration.
#[derive(Debug, Clone, Default)]
pub(in crate::engine) struct LinkPools {
    addresses: Vec<PoolId>,
    /// With their delegated lengths in bits.
    prefixes: Vec<(u8, PoolId)>,
    /// What is excluded from the prefixes of which of these pools (PD-08).
    excludes: Vec<(Geometry, Exclude)>,
    /// Some are for certain classes only.
    is_for_classes: bool,
}

#[derive(Debug)]
struct Served {
    relationship: RelationshipAt,
    pools: LinkPools,
}

/// The index.
#[derive(Debug)]
pub(in crate::engine) struct Topology {
    network: Arc<Network>,
    /// By link: the relationships that have pools there, in the order of the configuration.
    links: Vec<Vec<Served>>,
    /// On-link prefixes, sorted, none inside another.
    prefixes: Vec<(Prefix, LinkAt)>,
    /// Relationships in which this frontend is a partner.
    mine: Vec<RelationshipAt>,
    /// Of pools of relationships in which it is one, and of links: by number, for who goes through all leases.
    mine_of_pool: BTreeMap<PoolId, RelationshipAt>,
    link_at: BTreeMap<LinkId, usize>,
    bucket_keys: Vec<BucketKey>,
    options: PlaceOptions,
    no_pools: LinkPools,
}

impl Topology {
    /// Builds the index for one frontend.
    pub(in crate::engine) fn new(network: Arc<Network>, frontend: &FrontendId) -> Self {
        let mut links: Vec<Vec<Served>> = network.links.iter().map(|_| Vec::new()).collect();
        let link_at: BTreeMap<LinkId, usize> =
            network.links.iter().enumerate().map(|(l, link)| (link.id, l)).collect();
        for (r, relationship) in network.relationships.iter().enumerate() {
            let relationship_at = RelationshipAt(r);
            for pool in relationship.pools.iter().filter_map(|id| network.pool(*id)) {
                let Some(served) = link_at.get(&pool.link).map(|l| &mut links[*l]) else { continue };
                if served.last().is_none_or(|last| last.relationship != relationship_at) {
                    served.push(Served { relationship: relationship_at, pools: LinkPools::default() });
                }
                if let Some(last) = served.last_mut() {
                    last.pools.push(pool);
                }
            }
        }
        let mut prefixes: Vec<(Prefix, LinkAt)> = Vec::new();
        for (l, link) in network.links.iter().enumerate() {
            prefixes.extend(link.prefixes.iter().map(|prefix| (*prefix, LinkAt(l))));
        }
        prefixes.sort_by_key(|(prefix, _)| *prefix);
        // A prefix inside an earlier one is of the same link (the configuration sees to that), and would hide it.
        prefixes.dedup_by(|(inner, _), (outer, _)| outer.contains(*inner));
        let mine: Vec<RelationshipAt> = (0..network.relationships.len())
            .filter(|r| network.relationships[*r].has_partner(frontend))
            .map(RelationshipAt)
            .collect();
        let mine_of_pool = mine
            .iter()
            .flat_map(|at| network.relationships[at.0].pools.iter().map(|pool| (*pool, *at)))
            .collect();
        let bucket_keys =
            network.relationships.iter().map(|r| BucketKey::of_server(r.server_duid.as_bytes())).collect();
        let options = PlaceOptions::new(&network);
        Self {
            network,
            links,
            prefixes,
            mine,
            mine_of_pool,
            link_at,
            bucket_keys,
            options,
            no_pools: LinkPools::default(),
        }
    }

    /// The configuration that is indexed.
    pub(in crate::engine) fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// A link by its position.
    pub(in crate::engine) fn link(&self, at: LinkAt) -> &Link {
        &self.network.links[at.0]
    }

    /// The options that speak for a client on a link, highest precedence first; `pool`: whose lease it is given, asked
    /// only if that matters.
    pub(in crate::engine) fn options_for(
        &self,
        link: LinkAt,
        classes: &[usize],
        duid: &[u8],
        pool: impl FnOnce() -> Option<PoolId>,
    ) -> SpeakingOptions<'_> {
        self.options.of(link.0, classes, duid, pool)
    }

    /// A relationship by its position.
    pub(in crate::engine) fn relationship(&self, at: RelationshipAt) -> &Relationship {
        &self.network.relationships[at.0]
    }

    /// The key of a relationship's buckets.
    pub(in crate::engine) fn bucket_key(&self, at: RelationshipAt) -> BucketKey {
        self.bucket_keys[at.0]
    }

    /// The link with this name.
    pub(in crate::engine) fn link_named(&self, name: &str) -> Option<LinkAt> {
        self.network.links.iter().position(|link| link.name == name).map(LinkAt)
    }

    /// The link of this number.
    pub(in crate::engine) fn link_with_id(&self, id: LinkId) -> Option<LinkAt> {
        self.link_at.get(&id).copied().map(LinkAt)
    }

    /// The relationship of a pool, if this frontend is a partner in it.
    pub(in crate::engine) fn mine_of_pool(&self, pool: PoolId) -> Option<RelationshipAt> {
        self.mine_of_pool.get(&pool).copied()
    }

    /// The link whose prefixes hold this address (SV-154).
    pub(in crate::engine) fn link_of_address(&self, bits: u128) -> Option<LinkAt> {
        let after = self.prefixes.partition_point(|(prefix, _)| prefix.bits() <= bits);
        let (prefix, link) = self.prefixes.get(after.checked_sub(1)?)?;
        prefix.contains(Prefix::address(bits)).then_some(*link)
    }

    /// The link that a relay level selects by configuration; `relay`: the address by which it was heard (SV-153).
    pub(in crate::engine) fn link_selected(&self, level: &RelayLevel<'_>, relay: u128) -> Option<LinkAt> {
        let is_said = |wanted: &Option<Vec<u8>>, said: Option<&[u8]>| match wanted {
            Some(wanted) => said == Some(wanted.as_slice()),
            None => true,
        };
        let fits = |selector: &LinkSelector| {
            selector.relay.is_none_or(|wanted| wanted == relay)
                && is_said(&selector.relay_id, level.relay_id)
                && is_said(&selector.interface_id, level.interface_id)
                && is_said(&selector.remote_id, level.remote_id)
                && is_said(&selector.subscriber_id, level.subscriber_id)
        };
        self.network.links.iter().position(|link| link.selectors.iter().any(fits)).map(LinkAt)
    }

    /// The relationship with this server DUID in which this frontend is a partner (SV-133).
    pub(in crate::engine) fn mine_with_duid(&self, server_duid: &[u8]) -> Option<RelationshipAt> {
        self.mine.iter().copied().find(|at| self.relationship(*at).server_duid.as_bytes() == server_duid)
    }

    /// Whether this frontend is a partner of a relationship.
    pub(in crate::engine) fn is_mine(&self, at: RelationshipAt) -> bool {
        self.mine.contains(&at)
    }

    /// The relationship in one of whose pools a lease lies; walks all pools, so not for every packet.
    pub(in crate::engine) fn relationship_of(&self, prefix: Prefix) -> Option<RelationshipAt> {
        let pool = self.network.pools.iter().find(|pool| pool.geometry.slot_of(prefix).is_some())?;
        self.network.relationships.iter().position(|r| r.id == pool.relationship).map(RelationshipAt)
    }

    /// How many relationships serve a link. A link without pools is served, for all but leases, by every one.
    pub(in crate::engine) fn relationships_on(&self, link: LinkAt) -> usize {
        let count = self.links[link.0].len();
        if count == 0 { self.network.relationships.len() } else { count }
    }

    /// The n-th relationship that serves a link, below [`Topology::relationships_on`].
    pub(in crate::engine) fn relationship_on(&self, link: LinkAt, n: usize) -> Option<RelationshipAt> {
        let served = &self.links[link.0];
        if served.is_empty() {
            (n < self.network.relationships.len()).then_some(RelationshipAt(n))
        } else {
            served.get(n).map(|s| s.relationship)
        }
    }

    /// The pools of a relationship on a link; maybe none.
    pub(in crate::engine) fn pools(&self, link: LinkAt, relationship: RelationshipAt) -> &LinkPools {
        let served = self.links[link.0].iter().find(|served| served.relationship == relationship);
        served.map_or(&self.no_pools, |served| &served.pools)
    }
}

impl LinkPools {
    fn push(&mut self, pool: &Pool) {
        self.is_for_classes |= !pool.classes.is_empty();
        match pool.kind {
            IaKind::Na => self.addresses.push(pool.id),
            IaKind::Pd => self.prefixes.push((pool.geometry.length_bits(), pool.id)),
        }
        self.excludes.extend(pool.exclude.map(|exclude| (pool.geometry, exclude)));
    }

    /// Those that clients of these classes may have new leases of; nothing if that is all of them.
    pub(in crate::engine) fn for_classes(&self, network: &Network, classes: &Classes) -> Option<Self> {
        if !self.is_for_classes {
            return None;
        }
        let is_open =
            |id: &PoolId| network.pool(*id).is_some_and(|pool| is_of_one(network, classes, &pool.classes));
        Some(Self {
            addresses: self.addresses.iter().copied().filter(is_open).collect(),
            prefixes: self.prefixes.iter().copied().filter(|(_, id)| is_open(id)).collect(),
            excludes: self.excludes.clone(),
            is_for_classes: true,
        })
    }

    /// Whether a pool is one of these.
    pub(in crate::engine) fn contains(&self, pool: PoolId) -> bool {
        self.addresses.contains(&pool) || self.prefixes.iter().any(|(_, id)| *id == pool)
    }

    /// The part of a delegated prefix that stays with the delegating side (PD-08).
    pub(in crate::engine) fn excluded(&self, delegated: Prefix) -> Option<Prefix> {
        let fits = |(geometry, _): &&(Geometry, Exclude)| geometry.slot_of(delegated).is_some();
        self.excludes.iter().find(fits)?.1.of(delegated)
    }

    /// The pools of prefixes of exactly this length.
    pub(in crate::engine) fn of_length(&self, length: u8) -> SmallVec<[PoolId; 4]> {
        self.prefixes.iter().filter(|(of, _)| *of == length).map(|(_, id)| *id).collect()
    }

    /// The pools for an IA in the order in which they are to be tried: `first` before all others; for prefixes with a
    /// length hint those of exactly that length, then the longest ones that are shorter, then the rest (PD-04).
    pub(in crate::engine) fn in_order(
        &self,
        kind: IaKind,
        length_hint: Option<u8>,
        first: Option<PoolId>,
    ) -> SmallVec<[PoolId; 4]> {
        let mut order: SmallVec<[PoolId; 4]> = match (kind, length_hint) {
            (IaKind::Na, _) => self.addresses.iter().copied().collect(),
            (IaKind::Pd, None) => self.prefixes.iter().map(|(_, id)| *id).collect(),
            (IaKind::Pd, Some(wanted)) => {
                let mut by_length: SmallVec<[(u8, PoolId); 4]> = self.prefixes.iter().copied().collect();
                by_length.sort_by_key(|(length, _)| match wanted.checked_sub(*length) {
                    Some(shorter_by) => (0, shorter_by),
                    None => (1, *length),
                });
                by_length.into_iter().map(|(_, id)| id).collect()
            }
        };
        if let Some(at) = first.and_then(|first| order.iter().position(|id| *id == first)) {
            order[..=at].rotate_right(1);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pools() -> LinkPools {
        LinkPools {
            addresses: vec![PoolId(1), PoolId(2)],
            prefixes: vec![(64, PoolId(3)), (56, PoolId(4)), (48, PoolId(5))],
            excludes: vec![],
            is_for_classes: false,
        }
    }

    fn order(kind: IaKind, length: Option<u8>, first: Option<u32>) -> Vec<u32> {
        pools().in_order(kind, length, first.map(PoolId)).iter().map(|id| id.0).collect()
    }

    #[test]
    fn pd_04_exact_length_then_the_longest_that_is_shorter() {
        assert_eq!(order(IaKind::Pd, Some(56), None), [4, 5, 3]);
        assert_eq!(order(IaKind::Pd, Some(60), None), [4, 5, 3]);
        assert_eq!(order(IaKind::Pd, Some(64), None), [3, 4, 5]);
        assert_eq!(order(IaKind::Pd, Some(40), None), [5, 4, 3]);
        assert_eq!(order(IaKind::Pd, None, None), [3, 4, 5]);
    }

    #[test]
    fn a_hinted_pool_goes_first() {
        assert_eq!(order(IaKind::Na, None, Some(2)), [2, 1]);
        assert_eq!(order(IaKind::Pd, None, Some(5)), [5, 3, 4]);
        assert_eq!(order(IaKind::Na, None, Some(9)), [1, 2]);
    }
}
