//! Tables that tests fill, kept beside the tests' logs for the summary and for people.
//!
//! Owns: the files. Refuses to know what the lines say. In: a table's name, its head, lines whose first columns, up to the
//! given one, are their key; columns are parted by ` | `. A line replaces an older one of the same key, so that one test
//! run alone renews its own lines only. Invariant: one writer at a time in a process; `scripts/test.sh` runs one process at
//! a time that writes tables.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};

use crate::cluster::binary;

static WRITER: Mutex<()> = Mutex::new(());

/// Puts lines into the table `NAME.table`.
///
/// # Errors
/// When the file cannot be read or written.
pub fn put(name: &str, head: &str, key_columns: usize, lines: &[String]) -> Result<()> {
    let _writer = WRITER.lock().unwrap_or_else(PoisonError::into_inner);
    let path = path(name)?;
    let mut table = if path.exists() {
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?
    } else {
        String::new()
    };
    for line in lines {
        table = with(&table, head, key_columns, line);
    }
    fs::write(&path, table).with_context(|| format!("cannot write {}", path.display()))
}

/// Where a table is.
fn path(name: &str) -> Result<PathBuf> {
    let target = binary().ancestors().nth(2).context("the program lies in no target folder")?.to_owned();
    let folder = target.join("test-logs");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder.join(format!("{name}.table")))
}

/// A table with a line put in, at the place of the older one or at the end.
fn with(table: &str, head: &str, key_columns: usize, line: &str) -> String {
    let mut lines: Vec<&str> = table.lines().filter(|old| *old != head).collect();
    let found = lines
        .iter_mut()
        .find(|old| old.split(" | ").take(key_columns).eq(line.split(" | ").take(key_columns)));
    match found {
        Some(old) => *old = line,
        None => lines.push(line),
    }
    lines.insert(0, head);
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::with;

    #[test]
    fn a_line_replaces_the_older_one_of_its_key() {
        let mut table = String::new();
        for line in ["kill | a | 1", "kill again | a | 2", "kill | b | 3", "kill | a | 4"] {
            table = with(&table, "failure | who | ms", 2, line);
        }
        assert_eq!(table, "failure | who | ms\nkill | a | 4\nkill again | a | 2\nkill | b | 3\n");
    }
}
