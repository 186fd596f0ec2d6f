//! The nodes of the store: their ticks, their hubs' words, crashes, restarts, and disks that are lost.
//!
//! A node that was away for long, or lost its disk, is restored from another's rows, as a snapshot does it; else it
//! starts from its own rows and goes on with the log.

use super::{Pending, hub_settings, node_name};
use crate::sim::clock::{Nanos, ms};
use crate::sim::world::{Event, World, note};
use leasehold_proto::session::ToStore;
use leasehold_store::hub::{ConnectionId, Hub, HubOutput, Token};
use leasehold_store::machine::{Command, CommandBatch, Machine};
use rand::Rng;

/// Between two looks at the clock.
const TICK: Nanos = ms(50);
/// Entries behind which a node takes a snapshot: fewer than Raft would, so that it happens.
const SNAPSHOT_BEHIND: u64 = 50;

impl World {
    pub(super) fn start_ticking(&mut self, node: usize) {
        let state = &mut self.store.nodes[node];
        if !state.tick_pending {
            state.tick_pending = true;
            let life = state.life;
            self.after(TICK, Event::StoreTick { node, life });
        }
    }

    /// A leader looks at its clock: liveness, loads, and what has become due.
    pub(in crate::sim) fn store_tick(&mut self, node: usize, life: u64) {
        let state = &mut self.store.nodes[node];
        if state.life != life || !state.up {
            return;
        }
        state.tick_pending = false;
        let Some(clock) = state.leader_clock else { return };
        let now = state.clock.local(self.now);
        state.hub.turn(now, &state.machine);
        self.operate(node);
        let state = &mut self.store.nodes[node];
        let is_due = state.machine.next_due().is_some_and(|due| due <= clock.stamp(now));
        if is_due && !state.flush_due && self.store.leader == Some(node) && self.store.tail.is_empty() {
            // Nothing is asked for, but time is to be told.
            let stamp = clock.stamp(now);
            if state.proposed.is_empty() {
                let payload = CommandBatch::new(stamp, Vec::new()).encode().into();
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
    pub(in crate::sim) fn store_hears(&mut self, node: usize, connection: u64, message: ToStore) {
        let state = &mut self.store.nodes[node];
        let now = state.clock.local(self.now);
        state.hub.receive(now, ConnectionId(connection), message, &state.machine);
        self.pump_hub(node);
    }

    /// A connection of a node is gone.
    pub(in crate::sim) fn store_loses(&mut self, node: usize, connection: u64) {
        let state = &mut self.store.nodes[node];
        let now = state.clock.local(self.now);
        state.hub.disconnected(now, ConnectionId(connection));
        self.pump_hub(node);
    }

    /// Does what a hub says.
    pub(in crate::sim) fn pump_hub(&mut self, node: usize) {
        let mut out = Vec::new();
        self.store.nodes[node].hub.drain(&mut out);
        for output in out {
            match output {
                HubOutput::Send(connection, message) => self.send_down(connection.0, &message),
                HubOutput::Close(connection) => self.close_from_store(connection.0),
                HubOutput::Propose { token, command } => self.propose(node, Some(token), command),
            }
        }
    }

    /// Queues a command for the leader's next entry; operators' have no token.
    pub(in crate::sim) fn propose(&mut self, node: usize, token: Option<Token>, command: Command) {
        let state = &mut self.store.nodes[node];
        state.proposed.push((token, command));
        if !state.flush_due {
            state.flush_due = true;
            let life = state.life;
            let delay = self.rng.random_range(0..ms(3));
            self.after(delay, Event::Flush { node, life });
        }
    }

    /// A node's process is killed: its memory is gone, and so is what its disk was behind.
    pub(in crate::sim) fn crash_node(&mut self, node: usize) {
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
        state.hub = Hub::new(hub_settings(self.plan.load_piece_len));
        self.break_connections_of_node(node);
        if self.store.leader == Some(node) {
            self.depose(true);
        }
    }

    /// A node's disk is lost with it: what it had is gone, and it may not vote with what it remembers. A majority
    /// always keeps theirs: without it what was committed would be lost, which nothing can mend.
    pub(in crate::sim) fn lose_disk(&mut self, node: usize) {
        self.crash_node(node);
        let nodes = &self.store.nodes;
        let keep = (0..nodes.len()).filter(|n| *n != node && !nodes[*n].disk_lost).count();
        if keep * 2 <= nodes.len() {
            return;
        }
        let state = &mut self.store.nodes[node];
        state.disk.clear();
        state.disk_lost = true;
        self.counts.store_disks_lost += 1;
        note!(self, "store node {node} lost its disk");
    }

    /// A node starts from its disk; without one from a peer's rows, as soon as there is a peer.
    pub(in crate::sim) fn restart_node(&mut self, node: usize) {
        if self.store.nodes[node].up {
            return;
        }
        let rows: Vec<(Vec<u8>, Vec<u8>)> = if self.store.nodes[node].disk_lost {
            let Some(donor) = self.donor_for(node) else {
                self.after(ms(500), Event::NodeStart { node });
                return;
            };
            self.store.nodes[donor].machine.rows().collect()
        } else {
            self.store.nodes[node].disk.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
        };
        if !self.node_takes_rows(node, &rows) {
            return;
        }
        let state = &mut self.store.nodes[node];
        state.disk_lost = false;
        state.up = true;
        state.life += 1;
        self.counts.rebuilt_from_disk += 1;
        note!(self, "store node {node} starts at index {}", self.store.nodes[node].machine.applied());
        self.install_if_behind(node);
        self.rejoin_node(node);
    }

    /// A peer that hears the others, the most advanced of them.
    fn donor_for(&self, node: usize) -> Option<usize> {
        let nodes = &self.store.nodes;
        let able = (0..nodes.len()).filter(|n| *n != node && nodes[*n].up && nodes[*n].cut == 0);
        able.max_by_key(|n| nodes[*n].machine.applied())
    }

    /// Replaces all that a node has by rows.
    fn node_takes_rows(&mut self, node: usize, rows: &[(Vec<u8>, Vec<u8>)]) -> bool {
        match Machine::from_rows(&mut rows.iter().cloned()) {
            Ok(machine) => {
                let state = &mut self.store.nodes[node];
                state.machine = machine;
                state.disk = rows.iter().cloned().collect();
                state.unflushed.clear();
                state.hub.restored(&state.machine);
                true
            }
            Err(error) => {
                self.fail(format!("store node {node} cannot start from these rows: {error}"));
                false
            }
        }
    }

    /// A node that missed a lot takes a peer's snapshot in the place of the entries.
    fn install_if_behind(&mut self, node: usize) {
        let behind = self.store.log.len() as u64 - self.store.nodes[node].machine.applied().0;
        if behind < SNAPSHOT_BEHIND || self.store.nodes[node].cut > 0 {
            return;
        }
        let Some(donor) = self.donor_for(node) else { return };
        if self.store.nodes[donor].machine.applied() > self.store.nodes[node].machine.applied() {
            let rows: Vec<(Vec<u8>, Vec<u8>)> = self.store.nodes[donor].machine.rows().collect();
            self.node_takes_rows(node, &rows);
            self.counts.snapshots_installed += 1;
            note!(self, "store node {node} takes the snapshot of node {donor}");
        }
    }

    /// A node hears its peers again.
    pub(in crate::sim) fn rejoin_node(&mut self, node: usize) {
        let state = &self.store.nodes[node];
        if !state.up || state.cut > 0 {
            return;
        }
        let life = state.life;
        if self.store.leader != Some(node) && state.leader_clock.is_some() {
            self.step_down(node, life);
        }
        if self.store.leader != Some(node) {
            self.install_if_behind(node);
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
    pub(in crate::sim) fn cut_node(&mut self, node: usize) {
        self.counts.store_partitions += 1;
        note!(self, "store node {node} is cut off from its peers");
        self.store.nodes[node].cut += 1;
        if self.store.leader == Some(node) {
            self.depose(false);
        }
    }
}
