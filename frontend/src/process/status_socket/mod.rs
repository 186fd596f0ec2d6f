//! The local status socket: how a frontend that has lost its store can still be asked how it stands.
//!
//! Owns a Unix stream socket of its own, for this machine's owner of the process alone (mode 0600), and the protocol on
//! it. Refuses to change anything and to ask the packet thread: it tells the budget that thread published last, within
//! the second. In: one line, `budget`. Out: one line of JSON, an [`Answer`]; then the connection is closed.
//!
//! Invariants: at most eight connections are held, each for two seconds at most and with 64 octets of what it sent;
//! others wait in the kernel's bounded queue. A file that is not a socket, or a socket on which somebody answers, is
//! never removed.

mod bind;
mod serve;
mod view;

#[cfg(test)]
mod tests;

pub use bind::StatusSocketError;
pub(super) use bind::{SocketFile, open};
pub(super) use serve::{Published, serve};
pub use view::{Answer, BudgetView, KnownView, PoolView, StoreView};

/// The version of requests and answers. Fields may be added under the same one.
pub const VERSION: u32 = 1;

/// The request for the survival budget, without its line end.
pub const BUDGET_REQUEST: &str = "budget";
