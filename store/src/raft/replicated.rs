//! The boundary with the pure state machine.
//!
//! Owns: the trait [`Replicated`], that the holder of the state machine implements. Refuses to know: what it does.
//! Inputs: committed payloads in log order. Outputs: an outcome and the changed rows of each.
//! Invariant: the same payloads in the same order give the same outcomes and rows on every node, in every run.

pub use crate::rocks::Row;

/// What applying one entry gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied<O> {
    /// For whoever proposed the entry, if that was on this node.
    pub outcome: O,
    /// The rows changed by it; of one key at most the last counts.
    pub rows: Vec<Row>,
}

/// Why a state machine cannot be made of the rows found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {key:02x?}: {detail}")]
pub struct RestoreError {
    /// The row's key.
    pub key: Vec<u8>,
    /// What is wrong with it.
    pub detail: String,
}

/// What Raft replicates: implemented by the holder of the pure state machine. It is shared with readers as
/// `Arc<std::sync::Mutex<R>>`, never locked across an await.
pub trait Replicated: Send + 'static {
    /// What the proposer of an entry is told.
    type Outcome: Send + 'static;

    /// Applies one committed entry, deterministically. A payload that makes no sense is an outcome, not a panic.
    fn apply(&mut self, log_index: u64, term: u64, payload: &[u8]) -> Applied<Self::Outcome>;

    /// Replaces everything by what the rows say: after a restart, or when a snapshot was installed. Rows come in the
    /// order of their keys; every row has a value.
    ///
    /// # Errors
    /// [`RestoreError`] naming the row that makes no sense; the node stops then.
    fn restore(&mut self, rows: &mut dyn Iterator<Item = Row>) -> Result<(), RestoreError>;
}
