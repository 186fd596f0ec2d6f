//! Moments to act upon, in one ordered index, a bounded number handled at each apply.
//!
//! An entry is a reminder, not a fact: when its moment comes the record is looked at and either acted upon, put back
//! with a later moment, or dropped. So extending a lease leaves the index alone, and an index rebuilt from rows leads
//! to the same actions in the same order.

use super::STEP_MAX;
use super::outcome::{Applied, Audience};
use super::state::Machine;
use leasehold_proto::lease::{Lease, LeaseState};
use leasehold_proto::session::StoreEvent;
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{Epoch, Prefix};
use std::sync::Arc;

/// What a moment is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A session's deadline, a pool's ranges to open again, or a row to forget.
    Session(Epoch),
    /// A lease's expiry, or the end of a quarantine.
    Lease(Prefix),
    /// A lease that awaits freeing, to be looked at because a silent session may be dead by then.
    Free(Prefix),
    /// The end of a registration.
    Registration(u128),
}

impl Machine {
    /// When the machine next wants to be given the time: the leader then sends a batch, empty if need be.
    #[must_use]
    pub fn next_due(&self) -> Option<ClusterTime> {
        if self.more_to_free || self.more_to_settle {
            return Some(self.time);
        }
        self.due.first().map(|(moment, _)| *moment)
    }

    /// Acts on what is due, [`STEP_MAX`] changes at most. Entries that turn out stale do not count, so that a node
    /// whose index has other stale entries still does the same in each step.
    pub(super) fn run_due(&mut self, out: &mut Applied) {
        let mut acted = 0;
        while acted < STEP_MAX {
            let Some(&(moment, due)) = self.due.first() else { return };
            if moment > self.time {
                return;
            }
            self.due.pop_first();
            let true_moment = match due {
                Due::Session(epoch) => self.session_moment(epoch),
                Due::Lease(prefix) => self.lease_moment(prefix),
                Due::Free(prefix) => self.free_moment(prefix),
                Due::Registration(address) => self.registration_moment(address),
            };
            if true_moment > moment {
                // A stale reminder: back into the order, even if its moment has come as well.
                self.remind(true_moment, due);
                continue;
            }
            acted += usize::from(match due {
                Due::Session(epoch) => self.session_due(epoch, out),
                Due::Lease(prefix) => self.lease_due(prefix, out),
                Due::Free(prefix) => self.free_due(prefix, out),
                Due::Registration(address) => self.registration_due(address, out),
            });
        }
    }

    /// Enters a reminder; a moment that never comes needs none.
    pub(super) fn remind(&mut self, moment: ClusterTime, due: Due) {
        if moment != ClusterTime::NEVER {
            self.due.insert((moment, due));
        }
    }

    fn lease_moment(&self, prefix: Prefix) -> ClusterTime {
        self.leases.get(&prefix).map_or(ClusterTime::NEVER, |lease| self.ending_of(lease))
    }

    /// Makes the index anew from the records: after a restart, and when a configuration moved moments.
    pub(super) fn rebuild_due(&mut self) {
        self.due.clear();
        self.awaiting.clear();
        self.held_back.clear();
        self.looked.clear();
        let leases: Vec<Arc<Lease>> = self.leases.values().map(Arc::clone).collect();
        for lease in leases {
            if let Some(relationship) = self.pools.get(&lease.pool).map(|p| p.pool.relationship) {
                self.index_ending(&lease, relationship);
            }
        }
        self.remind_of_registrations();
        self.schedule_sessions();
    }

    pub(super) fn schedule_sessions(&mut self) {
        let sessions: Vec<Epoch> = self.sessions.keys().copied().collect();
        for epoch in sessions {
            self.schedule_session(epoch);
        }
    }

    /// Expires a lease, or ends a quarantine: its moment has come. True when something changed.
    fn lease_due(&mut self, prefix: Prefix, out: &mut Applied) -> bool {
        let Some(lease) = self.leases.get(&prefix).cloned() else { return false };
        let next = match lease.state {
            LeaseState::Active => LeaseState::Expired,
            LeaseState::Abandoned => LeaseState::Reset,
            _ => return false,
        };
        let Some(relationship) = self.pools.get(&lease.pool).map(|p| p.pool.relationship) else {
            return false;
        };
        let mut ended = lease.as_ref().clone();
        ended.state = next;
        ended.state_since = self.time;
        self.stamp(&mut ended, Epoch::NONE);
        self.counters.expired += u64::from(next == LeaseState::Expired);
        let told = Arc::new(ended.clone());
        self.put_lease(ended, relationship);
        out.tell(Audience::Relationship(relationship), StoreEvent::Lease(told));
        true
    }
}
