//! Leaders of the model of Raft: elected, deposed, and for a while not knowing it.
//!
//! Owns who leads in which term. Invariant: at most one node's entries are committed in a term; a deposed leader may go
//! on believing for a while, and then answers frontends from what it knows.

use super::node_name;
use crate::sim::clock::{Nanos, ms, secs};
use crate::sim::sabotaged::Sabotage;
use crate::sim::world::{Event, World, note};
use leasehold_proto::words::LogIndex;
use leasehold_store::hub::LeaderClock;
use leasehold_store::machine::{CommandBatch, Machine};
use rand::Rng;
use std::sync::Arc;

impl World {
    pub(in crate::sim) fn request_election(&mut self, delay: Nanos) {
        if !self.store.electing {
            self.store.electing = true;
            self.after(delay, Event::Elect);
        }
    }

    /// Nodes that hear one another elect a leader, if they are a majority.
    pub(in crate::sim) fn elect(&mut self) {
        self.store.electing = false;
        if self.store.leader.is_some() {
            return;
        }
        if !self.store.has_quorum() {
            self.request_election(ms(500));
            return;
        }
        let nodes = self.store.nodes.len();
        let able: Vec<usize> =
            (0..nodes).filter(|n| self.store.nodes[*n].up && self.store.nodes[*n].cut == 0).collect();
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
        for node in 0..nodes {
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
        let machines: Vec<Machine> = (0..self.store.nodes.len()).map(|_| rebuilt(&self.store.log)).collect();
        for (node, machine) in self.store.nodes.iter_mut().zip(machines) {
            node.machine = machine;
            node.unflushed.clear();
            node.disk = node.machine.rows().collect();
            node.hub.restored(&node.machine);
        }
        self.store.reference = rebuilt(&self.store.log);
    }

    /// The leader is gone, or nobody follows it any more; `knows` says whether it knows.
    pub(in crate::sim) fn depose(&mut self, knows: bool) {
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
    pub(in crate::sim) fn step_down(&mut self, node: usize, life: u64) {
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
}

fn rebuilt(log: &[Arc<[u8]>]) -> Machine {
    let mut machine = Machine::default();
    for (payload, index) in log.iter().zip(1..) {
        let batch = CommandBatch::decode(payload).expect("it was read before");
        machine.apply(LogIndex(index), &batch);
    }
    machine
}
