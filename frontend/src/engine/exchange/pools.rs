//! The network configuration as the packet path asks it: which link has this prefix, which pool this lease, which
//! relationships serve a link, and with which pools.
//!
//! Owns an index over one version of the configuration, built when that arrives and never changed. Refuses to know
//! leases, ranges and packets. Links and relationships are named by their position in the configuration, which is
//! valid for this index only. Look-ups allocate nothing.

use super::answer::BucketKey;
use super::classes::{Audience, ClassIndex};
use super::link_pools::LinkPools;
use super::options::{PlaceOptions, SpeakingOptions};
use crate::codec::RelayLevel;
use crate::engine::pool_index::PoolIndex;
use leasehold_proto::network::{Link, LinkSelector, Network, Relationship};
use leasehold_proto::pool::Pool;
use leasehold_proto::words::{FrontendId, LinkId, PoolId, Prefix};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Position of a link in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct LinkAt(usize);

/// Position of a relationship in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct RelationshipAt(usize);

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
    pools: PoolIndex,
    classes: ClassIndex,
    /// By position of the link: which clients it serves.
    audiences: Vec<Audience>,
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
                    last.pools.push(pool, Audience::new(&network, &pool.classes));
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
        let audiences = network.links.iter().map(|link| Audience::new(&network, &link.classes)).collect();
        Self {
            classes: ClassIndex::new(&network),
            audiences,
            pools: PoolIndex::new(&network, |_| true),
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

    /// The classes.
    pub(in crate::engine) fn classes(&self) -> &ClassIndex {
        &self.classes
    }

    /// Whether clients of these classes are served on a link.
    pub(in crate::engine) fn serves(&self, link: LinkAt, classes: &[usize]) -> bool {
        self.audiences[link.0].includes(classes)
    }

    /// A pool by its number.
    pub(in crate::engine) fn pool(&self, id: PoolId) -> Option<&Pool> {
        self.pools.pool(&self.network, id)
    }

    /// The pool of which this is a leasable unit.
    pub(in crate::engine) fn pool_of(&self, prefix: Prefix) -> Option<&Pool> {
        self.pools.pool_of(&self.network, prefix)
    }

    /// The relationship in one of whose pools a lease lies.
    pub(in crate::engine) fn relationship_of(&self, prefix: Prefix) -> Option<RelationshipAt> {
        let pool = self.pool_of(prefix)?;
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
