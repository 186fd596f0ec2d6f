//! R4 on this side: until when a session may issue and extend on its own, and the check just before sending.
//!
//! The deadline is measured on the local clock from *before the first sending* of a batch whose outcome says that the
//! session was extended; a batch sent again keeps its first moment. Past the deadline only what was acknowledged may
//! be promised, without MCLT.

use leasehold_proto::lifetimes::Timing;
use leasehold_proto::pool::Pool;
use leasehold_proto::sabotage::{Mechanism, is_off};
use leasehold_proto::time::{Lifetime, LocalTime};
use std::time::Duration;

/// What the session may do on its own, and what the replies being computed rest on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Autonomy {
    extended_from: Option<LocalTime>,
    batch_begun: Option<LocalTime>,
    earliest_deadline_used: LocalTime,
    reply_deadline_used: LocalTime,
}

impl Default for Autonomy {
    fn default() -> Self {
        Self {
            extended_from: None,
            batch_begun: None,
            earliest_deadline_used: LocalTime::NEVER,
            reply_deadline_used: LocalTime::NEVER,
        }
    }
}

impl Autonomy {
    /// The store extended the session in answer to a batch first sent at that moment.
    pub(super) fn extended(&mut self, first_sent: LocalTime) {
        self.extended_from = Some(self.extended_from.map_or(first_sent, |known| known.max(first_sent)));
    }

    /// Nothing is known any more: a new session, or local time did not run evenly. Replies computed but not sent
    /// are not to be sent.
    pub(super) fn forget(&mut self) {
        self.extended_from = None;
        self.batch_begun = None;
    }

    /// The deadline is past, until the store extends the session again.
    pub(super) fn expire(&mut self) {
        self.extended_from = None;
    }

    /// When autonomy ends for leases of a pool; nothing when the session was never extended.
    pub(super) fn deadline(&self, pool: &Pool) -> Option<LocalTime> {
        let from = self.extended_from?;
        let is_endless = pool.autonomy == Duration::MAX || is_off(Mechanism::AutonomyDeadline);
        Some(if is_endless { LocalTime::NEVER } else { from + pool.autonomy })
    }

    /// The lead that may be promised now: the pool's MCLT before the deadline, zero past it.
    pub(super) fn allowance(&self, now: LocalTime, pool: &Pool) -> Lifetime {
        if self.deadline(pool).is_some_and(|d| now < d) { pool.mclt } else { Lifetime::ZERO }
    }

    /// A reply of the batch being computed rests on a pool's autonomy.
    pub(super) fn used(&mut self, pool: &Pool) {
        if let Some(deadline) = self.deadline(pool) {
            self.earliest_deadline_used = self.earliest_deadline_used.min(deadline);
            self.reply_deadline_used = self.reply_deadline_used.min(deadline);
        }
    }

    /// What is used from now on is used by one reply.
    pub(super) fn reply_begin(&mut self) {
        self.reply_deadline_used = LocalTime::NEVER;
    }

    /// The earliest deadline that this reply rests on.
    pub(super) fn reply_deadline(&self) -> LocalTime {
        self.reply_deadline_used
    }

    /// A reply that was computed earlier leaves with the batch computed now, if it still may; the batch then rests on
    /// what that reply rests on.
    pub(super) fn join(
        &mut self,
        now: LocalTime,
        computed: LocalTime,
        deadline: LocalTime,
        timing: &Timing,
    ) -> bool {
        let Some(begun) = self.batch_begun else { return false };
        if now.saturating_since(computed) > send_share(timing) || now >= deadline {
            return false;
        }
        self.batch_begun = Some(begun.min(computed));
        self.earliest_deadline_used = self.earliest_deadline_used.min(deadline);
        true
    }

    /// Replies computed from now on belong to one batch.
    pub(super) fn batch_begin(&mut self, now: LocalTime) {
        self.batch_begun = Some(now);
        self.earliest_deadline_used = LocalTime::NEVER;
    }

    /// Whether the batch may still be handed to the kernel.
    pub(super) fn may_send(&self, now: LocalTime, timing: &Timing) -> bool {
        let in_time =
            |begun| now.saturating_since(begun) <= send_share(timing) || is_off(Mechanism::SendShare);
        self.batch_begun.is_some_and(in_time) && now < self.earliest_deadline_used
    }
}

/// The guard's share for sending.
fn send_share(timing: &Timing) -> Duration {
    Duration::from_millis(u64::from(timing.send_ms))
}
