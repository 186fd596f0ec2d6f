//! Founding a cluster anew from the rows of an old one whose quorum is lost for good (FO-907, FO-914).
//!
//! Owns what of the old state is taken over: leases, configuration with its server DUIDs, conflicts, who is drained. Not
//! sessions and grants: the old sessions may have promised what these rows do not know, so nothing is granted until all
//! of that is over (`grants_held_until`), unless an operator overrides. Epochs of the new incarnation are above all old
//! ones; what was numbered by the old log is numbered by the new one. Refuses to know where the rows come from. They come
//! in pieces, each taken as it stands; only the founding at the end makes a cluster of them, so a restoring that broke
//! off is begun again with a first piece, and nothing is left of it.

use super::command::FORMAT_HISTORY;
use super::outcome::Outcome;
use super::rows::RowKey;
use super::state::{Machine, RangeState};
use leasehold_proto::lifetimes::t1_t2;
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{Epoch, LogIndex};
use std::sync::Arc;
use std::time::Duration;

impl Machine {
    /// Takes some of the old cluster's rows.
    pub(super) fn take_old_rows(&mut self, first: bool, rows: &[(Vec<u8>, Vec<u8>)]) -> Outcome {
        if self.cluster.is_some() {
            return Outcome::AlreadyFounded;
        }
        if first {
            self.forget_old_rows();
        }
        self.restoring = true;
        for (key, value) in rows {
            if let Err(detail) = self.take_old_row(key, value) {
                return Outcome::RowRefused(format!("row {key:02x?}: {detail}"));
            }
        }
        Outcome::RowsTaken
    }

    /// What an earlier attempt took may be of another export.
    fn forget_old_rows(&mut self) {
        let keys: Vec<RowKey> = self.rows().filter_map(|(key, _)| RowKey::decode(&key)).collect();
        let (applied, time, format) = (self.applied, self.time, self.format);
        let (counters, changed) = (std::mem::take(&mut self.counters), std::mem::take(&mut self.changed));
        *self = Self { applied, time, format, counters, changed, ..Self::default() };
        keys.into_iter().for_each(|key| self.touch(key));
    }

    fn take_old_row(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let kind = RowKey::decode(key)
            .ok_or_else(|| "of a family this program does not know: written by a newer one?".to_owned())?;
        let applied = self.applied;
        match kind {
            RowKey::Cluster => {
                let time = self.time;
                self.restore_cluster_row(value)?;
                self.time = self.time.max(time);
                // The name comes with the founding, and the log is another.
                self.cluster = None;
                self.applied = applied;
                self.restoring = true;
            }
            RowKey::Session(_) => return Ok(()),
            _ => self.restore_row(key, value)?,
        }
        match kind {
            RowKey::Lease(prefix) => {
                if let Some(lease) = self.leases.get_mut(&prefix).map(Arc::make_mut) {
                    lease.epoch = Epoch::NONE;
                    lease.version = applied;
                    lease.others_version = LogIndex(0);
                    lease.born = LogIndex(0);
                }
            }
            RowKey::Range(range) => {
                // Whether another pool holds something there is looked at before it is granted.
                let state = RangeState { owner: Epoch::NONE, closed: false, unclean: true, passed: true };
                self.ranges.insert(range, state);
            }
            RowKey::Relationship(id) => {
                if let Some(members) = self.relationships.get_mut(&id) {
                    // Those that left have no session any more.
                    members.frontends.retain(|_, left| left.is_none());
                    members.joined.values_mut().for_each(|joined| *joined = applied);
                }
            }
            RowKey::Pool(id) => {
                if let Some(pool) = self.pools.get_mut(&id) {
                    pool.retired = pool.retired.map(|_| applied);
                    pool.cut = pool.cut.map(|_| applied);
                    pool.asked_for = Epoch::NONE;
                    // What was promised from slices of which these rows do not know is not to be adopted (R7).
                    pool.unclean_below = u64::MAX;
                }
            }
            RowKey::Registration(address) => {
                if let Some(registration) = self.registrations.get_mut(&address).map(Arc::make_mut) {
                    (registration.epoch, registration.version) = (Epoch::NONE, applied);
                }
            }
            _ => {}
        }
        self.touch(kind);
        Ok(())
    }

    /// The founding from the rows taken: makes the indexes, and says from when on ranges are granted.
    pub(super) fn end_restoring(&mut self, without_waiting: bool) {
        self.restoring = false;
        self.grants_held_until = if without_waiting { ClusterTime::ZERO } else { self.old_promises_over() };
        self.rebuild_tables();
        self.rebuild_due();
        if self.format >= FORMAT_HISTORY {
            // The old cluster may have gone on, with pools and ends of which these rows do not know (R7).
            self.note_history(0, u128::MAX);
        }
        self.touch(RowKey::Cluster);
    }

    /// When nothing that an old session may have promised, told or untold, is in force any more: autonomy, T1, the
    /// longest lifetime and MCLT from now on, and the guard for that span (design section 5).
    fn old_promises_over(&self) -> ClusterTime {
        let over = self.pools.values().map(|state| {
            let valid = state.pool.valid_bounds.1.span();
            let t1 = t1_t2(state.pool.preferred_bounds.1).0.span();
            if [state.autonomy_max, valid, t1].contains(&Duration::MAX) {
                return ClusterTime::NEVER;
            }
            let span =
                state.autonomy_max.saturating_add(t1).saturating_add(valid).saturating_add(state.mclt_max);
            self.time + span + self.timing().guard(span)
        });
        // What was acknowledged under a longer lifetime than today's is promised again by whoever is cut off (R4).
        let mclt = self.pools.values().map(|state| state.mclt_max).max().unwrap_or_default();
        let acknowledged =
            self.leases.values().map(|lease| lease.acked_until).filter(|a| *a < ClusterTime::NEVER);
        let acknowledged = acknowledged.max().map(|until| {
            let until = until + mclt;
            until + self.timing().guard(until.saturating_since(self.time))
        });
        over.chain(acknowledged).max().unwrap_or(self.time)
    }

    /// Whether ranges are granted: not until the promises of an old cluster are over, from which this one was founded.
    pub(super) fn grants_are_held(&self) -> bool {
        self.time < self.grants_held_until
    }

    /// Until when nothing is granted because the cluster was founded from an old one's rows; zero: never held.
    #[must_use]
    pub fn grants_held_until(&self) -> ClusterTime {
        self.grants_held_until
    }

    /// Whether rows of an old cluster were taken and no cluster was founded from them yet.
    #[must_use]
    pub fn is_restoring(&self) -> bool {
        self.restoring
    }
}
