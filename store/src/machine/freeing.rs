//! R2, the freeing of leases: by watermarks of sessions, or by their certain death.
//!
//! A lease that ended (expired, released, reset) is told to every session of its relationship at the log index that is
//! its record's version. It becomes free when every session that could have extended it has acknowledged that index,
//! after all its own earlier updates, or is dead for certain.

use super::STEP_MAX;
use super::due::Due;
use super::outcome::{Applied, Audience};
use super::state::{Machine, Session};
use leasehold_proto::lease::Lease;
use leasehold_proto::session::StoreEvent;
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{Epoch, LogIndex, Prefix, RelationshipId, UpdateSeq};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Machine {
    /// The sessions that could have extended a lease of a relationship: its members', all that ever took part in the
    /// order (before its first batch is answered a session knows no cluster time and can promise nothing), but for
    /// those that stopped cleanly, all of whose promises are told.
    fn extenders(&self, relationship: RelationshipId) -> impl Iterator<Item = &Session> {
        self.sessions.values().filter(move |s| {
            !s.closed && s.applied_sequence > UpdateSeq(0) && self.is_member(relationship, &s.frontend)
        })
    }

    /// R2: whether a lease that ended may be given to anyone: all who could have extended it have read so, or are dead
    /// for certain.
    fn may_free(&self, lease: &Lease, relationship: RelationshipId) -> bool {
        let Some(pool) = self.pools.get(&lease.pool) else { return true };
        self.extenders(relationship)
            .all(|s| s.acked_index >= lease.version || self.is_dead(s, pool, lease.acked_until))
    }

    /// When the last of the gone sessions that hold an ended lease back will be dead for certain.
    pub(super) fn free_moment(&self, prefix: Prefix) -> ClusterTime {
        let Some(lease) = self.leases.get(&prefix).filter(|l| l.state.awaits_freeing()) else {
            return ClusterTime::NEVER;
        };
        let Some(pool) = self.pools.get(&lease.pool) else { return ClusterTime::NEVER };
        self.extenders(pool.pool.relationship)
            .filter(|s| s.is_gone() && s.acked_index < lease.version)
            .map(|s| self.dead_moment(s, pool, lease.acked_until))
            .max()
            // Held back by nobody that is gone: the watermark frees it.
            .unwrap_or(ClusterTime::NEVER)
    }

    /// Frees what watermarks allow, in the order in which leases ended; says whether more is left to do at once.
    pub(super) fn free_watermarked(&mut self, out: &mut Applied) {
        self.more_to_free = false;
        let relationships: Vec<RelationshipId> = self.awaiting.keys().copied().collect();
        for relationship in relationships {
            let watermark = watermark(self.extenders(relationship));
            for _ in 0..STEP_MAX {
                let Some(prefix) = self.next_awaiting(relationship, watermark) else { break };
                self.free(prefix, relationship, out);
            }
            self.more_to_free |= self.next_awaiting(relationship, watermark).is_some();
            if self.awaiting.get(&relationship).is_some_and(BTreeSet::is_empty) {
                self.awaiting.remove(&relationship);
                self.reminded.remove(&relationship);
            }
        }
    }

    fn next_awaiting(&self, relationship: RelationshipId, watermark: LogIndex) -> Option<Prefix> {
        let &(index, prefix) = self.awaiting.get(&relationship)?.first()?;
        (index <= watermark).then_some(prefix)
    }

    /// Puts a reminder into the due index for each ended lease that every session still about has acknowledged, and
    /// only sessions that are gone hold back: for when those are dead. Runs before `run_due`, so that a node whose
    /// indexes were rebuilt from rows acts at the same log index as one that lived through it all.
    pub(super) fn remind_of_blocked(&mut self) {
        let relationships: Vec<RelationshipId> = self.awaiting.keys().copied().collect();
        for relationship in relationships {
            let all = watermark(self.extenders(relationship));
            let present = watermark(self.extenders(relationship).filter(|s| !s.is_gone()));
            let from = self.reminded.get(&relationship).copied().unwrap_or_default();
            if present <= all.max(from) {
                continue;
            }
            let Some(queue) = self.awaiting.get(&relationship) else { continue };
            let after = (LogIndex(all.max(from).0.saturating_add(1)), Prefix::address(0));
            let blocked: Vec<(LogIndex, Prefix)> =
                queue.range(after..).take_while(|(index, _)| *index <= present).copied().collect();
            let Some(&(last, _)) = blocked.last() else { continue };
            for (_, prefix) in blocked {
                self.remind(self.free_moment(prefix), Due::Free(prefix));
            }
            self.reminded.insert(relationship, last);
        }
    }

    /// A session that is gone holds ended leases back no longer, or fewer of them: the moments at which they may be
    /// freed have come nearer, so they are all to be reminded of anew.
    pub(super) fn holds_less_back(&mut self, epoch: Epoch) {
        let Some(frontend) = self.sessions.get(&epoch).map(|s| s.frontend.clone()) else { return };
        let relationships: Vec<RelationshipId> = self.relationships_of(&frontend).collect();
        for relationship in relationships {
            self.reminded.remove(&relationship);
        }
    }

    /// Looks at one lease because silent sessions may be dead by now; true when it was freed.
    pub(super) fn free_due(&mut self, prefix: Prefix, out: &mut Applied) -> bool {
        let Some(lease) = self.leases.get(&prefix).cloned() else { return false };
        if !lease.state.awaits_freeing() {
            return false;
        }
        let Some(relationship) = self.pools.get(&lease.pool).map(|p| p.pool.relationship) else {
            return false;
        };
        if self.may_free(&lease, relationship) {
            self.free(prefix, relationship, out);
            return true;
        }
        // A session that is present holds it back, a new one perhaps: it is reminded of again once that session has
        // acknowledged.
        let before = LogIndex(lease.version.0.saturating_sub(1));
        if let Some(reminded) = self.reminded.get_mut(&relationship) {
            *reminded = before.min(*reminded);
        }
        false
    }

    /// The lease is free: a new holding begins with whoever gets it next, so what was acknowledged is reset (R2).
    fn free(&mut self, prefix: Prefix, relationship: RelationshipId, out: &mut Applied) {
        let Some(lease) = self.leases.get(&prefix) else { return };
        let mut freed = lease.as_ref().clone();
        freed.state = leasehold_proto::lease::LeaseState::Free;
        freed.state_since = self.time;
        freed.acked_until = ClusterTime::ZERO;
        self.stamp(&mut freed, Epoch::NONE);
        self.counters.freed += 1;
        let told = Arc::new(freed.clone());
        self.put_lease(freed, relationship);
        out.tell(Audience::Relationship(relationship), StoreEvent::Lease(told));
    }
}

/// The index that all of them have acknowledged; with none of them, every index.
fn watermark<'a>(sessions: impl Iterator<Item = &'a Session>) -> LogIndex {
    sessions.map(|s| s.acked_index).min().unwrap_or(LogIndex(u64::MAX))
}
