//! How a command ends: one documented exit code for each kind of failure.
//!
//! Owns the numbers and the one error type that commands return to the command line. Refuses to print: [`crate::cli`]
//! does. Invariant: the numbers never change their meaning; scripts depend on them.

use std::fmt::Display;

/// What kind of failure ended a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitKind {
    /// Anything without a number of its own.
    Other = 1,
    /// The command line cannot be understood.
    Usage = 2,
    /// A configuration file, or a network file, has errors.
    Configuration = 3,
    /// No store node could be reached, or none of those reached could answer; nor the frontend that was to be asked.
    Unreachable = 4,
    /// A store node was reached and refused.
    Refused = 5,
    /// `leasehold load` saw a wrong answer, or an address or prefix promised to two clients at once.
    Judged = 6,
}

/// For `--help`: what each exit code means.
pub const EXIT_CODES_HELP: &str = "Exit codes: 0 done; 1 other failure; 2 usage; 3 configuration error; 4 cannot \
reach the store or the frontend; 5 refused by the store; 6 load: wrong answer or double promise";

/// A command's failure, in words for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Which exit code it gives.
    pub kind: ExitKind,
    /// What is wrong, where, and what to do; may have several lines.
    pub message: String,
}

impl Failure {
    /// A failure of a kind, told by anything that can be shown.
    pub fn new(kind: ExitKind, message: impl Display) -> Self {
        Self { kind, message: message.to_string() }
    }

    /// A failure without a number of its own, with every cause in one line.
    #[must_use]
    pub fn other(error: &anyhow::Error) -> Self {
        Self::new(ExitKind::Other, format!("{error:#}"))
    }
}
