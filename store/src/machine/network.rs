//! The network configuration: numbering, generations of pools, who is a member of a relationship.
//!
//! Links and relationships keep their number by name. A pool keeps its number, and with it ranges and leases, while
//! its shape, kind, link and relationship stay; else it is a new generation, and the old one is retired: no lease and
//! no grant is deleted, what overlaps opens again only by R2 and R4.

use super::outcome::{Applied, Audience, NetworkRefusal, Outcome};
use super::rows::RowKey;
use super::state::{Machine, Members, PoolState};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::network::{Network, fill_defaults};
use leasehold_proto::pool::Pool;
use leasehold_proto::session::StoreEvent;
use leasehold_proto::time::ClusterTime;
use leasehold_proto::v1;
use leasehold_proto::words::{Duid, Epoch, FrontendId, PoolId, Prefix, RangeId, RelationshipId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

impl Machine {
    pub(super) fn apply_network(
        &mut self,
        expected_version: u64,
        wire: &v1::Network,
        out: &mut Applied,
    ) -> Outcome {
        if self.cluster.is_none() {
            return Outcome::NotFounded;
        }
        let current = self.network.as_ref().map_or(0, |n| n.version);
        if expected_version != 0 && expected_version != current {
            return Outcome::NetworkRefused(NetworkRefusal::Version { expected: expected_version, current });
        }
        let numbered = match self.number(wire, current + 1) {
            Ok(network) => network,
            Err(refusal) => return Outcome::NetworkRefused(refusal),
        };
        let version = numbered.version;
        let moments_move = self.moments_move(&numbered);
        self.update_members(&numbered);
        self.update_pools(&numbered);
        // Who could have extended what follows from the members.
        self.look_again_everywhere();
        let network = Arc::new(numbered);
        self.network = Some(Arc::clone(&network));
        self.touch(RowKey::Network);
        out.tell(Audience::Everyone, StoreEvent::Network(network));
        if moments_move {
            self.rebuild_due();
        } else {
            // Deadlines follow from pools: look at every session again.
            self.schedule_sessions();
        }
        Outcome::NetworkApplied { version }
    }

    /// Whether a configuration moves moments that stand in the due index to an earlier time (a later one is found out
    /// when the moment comes).
    fn moments_move(&self, new: &Network) -> bool {
        self.network.as_ref().is_some_and(|old| {
            old.timing != new.timing
                || new
                    .pools
                    .iter()
                    .any(|p| old.pool(p.id).is_some_and(|o| o.decline_quarantine != p.decline_quarantine))
        })
    }

    /// Fills defaults, numbers items, gives relationships their server DUIDs, and checks the whole.
    fn number(&mut self, wire: &v1::Network, version: u64) -> Result<Network, NetworkRefusal> {
        let mut wire = wire.clone();
        fill_defaults(&mut wire);
        wire.version = version;
        // Checked before any number is spent, so that a refused configuration leaves no trace.
        wire.links.iter_mut().for_each(|l| l.id = 0);
        wire.pools.iter_mut().for_each(|p| p.id = 0);
        wire.relationships.iter_mut().for_each(|r| r.id = 0);
        Network::from_wire(&wire).map_err(invalid)?;
        let old = self.network.clone();
        for link in &mut wire.links {
            let kept =
                old.as_ref().and_then(|n| n.links.iter().find(|l| l.name == link.name)).map(|l| l.id.0);
            link.id = kept.unwrap_or_else(|| self.new_id());
        }
        for relationship in &mut wire.relationships {
            let kept =
                old.as_ref().and_then(|n| n.relationships.iter().find(|r| r.name == relationship.name));
            relationship.id = kept.map(|r| r.id.0).unwrap_or_else(|| self.new_id());
            if relationship.server_duid.is_empty() {
                let duid =
                    kept.map(|r| r.server_duid.clone()).unwrap_or_else(|| self.new_duid(relationship.id));
                relationship.server_duid = duid.as_bytes().to_vec();
            }
        }
        // Pools once more with links and relationships numbered, to compare shapes.
        let numbered = Network::from_wire(&wire).map_err(invalid)?;
        for (pool, checked) in wire.pools.iter_mut().zip(&numbered.pools) {
            let kept = self.pools.values().find(|p| {
                p.retired.is_none() && p.pool.name == checked.name && same_generation(&p.pool, checked)
            });
            pool.id = match kept.map(|p| p.pool.id.0) {
                Some(id) => id,
                None => self.new_id(),
            };
        }
        Network::from_wire(&wire).map_err(invalid)
    }

    /// A server DUID of type UUID (RFC 6355), made from the cluster's seed: the same on every node, and never again
    /// for another relationship.
    fn new_duid(&self, relationship: u32) -> Duid {
        let mut uuid = self.cluster.as_ref().map(|c| c.server_duid_seed).unwrap_or_default();
        for (octet, number) in uuid[12..].iter_mut().zip(relationship.to_be_bytes()) {
            *octet ^= number;
        }
        uuid[6] = (uuid[6] & 0x0f) | 0x40;
        uuid[8] = (uuid[8] & 0x3f) | 0x80;
        Duid::from_uuid(uuid)
    }

    fn update_members(&mut self, network: &Network) {
        let mut partners: BTreeMap<RelationshipId, BTreeSet<FrontendId>> = BTreeMap::new();
        for r in &network.relationships {
            partners.insert(r.id, std::iter::once(&r.primary).chain(&r.secondary).cloned().collect());
        }
        let left = self.applied;
        let ids: BTreeSet<RelationshipId> =
            self.relationships.keys().copied().chain(partners.keys().copied()).collect();
        for id in ids {
            let now = partners.remove(&id).unwrap_or_default();
            let members: &mut Members = self.relationships.entry(id).or_default();
            for (frontend, since) in &mut members.frontends {
                if !now.contains(frontend) {
                    *since = Some(since.unwrap_or(left));
                }
            }
            for frontend in now {
                members.frontends.insert(frontend, None);
            }
            self.touch(RowKey::Relationship(id));
        }
    }

    fn update_pools(&mut self, network: &Network) {
        let retired_now = self.applied;
        let wanted: BTreeSet<PoolId> = network.pools.iter().map(|p| p.id).collect();
        let gone: Vec<PoolId> = self
            .pools
            .values()
            .filter(|p| p.retired.is_none() && !wanted.contains(&p.pool.id))
            .map(|p| p.pool.id)
            .collect();
        for id in gone {
            if let Some(state) = self.pools.get_mut(&id) {
                state.retired = Some(retired_now);
            }
            self.touch(RowKey::Pool(id));
        }
        for (pool, wire) in network.pools.iter().zip(&network.to_wire().pools) {
            let mclt = pool.mclt.span();
            let entry = self.pools.entry(pool.id).or_insert_with(|| PoolState {
                pool: Arc::new(pool.clone()),
                wire: wire.clone(),
                retired: None,
                mclt_max: Duration::ZERO,
                autonomy_max: Duration::ZERO,
                fresh_slices_used: 0,
                asked_back_at: ClusterTime::ZERO,
                free_slices: BTreeSet::new(),
            });
            entry.pool = Arc::new(pool.clone());
            entry.wire = wire.clone();
            entry.mclt_max = entry.mclt_max.max(mclt);
            entry.autonomy_max = entry.autonomy_max.max(pool.autonomy);
            self.touch(RowKey::Pool(pool.id));
        }
    }

    /// Lets go of what retired generations still hold, as sessions acknowledge the configuration that retired them,
    /// and forgets a generation of which nothing is left. Cheap while nothing is retired.
    pub(super) fn settle_retired(&mut self, out: &mut Applied) {
        let retired: Vec<(PoolId, leasehold_proto::words::LogIndex)> =
            self.pools.values().filter_map(|p| p.retired.map(|index| (p.pool.id, index))).collect();
        for (pool, index) in retired {
            let owners: BTreeSet<Epoch> =
                self.ranges_in(pool).map(|(_, r)| r.owner).filter(|e| !e.is_none()).collect();
            for owner in owners {
                let read = self.sessions.get(&owner).is_none_or(|s| s.closed || s.acked_index >= index);
                if read {
                    self.release_ranges_of(owner, Some(pool), out);
                }
            }
            if self.forget_pool_if_empty(pool) {
                // Moments follow from pools: nearer ones must be in the index of every replica.
                self.schedule_sessions();
            }
        }
    }

    fn forget_pool_if_empty(&mut self, id: PoolId) -> bool {
        let Some(state) = self.pools.get(&id) else { return false };
        if self.ranges_in(id).any(|(_, r)| !r.owner.is_none()) {
            return false;
        }
        let geometry = state.pool.geometry;
        let span = geometry.prefix_at(0)..=Prefix::address(geometry.last_bits());
        let leases = || self.leases.range(span.clone()).filter(|(_, l)| l.pool == id);
        if leases().any(|(_, l)| l.state != LeaseState::Free) {
            return false;
        }
        let leases: Vec<Prefix> = leases().map(|(p, _)| *p).collect();
        let ranges: Vec<RangeId> = self.ranges_in(id).map(|(r, _)| *r).collect();
        for prefix in leases {
            if let Some(lease) = self.leases.remove(&prefix) {
                self.bindings.remove(&(lease.binding.clone(), prefix));
            }
            self.touch(RowKey::Lease(prefix));
        }
        for range in ranges {
            self.ranges.remove(&range);
            self.touch(RowKey::Range(range));
        }
        self.pools.remove(&id);
        self.touch(RowKey::Pool(id));
        true
    }
}

/// Whether a pool is the same generation: same shape, kind, link and relationship.
fn same_generation(a: &Pool, b: &Pool) -> bool {
    a.geometry == b.geometry && a.kind == b.kind && a.link == b.link && a.relationship == b.relationship
}

fn invalid(errors: Vec<leasehold_proto::network::NetworkError>) -> NetworkRefusal {
    NetworkRefusal::Invalid(errors.iter().map(ToString::to_string).collect())
}
