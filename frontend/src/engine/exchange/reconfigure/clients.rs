//! Clients that were asked and not heard since: a bounded set with deadlines (SV-407).
//!
//! Owns when a Reconfigure is sent again and when it is given up. Refuses to know how it is sent and who is heard.
//! Source: RFC 9915 §7.6 (REC_TIMEOUT, REC_MAX_RC), §18.3.11.

use leasehold_proto::reconfigure::ReconfigureMessage;
use leasehold_proto::time::{ClusterTime, LocalTime};
use leasehold_proto::words::{Duid, Prefix};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Clients waited for at once. Why 16,384: some 3 MB; each that does not answer takes its place for eight minutes and a
/// half.
pub(super) const CLIENTS_MAX: usize = 16_384;
/// Until a Reconfigure is sent again for the first time; twice as long each time after.
const REC_TIMEOUT: Duration = Duration::from_secs(2);
/// How often one is sent.
const REC_MAX_RC: u32 = 8;

/// A client that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// The client.
    pub(super) duid: Duid,
    /// The lease whose record says how it is reached.
    pub(super) prefix: Prefix,
    pub(super) message: ReconfigureMessage,
    pub(super) replay: u64,
    /// When it was last heard before it was asked, by that lease's record.
    pub(super) contact: ClusterTime,
    sent: u32,
}

impl Asked {
    /// A client to which nothing was sent yet.
    pub(super) fn new(
        duid: Duid,
        prefix: Prefix,
        message: ReconfigureMessage,
        replay: u64,
        contact: ClusterTime,
    ) -> Self {
        Self { duid, prefix, message, replay, contact, sent: 0 }
    }

    /// Whether nothing was sent yet.
    pub(super) fn is_new(&self) -> bool {
        self.sent == 0
    }

    /// Whether it was sent as often as may be.
    pub(super) fn is_exhausted(&self) -> bool {
        self.sent >= REC_MAX_RC
    }
}

/// The set, by a key for each client of a logical server on a link.
#[derive(Debug, Default)]
pub(super) struct Clients {
    by_key: BTreeMap<u64, (LocalTime, Asked)>,
    due: BTreeSet<(LocalTime, u64)>,
}

impl Clients {
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.by_key.len() < CLIENTS_MAX
    }

    /// Has a client asked from now on; what it was asked for before is forgotten.
    pub(super) fn ask(&mut self, now: LocalTime, key: u64, asked: Asked) {
        self.forget(key);
        self.put(now, key, asked);
    }

    /// A message of this type came from a client: whether it was the one asked for, which ends the asking.
    pub(super) fn heard(&mut self, key: u64, msg_type: u8) -> bool {
        let answers = self.by_key.get(&key).is_some_and(|(_, asked)| asked.message.msg_type() == msg_type);
        if answers {
            self.forget(key);
        }
        answers
    }

    /// Takes the client that is due first, if its time has come.
    pub(super) fn take_due(&mut self, now: LocalTime) -> Option<(u64, Asked)> {
        let (due, key) = self.due.first().copied().filter(|(due, _)| *due <= now)?;
        self.due.remove(&(due, key));
        self.by_key.remove(&key).map(|(_, asked)| (key, asked))
    }

    /// It was sent now, and is due again after 2 s, then 4, 8 and so on.
    pub(super) fn sent(&mut self, now: LocalTime, key: u64, mut asked: Asked) {
        let wait = REC_TIMEOUT.saturating_mul(1 << asked.sent.min(REC_MAX_RC));
        asked.sent += 1;
        self.put(now + wait, key, asked);
    }

    pub(super) fn next_due(&self) -> Option<LocalTime> {
        self.due.first().map(|(due, _)| *due)
    }

    fn put(&mut self, due: LocalTime, key: u64, asked: Asked) {
        self.by_key.insert(key, (due, asked));
        self.due.insert((due, key));
    }

    fn forget(&mut self, key: u64) {
        if let Some((due, _)) = self.by_key.remove(&key) {
            self.due.remove(&(due, key));
        }
    }
}
