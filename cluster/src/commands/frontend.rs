//! `leasehold frontend -c FILE`.

use leasehold_frontend::process::{
    FrontendConfig as Process, FrontendInterface, FrontendProcess, Overload, StartError,
};
use leasehold_frontend::session::StoreAddress;

use super::{NodeCommand, logging, signals};
use crate::cli::runtime;
use crate::config::FrontendConfig;
use crate::exit::{ExitKind, Failure};

/// Serves until SIGTERM or SIGINT, then stops cleanly: nothing new is promised, everything is told to the store, the
/// ranges are given back.
///
/// # Errors
/// Configuration errors with file, line and field; why it cannot start; why it ended by itself.
pub fn run(command: &NodeCommand) -> Result<(), Failure> {
    let config =
        FrontendConfig::load(&command.config).map_err(|e| Failure::new(ExitKind::Configuration, e))?;
    logging::begin(config.log);
    let runtime = runtime()?;
    let process = process(&config)?;
    let running = FrontendProcess::start(process).map_err(|e| Failure::new(kind_of(&e), e))?;
    let ended = running.wait();
    runtime.block_on(async {
        tokio::select! {
            signal = signals::asked_to_stop() => match signal {
                Ok(signal) => tracing::info!("{signal}: stopping"),
                Err(error) => tracing::error!(%error, "cannot wait for signals: stopping"),
            },
            () = ended => tracing::error!("the packet thread ended by itself"),
        }
    });
    // Its own threads end it; this runtime has nothing left to do meanwhile.
    running.shutdown().map(|_| ()).map_err(|e| Failure::new(ExitKind::Other, e))
}

fn process(config: &FrontendConfig) -> Result<Process, Failure> {
    let security = config.security.open().map_err(|e| Failure::new(ExitKind::Configuration, e))?;
    let interfaces = config.interfaces.iter().map(|i| FrontendInterface {
        name: i.name.clone(),
        link: i.link.clone(),
        relays: i.relays,
    });
    let stores = config.store.iter().map(|address| StoreAddress { name: None, address: address.clone() });
    Ok(Process {
        frontend: config.name.clone(),
        cluster: config.cluster.clone(),
        stores: stores.collect(),
        listen: config.listen,
        interfaces: interfaces.collect(),
        security,
        status_socket: config.status_socket.clone(),
        lock_file: config.lock_file.clone(),
        hash_key: None,
        overload: Overload {
            priorities: config.overload.priorities,
            receive_buffer_len: config.overload.receive_buffer_len,
        },
    })
}

/// A wrong certificate or address is a matter of configuration; a port in use is not.
fn kind_of(error: &StartError) -> ExitKind {
    match error {
        StartError::NoStore | StartError::WrongCertificate { .. } => ExitKind::Configuration,
        _ => ExitKind::Other,
    }
}
