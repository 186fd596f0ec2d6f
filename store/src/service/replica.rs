//! The holder of machine and hub: what Raft applies entries to, and what the services read.
//!
//! Owns: feeding the machine committed entries and the hub what came of them; handing the hub's outputs to
//! connections and to the leader's task. Refuses to know: gRPC, and when to propose.
//! Inputs: committed entries and rows from Raft; connections' messages. Outputs: rows for Raft; messages put into
//! queues; commands waiting to be proposed.
//! Invariants: the hub's outputs are handed on under the same lock under which they came about, so that no two
//! messages of a connection change places; an entry that this program cannot carry out is never counted as applied.

use super::clock;
use super::outbound::{Outbound, Put};
use super::traces::Callers;
use crate::hub::{
    ConnectionId, Hub, HubOutput, HubSettings, LeaderClock, States, Token, TraceId, TraceRefusal, Traced,
};
use crate::machine::{Command, CommandBatch, Machine, Outcome};
use crate::raft::{self, Replicated, RestoreError, Row};
use leasehold_proto::session::{FromStore, ToStore};
use leasehold_proto::time::{ClusterTime, LocalTime};
use leasehold_proto::trace::TracedClient;
use leasehold_proto::v1;
use leasehold_proto::words::LogIndex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, mpsc, watch};

/// Machine, hub and connections of one node.
pub(crate) struct Replica {
    pub(super) machine: Machine,
    pub(super) hub: Hub,
    pub(super) states: States,
    /// The hub's judgements that `states` has seen.
    judged: u64,
    /// While this node leads.
    pub(super) clock: Option<LeaderClock>,
    /// Commands that wait to be proposed, in the order of each connection.
    pub(super) proposals: VecDeque<(Token, Command)>,
    connections: BTreeMap<ConnectionId, Outbound>,
    last_connection: u64,
    slow_readers: u64,
    outputs: Vec<HubOutput>,
    /// Who traces clients.
    callers: Callers,
    traced: Vec<Traced>,
    wake: Arc<Notify>,
    /// When the leader's task looks at the hub again by itself.
    pub(super) planned: LocalTime,
    /// Why this node cannot go on.
    broken: watch::Sender<Option<String>>,
}

/// The replica as its services hold it: locked for moments only.
pub(super) type SharedReplica = Arc<Mutex<Replica>>;

