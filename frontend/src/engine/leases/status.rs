//! Figures for metrics and for the status command.

use super::Leases;
use leasehold_proto::session::UpdateRefusal;
use leasehold_proto::time::{ClusterTime, LocalTime};
use leasehold_proto::words::{Epoch, LogIndex, PoolId};
use std::collections::BTreeMap;
use std::time::Duration;

/// What is counted since start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) refused: BTreeMap<UpdateRefusal, u64>,
    pub(super) conflicts: u64,
    pub(super) adopted: u64,
    pub(super) declines_over_limit: u64,
}

/// Figures of one moment, and counts since start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasesStatus {
    /// The session; `Epoch::NONE` before the first.
    pub epoch: Epoch,
    /// Hello was answered on the present connection.
    pub is_connected: bool,
    /// All leases are known.
    pub is_loaded: bool,
    /// A newer session of this frontend exists (R6).
    pub is_superseded: bool,
    /// A clean stop has begun: nothing is promised any more.
    pub is_stopping: bool,
    /// It gives its ranges back and leaves its clients to its partners.
    pub is_draining: bool,
    /// Stream position: every event up to here was applied.
    pub log_index: LogIndex,
    /// Lease records in memory, free ones included.
    pub known_leases: u64,
    /// Updates not sent yet.
    pub dirty_leases: u64,
    /// Updates sent and not answered.
    pub updates_in_flight: u64,
    /// Batches sent and not answered.
    pub batches_in_flight: u64,
    /// Updates that the store refused, by reason.
    pub refused: Vec<(UpdateRefusal, u64)>,
    /// Leases promised here that another client held by the store's word (R8).
    pub conflicts: u64,
    /// Leases that the store adopted at this frontend's word (R7).
    pub adopted: u64,
    /// Declined addresses that were not put into quarantine: their client has as many there as it may (SEC-02).
    pub declines_over_limit: u64,
    /// Adoptions asked for and not answered.
    pub adoptions_under_way: u64,
    /// Each of this frontend's pools, by id.
    pub pools: Vec<PoolStatus>,
}

/// Figures of one pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// Which.
    pub pool: PoolId,
    /// Ranges owned.
    pub ranges_owned: u64,
    /// Slots in them.
    pub slots_owned: u64,
    /// Free slots in those that can be used.
    pub slots_free: u64,
    /// The store's last word was that no range can be granted.
    pub is_dry: bool,
    /// Until the autonomy deadline; zero past it or before the session was extended, `Duration::MAX` for unlimited.
    pub autonomy_left: Duration,
}

impl Leases {
    /// The upper bound of cluster time that this session can prove; nothing when it has no proof.
    #[must_use]
    pub fn cluster_time_at_most(&self, now: LocalTime) -> Option<ClusterTime> {
        self.clock.now_at_most(now, &self.timing())
    }

    /// Figures as of `now`.
    #[must_use]
    pub fn status(&self, now: LocalTime) -> LeasesStatus {
        let autonomy_left = |id: PoolId| match self.names.pool(id).and_then(|p| self.autonomy.deadline(p)) {
            None => Duration::ZERO,
            Some(LocalTime::NEVER) => Duration::MAX,
            Some(deadline) => deadline.saturating_since(now),
        };
        let pools = self.ranges.pools().map(|(id, ranges)| PoolStatus {
            pool: id,
            ranges_owned: ranges.count(),
            slots_owned: ranges.slots(),
            slots_free: ranges.free(),
            is_dry: ranges.demand.dry,
            autonomy_left: autonomy_left(id),
        });
        LeasesStatus {
            epoch: self.session.epoch,
            is_connected: self.is_connected(),
            is_loaded: self.is_loaded(),
            is_superseded: self.session.is_superseded(),
            is_stopping: self.session.stopping,
            is_draining: self.session.draining,
            log_index: self.session.last_index,
            known_leases: self.records.len() as u64,
            dirty_leases: self.dirty.len() as u64,
            updates_in_flight: self.session.in_flight.updates() as u64,
            batches_in_flight: self.session.in_flight.len() as u64,
            refused: self.counts.refused.iter().map(|(reason, n)| (*reason, *n)).collect(),
            conflicts: self.counts.conflicts,
            adopted: self.counts.adopted,
            declines_over_limit: self.counts.declines_over_limit,
            adoptions_under_way: self.adoptions.outstanding(),
            pools: pools.collect(),
        }
    }
}
