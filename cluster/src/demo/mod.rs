//! `leasehold demo`: a whole cluster on loopback, clients, two failures, a verdict.
//!
//! Owns the story and what is shown of it. Refuses to judge by anything but what clients were promised and what the
//! store says in the end ([`verdict`]). Needs no root: its clients act as a relay with a source port of its own
//! (RFC 8357). Everything it starts are ordinary processes of this program with ordinary files ([`crate::local`]).

mod story;
mod verdict;

use std::path::PathBuf;

use clap::Args;

use crate::exit::{ExitKind, Failure};

/// Arguments of `leasehold demo`.
#[derive(Args, Debug)]
pub struct DemoCommand {
    /// Clients that renew all the time.
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    clients: u32,
    /// New clients a second, from beginning to end.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    newcomers: u32,
    /// Leave the cluster running, and print the commands to look around with.
    #[arg(long)]
    keep: bool,
    /// Folder for files and logs, which must not exist; a temporary one if not given.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Runs the demo; its verdict is the exit code.
///
/// # Errors
/// What stood in the way, or a verdict that is not clean.
pub fn run(command: &DemoCommand) -> Result<(), Failure> {
    let verdict = story::tell(command)?;
    println!("\n{verdict}");
    if verdict.is_clean() {
        Ok(())
    } else {
        Err(Failure::new(ExitKind::Judged, "the verdict is not clean: see above"))
    }
}
