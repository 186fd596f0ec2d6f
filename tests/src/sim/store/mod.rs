//! The store: three or five nodes with the real machine and hub, and a model of Raft between them.
//!
//! Modelled: the log. An entry is committed once a majority of nodes that are up and hear one another has it; then it
//! is never lost. Before, it may be lost or kept at a change of leader. Real: entries are encoded and decoded, each
//! node applies them to a machine of its own, writes the changed rows behind to a disk of its own, and rebuilds the
//! machine from that disk after a crash. A leader that was deposed may not know it for a while. A machine that never
//! crashes, the reference, applies every entry as it is committed: replicas are compared with it.

mod leaders;
mod log;
mod nodes;

use super::clock::{DriftClock, ms};
use super::plan::Plan;
use super::world::World;
use leasehold_proto::time::ClusterTime;
use leasehold_store::hub::{Hub, HubSettings, LeaderClock, Token};
use leasehold_store::machine::{Command, CommandBatch, Found, Machine, RowChange};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// One node.
pub(super) struct Node {
    pub(super) clock: DriftClock,
    pub(super) life: u64,
    pub(super) up: bool,
    /// Cut off from its peers, by so many faults.
    pub(super) cut: u32,
    pub(super) machine: Machine,
    pub(super) hub: Hub,
    /// It lost its disk: it comes back as a new incarnation, from another's rows.
    disk_lost: bool,
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
    /// Empty nodes, all up.
    pub(super) fn new(plan: &Plan, mut clock: impl FnMut() -> DriftClock) -> Self {
        let node = |clock| Node {
            clock,
            life: 0,
            up: true,
            cut: 0,
            machine: Machine::default(),
            hub: Hub::new(hub_settings(plan.load_piece_len)),
            disk_lost: false,
            leader_clock: None,
            disk: BTreeMap::new(),
            unflushed: VecDeque::new(),
            proposed: Vec::new(),
            flush_due: false,
            tick_pending: false,
        };
        Self {
            nodes: (0..plan.nodes).map(|_| node(clock())).collect(),
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
        self.nodes.iter().filter(|n| n.up && n.cut == 0).count() * 2 > self.nodes.len()
    }
}

/// Small bounds, so that reloads and pieces happen.
pub(super) fn hub_settings(load_piece_len: usize) -> HubSettings {
    HubSettings {
        history_entries_max: 200,
        history_events_max: 400,
        load_piece_len,
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
    name.strip_prefix("store-")?.parse().ok()
}

impl World {
    /// Founds the cluster and applies the configuration: the first entry.
    pub(super) fn found_store(&mut self) {
        let mut commands = vec![
            Command::Found(Found {
                cluster: "sim".to_owned(),
                incarnation: 1,
                server_duid_seed: [7; 16],
                restored: None,
            }),
            Command::ApplyNetwork { expected_version: 0, network: Box::new(self.plan.network.clone()) },
        ];
        // Before a link needs it, as the service does.
        if let Some(secret) = self.plan.secret() {
            commands.insert(1, Command::KeepSecret(secret));
        }
        let payload = CommandBatch::new(ClusterTime::ZERO, commands).encode().into();
        self.append_committed(payload, None);
        self.request_election(ms(10));
    }
}
