//! `leasehold store-export -c FILE OUT`: the state of a stopped store node in one file (docs/operations/lost-quorum.md).

use std::path::PathBuf;

use clap::Args;
use leasehold_store::rocks::DiskLimits;
use leasehold_store::service::export;

use crate::config::StoreConfig;
use crate::exit::{ExitKind, Failure};

/// Arguments of `leasehold store-export`.
#[derive(Args, Debug)]
pub struct StoreExportCommand {
    /// The node's configuration; the node must not run.
    #[arg(short = 'c', long, value_name = "FILE")]
    config: PathBuf,
    /// Where to write.
    #[arg(value_name = "OUT")]
    out: PathBuf,
}

/// Writes the export and says what is in it.
///
/// # Errors
/// Configuration errors; why the data cannot be read or the file not be written.
pub fn run(command: &StoreExportCommand) -> Result<(), Failure> {
    let config = StoreConfig::load(&command.config).map_err(|e| Failure::new(ExitKind::Configuration, e))?;
    let report = export::export(&config.data, &DiskLimits::default(), &command.out)
        .map_err(|e| Failure::new(ExitKind::Other, e))?;
    println!(
        "{}: cluster {}, incarnation {}, as of log index {}, {} lease records",
        command.out.display(),
        report.cluster,
        report.incarnation,
        report.applied_index,
        report.leases
    );
    if let Some(reason) = report.left_out {
        println!("The log was not read to its end: {reason}");
    }
    println!("Of several nodes take the export with the highest log index.");
    Ok(())
}
