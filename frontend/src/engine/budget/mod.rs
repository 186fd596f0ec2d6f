//! The survival budget: how long, and for how many new clients and prefixes of each pool, this frontend can go on
//! without the store.
//!
//! Owns the figures and what they come to: who could still be served, when that ends, and what comes after. Refuses to
//! decide about leases; it only says what [`super::leases`] would do. In: [`Leases`] and a moment. Out:
//! [`SurvivalBudget`], its words ([`words`]), and when they are worth a line in the log ([`notices`]).
//!
//! Invariants: reading changes nothing and costs by pools, never by leases. While the store is out of reach, free slots
//! and acknowledged time only fall: no range is granted, nothing that ended can be given to another client (R2), and
//! acknowledgements stand still (FO-409).
//! Source: FO-904, FO-911, FO-409.

pub mod notices;
mod reach;
pub mod words;

#[cfg(test)]
mod tests;

pub use reach::{Reach, StoreReach};

use super::leases::{KnownLeases, Leases, Pace, PoolStatus};
use leasehold_proto::pool::Pool;
use leasehold_proto::time::{Lifetime, LocalTime};
use leasehold_proto::words::{FrontendId, IaKind, PoolId};
use std::time::Duration;

/// What this frontend can do without the store, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurvivalBudget {
    /// Whose budget it is.
    pub frontend: FrontendId,
    /// The moment.
    pub as_of: LocalTime,
    /// Whether the store is in reach.
    pub store: StoreReach,
    /// A newer session of this frontend exists (R6): no new client is served.
    pub is_superseded: bool,
    /// A clean stop has begun: nobody is served.
    pub is_stopping: bool,
    /// Leases promised that the store has not acknowledged.
    pub untold_leases: u64,
    /// Each pool of this frontend's relationships, by id.
    pub pools: Vec<PoolBudget>,
}

/// The budget of one pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolBudget {
    /// Which.
    pub pool: PoolId,
    /// Its name.
    pub name: String,
    /// The name of the link that it serves.
    pub link: String,
    /// Addresses or delegated prefixes.
    pub kind: IaKind,
    /// Length of what is leased, in bits: 128 for an address.
    pub length_bits: u8,
    /// Addresses or prefixes in the ranges granted to this session.
    pub slots_owned: u64,
    /// ... of those, free ones; an estimate for ranges of more than 2^16.
    pub slots_free: u64,
    /// New leases that can be given now without the store: the free ones, or none when none may be given.
    pub new_leases: u64,
    /// New leases of late.
    pub pace: Pace,
    /// How long a session may issue and extend without the store (R4); `Duration::MAX` = unlimited.
    pub autonomy: Duration,
    /// What is left of that: until then new clients get leases, and known ones extensions by up to MCLT beyond what is
    /// acknowledged. `Duration::MAX` = unlimited.
    pub autonomy_left: Duration,
    /// The lead in force until then (R3).
    pub mclt: Lifetime,
    /// Known leases, and how long they go on past autonomy; nothing before they were counted once.
    pub known: Option<KnownLeases>,
}

impl PoolBudget {
    /// How long new clients can be served at the pace of late: until the free slots are used up or autonomy ends.
    /// `Duration::MAX` = as long as nothing changes.
    #[must_use]
    pub fn lasts(&self) -> Duration {
        if self.new_leases == 0 {
            return Duration::ZERO;
        }
        self.pace.lasts(self.new_leases).map_or(self.autonomy_left, |span| span.min(self.autonomy_left))
    }

    fn new(now: LocalTime, leases: &Leases, pool: &Pool, status: &PoolStatus, may_give: bool) -> Self {
        let link = leases.network().and_then(|network| network.link(pool.link));
        let may_give = may_give && !status.autonomy_left.is_zero();
        Self {
            pool: pool.id,
            name: pool.name.clone(),
            link: link.map_or_else(String::new, |link| link.name.clone()),
            kind: pool.kind,
            length_bits: pool.geometry.length_bits(),
            slots_owned: status.slots_owned,
            slots_free: status.slots_free,
            new_leases: if may_give { status.slots_free } else { 0 },
            pace: leases.pace(now, pool.id),
            autonomy: pool.autonomy,
            autonomy_left: status.autonomy_left,
            mclt: pool.mclt,
            known: leases.known_leases(now, pool.id),
        }
    }
}

impl SurvivalBudget {
    /// The budget as of `now`. `reach` says how the store was reached.
    #[must_use]
    pub fn new(now: LocalTime, reach: &Reach, leases: &Leases) -> Self {
        let status = leases.status(now);
        let may_give = !status.is_superseded && !status.is_stopping;
        let named = |id| leases.network().and_then(|network| network.pool(id));
        let pools = status
            .pools
            .iter()
            .filter_map(|of| Some(PoolBudget::new(now, leases, named(of.pool)?, of, may_give)));
        Self {
            frontend: leases.frontend().clone(),
            as_of: now,
            store: reach.state(),
            is_superseded: status.is_superseded,
            is_stopping: status.is_stopping,
            untold_leases: status.dirty_leases.saturating_add(status.updates_in_flight),
            pools: pools.collect(),
        }
    }

    /// For how long the store has been out of reach; nothing while it is in reach.
    #[must_use]
    pub fn out_of_reach_for(&self) -> Option<Duration> {
        match self.store {
            StoreReach::InReach => None,
            StoreReach::OutOfReach { since, .. } => Some(self.as_of.saturating_since(since)),
        }
    }
}
