//! The failure table: a line for each failure.
//!
//! Owns: the line's form. Refuses to know how figures are had, and where tables are kept ([`crate::table`]).

use std::fmt;

use anyhow::Result;

use crate::table;

const HEAD: &str = "failure | longest wait Renew, ms | longest wait new lease, ms | committed leases lost | given twice | note";

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What failed.
    pub failure: String,
    /// The longest wait of a generated client from its first Renew or Rebind to the Reply, milliseconds.
    pub renew_ms: u64,
    /// The longest wait of a generated client from its first Solicit to the Reply, milliseconds.
    pub new_ms: u64,
    /// Leases that were committed before the failure and are not on record afterwards.
    pub lost: usize,
    /// Replies that promised what another client held.
    pub given_twice: u64,
    /// What else was seen.
    pub note: String,
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { failure, renew_ms, new_ms, lost, given_twice, note } = self;
        write!(out, "{failure} | {renew_ms} | {new_ms} | {lost} | {given_twice} | {note}")
    }
}

/// Prints a line and puts it into the table.
///
/// # Errors
/// When the file cannot be read or written.
pub fn add(line: &Line) -> Result<()> {
    println!("{HEAD}\n{line}");
    table::put("failures", HEAD, 1, &[line.to_string()])
}
