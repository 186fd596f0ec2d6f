//! The one task that proposes, while this node leads.
//!
//! Owns: taking over (everything committed is applied first) and letting go; combining what waits into log entries
//! stamped with cluster time; the empty entry when time makes something due; handing outcomes back.
//! Refuses to know: what commands mean. Inputs: commands of the hub and of administrators, Raft's metrics, time.
//! Invariants: one entry carries all that waits, up to a bound, and so many entries are under way at most; commands of
//! one connection are proposed in their order; stamps never go back; who does not lead proposes nothing.

use super::clock;
use super::founding::{RestoreFrom, found};
use super::replica::{Replica, SharedReplica, lock};
use crate::hub::Token;
use crate::machine::{Command, CommandBatch, Outcome};
use crate::raft::{NodeMetrics, NodeRole, ProposeError, StoreNode};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use leasehold_proto::time::LocalTime;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// Updates in one entry, at most (but a single batch may have more).
const ENTRY_UPDATES: usize = 2048;
/// Octets in one entry, roughly, at most (but for a single batch).
const ENTRY_BYTES: usize = 8 << 20;
/// An update's octets, roughly, without its relay data.
const UPDATE_BYTES: usize = 160;
/// Entries under way at most.
const IN_FLIGHT: usize = 4;
/// Between two entries that only let time pass, at least.
const TICK_PAUSE: Duration = Duration::from_millis(20);
/// Before taking over is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// For a quorum to confirm that this node leads.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two looks at whether relationships left to the store have a step to take.
const SPREAD_PAUSE: Duration = Duration::from_secs(1);
/// The task looks around at least so often.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// A command of an administrator, and where its outcome goes.
pub(super) struct AdminCommand {
    pub(super) command: Command,
    pub(super) reply: oneshot::Sender<Result<Outcome, ProposeError>>,
}

/// Who waits for an outcome.
enum Origin {
    Hub(Token),
    /// This task's own: nobody waits.
    Own,
    Admin(oneshot::Sender<Result<Outcome, ProposeError>>),
}

type Proposed = (Vec<Origin>, Result<Vec<Outcome>, ProposeError>);

/// The task's state.
pub(super) struct Leader {
    node: StoreNode<Replica>,
    replica: SharedReplica,
    cluster: String,
    restore: Option<RestoreFrom>,
    wake: Arc<Notify>,
    commands: mpsc::Receiver<AdminCommand>,
    waiting: VecDeque<AdminCommand>,
    in_flight: FuturesOrdered<BoxFuture<'static, Proposed>>,
    last_tick: LocalTime,
    /// When relationships left to the store were looked at last.
    last_spread: LocalTime,
    /// Raft did not take an entry: whether this node still leads is to be confirmed.
    doubt: bool,
    leading: watch::Sender<bool>,
}

impl Leader {
    pub(super) fn new(
        node: StoreNode<Replica>,
        cluster: String,
        restore: Option<RestoreFrom>,
        wake: Arc<Notify>,
        commands: mpsc::Receiver<AdminCommand>,
        leading: watch::Sender<bool>,
    ) -> Self {
        Self {
            replica: Arc::clone(node.holder()),
            node,
            cluster,
            restore,
            wake,
            commands,
            waiting: VecDeque::new(),
            in_flight: FuturesOrdered::new(),
            last_tick: LocalTime::ZERO,
            last_spread: LocalTime::ZERO,
            doubt: false,
            leading,
        }
    }

