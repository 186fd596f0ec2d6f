//! The model checker: design section 5 as a small world, explored exhaustively within bounds.
//!
//! Two frontends, two clients, one or two addresses, abstract integer time. Not the production cores but their rules,
//! written down a second time, so that a rule can be taken away ([`Sabotage`]) and what then goes wrong be found.
//! `state` is the world, `store` and `updates` the store's rules, `frontend`, `process` and `record` the frontends';
//! `moves` lists what can happen next, `check` carries it out and judges, `normal` keeps the number of states down,
//! `scenarios` says which worlds are explored.
//!
//! Silence stands for faults: a message not delivered is lost or delayed, a process that does nothing is cut off,
//! paused or crashed. Time passes only by [`Action::Tick`]. One idealisation: a new session loads all records in the
//! step that opens it. Left out: that a session superseded before a holding was born holds nothing back (R2, R6: here
//! every session does), pools and configuration, Decline's quarantine, overrides and so R8, R9, restored backups. The
//! exploration is stateright's, breadth-first; its fingerprints have 64 bits, so that among n states one is missed with a
//! probability of about n^2 / 2^65.

mod check;
mod config;
mod frontend;
mod moves;
mod normal;
mod process;
mod record;
mod scenarios;
mod sight;
mod state;
mod store;
mod updates;

pub use check::{Found, Leases, NO_OPEN_RANGE, NOT_FREED, NOT_REFUSED, ONE_HOLDER, Outcome, explore};
pub use config::{Config, Sabotage};
pub use moves::Action;
pub use scenarios::{EXHAUSTED, LARGE, sabotages};
pub use sight::{Sight, Sights};
pub use state::World;
