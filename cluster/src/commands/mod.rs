//! The long-running commands: a store node, a frontend; and asking a frontend how it stands.
//!
//! Owns the way from a configuration file to a running process and its end: logging, signals, exit code. Refuses to
//! know what runs inside: `leasehold_store` and `leasehold_frontend` do.

pub mod frontend;
pub mod frontend_status;
mod logging;
mod signals;
pub mod store;
pub mod store_export;

use std::path::PathBuf;

use clap::Args;

/// Arguments of a long-running command.
#[derive(Args, Debug)]
pub struct NodeCommand {
    /// The node's configuration; `leasehold config check FILE` explains what is wrong with one.
    #[arg(short = 'c', long, value_name = "FILE")]
    config: PathBuf,
}
