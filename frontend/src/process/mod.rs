//! A frontend process put together: engine, packet thread, watch over interfaces, session with the store, status socket.
//!
//! Owns what runs in which thread, start, clean stop, and the words for people about both. Refuses to decide about
//! leases (the engine does), to read files, to install signal handlers and to set up logging (the `leasehold` command
//! does). In: a [`FrontendConfig`]. Out: [`Running`].
//!
//! Threads: `packets` runs the engine between receiving and sending; `interfaces` looks at the interfaces once a
//! second; one tokio worker keeps the session and answers on the status socket. They meet in queues that the packet
//! thread never waits for.
//! Invariants: a frontend that finds no store starts all the same; one that loses it serves on; a clean stop tells the
//! store everything or says that it could not, within [`STOP_WITHIN`].
//! Source: FO-904 (service without the store), design section 3.

mod config;
mod error;
mod handler;
mod health;
pub mod host_lock;
mod reporter;
mod running;
mod shed;
pub mod status_socket;
mod survival_log;

#[cfg(test)]
mod tests;

pub use config::{FrontendConfig, FrontendInterface, Overload};
pub use error::StartError;
pub use handler::EngineHandler;
pub use running::{FrontendStatus, Running, STOP_WITHIN, Stopped};

use std::sync::Arc;
use std::time::Duration;

use leasehold_proto::identity::Role;
use leasehold_proto::tls::{Security, endpoint};
use tokio::sync::watch;

use crate::engine::admission::Bounds;
use crate::engine::{Engine, Limits, Settings};
use crate::io::interfaces::SCAN_PERIOD;
use crate::io::{
    InterfaceConfig, InterfaceWatch, PacketLoop, PacketStats, ServerSocket, SocketConfig, Waker,
};
use crate::session::{SessionConfig, SessionState, inbox, keep};
use host_lock::HostLock;

/// Pause before a session task that panicked, a bug, is started again.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// Starts frontends.
#[derive(Debug)]
pub struct FrontendProcess;

impl FrontendProcess {
    /// Starts a frontend; on return its socket is open and its interfaces were looked at once. It needs no store to
    /// start. May be called within a tokio runtime or without one: it brings its own.
    ///
    /// # Errors
    /// [`StartError`], in words for the operator; nothing is left running.
    pub fn start(config: FrontendConfig) -> Result<Running, StartError> {
        check(&config)?;
        let mut hash_key = [0; 16];
        match config.hash_key {
            Some(key) => hash_key = key,
            None => getrandom::fill(&mut hash_key).map_err(StartError::Entropy)?,
        }
        let Overload { priorities, receive_buffer_len } = config.overload;
        let socket =
            Arc::new(ServerSocket::open(&SocketConfig { local: config.listen, receive_buffer_len })?);
        tell_receive_buffer(&socket, receive_buffer_len);
        let waker = Waker::new()?;
        // A socket bound to one address hears no multicast: its interfaces are watched, and not joined.
        let hears_multicast = config.listen.ip().is_unspecified();
        let interfaces = config.interfaces.iter().map(|interface| InterfaceConfig {
            name: interface.name.clone(),
            clients: interface.link.is_some() && hears_multicast,
            site: interface.relays && hears_multicast,
        });
        let watch_over = InterfaceWatch::start(Arc::clone(&socket), interfaces.collect(), waker.clone())?;
        let table = watch_over.table();
        let (status_listener, status_file) = match &config.status_socket {
            None => (None, None),
            Some(path) => status_socket::open(path).map(|(listener, file)| (Some(listener), Some(file)))?,
        };
        let address = socket.local_addr();
        let stats = Arc::new(PacketStats::default());
        let (session_inbox, from_session) = inbox(waker.clone());
        let (orders, orders_taken) = std::sync::mpsc::channel();
        let (alive, ended) = watch::channel(());
        let (budget, published) = watch::channel(None);
        let mut engine =
            Engine::new(Settings { frontend: config.frontend.clone(), hash_key, limits: Limits::default() });
        let host_lock = config.lock_file.as_deref().and_then(take_lock);
        engine.set_host_proof(host_lock.as_ref().map(HostLock::proof));
        let handler = EngineHandler::new(handler::Parts {
            engine,
            interfaces: config.interfaces.clone(),
            table: Arc::clone(&table),
            stats: Arc::clone(&stats),
            from_session,
            orders: orders_taken,
            budget,
            _host_lock: host_lock,
            _alive: alive,
        });
        let watch_thread = watch_over.spawn(SCAN_PERIOD)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("session")
            .enable_all()
            .build()
            .map_err(StartError::Runtime)?;
        let packets = PacketLoop {
            socket,
            interfaces: Arc::clone(&table),
            waker: waker.clone(),
            stats: Arc::clone(&stats),
            admission: priorities.then(|| (hash_key, Bounds::default())),
        };
        let packets = match packets.spawn(handler) {
            Ok(packets) => packets,
            Err(error) => {
                // Not the ordinary drop, which panics within another runtime.
                runtime.shutdown_background();
                return Err(error.into());
            }
        };
        let (state, session) = watch::channel(SessionState::Searching { problem: None });
        let session_config =
            SessionConfig { cluster: config.cluster, stores: config.stores, security: config.security };
        runtime.spawn(keep_keeping(session_config, session_inbox, state));
        if let Some(listener) = status_listener {
            runtime.spawn(serve_status(listener, published));
        }
        tracing::info!(frontend = %config.frontend, %address, "this frontend is up, and looks for the store");
        Ok(Running::new(running::Parts {
            address,
            orders,
            waker,
            packets,
            watch: watch_thread,
            runtime,
            _status_file: status_file,
            session,
            table,
            stats,
            ended,
        }))
    }
}

