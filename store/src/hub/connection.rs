//! What the hub holds about one connection.

use super::TraceId;
use leasehold_proto::session::{Heartbeat, Liveness};
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::{Epoch, FrontendId, LogIndex, Prefix, UpdateSeq};
use std::collections::BTreeMap;

/// What a proposed command is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// Opening a session.
    Open,
    /// A session's batch; `closing`: its last.
    Batch { closing: bool },
}

/// ```text
/// Hello --new session proposed--> (no stream) --opened--> stream
///   \---resumes---------------------------------------------^
/// ```
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) frontend: FrontendId,
    /// None until the session is opened.
    pub(super) stream: Option<Stream>,
    /// Commands proposed whose outcome is not known.
    pub(super) unanswered: usize,
}

/// A welcomed session.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) epoch: Epoch,
    pub(super) welcomed_at: LocalTime,
    /// Set while it catches up from the history: sent so far.
    pub(super) catching_up: Option<LogIndex>,
    /// Set while it loads.
    pub(super) load: Option<Load>,
    /// Its reader is behind.
    pub(super) paused: bool,
    /// What it was told of its partners and of its own frontend.
    pub(super) told: BTreeMap<FrontendId, Liveness>,
    /// Which traces it was told of.
    pub(super) told_traces: Vec<TraceId>,
    pub(super) heartbeat: Option<Heartbeat>,
    pub(super) draining: Progress,
}

/// When a session last told the store what it had promised, or had nothing to tell (FO-708).
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub(super) applied: UpdateSeq,
    pub(super) at: LocalTime,
}

/// How far a load has come: leases first.
#[derive(Debug, Clone, Copy)]
pub(super) enum Load {
    Leases {
        /// The last prefix looked at.
        after: Option<Prefix>,
    },
    Registrations {
        /// The last address looked at.
        after: Option<u128>,
    },
}

impl Connection {
    pub(super) fn wants_piece(&self) -> bool {
        self.stream.as_ref().is_some_and(|s| !s.paused && (s.load.is_some() || s.catching_up.is_some()))
    }
}
