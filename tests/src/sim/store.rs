//! The store: three nodes with the real machine and hub, and a model of Raft between them.
//!
//! Modelled: the log. An entry is committed once a majority of nodes that are up and hear one another has it; then it
//! is never lost. Before, it may be lost or kept at a change of leader. Real: entries are encoded and decoded, each
//! node applies them to a machine of its own, writes the changed rows behind to a disk of its own, and rebuilds the
//! machine from that disk after a crash. A leader that was deposed may not know it for a while. A machine that never
//! crashes, the reference, applies every entry as it is committed: replicas are compared with it.

use super::clock::{DriftClock, Nanos, ms, secs};
use super::scenarios::{Plan, Sabotage};
use super::world::{Event, World, note};
use leasehold_proto::session::{StoreEvent, ToStore};
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::LogIndex;
use leasehold_store::hub::{ConnectionId, Hub, HubOutput, HubSettings, LeaderClock, Token};
use leasehold_store::machine::{Command, CommandBatch, Found, Machine, Outcome, RowChange};
use rand::Rng;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Nodes of the store.
pub(super) const NODES: usize = 3;
/// Between two looks at the clock.
const TICK: Nanos = ms(50);
/// Entries by which a disk is behind at most.
const UNFLUSHED_MAX: usize = 40;
/// Entries between two checks of the reference machine's invariants.
const CHECK_EVERY: u64 = 64;

/// One node.
pub(super) struct Node {
    pub(super) clock: DriftClock,
    pub(super) life: u64,
    pub(super) up: bool,
    /// Cut off from its peers, by so many faults.
    pub(super) cut: u32,
    pub(super) machine: Machine,
    pub(super) hub: Hub,
    leader_clock: Option<LeaderClock>,
    disk: BTreeMap<Vec<u8>, Vec<u8>>,
    unflushed: VecDeque<Vec<RowChange>>,
    proposed: Vec<(Option<Token>, Command)>,
    flush_due: bool,
    tick_pending: bool,
}

/// An entry that is not committed yet.
struct Pending {
    number: u64,
    payload: Arc<[u8]>,
    tokens: Vec<Option<Token>>,
}

/// The nodes and the log.
pub(super) struct Store {
    pub(super) nodes: Vec<Node>,
    /// Committed entries; the first has index 1.
    pub(super) log: Vec<Arc<[u8]>>,
    /// Appended by the leader, not committed.
    tail: VecDeque<Pending>,
    next_number: u64,
    /// Who leads, by the majority's word.
    pub(super) leader: Option<usize>,
    term: u64,
    electing: bool,
    pub(super) reference: Machine,
}

impl Store {
    /// Three empty nodes, all up.
    pub(super) fn new(_plan: &Plan, mut clock: impl FnMut() -> DriftClock) -> Self {
        let node = |clock| Node {
            clock,
            life: 0,
            up: true,
            cut: 0,
            machine: Machine::default(),
            hub: Hub::new(hub_settings()),
            leader_clock: None,
            disk: BTreeMap::new(),
            unflushed: VecDeque::new(),
            proposed: Vec::new(),
            flush_due: false,
            tick_pending: false,
        };
        Self {
            nodes: (0..NODES).map(|_| node(clock())).collect(),
            log: Vec::new(),
            tail: VecDeque::new(),
            next_number: 1,
            leader: None,
            term: 0,
            electing: false,
            reference: Machine::default(),
        }
    }

    fn has_quorum(&self) -> bool {
        self.nodes.iter().filter(|n| n.up && n.cut == 0).count() * 2 > NODES
    }
}

/// Small bounds, so that reloads and pieces happen.
fn hub_settings() -> HubSettings {
    HubSettings {
        history_entries_max: 200,
        history_events_max: 400,
        load_piece_len: 5,
        replay_piece_len: 7,
        ..HubSettings::default()
    }
}

/// The name under which a node is told to frontends.
pub(super) fn node_name(node: usize) -> String {
    format!("store-{node}")
}

/// The node of a name.
pub(super) fn node_of(name: &str) -> Option<usize> {
    (0..NODES).find(|n| node_name(*n) == name)
}

