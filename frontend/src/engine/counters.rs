//! What the engine counts: every message ends in exactly one of answered, discarded by reason, or kept.
//!
//! Owns the numbers and their order. Refuses to log or export: the shell reads them. A kept message is counted again
//! when it ends: as an answer, or as a discard.

use super::exchange::Cause;
use crate::codec::wire::msg;
use crate::codec::{Decoded, Discard, MessageKind};

/// Counts since the engine began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams handed to the engine.
    pub packets: u64,
    /// Sound messages that came through relays which may speak to this server.
    pub relayed: u64,
    /// Sound messages by kind, in the order of [`MessageKind::ALL`].
    pub received: [u64; MessageKind::ALL.len()],
    /// Messages without an answer by reason, in the order of [`Discard::ALL`].
    pub discards: [u64; Discard::COUNT],
    /// Advertises sent.
    pub advertises: u64,
    /// Replies sent.
    pub replies: u64,
    /// Answers by the reason why this frontend gave them, in the order of [`Cause::ALL`]; those that waited for a
    /// look-up are not in it.
    pub answered: [u64; Cause::ALL.len()],
    /// Messages of which a copy was kept for the partner's liveness to flip or for a look-up.
    pub parked: u64,
    /// Copies that gave way to newer ones.
    pub parked_dropped: u64,
    /// Copies that were answered in the end.
    pub parked_answered: u64,
    /// Replies held for the commit of what they promise (FO-903).
    pub held: u64,
    /// Of these, sent because it was committed.
    pub held_committed: u64,
    /// Of these, sent because they had waited long enough.
    pub held_waited_out: u64,
    /// Replies that were to be held and were sent at once: too many were held.
    pub held_no_room: u64,
    /// Options that were left out of answers that would have become too long (SV-113).
    pub options_left_out: u64,
    /// Options that were ignored as repeats of singletons (SV-109).
    pub repeated_options: u64,
    /// IAs that were ignored as repeats of an IAID (SV-110).
    pub repeated_iaids: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            packets: 0,
            relayed: 0,
            received: [0; MessageKind::ALL.len()],
            discards: [0; Discard::COUNT],
            advertises: 0,
            replies: 0,
            answered: [0; Cause::ALL.len()],
            parked: 0,
            parked_dropped: 0,
            parked_answered: 0,
            held: 0,
            held_committed: 0,
            held_waited_out: 0,
            held_no_room: 0,
            options_left_out: 0,
            repeated_options: 0,
            repeated_iaids: 0,
        }
    }
}

impl Counters {
    /// How many messages were discarded for a reason.
    #[must_use]
    pub fn discarded(&self, reason: Discard) -> u64 {
        self.discards[reason.index()]
    }

    /// How many answers were given for a reason.
    #[must_use]
    pub fn answered_because(&self, cause: Cause) -> u64 {
        self.answered[cause.index()]
    }

    /// How many answers would have been the partner's.
    #[must_use]
    pub fn takeovers(&self) -> u64 {
        Cause::ALL.iter().filter(|cause| cause.is_takeover()).map(|cause| self.answered_because(*cause)).sum()
    }

    pub(super) fn discard(&mut self, reason: Discard) {
        self.discards[reason.index()] += 1;
    }

    pub(super) fn receive(&mut self, decoded: &Decoded<'_>) {
        let message = decoded.message();
        self.received[message.kind.index()] += 1;
        self.repeated_options += u64::from(message.repeated_options);
        self.repeated_iaids += u64::from(message.repeated_iaids);
        if let Some(chain) = decoded.relay() {
            self.repeated_options += u64::from(chain.repeated_options());
        }
    }

    pub(super) fn answer(&mut self, message_type: u8, cause: Option<Cause>) {
        if message_type == msg::ADVERTISE {
            self.advertises += 1;
        } else {
            self.replies += 1;
        }
        if let Some(cause) = cause {
            self.answered[cause.index()] += 1;
        }
    }
}
