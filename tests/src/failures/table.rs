//! The failure table: a line for each failure, kept in a file beside the tests' logs.
//!
//! Owns: the line's form and the file. Refuses to know how figures are had. A line replaces an older one of the same
//! failure, so that one test run alone renews its own line only.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::cluster::binary;

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

/// Where the table is.
fn path() -> Result<PathBuf> {
    let target = binary().ancestors().nth(2).context("the program lies in no target folder")?.to_owned();
    let folder = target.join("test-logs");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder.join("failures.table"))
}

/// Prints a line and puts it into the table.
///
/// # Errors
/// When the file cannot be read or written.
pub fn add(line: &Line) -> Result<()> {
    println!("{HEAD}\n{line}");
    let path = path()?;
    let before = if path.exists() {
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?
    } else {
        String::new()
    };
    fs::write(&path, with(&before, line)).with_context(|| format!("cannot write {}", path.display()))
}

/// A table with a line put in, at the place of the older one or at the end.
fn with(table: &str, line: &Line) -> String {
    let name = format!("{} |", line.failure);
    let mut lines: Vec<String> = table.lines().filter(|old| *old != HEAD).map(str::to_owned).collect();
    match lines.iter_mut().find(|old| old.starts_with(&name)) {
        Some(old) => *old = line.to_string(),
        None => lines.push(line.to_string()),
    }
    lines.insert(0, HEAD.to_owned());
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_replaces_the_older_one_of_its_failure() {
        let line = |failure: &str, renew_ms| Line {
            failure: failure.to_owned(),
            renew_ms,
            new_ms: 2,
            lost: 0,
            given_twice: 0,
            note: "quiet".to_owned(),
        };
        let mut table = String::new();
        for (failure, renew_ms) in [("kill", 1), ("kill again", 2), ("kill", 3)] {
            table = with(&table, &line(failure, renew_ms));
        }
        assert_eq!(
            table,
            format!("{HEAD}\nkill | 3 | 2 | 0 | 0 | quiet\nkill again | 2 | 2 | 0 | 0 | quiet\n")
        );
    }
}