/// Locks it. A panic under the lock stops the node (Raft does); until then what is there may be read.
pub(super) fn lock(replica: &Mutex<Replica>) -> MutexGuard<'_, Replica> {
    replica.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Replica {
    /// An empty one; `wake` is notified when the leader's task has something to do.
    pub(super) fn new(settings: HubSettings, wake: Arc<Notify>) -> Self {
        Self {
            machine: Machine::default(),
            hub: Hub::new(settings),
            states: States::default(),
            judged: 0,
            clock: None,
            proposals: VecDeque::new(),
            connections: BTreeMap::new(),
            last_connection: 0,
            slow_readers: 0,
            outputs: Vec::new(),
            callers: Callers::default(),
            traced: Vec::new(),
            wake,
            planned: LocalTime::NEVER,
            broken: watch::Sender::new(None),
        }
    }

    /// Holds the reason once an entry cannot be carried out.
    pub(super) fn broken(&self) -> watch::Receiver<Option<String>> {
        self.broken.subscribe()
    }

    /// Cluster time as of now: by the leader's clock, or as last applied.
    pub(super) fn time(&self) -> ClusterTime {
        self.clock.map_or(self.machine.time(), |c| c.stamp(clock::now()).max(self.machine.time()))
    }

    /// Connections of frontends, and how many were cut off because they read too slowly.
    pub(super) fn connection_counts(&self) -> (usize, u64) {
        (self.connections.len(), self.slow_readers)
    }

    pub(super) fn lead(&mut self, now: LocalTime) {
        self.clock = Some(LeaderClock::lead(self.machine.time(), now));
        self.hub.lead(now, &self.machine);
        self.hand_on();
        self.look_at_states();
    }

    pub(super) fn follow(&mut self, leader_address: Option<String>) {
        self.clock = None;
        self.proposals.clear();
        self.hub.follow(leader_address);
        self.callers.clear();
        self.hand_on();
        self.look_at_states();
    }

    /// Begins a trace; what it brings comes by the receiver, `node`'s name first.
    pub(super) fn trace(
        &mut self,
        client: TracedClient,
        node: &str,
    ) -> Result<(TraceId, mpsc::Receiver<v1::TraceAnswer>), TraceRefusal> {
        let id = self.hub.trace(client)?;
        let frontends = self.hub.connected().iter().map(ToString::to_string).collect();
        let answers = self.callers.add(id, v1::TraceStarted { node: node.to_owned(), frontends });
        self.hand_on();
        Ok((id, answers))
    }

    pub(super) fn end_trace(&mut self, id: TraceId) {
        self.callers.remove(id);
        self.hub.end_trace(id);
        self.hand_on();
    }

    /// Takes a new connection.
    pub(super) fn connect(&mut self, outbound: Outbound) -> ConnectionId {
        self.last_connection += 1;
        let id = ConnectionId(self.last_connection);
        self.connections.insert(id, outbound);
        id
    }

    pub(super) fn receive(&mut self, id: ConnectionId, message: ToStore) {
        if self.connections.contains_key(&id) {
            self.hub.receive(clock::now(), id, message, &self.machine);
            self.hand_on();
        }
    }

    pub(super) fn disconnected(&mut self, id: ConnectionId) {
        self.connections.remove(&id);
        self.hub.disconnected(clock::now(), id);
        self.hand_on();
    }

    /// Says a last word to a connection that said something senseless; it is then to be disconnected.
    pub(super) fn reject(&mut self, id: ConnectionId, word: FromStore) {
        if let Some(outbound) = self.connections.get(&id) {
            outbound.put(word);
        }
    }

    /// The reader of a connection has caught up.
    pub(super) fn resume(&mut self, id: ConnectionId) {
        self.hub.pause(id, false);
        self.wake.notify_one();
    }

    pub(super) fn turn(&mut self, now: LocalTime) {
        self.hub.turn(now, &self.machine);
        self.hand_on();
    }

    /// The outcomes of an entry that this node proposed; `Err`: they are not known.
    pub(super) fn proposed(&mut self, outcomes: impl Iterator<Item = (Token, Result<Outcome, ()>)>) {
        let now = clock::now();
        for (token, outcome) in outcomes {
            self.hub.proposed(now, token, outcome, &self.machine);
        }
        self.hand_on();
        for outbound in self.connections.values() {
            outbound.link.progress.notify_waiters();
        }
    }

    fn hand_on(&mut self) {
        // A connection that is lost while messages are handed on makes the hub say more: bounded by connections.
        loop {
            let mut outputs = std::mem::take(&mut self.outputs);
            self.hub.drain(&mut outputs);
            if outputs.is_empty() {
                self.outputs = outputs;
                break;
            }
            for output in outputs.drain(..) {
                self.carry_out(output);
            }
            self.outputs = outputs;
        }
        self.hub.drain_traced(&mut self.traced);
        for traced in self.traced.drain(..) {
            self.callers.deliver(traced);
        }
        if self.hub.judgements() != self.judged {
            self.judged = self.hub.judgements();
            self.look_at_states();
        }
        let sooner = self.hub.next_deadline().is_some_and(|deadline| deadline < self.planned);
        if !self.proposals.is_empty() || sooner {
            self.wake.notify_one();
        }
    }

    fn carry_out(&mut self, output: HubOutput) {
        match output {
            HubOutput::Propose { token, command } => self.proposals.push_back((token, command)),
            HubOutput::Close(id) => {
                self.connections.remove(&id);
            }
            HubOutput::Send(id, message) => {
                let Some(outbound) = self.connections.get(&id) else { return };
                match outbound.put(message) {
                    Put::Queued => {}
                    Put::Pause => self.hub.pause(id, true),
                    Put::Lost { slow } => {
                        if slow {
                            self.slow_readers += 1;
                            tracing::warn!(
                                connection = id.0,
                                "a frontend reads its stream too slowly: disconnected"
                            );
                        }
                        self.connections.remove(&id);
                        self.hub.disconnected(clock::now(), id);
                    }
                }
            }
        }
    }
}

impl Replicated for Replica {
    type Outcome = Vec<Outcome>;

    /// # Panics
    /// When this program cannot carry the entry out: only so is it not counted as applied. Raft turns it into a stop of
    /// the node; the reason is in `broken` before.
    fn apply(&mut self, log_index: u64, _term: u64, payload: &[u8]) -> raft::Applied<Vec<Outcome>> {
        let batch = match CommandBatch::decode(payload) {
            Ok(batch) => batch,
            Err(error) => {
                let reason = format!("log entry {log_index}: {error}");
                tracing::error!(%reason, "the store node stops");
                self.broken.send_replace(Some(reason.clone()));
                panic!("{reason}");
            }
        };
        let index = LogIndex(log_index);
        let mut applied = self.machine.apply(index, &batch);
        self.hub.applied(clock::now(), index, &applied, &self.machine);
        self.hand_on();
        let rows = applied.rows.drain(..).map(|row| Row { key: row.key, value: row.value }).collect();
        raft::Applied { outcome: applied.outcomes, rows }
    }

    fn restore(&mut self, rows: &mut dyn Iterator<Item = Row>) -> Result<(), RestoreError> {
        let mut rows = rows.filter_map(|row| row.value.map(|value| (row.key, value)));
        self.machine = Machine::from_rows(&mut rows)
            .map_err(|error| RestoreError { key: error.key, detail: error.detail })?;
        self.clock = None;
        self.proposals.clear();
        self.hub.restored(&self.machine);
        self.callers.clear();
        self.hand_on();
        Ok(())
    }
}
