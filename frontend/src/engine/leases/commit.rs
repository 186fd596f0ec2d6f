//! What the Reply being computed rests on, for pools whose Replies wait for the commit (FO-903).
//!
//! Owns the link between a Reply and the updates behind it: the highest position among the dirty of what it promises,
//! compared with what was put into batches that are answered. Refuses to know octets and to hold Replies:
//! `exchange::held` does. Invariant: whoever releases a Reply later asks [`Leases::may_release`], which is R4's last
//! check for that Reply by itself, and makes the batch of Replies that it leaves with rest on the same.

use super::Leases;
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::{Epoch, PoolId};
use std::time::Duration;

/// What one Reply rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// The session that promised.
    epoch: Epoch,
    /// Position of its last update among the dirty.
    position: u64,
    /// How long it may wait for the commit.
    wait: Duration,
    /// The earliest autonomy deadline of all that it promises.
    deadline: LocalTime,
}

impl Rest {
    /// How long the Reply may wait for the commit: the longest `commit_wait` of the pools that it is about.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.wait
    }
}

impl Leases {
    /// What is given and extended from now on belongs to one Reply.
    pub fn reply_begin(&mut self) {
        self.rest = None;
        self.autonomy.reply_begin();
    }

    /// What the Reply since [`Leases::reply_begin`] rests on, if it has to wait for the commit.
    #[must_use]
    pub fn reply_rest(&self) -> Option<Rest> {
        Some(Rest { deadline: self.autonomy.reply_deadline(), ..self.rest? })
    }

    /// Whether all updates behind a Reply are committed. Those of a session that is over are void, which counts as
    /// decided.
    #[must_use]
    pub fn is_committed(&self, rest: &Rest) -> bool {
        rest.epoch != self.session.epoch || rest.position < self.session.committed_before
    }

    /// Grows with each answer that commits something: what was looked at under the same number needs no second look.
    #[must_use]
    pub fn committed(&self) -> (Epoch, u64) {
        (self.session.epoch, self.session.committed_before)
    }

    /// R4's last check for one Reply that was held: computed by this session, not longer ago than the share for sending,
    /// and before its deadline. If so it belongs to the batch of Replies computed now, which from here on is judged by
    /// this Reply as well.
    pub fn may_release(&mut self, now: LocalTime, computed: LocalTime, rest: &Rest) -> bool {
        let timing = self.timing();
        rest.epoch == self.session.epoch && self.autonomy.join(now, computed, rest.deadline, &timing)
    }

    /// Something of a pool that waits for the commit was promised, with an update at that record.
    pub(super) fn note_rest(&mut self, pool: PoolId, at: u32) {
        let wait_ms = self.names.pool(pool).map_or(0, |pool| pool.commit_wait_ms);
        let position = self.records.get(at).map_or(0, |record| record.dirty_at);
        let wait = Duration::from_millis(u64::from(wait_ms));
        let before = self.rest.map_or((0, Duration::ZERO), |rest| (rest.position, rest.wait));
        self.rest = Some(Rest {
            epoch: self.session.epoch,
            position: position.max(before.0),
            wait: wait.max(before.1),
            deadline: LocalTime::NEVER,
        });
    }
}
