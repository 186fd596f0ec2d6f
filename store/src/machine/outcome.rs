//! What applying a batch gives: outcomes for its proposers, events for sessions, rows for the disk.

use super::{ReconfigureRefusal, RowChange};
use leasehold_proto::session::StoreEvent;
use leasehold_proto::words::{Epoch, RelationshipId, UpdateSeq};

/// All that one apply gave.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// One for each command, in their order.
    pub outcomes: Vec<Outcome>,
    /// In the order in which they were decided.
    pub events: Vec<Event>,
    /// At most one for each key, in key order.
    pub rows: Vec<RowChange>,
}

/// What became of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The cluster is founded.
    Founded,
    /// It was founded before: nothing changed.
    AlreadyFounded,
    /// Rows of an old cluster were taken.
    RowsTaken,
    /// One of them makes no sense, in words.
    RowRefused(String),
    /// Rows of an old cluster were taken: a cluster is founded from them, or not at all.
    RestoringUnfinished,
    /// A session was opened.
    SessionOpened(Epoch),
    /// A session's batch was taken.
    BatchTaken(UpdateSeq),
    /// It was taken before (FO-909).
    BatchRepeated {
        /// The highest number taken.
        applied: UpdateSeq,
    },
    /// Its number is not the next one.
    BatchOutOfOrder {
        /// The highest number taken.
        applied: UpdateSeq,
    },
    /// No such session, or it has long been dead for certain.
    UnknownSession,
    /// The configuration was taken under this version.
    NetworkApplied {
        /// Its version.
        version: u64,
    },
    /// The configuration was refused.
    NetworkRefused(NetworkRefusal),
    /// The cluster is not founded yet.
    NotFounded,
    /// A frontend's declaration as down was made or taken back, for these sessions.
    Declared(Vec<Epoch>),
    /// It was not.
    DeclareRefused(DeclareRefusal),
    /// A frontend is drained from now on, or serves again; it was so already with `changed: false`.
    Drained {
        /// Whether anything changed.
        changed: bool,
    },
    /// Relationships left to the store took a step, under this version; nothing when there was none to take.
    Respread(Option<u64>),
    /// The cluster has a secret; it had one before with `kept: false`.
    SecretKept {
        /// Whether it is the one of this command.
        kept: bool,
    },
    /// Clients are asked, by the order of this number.
    ReconfigureOrdered {
        /// Its number in the cluster's life.
        number: u64,
    },
    /// They are not.
    ReconfigureRefused(ReconfigureRefusal),
}

/// Why a declaration was not made, or not taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeclareRefusal {
    /// No session of it is about.
    #[error("there is no session of that frontend: nothing waits for it")]
    NoSession,
    /// All its sessions stopped cleanly, or were declared down before.
    #[error("nothing is left to declare: its sessions stopped cleanly or were declared down before")]
    NothingLeft,
    /// None of its sessions is declared down.
    #[error("the frontend is not declared down")]
    NotDeclared,
    /// Its promises are over: others may have its addresses.
    #[error(
        "too late: its session is dead for certain and others may have its ranges; restart it, it comes back as new"
    )]
    TooLate,
}

/// Why a configuration was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkRefusal {
    /// Somebody else changed it meanwhile.
    #[error("the configuration is at version {current}, not {expected}: read it again and repeat the change")]
    Version {
        /// Version expected by the caller.
        expected: u64,
        /// Version in force.
        current: u64,
    },
    /// It is not consistent.
    #[error("the configuration is not consistent: {}", .0.join("; "))]
    Invalid(Vec<String>),
}

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// One session.
    Session(Epoch),
    /// Every session of a relationship's frontends.
    Relationship(RelationshipId),
    /// The same, but for one session.
    RelationshipExcept(RelationshipId, Epoch),
    /// Every session.
    Everyone,
}

/// Something that happened, and who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Who is told.
    pub audience: Audience,
    /// What.
    pub event: StoreEvent,
}

impl Applied {
    pub(super) fn tell(&mut self, audience: Audience, event: StoreEvent) {
        self.events.push(Event { audience, event });
    }
}
