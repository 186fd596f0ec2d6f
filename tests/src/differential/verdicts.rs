//! What is said of each difference: who is right, and by which section.
//!
//! Owns the reasons and the table of scripts in which they show. A script that differs and is not in the table, and
//! one in the table that does not differ, both fail the test.

/// Who has to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Our answer is right, or both are allowed.
    Ours,
    /// We are to be mended.
    Mend,
}

/// Why answers differ.
#[derive(Debug)]
pub struct Reason {
    /// In a few words.
    pub title: &'static str,
    /// Who has to change.
    pub verdict: Verdict,
    /// What decides: sections of RFCs, requirement ids.
    pub decided_by: &'static str,
    /// The argument.
    pub why: &'static str,
}

/// A reason and the scripts in which it shows.
#[derive(Debug)]
pub struct Entry {
    /// The reason.
    pub reason: Reason,
    /// Names of scripts.
    pub scripts: &'static [&'static str],
}

/// All reasons.
pub const TABLE: &[Entry] = &[];
