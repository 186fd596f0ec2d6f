//! The network configuration: numbering, generations of pools, who is a member of a relationship.
//!
//! Links and relationships keep their number by name. A pool keeps its number, and with it ranges and leases, while its
//! shape (but for its end), kind, link and relationship stay; else it is a new generation, and the old one is retired
//! (it comes back as it was while leases of it are left): no lease and no grant is deleted, what overlaps opens again
//! only by R2 and R4 (`reshaping`). A configuration of which parts are left to the store is made concrete first
//! (`spreading`); frontends get concrete ones only. Refuses to fill defaults in: who proposes does, so that what is in
//! the log means the same to every release.

use super::command::FORMAT_HISTORY;
use super::outcome::{Applied, Audience, NetworkRefusal, Outcome};
use super::rows::RowKey;
use super::state::{Machine, Members, PoolState};
use leasehold_proto::network::Network;
use leasehold_proto::pool::Pool;
use leasehold_proto::session::StoreEvent;
use leasehold_proto::time::ClusterTime;
use leasehold_proto::v1;
use leasehold_proto::words::{Duid, Epoch, FrontendId, PoolId, RelationshipId};
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
        let numbered = self.made_concrete(wire).and_then(|wire| self.number(wire, current + 1));
        match numbered {
            Ok(network) => {
                self.keep_written(wire);
                Outcome::NetworkApplied { version: self.take_network(network, out) }
            }
            Err(refusal) => Outcome::NetworkRefused(refusal),
        }
    }

    /// A numbered configuration is in force from here on.
    pub(super) fn take_network(&mut self, numbered: Network, out: &mut Applied) -> u64 {
        let version = numbered.version;
        let moments_move = self.moments_move(&numbered);
        self.timing_max = Some(self.timing_max.map_or(numbered.timing, |max| max.at_least(numbered.timing)));
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
        version
    }

    /// Whether a configuration moves moments that stand in the due index to an earlier time (a later one is found out
    /// when the moment comes).
    fn moments_move(&self, new: &Network) -> bool {
        self.network.as_ref().is_some_and(|old| {
            new.pools
                .iter()
                .any(|p| old.pool(p.id).is_some_and(|o| o.decline_quarantine != p.decline_quarantine))
        })
    }

    /// Numbers the items of a concrete configuration, gives relationships their server DUIDs, and checks the whole.
    pub(super) fn number(&mut self, mut wire: v1::Network, version: u64) -> Result<Network, NetworkRefusal> {
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
            let same = |p: &&PoolState| p.pool.name == checked.name && self.same_generation(p, checked);
            // One that is offered goes before one that was taken out.
            let kept = self.pools.values().filter(same).min_by_key(|p| p.retired.is_some());
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
        let applied = self.applied;
        let ids: BTreeSet<RelationshipId> =
            self.relationships.keys().copied().chain(partners.keys().copied()).collect();
        for id in ids {
            let now = partners.remove(&id).unwrap_or_default();
            let Self { relationships, leavers, .. } = self;
            let members: &mut Members = relationships.entry(id).or_default();
            for (frontend, since) in &mut members.frontends {
                if !now.contains(frontend) {
                    *since = Some(since.unwrap_or(applied));
                    leavers.insert((id, frontend.clone()));
                    members.joined.remove(frontend);
                }
            }
            for frontend in now {
                members.joined.entry(frontend.clone()).or_insert(applied);
                members.frontends.insert(frontend, None);
            }
            self.touch(RowKey::Relationship(id));
        }
    }

    fn update_pools(&mut self, network: &Network) {
        self.note_what_format_1_took_out();
        let wanted: BTreeSet<PoolId> = network.pools.iter().map(|p| p.id).collect();
        let gone: Vec<PoolId> = self
            .pools
            .values()
            .filter(|p| p.retired.is_none() && !wanted.contains(&p.pool.id))
            .map(|p| p.pool.id)
            .collect();
        for id in gone {
            self.retire(id);
        }
        for (pool, wire) in network.pools.iter().zip(&network.to_wire().pools) {
            if !self.pools.contains_key(&pool.id) {
                // What another pool promised there without telling is not to be adopted here (R7).
                let others = self.format < FORMAT_HISTORY
                    && self.pools.values().any(|p| p.pool.geometry.overlaps(&pool.geometry));
                self.pools.insert(pool.id, new_pool(pool, wire, if others { u64::MAX } else { 0 }));
            }
            self.reshape(pool, wire);
        }
    }
}

fn new_pool(pool: &Pool, wire: &v1::Pool, unclean_below: u64) -> PoolState {
    PoolState {
        pool: Arc::new(pool.clone()),
        wire: wire.clone(),
        retired: None,
        mclt_max: Duration::ZERO,
        autonomy_max: Duration::ZERO,
        fresh_slices_used: 0,
        asked_back_at: ClusterTime::ZERO,
        asked_for: Epoch::NONE,
        offered_last_slot: pool.geometry.last_slot(),
        cut: None,
        unclean_below,
        sweep_from: None,
        look_from: 0,
        free_slices: BTreeSet::new(),
        passed_slices: BTreeSet::new(),
    }
}

pub(super) fn invalid(errors: Vec<leasehold_proto::network::NetworkError>) -> NetworkRefusal {
    NetworkRefusal::Invalid(errors.iter().map(ToString::to_string).collect())
}
