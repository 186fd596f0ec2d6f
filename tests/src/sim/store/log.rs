//! The log of the model of Raft: what is proposed, appended, committed and applied.
//!
//! Owns entries from a leader's batch of proposals to each node's machine. Invariant: a committed entry is the same on
//! every node for ever, and is really encoded and decoded on each.

use super::Pending;
use crate::sim::clock::ms;
use crate::sim::world::{Event, World, note};
use leasehold_proto::words::LogIndex;
use leasehold_store::hub::Token;
use leasehold_store::machine::{Command, CommandBatch, Outcome};
use rand::Rng;
use std::sync::Arc;

/// Entries by which a disk is behind at most.
const UNFLUSHED_MAX: usize = 40;
/// Entries between two checks of the reference machine's invariants.
const CHECK_EVERY: u64 = 64;

impl World {
    /// The leader puts all that was proposed since the last entry into one.
    pub(in crate::sim) fn flush(&mut self, node: usize, life: u64) {
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
        let payload = CommandBatch::new(stamp, commands).encode().into();
        let number = self.store.next_number;
        self.store.next_number += 1;
        self.store.tail.push_back(Pending { number, payload, tokens });
        let delay = self.rng.random_range(ms(1)..ms(8));
        let term = self.store.term;
        self.after(delay, Event::Commit { term, upto: number });
    }

    /// Commits what a majority has.
    pub(in crate::sim) fn commit(&mut self, term: u64, upto: u64) {
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
    pub(in crate::sim) fn retry_commit(&mut self) {
        if let Some(last) = self.store.tail.back().map(|p| p.number) {
            let term = self.store.term;
            self.after(ms(2), Event::Commit { term, upto: last });
        }
    }

    pub(super) fn append_committed(&mut self, payload: Arc<[u8]>, by: Option<(usize, Vec<Option<Token>>)>) {
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
        if batch.encode() != payload[..] {
            self.fail(format!("entry {index} is other octets when it is written again"));
        }
        let before = self.store.reference.time();
        let outside = self.outside_grants(&batch);
        let applied = self.store.reference.apply(index, &batch);
        if self.store.reference.time() < before {
            self.fail("cluster time went back".to_owned());
        }
        self.judge_outside(&outside, index);
        self.judge_entry(&batch, &applied, index);
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
        for node in 0..self.store.nodes.len() {
            if Some(node) != leader {
                let delay = self.rng.random_range(ms(1)..ms(40));
                let life = self.store.nodes[node].life;
                self.after(delay, Event::Apply { node, life });
            }
        }
    }

    /// A follower applies what it hears to be committed.
    pub(in crate::sim) fn apply_committed(&mut self, node: usize, life: u64) {
        let state = &self.store.nodes[node];
        if state.life != life || !state.up || state.cut > 0 {
            return;
        }
        let last = LogIndex(self.store.log.len() as u64);
        self.apply_up_to(node, last);
        self.pump_hub(node);
    }

    /// Applies on one node; gives the outcomes of the last entry.
    pub(super) fn apply_up_to(&mut self, node: usize, upto: LogIndex) -> Vec<Outcome> {
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

    pub(super) fn flush_disk(&mut self, node: usize, keep: usize) {
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
