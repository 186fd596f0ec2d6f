//! What the hub holds about one connection.

use leasehold_proto::session::Heartbeat;
use leasehold_proto::words::{Epoch, FrontendId, LogIndex, Prefix};
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
    /// Set while it catches up from the history: sent so far.
    pub(super) catching_up: Option<LogIndex>,
    /// Set while it loads.
    pub(super) load: Option<Load>,
    /// Its reader is behind.
    pub(super) paused: bool,
    /// What it was told of its partners.
    pub(super) told: BTreeMap<FrontendId, bool>,
    pub(super) heartbeat: Option<Heartbeat>,
}

/// How far a load has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// The last prefix looked at.
    pub(super) after: Option<Prefix>,
}

impl Connection {
    pub(super) fn wants_piece(&self) -> bool {
        self.stream.as_ref().is_some_and(|s| !s.paused && (s.load.is_some() || s.catching_up.is_some()))
    }
}
