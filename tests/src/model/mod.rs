//! The model checker: design section 5 as a small world, explored exhaustively within bounds.
//!
//! Two frontends, two clients, one or two addresses, abstract integer time. Not the production cores but their rules,
//! written down a second time, so that a rule can be taken away ([`Sabotage`]) and what then goes wrong be found. The
//! world: [`store`] (sessions, ranges, records, the log), [`frontend`] (processes: promises, batches, merging),
//! clients and Replies in [`check`], which lists all that can happen next. What is left out: pools and configuration,
//! Decline's quarantine, R8 (it needs an override), R9, restoring backups, chunked loads.
//!
//! Silence stands for faults: a message not delivered is lost or delayed, a process that does nothing is cut off,
//! paused or crashed. Time passes only by [`check::Action::Tick`]. The exploration is stateright's, breadth-first;
//! its fingerprints have 64 bits, so a state is missed with a probability of about n^2 / 2^65.

mod check;
mod config;
mod frontend;
mod normal;
mod scenarios;
mod sight;
mod state;
mod store;

pub use check::{Action, Found, Leases, NO_OPEN_RANGE, NOT_FREED, NOT_REFUSED, ONE_HOLDER, Outcome, explore};
pub use config::{Config, Sabotage};
pub use scenarios::{EXHAUSTED, LARGE, sabotages};
pub use sight::{Sight, Sights};
pub use state::World;
