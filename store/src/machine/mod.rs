//! The store's state machine: what the cluster agrees on about sessions, ranges, leases and configuration. Pure.
//!
//! One input, [`Machine::apply`]: a batch of commands stamped with cluster time by the leader, at a log index. Outputs:
//! an outcome for each command, events for sessions, and the rows that changed. It knows no clock, entropy, sockets,
//! disks or Raft, iterates no hash map, and gives the same outputs for the same inputs on every node.
//!
//! The rules, one function each (design section 5):
//! - Order: [`sessions`]`::take_batch`, each number once, in order;
//! - R1: [`leases`]`::owns_range`, the fence behind the frontends' own check;
//! - R2: [`freeing`]`::may_free`, and `leases::release_refusal` for record versions;
//! - R3: `leases::acknowledge`, acked_until merges by maximum within one holding;
//! - R4: [`sessions`]`::is_dead`, and `sessions::may_extend`;
//! - R5: `leases::promise_on_record`, any live partner session extends for the same client;
//! - R6: `sessions::open`, a new session supersedes the old one, and may prove it gone (`ending::prove_gone`);
//! - R7: [`adoption`]`::adopt`, a claimed lease of which there never was a record;
//! - R8: [`conflicts`]`::note_two_clients`, committed first stays, and the conflict is written down;
//! - R9: the binding index keeps every lease of a binding; frontends release what a client does not use.
//!
//! Work per apply is bounded: what time makes due is done [`STEP_MAX`] at a time, the rest at the next command.

mod adoption;
mod command;
mod conflicts;
mod draining;
mod due;
mod ending;
mod freeing;
mod history;
pub mod invariants;
mod leases;
mod network;
mod outcome;
mod ownership;
mod pool_view;
mod ranges;
mod reconfigure;
mod registrations;
mod reshaping;
mod restore;
mod rows;
mod sessions;
mod slices;
mod spreading;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod view;

pub use command::{Command, CommandBatch, CommandError, FORMAT_VERSION, Found, OldRows, Restored};
pub use conflicts::{Conflict, ConflictKind};
pub use outcome::{Applied, Audience, DeclareRefusal, Event, NetworkRefusal, Outcome};
pub use pool_view::{ClosedUntil, PoolView};
pub use reconfigure::ReconfigureRefusal;
pub use rows::RowError;
pub use state::{Counters, Machine};
pub use view::{RangeStanding, RangeView, SessionView};

use leasehold_proto::words::LogIndex;

/// How many due leases, or freed leases, one apply handles at most. The rest waits for the next command, which the
/// leader sends at once while work is due.
pub const STEP_MAX: usize = 2048;

/// One row of the state copy on disk: `None` deletes it. Its `Debug` form leaves the value out: a row holds the cluster's
/// secret (SEC-07).
#[derive(Clone, PartialEq, Eq)]
pub struct RowChange {
    /// Family byte and order-preserving key.
    pub key: Vec<u8>,
    /// The encoded row.
    pub value: Option<Vec<u8>>,
}

impl std::fmt::Debug for RowChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RowChange({:02x?}, {:?} octets)", self.key, self.value.as_ref().map(Vec::len))
    }
}

impl Machine {
    /// Applies one committed batch of commands.
    ///
    /// Cluster time becomes the maximum of what it was and the stamp: it never goes back (FO-906).
    ///
    /// # Panics
    /// When log indexes go backwards: the caller broke the log's order.
    pub fn apply(&mut self, index: LogIndex, batch: &CommandBatch) -> Applied {
        assert!(index > self.applied, "log index {index} applied after {}", self.applied);
        self.applied = index;
        self.time = self.time.max(batch.stamp);
        self.format = batch.format;
        let mut out = Applied::default();
        for command in &batch.commands {
            let outcome = match command {
                Command::Found(found) => self.found(found),
                Command::OpenSession { frontend, host } => self.open(frontend, *host, &mut out),
                Command::Session(batch) => self.take_batch(batch, &mut out),
                Command::ApplyNetwork { expected_version, network } => {
                    self.apply_network(*expected_version, network, &mut out)
                }
                Command::RestoreRows { first, rows } => self.take_old_rows(*first, &rows.0),
                Command::DeclareDown { frontend, newest } => self.declare_down(frontend, *newest, &mut out),
                Command::WithdrawDown { frontend } => self.withdraw_down(frontend, &mut out),
                Command::Respread => self.respread(&mut out),
                Command::Drain { frontend, on } => self.drain(frontend, *on, &mut out),
                Command::KeepSecret(secret) => self.keep_secret(secret, &mut out),
                Command::Reconfigure { whom, message } => self.order_reconfigure(whom, *message, &mut out),
            };
            out.outcomes.push(outcome);
        }
        self.sort_out_held_back();
        self.run_due(&mut out);
        self.sort_out_held_back();
        self.free_watermarked(&mut out);
        self.settle(&mut out);
        self.take_changed_rows(&mut out);
        out
    }
}