impl World {
    /// Founds the cluster and applies the configuration: the first entry.
    pub(super) fn found_store(&mut self) {
        let mut network = self.plan.network.clone();
        leasehold_proto::network::fill_defaults(&mut network);
        let commands = vec![
            Command::Found(Found { cluster: "sim".to_owned(), incarnation: 1, server_duid_seed: [7; 16] }),
            Command::ApplyNetwork { expected_version: 0, network },
        ];
        let payload = CommandBatch { stamp: ClusterTime::ZERO, commands }.encode().into();
        self.append_committed(payload, None);
        self.request_election(ms(10));
    }

    // ---- the log

    /// The leader puts all that was proposed since the last entry into one.
    pub(super) fn flush(&mut self, node: usize, life: u64) {
        let state = &mut self.store.nodes[node];
        if state.life != life {
            return;
        }
        state.flush_due = false;
        let Some(clock) = state.leader_clock else { return };
        if state.proposed.is_empty() || self.store.leader != Some(node) {
            // A deposed leader's proposals get nowhere.
            return;
        }
        let stamp = clock.stamp(state.clock.local(self.now));
        let (tokens, commands) = std::mem::take(&mut state.proposed).into_iter().unzip();
        let payload = CommandBatch { stamp, commands }.encode().into();
        let number = self.store.next_number;
        self.store.next_number += 1;
        self.store.tail.push_back(Pending { number, payload, tokens });
        let delay = self.rng.random_range(ms(1)..ms(8));
        let term = self.store.term;
        self.after(delay, Event::Commit { term, upto: number });
    }

    /// Commits what a majority has.
    pub(super) fn commit(&mut self, term: u64, upto: u64) {
        if term != self.store.term || !self.store.has_quorum() {
            return;
        }
        let Some(leader) = self.store.leader else { return };
        while self.store.tail.front().is_some_and(|p| p.number <= upto) {
            let Some(pending) = self.store.tail.pop_front() else { break };
            self.append_committed(pending.payload, Some((leader, pending.tokens)));
        }
    }

    /// Lets entries be committed that waited for a majority.
    pub(super) fn retry_commit(&mut self) {
        if let Some(last) = self.store.tail.back().map(|p| p.number) {
            let term = self.store.term;
            self.after(ms(2), Event::Commit { term, upto: last });
        }
    }

    fn append_committed(&mut self, payload: Arc<[u8]>, by: Option<(usize, Vec<Option<Token>>)>) {
        self.store.log.push(Arc::clone(&payload));
        self.counts.entries += 1;
        let index = LogIndex(self.store.log.len() as u64);
        let batch = match CommandBatch::decode(&payload) {
            Ok(batch) => batch,
            Err(error) => {
                self.fail(format!("entry {index} cannot be read: {error}"));
                return;
            }
        };
        let before = self.store.reference.time();
        let applied = self.store.reference.apply(index, &batch);
        if self.store.reference.time() < before {
            self.fail("cluster time went back".to_owned());
        }
        for event in &applied.events {
            match &event.event {
                StoreEvent::Superseded { .. } => self.counts.sessions_superseded += 1,
                StoreEvent::Range(range) if range.closed => self.counts.ranges_closed += 1,
                _ => {}
            }
        }
        self.counts.sessions +=
            applied.outcomes.iter().filter(|o| matches!(o, Outcome::SessionOpened(_))).count() as u64;
        if index.0.is_multiple_of(CHECK_EVERY) {
            self.check_reference();
        }
        note!(self, "entry {index} at {} ms: {}", self.store.reference.time().as_millis(), brief(&batch));
        let leader = by.as_ref().map(|(leader, _)| *leader);
        if let Some((leader, tokens)) = by {
            let outcomes = self.apply_up_to(leader, index);
            let now = self.store.nodes[leader].clock.local(self.now);
            let node = &mut self.store.nodes[leader];
            for (token, outcome) in tokens.into_iter().zip(outcomes) {
                if let Some(token) = token {
                    node.hub.proposed(now, token, Ok(outcome), &node.machine);
                }
            }
            self.pump_hub(leader);
        }
        for node in 0..NODES {
            if Some(node) != leader {
                let delay = self.rng.random_range(ms(1)..ms(40));
                let life = self.store.nodes[node].life;
                self.after(delay, Event::Apply { node, life });
            }
        }
    }

