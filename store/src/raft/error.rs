//! What the rest of the crate is told when Raft does not do what was asked.
//!
//! Owns: the errors of the boundary, one enum per question. Refuses to know: openraft's types.
//! Invariant: [`ProposeError`] tells what certainly did not happen from what may have happened.

use super::config::NodeAddress;
use super::log_check::LogDamage;
use super::replicated::RestoreError;
use crate::rocks::DiskError;

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The log is not what was acknowledged: the node must not vote with it.
    #[error(
        "{0}; this node does not vote with such a log: start it with rejoin on damage, which sets the folder aside and fetches everything from the others"
    )]
    Damaged(#[from] LogDamage),
    /// The rows make no state machine.
    #[error("the copy of the state cannot be loaded: {0}")]
    Restore(#[from] RestoreError),
    /// The configuration contradicts itself.
    #[error("configuration: {0}")]
    Config(String),
    /// No random Raft id could be had.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// openraft refuses to start.
    #[error("Raft does not start: {0}")]
    Raft(String),
}

/// Why a proposal has no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Certainly not appended: ask the leader.
    #[error("not the leader{}", leader.as_ref().map_or_else(String::new, |leader| format!("; that is {leader}")))]
    NotLeader {
        /// The leader, if one is known.
        leader: Option<NodeAddress>,
    },
    /// It may have been committed, or may yet be: ask again with the same numbers.
    #[error("the leader changed meanwhile; whether this was committed is unknown")]
    Unknown,
    /// Larger than an entry may be; certainly not appended.
    #[error("a proposal of {bytes} bytes is larger than {limit}")]
    TooLarge {
        /// Bytes proposed.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The node stops; whether this was committed is unknown.
    #[error("the node has stopped: {0}")]
    Stopped(String),
}

/// Why a linearizable read is not possible here and now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Ask the leader.
    #[error("not the leader{}", leader.as_ref().map_or_else(String::new, |leader| format!("; that is {leader}")))]
    NotLeader {
        /// The leader, if one is known.
        leader: Option<NodeAddress>,
    },
    /// Too few nodes answered.
    #[error("too few store nodes answer: {0}")]
    NoQuorum(String),
    /// The node stops.
    #[error("the node has stopped: {0}")]
    Stopped(String),
}

/// Why the leadership was not handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// This node does not lead.
    #[error("not the leader")]
    NotLeader,
    /// No voter has that name.
    #[error("no voter is called `{0}`")]
    UnknownName(String),
    /// The node stops.
    #[error("the node has stopped: {0}")]
    Stopped(String),
}
