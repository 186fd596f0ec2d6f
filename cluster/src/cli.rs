//! The command line: which subcommands there are, and how their outcome becomes an exit code.
//!
//! Owns the top of the argument tree and the printing of failures. Refuses to do any work itself. Input: the
//! process's arguments; output: standard output, standard error and the exit code of [`crate::exit`].

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::exit::{EXIT_CODES_HELP, ExitKind, Failure};
use crate::{admin, bench, certs, commands, config, demo, load};

/// The arguments of the `leasehold` program.
#[derive(Debug, Parser)]
#[command(name = "leasehold", version, about = "A highly available DHCPv6 service", after_help = EXIT_CODES_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node of the lease store.
    Store(commands::store::StoreCommand),
    /// Write the state of a store node that does not run into a file, to found the cluster anew from.
    StoreExport(commands::store_export::StoreExportCommand),
    /// Run a DHCPv6 frontend.
    Frontend(commands::NodeCommand),
    /// Ask a frontend on this machine for how long it can go on without the store.
    FrontendStatus(commands::frontend_status::FrontendStatusCommand),
    /// Start a cluster on loopback, let clients come, kill what serves, and judge.
    Demo(demo::DemoCommand),
    /// Measure one frontend with a three-node store behind it, on this machine.
    Bench(bench::BenchCommand),
    /// Check configuration files.
    Config(config::ConfigCommand),
    /// Look into a running cluster, and change its network configuration.
    Admin(admin::AdminCommand),
    /// Generate DHCPv6 clients, check every answer, measure.
    Load(load::LoadCommand),
    /// Make and revoke certificates.
    Certs(certs::CertsCommand),
}

/// Reads the process's arguments and runs the command they name. Usage errors end the process with code 2.
#[must_use]
pub fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.kind as u8)
        }
    }
}

/// Runs one command.
///
/// # Errors
/// What is wrong, with its exit code.
pub fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Store(command) => commands::store::run(&command),
        Command::StoreExport(command) => commands::store_export::run(&command),
        Command::Frontend(command) => commands::frontend::run(&command),
        Command::FrontendStatus(command) => commands::frontend_status::run(&command),
        Command::Demo(command) => demo::run(&command),
        Command::Bench(command) => bench::run(&command),
        Command::Config(command) => config::run(&command),
        Command::Admin(command) => admin::run(command),
        Command::Load(command) => load::run(command),
        Command::Certs(command) => certs::run(command).map_err(|error| Failure::other(&error)),
    }
}

/// A tokio runtime for a command that makes a few calls.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ExitKind::Other, format!("cannot start the runtime: {error}")))
}