    /// A follower applies what it hears to be committed.
    pub(super) fn apply_committed(&mut self, node: usize, life: u64) {
        let state = &self.store.nodes[node];
        if state.life != life || !state.up || state.cut > 0 {
            return;
        }
        let last = LogIndex(self.store.log.len() as u64);
        self.apply_up_to(node, last);
        self.pump_hub(node);
    }

    /// Applies on one node; gives the outcomes of the last entry.
    fn apply_up_to(&mut self, node: usize, upto: LogIndex) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let now = self.store.nodes[node].clock.local(self.now);
        while self.store.nodes[node].machine.applied() < upto {
            let index = LogIndex(self.store.nodes[node].machine.applied().0 + 1);
            let at = usize::try_from(index.0 - 1).expect("a log that was built in memory has such an index");
            let Ok(batch) = CommandBatch::decode(&self.store.log[at]) else {
                self.fail(format!("entry {index} cannot be read again"));
                return outcomes;
            };
            let state = &mut self.store.nodes[node];
            let applied = state.machine.apply(index, &batch);
            state.hub.applied(now, index, &applied, &state.machine);
            state.unflushed.push_back(applied.rows);
            if state.unflushed.len() > UNFLUSHED_MAX {
                let keep = self.rng.random_range(0..UNFLUSHED_MAX);
                self.flush_disk(node, keep);
            }
            outcomes = applied.outcomes;
        }
        outcomes
    }

    fn flush_disk(&mut self, node: usize, keep: usize) {
        let state = &mut self.store.nodes[node];
        while state.unflushed.len() > keep {
            let Some(rows) = state.unflushed.pop_front() else { break };
            for row in rows {
                match row.value {
                    Some(value) => state.disk.insert(row.key, value),
                    None => state.disk.remove(&row.key),
                };
            }
        }
    }

    // ---- leaders

    pub(super) fn request_election(&mut self, delay: Nanos) {
        if !self.store.electing {
            self.store.electing = true;
            self.after(delay, Event::Elect);
        }
    }

    /// Nodes that hear one another elect a leader, if they are a majority.
    pub(super) fn elect(&mut self) {
        self.store.electing = false;
        if self.store.leader.is_some() {
            return;
        }
        if !self.store.has_quorum() {
            self.request_election(ms(500));
            return;
        }
        let able: Vec<usize> =
            (0..NODES).filter(|n| self.store.nodes[*n].up && self.store.nodes[*n].cut == 0).collect();
        let leader = able[self.rng.random_range(0..able.len())];
        self.store.term += 1;
        self.counts.elections += 1;
        // What a majority may not have had is kept as far as the new leader happens to have it.
        let kept = self.rng.random_range(0..=self.store.tail.len());
        let tail = std::mem::take(&mut self.store.tail);
        self.counts.entries_lost += (tail.len() - kept) as u64;
        if self.plan.sabotage == Sabotage::ForgetfulStore && self.store.log.len() > 60 {
            self.forget_committed();
        }
        for pending in tail.into_iter().take(kept) {
            self.append_committed(pending.payload, None);
        }
        let last = LogIndex(self.store.log.len() as u64);
        self.apply_up_to(leader, last);
        self.store.leader = Some(leader);
        note!(self, "store node {leader} leads in term {} from index {last}", self.store.term);
        for node in 0..NODES {
            let now = self.store.nodes[node].clock.local(self.now);
            let state = &mut self.store.nodes[node];
            if node == leader {
                state.proposed.clear();
                state.leader_clock = Some(LeaderClock::lead(state.machine.time(), now));
                state.hub.lead(now, &state.machine);
            } else if state.up && state.cut == 0 {
                state.leader_clock = None;
                state.hub.follow(Some(node_name(leader)));
            }
            self.pump_hub(node);
        }
        self.start_ticking(leader);
    }

    /// Sabotage: a store that loses entries though they were committed.
    fn forget_committed(&mut self) {
        let lost = self.rng.random_range(5..40);
        let keep = self.store.log.len() - lost;
        self.store.log.truncate(keep);
        let machines: Vec<Machine> = (0..NODES).map(|_| rebuilt(&self.store.log)).collect();
        for (node, machine) in self.store.nodes.iter_mut().zip(machines) {
            node.machine = machine;
            node.unflushed.clear();
            node.disk = node.machine.rows().collect();
            node.hub.restored(&node.machine);
        }
        self.store.reference = rebuilt(&self.store.log);
    }

    /// The leader is gone, or nobody follows it any more; `knows` says whether it knows.
    pub(super) fn depose(&mut self, knows: bool) {
        let Some(leader) = self.store.leader.take() else { return };
        note!(self, "store node {leader} is deposed");
        // Terms grow at once, so that nothing of the old one is committed.
        self.store.term += 1;
        let life = self.store.nodes[leader].life;
        if knows {
            self.step_down(leader, life);
        } else {
            let delay = self.rng.random_range(0..secs(10));
            self.after(delay, Event::StepDown { node: leader, life });
        }
        let delay = self.rng.random_range(ms(150)..ms(1500));
        self.request_election(delay);
    }

    /// A node that led finds out that it does not.
    pub(super) fn step_down(&mut self, node: usize, life: u64) {
        if self.store.nodes[node].life != life || self.store.leader == Some(node) {
            return;
        }
        let leader = self.store.leader.map(node_name);
        let now = self.store.nodes[node].clock.local(self.now);
        let state = &mut self.store.nodes[node];
        state.leader_clock = None;
        for (token, _) in std::mem::take(&mut state.proposed) {
            if let Some(token) = token {
                state.hub.proposed(now, token, Err(()), &state.machine);
            }
        }
        state.hub.follow(leader);
        self.pump_hub(node);
    }

    // ---- nodes

    fn start_ticking(&mut self, node: usize) {
        let state = &mut self.store.nodes[node];
        if !state.tick_pending {
            state.tick_pending = true;
            let life = state.life;
            self.after(TICK, Event::StoreTick { node, life });
        }
    }

    /// A leader looks at its clock: liveness, loads, and what has become due.
    pub(super) fn store_tick(&mut self, node: usize, life: u64) {
        let state = &mut self.store.nodes[node];
        if state.life != life || !state.up {
            return;
        }
        state.tick_pending = false;
        let Some(clock) = state.leader_clock else { return };
        let now = state.clock.local(self.now);
        state.hub.turn(now, &state.machine);
        let is_due = state.machine.next_due().is_some_and(|due| due <= clock.stamp(now));
        if is_due && !state.flush_due && self.store.leader == Some(node) && self.store.tail.is_empty() {
            // Nothing is asked for, but time is to be told.
            let stamp = clock.stamp(now);
            if state.proposed.is_empty() {
                let payload = CommandBatch { stamp, commands: Vec::new() }.encode().into();
                let number = self.store.next_number;
                self.store.next_number += 1;
                self.store.tail.push_back(Pending { number, payload, tokens: Vec::new() });
                let term = self.store.term;
                self.after(ms(3), Event::Commit { term, upto: number });
            }
        }
        self.pump_hub(node);
        self.start_ticking(node);
    }

    /// A message of a frontend reaches the node's hub.
    pub(super) fn store_hears(&mut self, node: usize, connection: u64, message: ToStore) {
        let state = &mut self.store.nodes[node];
        let now = state.clock.local(self.now);
        state.hub.receive(now, ConnectionId(connection), message, &state.machine);
        self.pump_hub(node);
    }

    /// A connection of a node is gone.
    pub(super) fn store_loses(&mut self, node: usize, connection: u64) {
        let state = &mut self.store.nodes[node];
        let now = state.clock.local(self.now);
        state.hub.disconnected(now, ConnectionId(connection));
        self.pump_hub(node);
    }

    /// Does what a hub says.
    pub(super) fn pump_hub(&mut self, node: usize) {
        let mut out = Vec::new();
        self.store.nodes[node].hub.drain(&mut out);
        for output in out {
            match output {
                HubOutput::Send(connection, message) => self.send_down(connection.0, &message),
                HubOutput::Close(connection) => self.close_from_store(connection.0),
                HubOutput::Propose { token, command } => self.propose(node, token, command),
            }
        }
    }

    fn propose(&mut self, node: usize, token: Token, command: Command) {
        let state = &mut self.store.nodes[node];
        state.proposed.push((Some(token), command));
        if !state.flush_due {
            state.flush_due = true;
            let life = state.life;
            let delay = self.rng.random_range(0..ms(3));
            self.after(delay, Event::Flush { node, life });
        }
    }

    /// A node's process is killed: its memory is gone, and so is what its disk was behind.
    pub(super) fn crash_node(&mut self, node: usize) {
        if !self.store.nodes[node].up {
            return;
        }
        self.counts.store_crashes += 1;
        note!(self, "store node {node} crashes");
        let behind = self.store.nodes[node].unflushed.len();
        let keep = self.rng.random_range(0..=behind);
        self.flush_disk(node, keep);
        let state = &mut self.store.nodes[node];
        state.up = false;
        state.life += 1;
        state.unflushed.clear();
        state.proposed.clear();
        state.leader_clock = None;
        state.flush_due = false;
        state.tick_pending = false;
        state.hub = Hub::new(hub_settings());
        self.break_connections_of_node(node);
        if self.store.leader == Some(node) {
            self.depose(true);
        }
    }

    /// A node starts from its disk.
    pub(super) fn restart_node(&mut self, node: usize) {
        if self.store.nodes[node].up {
            return;
        }
        let state = &mut self.store.nodes[node];
        let rows: Vec<(Vec<u8>, Vec<u8>)> = state.disk.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        match Machine::from_rows(&mut rows.into_iter()) {
            Ok(machine) => state.machine = machine,
            Err(error) => {
                self.fail(format!("store node {node} cannot start from its disk: {error}"));
                return;
            }
        }
        state.up = true;
        state.life += 1;
        state.hub.restored(&state.machine);
        self.counts.rebuilt_from_disk += 1;
        note!(self, "store node {node} starts at index {}", self.store.nodes[node].machine.applied());
        self.rejoin_node(node);
    }

    /// A node hears its peers again.
    pub(super) fn rejoin_node(&mut self, node: usize) {
        let state = &self.store.nodes[node];
        if !state.up || state.cut > 0 {
            return;
        }
        let life = state.life;
        if self.store.leader != Some(node) && state.leader_clock.is_some() {
            self.step_down(node, life);
        }
        self.after(ms(20), Event::Apply { node, life });
        self.retry_commit();
        if self.store.leader.is_none() {
            self.request_election(ms(200));
        } else if self.store.leader != Some(node) {
            let leader = self.store.leader.map(node_name);
            self.store.nodes[node].hub.follow(leader);
            self.pump_hub(node);
        }
    }

    /// A node is cut off from its peers; as leader it may go on for a while without knowing.
    pub(super) fn cut_node(&mut self, node: usize) {
        self.counts.store_partitions += 1;
        note!(self, "store node {node} is cut off from its peers");
        self.store.nodes[node].cut += 1;
        if self.store.leader == Some(node) {
            self.depose(false);
        }
    }
}

