//! A frontend that runs: how it stands, when it ends, and how to stop it.
//!
//! Owns the handles of all threads. Refuses to know why it shall stop. Dropping it stops everything at once, without a
//! word to the store: as a crash would, so the partner takes over and R4 governs what was promised.

use std::net::SocketAddrV6;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use tokio::sync::watch;

use super::handler::{EngineHandler, Order};
use super::status_socket::SocketFile;
use crate::engine::{Counters, EngineStatus};
use crate::io::packet_loop::PacketLoopError;
use crate::io::{
    InterfaceHealth, InterfaceTable, InterfaceWatchThread, PacketCounts, PacketStats, PacketThread, Waker,
};
use crate::session::SessionState;

/// How long a clean stop may take before it is given up.
pub const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How long the packet thread may take to say how it stands: a turn is milliseconds away.
const STATUS_WITHIN: Duration = Duration::from_secs(1);

pub(super) struct Parts {
    pub(super) address: SocketAddrV6,
    pub(super) orders: std_mpsc::Sender<Order>,
    pub(super) waker: Waker,
    pub(super) packets: PacketThread<EngineHandler>,
    pub(super) watch: InterfaceWatchThread,
    pub(super) runtime: tokio::runtime::Runtime,
    pub(super) _status_file: Option<SocketFile>,
    pub(super) session: watch::Receiver<SessionState>,
    pub(super) table: Arc<InterfaceTable>,
    pub(super) stats: Arc<PacketStats>,
    pub(super) ended: watch::Receiver<()>,
}

/// A running frontend.
#[derive(Debug)]
pub struct Running {
    address: SocketAddrV6,
    orders: std_mpsc::Sender<Order>,
    waker: Waker,
    packets: Option<PacketThread<EngineHandler>>,
    watch: Option<InterfaceWatchThread>,
    runtime: Option<tokio::runtime::Runtime>,
    /// Removed when this value is dropped.
    _status_file: Option<SocketFile>,
    session: watch::Receiver<SessionState>,
    table: Arc<InterfaceTable>,
    stats: Arc<PacketStats>,
    ended: watch::Receiver<()>,
}

/// How a frontend stands.
#[derive(Debug, Clone)]
pub struct FrontendStatus {
    /// Leases, ranges, the session's number, whether a newer one exists, and what is kept for the partner.
    pub engine: EngineStatus,
    /// What the engine counted.
    pub counters: Counters,
    /// The session's connection.
    pub session: SessionState,
    /// What the packet thread counted.
    pub packets: PacketCounts,
    /// The interfaces.
    pub interfaces: Vec<InterfaceHealth>,
}

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The store knows everything and has ended the session's autonomy: nobody has to wait for it.
    Clean,
    /// The store did not acknowledge in time. What it does not know is settled by R4 and R7, as after a crash.
    Unacknowledged,
}

impl Running {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts {
            address,
            orders,
            waker,
            packets,
            watch,
            runtime,
            _status_file,
            session,
            table,
            stats,
            ended,
        } = parts;
        let (packets, watch, runtime) = (Some(packets), Some(watch), Some(runtime));
        Self { address, orders, waker, packets, watch, runtime, _status_file, session, table, stats, ended }
    }

    /// Where DHCPv6 is served, with the port that was chosen if 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddrV6 {
        self.address
    }

    /// How it stands; `None` if the packet thread has ended or is stuck. Waits for its next turn: milliseconds, one
    /// second at most.
    #[must_use]
    pub fn status(&self) -> Option<FrontendStatus> {
        let (answer, answered) = std_mpsc::sync_channel(1);
        self.orders.send(Order::Status(answer)).ok()?;
        self.waker.wake();
        let (engine, counters) = answered.recv_timeout(STATUS_WITHIN).ok()?;
        Some(FrontendStatus {
            engine,
            counters,
            session: self.session.borrow().clone(),
            packets: self.stats.counts(),
            interfaces: self.table.health(),
        })
    }

    /// The session's connection, for whoever wants to wait for a change.
    #[must_use]
    pub fn session(&self) -> watch::Receiver<SessionState> {
        self.session.clone()
    }

    /// Resolves when the packet thread has ended by itself; [`Running::shutdown`] then says why. Needs no tokio runtime.
    pub fn wait(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut ended = self.ended.clone();
        async move {
            // Nothing is ever sent: an error says that the handler is gone, and with it the thread.
            while ended.changed().await.is_ok() {}
        }
    }

    /// Stops cleanly: promises nothing new, tells the store what is dirty, gives the ranges back, closes the session;
    /// then ends all threads. Blocks for [`STOP_WITHIN`] and a little more at most.
    ///
    /// # Errors
    /// Why the packet thread had ended before, if it had.
    pub fn shutdown(mut self) -> Result<Stopped, PacketLoopError> {
        let (done, told) = std_mpsc::sync_channel(1);
        let asked = self.orders.send(Order::Stop(done)).is_ok();
        self.waker.wake();
        let stopped = if asked && told.recv_timeout(STOP_WITHIN).is_ok() {
            tracing::info!("stopped cleanly: the store knows everything");
            Stopped::Clean
        } else {
            tracing::warn!(
                "stopped without the store's word: what it does not know waits for this session's end (R4)"
            );
            Stopped::Unacknowledged
        };
        let packets = self.packets.take().map(PacketThread::stop);
        self.watch.take();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        match packets {
            Some(Err(error)) => Err(error),
            _ => Ok(stopped),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(packets) = self.packets.take() {
            // Nobody is left to be told why it had ended, if it had.
            let _ = packets.stop();
        }
        if let Some(runtime) = self.runtime.take() {
            // Not the ordinary drop, which panics within another runtime.
            runtime.shutdown_background();
        }
    }
}
