//! Reading the machine: for the session streams and for administration. Changes nothing.

use super::outcome::Audience;
use super::state::{Counters, Machine};
use leasehold_proto::lease::Lease;
use leasehold_proto::network::Network;
use leasehold_proto::pool::Pool;
use leasehold_proto::session::RangeRecord;
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{
    BindingKey, Duid, Epoch, FrontendId, IaKind, Iaid, LinkId, LogIndex, PoolId, Prefix, RangeId,
    RelationshipId, UpdateSeq,
};
use std::ops::Bound;
use std::sync::Arc;

/// A session as people and the hub see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// Its number.
    pub epoch: Epoch,
    /// Whose.
    pub frontend: FrontendId,
    /// Not superseded.
    pub current: bool,
    /// The newer session of the same frontend.
    pub superseded_by: Option<Epoch>,
    /// Log index of the superseding; 0 while there is none.
    pub superseded_index: LogIndex,
    /// A later process on the same host proved it gone (R6).
    pub proven_gone: Option<ClusterTime>,
    /// An operator declared its frontend down (R4).
    pub declared_down: Option<ClusterTime>,
    /// Stopped cleanly.
    pub closed: bool,
    /// Past its deadline: never extended again.
    pub ended: bool,
    /// Highest batch taken.
    pub applied_sequence: UpdateSeq,
    /// Events acknowledged.
    pub acked_index: LogIndex,
    /// Last extension.
    pub extended_at: ClusterTime,
    /// When it was opened.
    pub opened_at: ClusterTime,
}

/// Where a range stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeStanding {
    /// Its owner issues from it.
    Granted,
    /// Its owner is gone, but not dead for certain.
    Closed,
    /// Given back, or opened again.
    Free,
}

/// A range that was ever granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeView {
    /// Which.
    pub range: RangeId,
    /// Its owner; none when free.
    pub owner: Option<(Epoch, FrontendId)>,
    /// Where it stands.
    pub standing: RangeStanding,
}

impl Machine {
    /// Cluster time as of the last entry applied.
    #[must_use]
    pub fn time(&self) -> ClusterTime {
        self.time
    }

    /// Index of the last entry applied.
    #[must_use]
    pub fn applied(&self) -> LogIndex {
        self.applied
    }

    /// Name and incarnation of the cluster, once founded.
    #[must_use]
    pub fn cluster(&self) -> Option<(&str, u16)> {
        self.cluster.as_ref().map(|c| (c.name.as_str(), c.incarnation))
    }

    /// From which server DUIDs are made, once founded.
    #[must_use]
    pub fn server_duid_seed(&self) -> Option<[u8; 16]> {
        self.cluster.as_ref().map(|c| c.server_duid_seed)
    }

    /// The configuration, once one was applied.
    #[must_use]
    pub fn network(&self) -> Option<&Arc<Network>> {
        self.network.as_ref()
    }

    /// What happened since this process started.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The number of the session opened last.
    #[must_use]
    pub fn newest_epoch(&self) -> Epoch {
        self.cluster.as_ref().map_or(Epoch::NONE, |c| Epoch::new(c.incarnation, self.epoch_counter))
    }

    /// One session.
    #[must_use]
    pub fn session(&self, epoch: Epoch) -> Option<SessionView> {
        self.sessions.get(&epoch).map(|s| SessionView {
            epoch,
            frontend: s.frontend.clone(),
            current: s.superseded_by.is_none(),
            superseded_by: s.superseded_by,
            superseded_index: s.superseded_index,
            proven_gone: s.proven_gone,
            declared_down: s.declared_down,
            closed: s.closed,
            ended: s.ended,
            applied_sequence: s.applied_sequence,
            acked_index: s.acked_index,
            extended_at: s.extended_at,
            opened_at: s.opened_at,
        })
    }

    /// All sessions, by epoch.
    pub fn sessions(&self) -> impl Iterator<Item = SessionView> {
        self.sessions.keys().filter_map(|e| self.session(*e))
    }

    /// Whether an event is for a session.
    #[must_use]
    pub fn concerns(&self, audience: Audience, epoch: Epoch, frontend: &FrontendId) -> bool {
        match audience {
            Audience::Session(e) => e == epoch,
            Audience::Everyone => true,
            Audience::Relationship(r) => self.is_member(r, frontend),
            Audience::RelationshipExcept(r, e) => e != epoch && self.is_member(r, frontend),
        }
    }

