//! `leasehold load`: DHCPv6 clients by the thousand, every answer checked, everything measured.
//!
//! Owns the clients ([`client`]: pure), the judge of double promises ([`oracle`]: pure), the generator that drives them
//! over a socket, at a pace or all at once ([`avalanche`]), and its report. Refuses to know the store and the
//! frontends' insides: it sees what clients see. In: a [`Plan`]. Out: a [`Report`], and a live [`Snapshot`] meanwhile.
//! An *exchange* is one message and its answer. Sends to loopback, or to whatever servers it is pointed at: only point
//! it at servers of your own.

pub mod avalanche;
pub mod client;
pub mod cpu;
mod generator;
pub mod judge;
pub mod message;
pub mod oracle;
mod plan;
mod report;
pub mod retransmit;
mod stats;
mod transport;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddrV6;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use leasehold_frontend::codec::ia::IaKind;
use leasehold_frontend::io::packet_loop::{PacketLoop, PacketLoopError, PacketThread};
use leasehold_frontend::io::{InterfaceTable, PacketStats, ServerSocket, SocketConfig, SocketError, Waker};
use leasehold_proto::words::Prefix;

pub use avalanche::{Avalanche, AvalancheReport};
pub use plan::{
    AVALANCHE_CLIENTS_DEFAULT, AVALANCHE_DURATION_DEFAULT, CLIENTS_MAX, IN_FLIGHT_DEFAULT, LoadCommand, Plan,
};
pub use report::{CpuReport, LongestWaits, Percentiles, Report};
pub use stats::{Exchange, Progress, Snapshot};
pub use transport::Target;

use crate::exit::{ExitKind, Failure};
use generator::Generator;
use plan::Output;
use stats::Shares;

/// Bytes of receive buffer asked for. Why so many: one socket stands for all clients, each of which has a buffer of its
/// own in truth, so answers to a hundred thousand of them must not be lost here. The kernel takes it as a bound and
/// reserves nothing; it gives less without CAP_NET_ADMIN (sysctl net.core.rmem_max).
const RECEIVE_BUFFER_LEN: usize = 256 << 20;

/// Why a run cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The thread that drives the clients.
    #[error(transparent)]
    Thread(#[from] PacketLoopError),
}

/// A lease that a client held when the run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The client's DUID.
    pub duid: Vec<u8>,
    /// Address or prefix.
    pub kind: IaKind,
    /// The client's number for the IA.
    pub iaid: u32,
    /// What it holds.
    pub prefix: Prefix,
}

/// What a run leaves.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was measured and found.
    pub report: Report,
    /// What clients held, not expired.
    pub held: Vec<Held>,
}

/// A run under way, on a thread of its own.
#[derive(Debug)]
pub struct Run {
    thread: PacketThread<Generator>,
    progress: Arc<Progress>,
    packets: Arc<PacketStats>,
}

impl Run {
    /// Opens the socket and begins.
    ///
    /// # Errors
    /// When the socket or the thread cannot be had.
    pub fn start(plan: Plan) -> Result<Self, LoadError> {
        let socket_config =
            SocketConfig { local: plan.target.local(), receive_buffer_len: RECEIVE_BUFFER_LEN };
        let waker = Waker::new()?;
        let shares = Shares::new(plan.target.servers());
        let progress = Arc::new(Progress { shares, ..Progress::default() });
        let packets = Arc::new(PacketStats::default());
        let packet_loop = PacketLoop {
            socket: Arc::new(ServerSocket::open(&socket_config)?),
            interfaces: Arc::new(InterfaceTable::new(Vec::new())?),
            waker: waker.clone(),
            stats: Arc::clone(&packets),
            // Clients have no ranks: answers are taken as they come.
            admission: None,
        };
        let generator = Generator::new(plan, Arc::clone(&progress), waker);
        Ok(Self { thread: packet_loop.spawn(generator)?, progress, packets })
    }

    /// How it goes, at this moment. Cheap; from any thread.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.progress.snapshot()
    }

    /// Answers so far by the server that gave them, of a relay's load; one message counts once. Cheap; from any thread.
    #[must_use]
    pub fn answers_by_server(&self) -> BTreeMap<SocketAddrV6, u64> {
        self.progress.shares.by_server()
    }

    /// The live view, to be shared.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Whether [`Run::join`] returns at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends the run before its time: no exchange begins any more, answers are awaited a while.
    pub fn finish_early(&self) {
        self.progress.stop.store(true, Ordering::Relaxed);
    }

    /// Waits for the end of the run.
    ///
    /// # Errors
    /// When the thread ended by an error.
    pub fn join(self) -> Result<Outcome, LoadError> {
        while !self.progress.finished.load(Ordering::Acquire) && !self.thread.is_finished() {
            std::thread::sleep(JOIN_POLL);
        }
        let generator = self.thread.stop()?;
        let dropped = self.packets.counts().datagrams_dropped_by_kernel;
        let now = leasehold_frontend::io::clock::now();
        let held = generator.clients.iter().flat_map(|client| {
            client.leases().filter(|(_, lease)| lease.valid_until > now).map(|(kind, lease)| Held {
                duid: client.duid().as_bytes().to_vec(),
                kind,
                iaid: client.iaid(),
                prefix: lease.prefix,
            })
        });
        Ok(Outcome {
            report: Report::of(&generator, self.progress.snapshot().clients_bound, dropped),
            held: held.collect(),
        })
    }
}

/// How often a waiting [`Run::join`] looks.
const JOIN_POLL: std::time::Duration = std::time::Duration::from_millis(5);

/// Runs `leasehold load`.
///
/// # Errors
/// What is in the way; or, after the report was printed, that a wrong answer or a double promise was seen.
pub fn run(command: LoadCommand) -> Result<(), Failure> {
    let plan = command.plan().map_err(|message| Failure::new(ExitKind::Usage, message))?;
    let cpu_times = || {
        let times: Result<Vec<_>, _> = command.report_cpu.iter().map(|pid| cpu::cpu_time(*pid)).collect();
        times.map_err(|error| Failure::new(ExitKind::Other, error))
    };
    let failed = |error: LoadError| Failure::new(ExitKind::Other, error);
    let before = cpu_times()?;
    let mut report = Run::start(plan).and_then(Run::join).map_err(failed)?.report;
    report.add_cpu(&before, &cpu_times()?);
    match command.output {
        Output::Human => println!("{report}"),
        Output::Json => {
            let json = serde_json::to_string_pretty(&report)
                .map_err(|error| Failure::new(ExitKind::Other, format!("cannot write JSON: {error}")))?;
            println!("{json}");
        }
    }
    if report.passed {
        Ok(())
    } else {
        Err(Failure::new(ExitKind::Judged, "wrong answers or double promises were seen: see the report"))
    }
}