    /// Runs until it is dropped, or nobody is left who could ask for anything.
    pub(super) async fn run(mut self) {
        let mut metrics = self.node.metrics();
        let mut led: Option<u64> = None;
        let mut known_leader: Option<String> = None;
        loop {
            let now = metrics.borrow_and_update().clone();
            let leads = now.role == NodeRole::Leader;
            let doubt = std::mem::take(&mut self.doubt);
            if !leads || doubt || led.is_some_and(|term| term != now.term) {
                let address = if leads { None } else { now.leader.as_ref().map(|l| l.address.clone()) };
                if led.take().is_some() || address != known_leader {
                    self.let_go(&now, address.clone());
                    known_leader = address;
                }
                if !leads {
                    self.refuse_waiting(&now);
                }
            }
            if leads && led.is_none() && self.take_over().await {
                tracing::info!(term = now.term, "this node leads the store");
                led = Some(now.term);
                self.leading.send_replace(true);
            }
            let pause = match led {
                Some(_) => self.propose_waiting().await,
                None if leads => RETRY_PAUSE,
                None => IDLE_MAX,
            };
            tokio::select! {
                changed = metrics.changed() => if changed.is_err() { return },
                () = self.wake.notified() => {}
                Some(proposed) = self.in_flight.next(), if !self.in_flight.is_empty() => self.finish(proposed),
                command = self.commands.recv() => match command {
                    Some(command) => self.waiting.push_back(command),
                    None => return,
                },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn let_go(&self, now: &NodeMetrics, address: Option<String>) {
        tracing::info!(term = now.term, leader = address.as_deref().unwrap_or("nobody"), "this node follows");
        lock(&self.replica).follow(address);
        self.leading.send_replace(false);
    }

    fn refuse_waiting(&mut self, now: &NodeMetrics) {
        for command in self.waiting.drain(..) {
            // Who asked may have gone.
            let _ = command.reply.send(Err(ProposeError::NotLeader { leader: now.leader.clone() }));
        }
    }

    /// Leads in earnest once everything committed is applied; founds a blank cluster first. False: not now.
    async fn take_over(&mut self) -> bool {
        if !confirm(&self.node).await {
            return false;
        }
        let is_founded = lock(&self.replica).machine.cluster().is_some();
        if !is_founded && !found(&self.node, &self.replica, &self.cluster, self.restore.as_ref()).await {
            return false;
        }
        lock(&self.replica).lead(clock::now());
        true
    }

    /// Gives the hub its turn and proposes what waits; returns for how long there is nothing to do.
    async fn propose_waiting(&mut self) -> Duration {
        let now = clock::now();
        {
            let mut replica = lock(&self.replica);
            if replica.hub.next_deadline().is_some_and(|deadline| deadline <= now) {
                replica.turn(now);
            }
        }
        while self.in_flight.len() < IN_FLIGHT
            && let Some((origins, batch)) = self.next_entry()
        {
            self.propose(origins, &batch).await;
        }
        self.pause(clock::now())
    }

    /// All that waits, as one entry; an empty one when only time has to pass.
    fn next_entry(&mut self) -> Option<(Vec<Origin>, CommandBatch)> {
        let now = clock::now();
        let mut replica = lock(&self.replica);
        let stamp = replica.clock?.stamp(now);
        let (mut origins, mut commands) = (Vec::new(), Vec::new());
        let (mut updates, mut bytes) = (0usize, 0usize);
        while let Some((token, command)) = replica.proposals.pop_front() {
            let (more_updates, more_bytes) = size(&command);
            let fits = updates + more_updates <= ENTRY_UPDATES && bytes + more_bytes <= ENTRY_BYTES;
            if !commands.is_empty() && !fits {
                replica.proposals.push_front((token, command));
                break;
            }
            updates += more_updates;
            bytes += more_bytes;
            origins.push(Origin::Hub(token));
            commands.push(command);
        }
        let spreads = replica.machine.spreads() && self.last_spread + SPREAD_PAUSE <= now;
        if spreads && replica.machine.respread_wanted() {
            origins.push(Origin::Own);
            commands.push(Command::Respread);
        }
        let due = replica.machine.next_due().is_some_and(|due| due <= stamp);
        drop(replica);
        if spreads {
            self.last_spread = now;
        }
        for AdminCommand { command, reply } in self.waiting.drain(..) {
            origins.push(Origin::Admin(reply));
            commands.push(command);
        }
        if commands.is_empty() {
            let ticks = due && self.in_flight.is_empty() && self.last_tick + TICK_PAUSE <= now;
            if !ticks {
                return None;
            }
        }
        // Every entry lets time pass.
        self.last_tick = now;
        Some((origins, CommandBatch::new(stamp, commands)))
    }

    /// Puts an entry into Raft's queue. Polled once here and now: that fixes its place there.
    async fn propose(&mut self, origins: Vec<Origin>, batch: &CommandBatch) {
        let (node, payload) = (self.node.clone(), batch.encode().into());
        let mut proposal: BoxFuture<'static, Proposed> =
            Box::pin(async move { (origins, node.propose(payload).await) });
        match futures::poll!(&mut proposal) {
            Poll::Ready(proposed) => self.finish(proposed),
            Poll::Pending => self.in_flight.push_back(proposal),
        }
    }

    fn finish(&mut self, (origins, result): Proposed) {
        let mut outcomes = match result {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            Err(error) => {
                // A leader that lost its quorum sends its frontends away to look for another one.
                self.doubt |= !matches!(error, ProposeError::TooLarge { .. });
                if !origins.is_empty() {
                    tracing::info!(%error, commands = origins.len(), "an entry has no outcome");
                }
                vec![Err(error); origins.len()]
            }
        }
        .into_iter();
        let mut of_hub = Vec::with_capacity(origins.len());
        for origin in origins {
            // The machine gives one outcome for each command; a missing one is an unknown one.
            let outcome = outcomes.next().unwrap_or(Err(ProposeError::Unknown));
            match origin {
                Origin::Hub(token) => of_hub.push((token, outcome.map_err(drop))),
                Origin::Own => {}
                // Who asked may have gone.
                Origin::Admin(reply) => drop(reply.send(outcome)),
            }
        }
        lock(&self.replica).proposed(of_hub.into_iter());
    }

    fn pause(&self, now: LocalTime) -> Duration {
        let mut replica = lock(&self.replica);
        let hub = replica.hub.next_deadline().unwrap_or(LocalTime::NEVER);
        let due = match (replica.clock, replica.machine.next_due()) {
            (Some(clock), Some(due)) if self.in_flight.is_empty() => {
                clock.local_at(due).max(self.last_tick + TICK_PAUSE)
            }
            _ => LocalTime::NEVER,
        };
        // With no room for an entry, the end of one under way comes first.
        let looks = replica.machine.spreads() && self.in_flight.len() < IN_FLIGHT;
        let spread = if looks { self.last_spread + SPREAD_PAUSE } else { LocalTime::NEVER };
        let pause = hub.min(due).min(spread).saturating_since(now).min(IDLE_MAX);
        replica.planned = now + pause;
        pause
    }
}

/// Whether a quorum confirms that this node leads, and all that was committed before is applied.
async fn confirm(node: &StoreNode<Replica>) -> bool {
    matches!(tokio::time::timeout(CONFIRM_TIMEOUT, node.linearizable()).await, Ok(Ok(_)))
}

/// Updates and octets of a command, roughly.
fn size(command: &Command) -> (usize, usize) {
    let Command::Session(batch) = command else { return (1, UPDATE_BYTES) };
    let extra = |e: &leasehold_proto::lease::LeaseExtra| {
        e.relay.as_ref().map_or(0, |r| r.relay_chain.len()) + e.name.as_ref().map_or(0, |n| n.fqdn.len())
    };
    let extras: usize = batch.updates.iter().filter_map(|u| u.extra.as_deref()).map(extra).sum();
    let items = 1 + batch.updates.len() + batch.requests.len() + batch.returned.len();
    (1 + batch.updates.len(), extras + items * UPDATE_BYTES)
}
