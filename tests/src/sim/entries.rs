//! What is judged of every entry as it is committed: grants, counts, operators' commands.
//!
//! Owns the judgement that an update outside its session's grants changes nothing (R1, adoption aside), by looking at
//! the reference machine before and after.

use super::world::{World, note};
use leasehold_proto::lease::{LeaseState, LeaseUpdate, UpdateKind};
use leasehold_proto::session::StoreEvent;
use leasehold_proto::words::{Epoch, LogIndex, Prefix, RangeId};
use leasehold_store::machine::{Applied, Command, CommandBatch, ConflictKind, Outcome};
use std::collections::BTreeMap;

/// An update that would make a lease, from a session that does not own the range, and the record's version before.
pub(super) struct Outside {
    prefix: Prefix,
    version: Option<LogIndex>,
}

impl World {
    /// The updates of an entry that would create a lease outside their session's grants.
    pub(super) fn outside_grants(&self, batch: &CommandBatch) -> Vec<Outside> {
        let machine = &self.store.reference;
        let mut owners: Option<BTreeMap<RangeId, Epoch>> = None;
        let mut outside = Vec::new();
        let mut told: BTreeMap<Prefix, u32> = BTreeMap::new();
        for command in &batch.commands {
            if let Command::Session(session) = command {
                session.updates.iter().for_each(|u| *told.entry(u.prefix).or_default() += 1);
            }
        }
        for command in &batch.commands {
            let Command::Session(session) = command else { continue };
            for update in session.updates.iter().filter(|u| u.kind == UpdateKind::Promise) {
                // Told by two in one entry, it may be that the other made it by right.
                if told.get(&update.prefix) != Some(&1) {
                    continue;
                }
                let record = machine.lease(update.prefix);
                if record.is_some_and(|r| r.state != LeaseState::Free) {
                    continue;
                }
                let owners = owners.get_or_insert_with(|| {
                    let owned = machine.ranges().filter_map(|r| Some((r.range, r.owner?.0)));
                    owned.collect()
                });
                let range = machine.pool(update.pool).and_then(|p| p.range_of(update.prefix));
                if range.and_then(|r| owners.get(&r)) != Some(&session.epoch) {
                    let version = record.map(|r| r.version);
                    outside.push(Outside { prefix: update.prefix, version });
                }
            }
        }
        outside
    }

    /// They changed nothing.
    pub(super) fn judge_outside(&mut self, outside: &[Outside], index: LogIndex) {
        for Outside { prefix, version } in outside {
            let now = self.store.reference.lease(*prefix).map(|r| (r.version, r.state));
            let changed = now.is_some_and(|(v, state)| Some(v) != *version && state != LeaseState::Free);
            if changed {
                self.fail(format!("R1: {prefix} was leased by entry {index} outside its session's grants"));
            }
        }
    }

    /// Counts what an entry did, and tells the operators of theirs.
    pub(super) fn judge_entry(&mut self, batch: &CommandBatch, applied: &Applied, index: LogIndex) {
        for (command, outcome) in batch.commands.iter().zip(&applied.outcomes) {
            if let Outcome::SessionOpened(epoch) = outcome {
                self.counts.sessions += 1;
                let proven = self
                    .store
                    .reference
                    .sessions()
                    .filter(|s| s.superseded_by == Some(*epoch) && s.proven_gone.is_some());
                self.counts.proofs += proven.count() as u64;
            }
            self.operated(command, outcome);
            self.note_order(outcome);
            if let Command::Session(session) = command {
                session.updates.iter().for_each(|u| self.note_acknowledged(u));
            }
        }
        for event in &applied.events {
            match &event.event {
                StoreEvent::Registration(word) => {
                    self.note_registration(word);
                    self.judge_meeting(word.address, index);
                }
                StoreEvent::Lease(lease) if lease.state == LeaseState::Active => {
                    self.judge_meeting(lease.prefix.bits(), index);
                }
                StoreEvent::Lease(lease) if lease.state != LeaseState::Active => {
                    note!(self, "  {} is {}", lease.prefix, lease.state.name());
                    let freed = lease.state == LeaseState::Free && self.healed_at.is_none();
                    self.counts.freed_under_fault += u64::from(freed);
                }
                StoreEvent::Superseded { .. } => self.counts.sessions_superseded += 1,
                StoreEvent::Range(range) if range.closed => self.counts.ranges_closed += 1,
                StoreEvent::Range(range) if !range.owner.is_none() => {
                    let last = self.last_owners.insert(range.range, range.frontend.clone());
                    let other = last.is_some_and(|last| last != range.frontend);
                    self.counts.handoffs += u64::from(other);
                }
                StoreEvent::GiveBack { .. } => self.counts.ranges_asked_back += 1,
                StoreEvent::Reconfigure(order) => self.judge_order(order),
                _ => {}
            }
        }
    }

    /// Remembers the most that was ever acknowledged to a holding: the record forgets it when the address is freed.
    fn note_acknowledged(&mut self, update: &LeaseUpdate) {
        let record = self.store.reference.lease(update.prefix).filter(|l| l.binding == update.binding);
        if let Some(record) = record {
            let duid = update.binding.duid.as_bytes().to_vec();
            let ever = self.acknowledged.entry((update.prefix, duid, update.binding.iaid.0)).or_default();
            *ever = (*ever).max(record.acked_until);
        }
    }

    /// Counts the conflicts on record.
    pub(super) fn count_conflicts(&mut self) {
        for (_, conflict) in self.store.reference.conflicts() {
            match conflict.kind {
                ConflictKind::TwoClients { .. } => self.counts.conflicts_two_clients += 1,
                ConflictKind::TwoAddresses { .. } => self.counts.conflicts_two_addresses += 1,
            }
        }
    }
}
