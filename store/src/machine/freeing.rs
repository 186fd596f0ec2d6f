//! R2, the freeing of leases: by watermarks of sessions, or by their certain death.
//!
//! A lease that ended (expired, released, reset) is told to every session of its relationship at the log index that is
//! its record's version. It becomes free when every session that could have extended it has acknowledged that index,
//! after all its own earlier updates, or is dead for certain. A session that was superseded before the holding was born
//! could not: from reading of its superseding on it extends nothing that is born later (R6), and before it cannot have
//! read of it.
//!
//! Two queues a relationship: `awaiting`, freed in the order of log indexes as watermarks pass them, and `held_back`,
//! those that a session that is gone has not acknowledged, each with a reminder for when that one is dead.

use super::STEP_MAX;
use super::due::Due;
use super::outcome::{Applied, Audience};
use super::state::{Machine, Session};
use leasehold_proto::lease::{Lease, LeaseState};
use leasehold_proto::sabotage::{Mechanism, is_off};
use leasehold_proto::session::StoreEvent;
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{Epoch, LogIndex, Prefix, RelationshipId, UpdateSeq};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Machine {
    /// The sessions that could have extended leases of a relationship: its members', all that ever took part in the
    /// order (before its first batch is answered a session knows no cluster time and can promise nothing), but for
    /// those that stopped cleanly, all of whose promises are told.
    fn extenders(&self, relationship: RelationshipId) -> impl Iterator<Item = &Session> {
        self.sessions.values().filter(move |s| {
            !s.closed
                && s.applied_sequence > UpdateSeq(0)
                && self.is_member(relationship, &s.frontend)
                && !is_off(Mechanism::Watermarks)
        })
    }

    /// R2: whether a lease that ended may be given to anyone: all who could have extended it have read so, or are dead
    /// for certain.
    fn may_free(&self, lease: &Lease, relationship: RelationshipId) -> bool {
        let Some(pool) = self.pools.get(&lease.pool) else { return true };
        if self.grants_are_held() {
            // Sessions of an old cluster, of which nothing is known here, may have extended it.
            return false;
        }
        self.extenders(relationship)
            .filter(|s| could_have_extended(s, lease))
            .all(|s| s.acked_index >= lease.version || self.is_dead(s, pool, lease.acked_until))
    }

    /// When the last of the gone sessions that hold an ended lease back is dead for certain, past moments included;
    /// nothing when none that is gone does. Those of an old cluster count as one (FO-907).
    fn held_back_until(&self, lease: &Lease) -> Option<ClusterTime> {
        let pool = self.pools.get(&lease.pool)?;
        self.extenders(pool.pool.relationship)
            .filter(|s| s.is_gone() && s.acked_index < lease.version && could_have_extended(s, lease))
            .map(|s| self.dead_moment(s, pool, lease.acked_until))
            .chain((lease.state_since < self.grants_held_until).then_some(self.grants_held_until))
            .max()
    }

    /// The moment of an ended lease's reminder; never, when watermarks alone free it.
    pub(super) fn free_moment(&self, prefix: Prefix) -> ClusterTime {
        self.leases
            .get(&prefix)
            .filter(|l| l.state.awaits_freeing())
            .and_then(|l| self.held_back_until(l))
            .unwrap_or(ClusterTime::NEVER)
    }

    /// Sets apart the ended leases that every session still about has acknowledged, and only sessions that are gone
    /// hold back. Runs before `run_due`, so that a node whose indexes were rebuilt from rows acts at the same log index
    /// as one that lived through it all; and again before leases are freed, since what `run_due` ended, and what it had
    /// looked at anew by forgetting a session, was not looked at yet.
    pub(super) fn sort_out_held_back(&mut self) {
        let relationships: Vec<RelationshipId> = self.awaiting.keys().copied().collect();
        for relationship in relationships {
            let present = self.present_watermark(relationship);
            let looked = self.looked.get(&relationship).copied().unwrap_or_default();
            if present <= looked {
                continue;
            }
            let Some(queue) = self.awaiting.get(&relationship) else { continue };
            let after = (LogIndex(looked.0.saturating_add(1)), Prefix::address(0));
            let passed: Vec<(LogIndex, Prefix)> =
                queue.range(after..).take_while(|(index, _)| *index <= present).copied().collect();
            let Some(&(last, _)) = passed.last() else { continue };
            self.looked.insert(relationship, last);
            for (_, prefix) in passed {
                let held = self.leases.get(&prefix).filter(|l| self.held_back_until(l).is_some()).cloned();
                if let Some(lease) = held {
                    self.hold_back(&lease, relationship);
                }
            }
        }
    }

    /// Sets an ended lease apart until those that are gone and hold it back are dead for certain.
    fn hold_back(&mut self, lease: &Lease, relationship: RelationshipId) {
        let place = (lease.version, lease.prefix);
        self.awaits_no_more(relationship, place.0, place.1);
        self.held_back.entry(relationship).or_default().insert(place);
        self.remind(self.held_back_until(lease).unwrap_or(ClusterTime::NEVER), Due::Free(lease.prefix));
    }

    /// The index that all sessions still about have acknowledged; with none of them, every index.
    fn present_watermark(&self, relationship: RelationshipId) -> LogIndex {
        let present = self.extenders(relationship).filter(|s| !s.is_gone());
        present.map(|s| s.acked_index).min().unwrap_or(LogIndex(u64::MAX))
    }

    /// Frees what watermarks allow, in the order in which leases ended; says whether more is left to do at once.
    pub(super) fn free_watermarked(&mut self, out: &mut Applied) {
        self.more_to_free = false;
        let relationships: Vec<RelationshipId> = self.awaiting.keys().copied().collect();
        for relationship in relationships {
            let present = self.present_watermark(relationship);
            for _ in 0..STEP_MAX {
                let Some(prefix) = self.next_awaiting(relationship, present) else { break };
                match self.leases.get(&prefix).cloned() {
                    Some(lease) if !self.may_free(&lease, relationship) => {
                        self.hold_back(&lease, relationship)
                    }
                    _ => self.free(prefix, relationship, out),
                }
            }
            self.more_to_free |= self.next_awaiting(relationship, present).is_some();
            if self.awaiting.get(&relationship).is_some_and(BTreeSet::is_empty) {
                self.awaiting.remove(&relationship);
            }
        }
    }

    fn next_awaiting(&self, relationship: RelationshipId, watermark: LogIndex) -> Option<Prefix> {
        let &(index, prefix) = self.awaiting.get(&relationship)?.first()?;
        (index <= watermark).then_some(prefix)
    }

    /// A lease leaves the queues.
    pub(super) fn awaits_no_more(&mut self, relationship: RelationshipId, index: LogIndex, prefix: Prefix) {
        for queues in [&mut self.awaiting, &mut self.held_back] {
            if let Some(queue) = queues.get_mut(&relationship) {
                queue.remove(&(index, prefix));
            }
        }
    }

    /// A session became gone, or one that is gone holds less back: ended leases of its relationships are looked at
    /// anew.
    pub(super) fn look_again(&mut self, epoch: Epoch) {
        let Some(frontend) = self.sessions.get(&epoch).map(|s| s.frontend.clone()) else { return };
        let relationships: Vec<RelationshipId> = self.relationships_of(&frontend).collect();
        for relationship in relationships {
            self.looked.remove(&relationship);
            if let Some(held) = self.held_back.remove(&relationship) {
                self.awaiting.entry(relationship).or_default().extend(held);
            }
        }
    }

    /// Members of relationships changed: all ended leases are looked at anew.
    pub(super) fn look_again_everywhere(&mut self) {
        self.looked.clear();
        for (relationship, held) in std::mem::take(&mut self.held_back) {
            self.awaiting.entry(relationship).or_default().extend(held);
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
        // A session that is present holds it back, a new one perhaps: it is looked at again once that one has
        // acknowledged.
        self.awaits_no_more(relationship, lease.version, prefix);
        self.awaiting.entry(relationship).or_default().insert((lease.version, prefix));
        let before = LogIndex(lease.version.0.saturating_sub(1));
        if let Some(looked) = self.looked.get_mut(&relationship) {
            *looked = before.min(*looked);
        }
        false
    }

    /// The lease is free: a new holding begins with whoever gets it next, so what was acknowledged is reset (R2).
    fn free(&mut self, prefix: Prefix, relationship: RelationshipId, out: &mut Applied) {
        let Some(lease) = self.leases.get(&prefix) else { return };
        let mut freed = lease.as_ref().clone();
        freed.state = LeaseState::Free;
        freed.state_since = self.time;
        if !is_off(Mechanism::AcknowledgedPerHolding) {
            freed.acked_until = ClusterTime::ZERO;
        }
        self.stamp(&mut freed, Epoch::NONE);
        self.counters.freed += 1;
        let told = Arc::new(freed.clone());
        self.put_lease(freed, relationship);
        out.tell(Audience::Relationship(relationship), StoreEvent::Lease(told));
    }
}

/// R6: a session that was superseded before a holding was born cannot have extended it.
fn could_have_extended(session: &Session, lease: &Lease) -> bool {
    session.superseded_by.is_none() || lease.born <= session.superseded_index
}