/// Runs the session's task; a panic in it, a bug, costs the connection and not the session.
async fn keep_keeping(
    config: SessionConfig,
    inbox: crate::session::Inbox,
    state: watch::Sender<SessionState>,
) {
    loop {
        let task = tokio::spawn(keep(config.clone(), inbox.clone(), state.clone()));
        match task.await {
            Err(error) if error.is_panic() => {
                tracing::error!(%error, "a bug: the session's task panicked; it is started again");
                tokio::time::sleep(AFTER_PANIC).await;
            }
            _ => return,
        }
    }
}

/// Answers on the status socket. Without it the frontend serves all the same.
async fn serve_status(
    listener: std::os::unix::net::UnixListener,
    published: watch::Receiver<status_socket::Published>,
) {
    match tokio::net::UnixListener::from_std(listener) {
        Ok(listener) => status_socket::serve(listener, published).await,
        Err(error) => tracing::warn!(%error, "nothing is answered on the status socket"),
    }
}

/// Takes the lock that proves a predecessor gone (R6). Without it the frontend serves all the same.
fn take_lock(path: &std::path::Path) -> Option<HostLock> {
    match HostLock::take(path) {
        Ok(lock) => Some(lock),
        Err(error) => {
            tracing::warn!(%error, "no proof for the store: after a crash the ranges of this frontend stay closed longer");
            None
        }
    }
}

/// Says so if the kernel gave less than was asked for: what it drops is dropped without regard to rank.
fn tell_receive_buffer(socket: &ServerSocket, asked_len: usize) {
    // The kernel counts double what it was asked for, for its own book-keeping.
    match socket.receive_buffer_len() {
        Ok(given) if given / 2 < asked_len => tracing::warn!(
            asked_len,
            given_len = given / 2,
            "the kernel gives a smaller receive buffer than asked for; raise the sysctl net.core.rmem_max, or grant \
             CAP_NET_ADMIN"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the size of the receive buffer is unknown"),
    }
}

fn check(config: &FrontendConfig) -> Result<(), StartError> {
    if config.stores.is_empty() {
        return Err(StartError::NoStore);
    }
    for store in &config.stores {
        endpoint(&store.address)?;
    }
    let Security::Mutual(tls) = &config.security else { return Ok(()) };
    let material = tls.current();
    let found = material.identity();
    let fits = found.cluster() == config.cluster
        && found.role() == Role::Frontend
        && found.name() == config.frontend.as_str();
    if fits {
        Ok(())
    } else {
        let wanted = format!("leasehold://{}/{}/{}", config.cluster, Role::Frontend, config.frontend);
        Err(StartError::WrongCertificate { wanted, found: found.to_string() })
    }
}