fn rebuilt(log: &[Arc<[u8]>]) -> Machine {
    let mut machine = Machine::default();
    for (payload, index) in log.iter().zip(1..) {
        let batch = CommandBatch::decode(payload).expect("it was read before");
        machine.apply(LogIndex(index), &batch);
    }
    machine
}

fn brief(batch: &CommandBatch) -> String {
    let commands = batch.commands.iter().map(|command| match command {
        Command::Session(b) => {
            let updates: Vec<String> = b
                .updates
                .iter()
                .map(|u| {
                    format!(
                        "{:?} {} client {}",
                        u.kind,
                        u.prefix,
                        u.binding.duid.as_bytes().last().copied().unwrap_or(0)
                    )
                })
                .collect();
            format!(
                "[{} #{} acks {}{}{}{}: {}]",
                b.epoch.0 & 0xffff,
                b.sequence,
                b.acked_index,
                if b.requests.is_empty() { "" } else { " asks" },
                if b.returned.is_empty() { "" } else { " returns" },
                if b.closing { " closes" } else { "" },
                updates.join(", ")
            )
        }
        Command::OpenSession { frontend, .. } => format!("[open {frontend}]"),
        other => format!("[{other:?}]").chars().take(40).collect(),
    });
    commands.collect::<Vec<_>>().join(" ")
}
