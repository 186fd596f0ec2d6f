//! The table client program × case.
//!
//! Owns: the form of its lines. Refuses to know how they are had, and where tables are kept ([`crate::table`]).

use std::fmt;
use std::time::Duration;

use anyhow::Result;

use super::party::Frontends;
use crate::table;

const HEAD: &str = "frontends | program | case | longest wait, ms | note";
/// Frontends, program and case.
const KEY_COLUMNS: usize = 3;

/// One result.
#[derive(Clone, Debug)]
pub struct Row {
    /// Who served.
    pub frontends: Frontends,
    /// The client program, or the relay's.
    pub program: &'static str,
    /// The case.
    pub case: String,
    /// The longest that a client waited for what the case is about, from a message's first transmission; `None` where the
    /// program cannot do it.
    pub took: Option<Duration>,
    /// What was seen, or why it cannot.
    pub note: String,
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frontends, program, case, took, note } = self;
        let took = took.map_or_else(|| "-".to_owned(), |took| format!("{:.1}", took.as_secs_f64() * 1e3));
        write!(out, "{frontends} | {program} | {case} | {took} | {note}")
    }
}

/// Prints rows and puts them into the table.
///
/// # Errors
/// When the file cannot be read or written.
pub fn keep(rows: &[Row]) -> Result<()> {
    let lines: Vec<String> = rows.iter().map(Row::to_string).collect();
    println!("{HEAD}\n{}", lines.join("\n"));
    table::put("clients", HEAD, KEY_COLUMNS, &lines)
}