    /// Whether an event for one session is for one of a frontend's.
    #[must_use]
    pub fn concerns_frontend(&self, audience: Audience, frontend: &FrontendId) -> bool {
        match audience {
            Audience::Session(epoch) => self.sessions.get(&epoch).is_some_and(|s| s.frontend == *frontend),
            _ => false,
        }
    }

    /// A pool generation, retired ones included.
    #[must_use]
    pub fn pool(&self, id: PoolId) -> Option<&Arc<Pool>> {
        self.pools.get(&id).map(|p| &p.pool)
    }

    /// A lease by address or prefix.
    #[must_use]
    pub fn lease(&self, prefix: Prefix) -> Option<&Arc<Lease>> {
        self.leases.get(&prefix)
    }

    /// The lease that an address is of or lies in.
    #[must_use]
    pub fn lease_covering(&self, address: u128) -> Option<&Arc<Lease>> {
        let at = Prefix::address(address);
        // Leases do not overlap: the last that begins at or before the address is the only candidate.
        self.leases.range(..=at).next_back().filter(|(p, _)| p.contains(at)).map(|(_, l)| l)
    }

    /// Leases from a key on, in the order of their prefixes: to be read in pieces, as the caller holds a lock.
    pub fn leases_from(&self, from: Bound<Prefix>) -> impl Iterator<Item = &Arc<Lease>> {
        self.leases.range((from, Bound::Unbounded)).map(|(_, l)| l)
    }

    /// Every lease of one client on one link.
    pub fn leases_of_client(&self, link: LinkId, duid: &Duid) -> impl Iterator<Item = &Arc<Lease>> {
        let key = |kind, iaid| BindingKey { link, duid: duid.clone(), kind, iaid };
        let first = (key(IaKind::Na, Iaid(0)), Prefix::address(0));
        let duid = duid.clone();
        self.bindings
            .range(first..)
            .take_while(move |(k, _)| k.link == link && k.duid == duid)
            .filter_map(|(_, p)| self.leases.get(p))
    }

    /// Whether a pool belongs to a relationship of which a frontend is, or lately was, a partner.
    #[must_use]
    pub fn pool_concerns(&self, pool: PoolId, frontend: &FrontendId) -> bool {
        self.pools.get(&pool).is_some_and(|p| self.is_member(p.pool.relationship, frontend))
    }

    /// Relationships of which a frontend is, or lately was, a partner.
    pub fn relationships_of<'a>(&'a self, frontend: &'a FrontendId) -> impl Iterator<Item = RelationshipId> {
        self.relationships.iter().filter(|(_, m)| m.frontends.contains_key(frontend)).map(|(r, _)| *r)
    }

    /// All ranges ever granted, by pool and slice.
    pub fn ranges(&self) -> impl Iterator<Item = RangeView> {
        self.ranges.iter().map(|(range, state)| {
            let owner = self.sessions.get(&state.owner).map(|s| (state.owner, s.frontend.clone()));
            let standing = match (state.owner.is_none(), state.closed) {
                (true, _) => RangeStanding::Free,
                (false, true) => RangeStanding::Closed,
                (false, false) => RangeStanding::Granted,
            };
            RangeView { range: *range, owner, standing }
        })
    }

    /// The ranges that a frontend's session must know of: those of its relationships' pools that have an owner.
    #[must_use]
    pub fn range_records_for(&self, frontend: &FrontendId) -> Vec<RangeRecord> {
        self.ranges()
            .filter(|r| r.owner.is_some() && self.pool_concerns(r.range.pool, frontend))
            .map(|r| RangeRecord {
                range: r.range,
                owner: r.owner.as_ref().map_or(Epoch::NONE, |o| o.0),
                frontend: r.owner.map(|o| o.1),
                closed: r.standing == RangeStanding::Closed,
                fresh: false,
            })
            .collect()
    }

    /// Number of leases in a slice of a pool that are not free.
    #[must_use]
    pub fn leases_in(&self, range: RangeId) -> u64 {
        let Some(state) = self.pools.get(&range.pool) else { return 0 };
        let geometry = &state.pool.geometry;
        let Some((first, last)) = geometry.slots_of(range.slice) else { return 0 };
        let held = self
            .leases
            .range(geometry.prefix_at(first)..=geometry.prefix_at(last))
            .filter(|(_, l)| l.pool == range.pool && l.state != leasehold_proto::lease::LeaseState::Free);
        u64::try_from(held.count()).unwrap_or(u64::MAX)
    }
}
