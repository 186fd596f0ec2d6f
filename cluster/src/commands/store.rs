//! `leasehold store -c FILE`.

use std::path::PathBuf;

use clap::Args;
use leasehold_store::raft::{NodeAddress, OnDamage, Timing};
use leasehold_store::rocks::DiskLimits;
use leasehold_store::service::{
    RestoreFrom, StartError, StopReason, StoreConfig as Process, StoreProcess, StoreSecurity,
};

use super::{logging, signals};
use crate::config::{SecurityConfig, StoreConfig};
use crate::exit::{ExitKind, Failure};

/// Arguments of `leasehold store`.
#[derive(Args, Debug)]
pub struct StoreCommand {
    /// The node's configuration; `leasehold config check FILE` explains what is wrong with one.
    #[arg(short = 'c', long, value_name = "FILE")]
    config: PathBuf,
    /// If the log on disk is damaged, set the data aside (in `damaged-N`) and rejoin the cluster as a new member that
    /// is sent everything. Only while the other nodes have a quorum.
    #[arg(long)]
    rejoin: bool,
    /// Found the cluster anew from this export (`leasehold store-export`): only after its quorum was lost for good, with
    /// empty data folders, and on every node: whichever leads first founds. See docs/operations/lost-quorum.md.
    #[arg(long, value_name = "EXPORT")]
    restore: Option<PathBuf>,
    /// Grant ranges at once, though what the old cluster promised may be in force: an address may get two owners.
    #[arg(long, requires = "restore")]
    without_waiting: bool,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Configuration errors with file, line and field; why it cannot start; why it had to stop.
pub fn run(command: &StoreCommand) -> Result<(), Failure> {
    let config = StoreConfig::load(&command.config).map_err(|e| Failure::new(ExitKind::Configuration, e))?;
    logging::begin(config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ExitKind::Other, format!("cannot start the runtime: {error}")))?;
    runtime.block_on(async {
        let process = process(&config, command);
        let running = StoreProcess::start(process).await.map_err(|e| Failure::new(kind_of(&e), e))?;
        let reason = tokio::select! {
            signal = signals::asked_to_stop() => {
                match signal {
                    Ok(signal) => tracing::info!("{signal}: stopping"),
                    Err(error) => tracing::error!(%error, "cannot wait for signals: stopping"),
                }
                StopReason::Asked
            }
            reason = running.wait() => reason,
        };
        running.shutdown().await;
        match reason {
            StopReason::Asked => Ok(()),
            StopReason::Failed(message) => {
                tracing::error!("stopped: {message}");
                Err(Failure::new(ExitKind::Other, message))
            }
        }
    })
}

fn process(config: &StoreConfig, command: &StoreCommand) -> Process {
    let node =
        |n: &crate::config::StoreNode| NodeAddress { name: n.name.clone(), address: n.address.clone() };
    let own = config.nodes.iter().find(|n| n.name == config.name);
    Process {
        cluster: config.cluster.clone(),
        name: config.name.clone(),
        data_dir: config.data.clone(),
        listen: config.listen,
        advertise: own.map_or_else(|| config.listen.to_string(), |n| n.address.clone()),
        nodes: config.nodes.iter().map(node).collect(),
        security: match &config.security {
            SecurityConfig::Tls(files) => StoreSecurity::Tls(files.clone()),
            SecurityConfig::InsecureLoopback => StoreSecurity::InsecureLoopback,
        },
        timing: Timing { heartbeat: config.raft.heartbeat, silence: config.raft.silence },
        on_damage: if command.rejoin { OnDamage::Rejoin } else { OnDamage::Refuse },
        limits: DiskLimits::default(),
        restore: command
            .restore
            .clone()
            .map(|file| RestoreFrom { file, without_waiting: command.without_waiting }),
    }
}

/// Names, certificates and member lists are matters of configuration; ports and disks are not.
fn kind_of(error: &StartError) -> ExitKind {
    match error {
        StartError::Tls(_) | StartError::Name(_) | StartError::WrongCertificate { .. } => {
            ExitKind::Configuration
        }
        _ => ExitKind::Other,
    }
}
