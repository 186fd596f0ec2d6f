//! Who owns which range, as frontends read it in their streams: at most one that may issue (R1).
//!
//! Owns each process's view, put together from what it was sent. A view that is out of date is no fault while its
//! session may not issue any more; two views of one range with autonomy left are.

use super::world::World;
use leasehold_proto::network::Network;
use leasehold_proto::session::{FromStore, RangeRecord, StoreEvent};
use leasehold_proto::words::{Epoch, LogIndex, PoolId, RangeId, UpdateSeq};
use std::collections::BTreeMap;
use std::time::Duration;

/// What one process believes to own: its ranges, with their first and last address.
#[derive(Debug, Default)]
pub(super) struct Claims {
    ranges: BTreeMap<RangeId, (u128, u128)>,
    /// Those that it has given back, with which batch, until it reads that this was taken. What it reads of them before
    /// is of before.
    returned: BTreeMap<RangeId, UpdateSeq>,
    /// How far it has read in its session.
    read: LogIndex,
}

impl World {
    /// A process has read a message.
    pub(super) fn note_claims(&mut self, slot: usize, message: &FromStore) {
        match message {
            FromStore::Welcome(welcome) => {
                let front = &mut self.fronts[slot];
                let same = front.session == welcome.epoch;
                // A superseded session is told so again as of the entry applied last.
                if same && welcome.index.0 + 1 < front.claims.read.0 {
                    let read = front.claims.read;
                    self.fail(format!(
                        "frontend {slot} read up to {read} and is welcomed at {}",
                        welcome.index
                    ));
                    return;
                }
                if !same {
                    front.claims.returned.clear();
                }
                if !same || !welcome.resumed {
                    front.claims.ranges.clear();
                }
                front.session = welcome.epoch;
                front.claims.read = welcome.index;
                if let Some(network) = &welcome.network {
                    self.forget_claims(slot, network);
                }
            }
            FromStore::Load(chunk) => self.note_ranges(slot, &chunk.ranges),
            FromStore::Entry(entry) => {
                self.fronts[slot].claims.read = entry.index;
                for event in &entry.events {
                    match event {
                        StoreEvent::Range(range) => self.note_ranges(slot, std::slice::from_ref(range)),
                        StoreEvent::Network(network) => self.forget_claims(slot, network),
                        StoreEvent::Superseded { .. } => self.fronts[slot].claims.ranges.clear(),
                        StoreEvent::Batch(outcome) => {
                            let returned = &mut self.fronts[slot].claims.returned;
                            returned.retain(|_, batch| *batch > outcome.sequence);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    /// Ranges that a process gives back.
    pub(super) fn note_returned(&mut self, slot: usize, batch: UpdateSeq, returned: &[RangeId]) {
        let claims = &mut self.fronts[slot].claims;
        returned.iter().for_each(|range| {
            claims.ranges.remove(range);
            claims.returned.insert(*range, batch);
        });
    }

    /// A process begins: it owns nothing.
    pub(super) fn forget_all_claims(&mut self, slot: usize) {
        self.fronts[slot].claims = Claims::default();
        self.fronts[slot].session = Epoch::NONE;
    }

    /// Of pools that are no longer its, nothing is issued.
    fn forget_claims(&mut self, slot: usize, network: &Network) {
        let front = &mut self.fronts[slot];
        let id = &front.id;
        front.claims.ranges.retain(|range, _| {
            network.pool(range.pool).is_some_and(|p| {
                network.relationships.iter().any(|r| r.id == p.relationship && r.has_partner(id))
            })
        });
    }

    fn note_ranges(&mut self, slot: usize, records: &[RangeRecord]) {
        for record in records {
            let front = &self.fronts[slot];
            let mine = record.owner == front.session && !record.closed && !record.owner.is_none();
            let mine = mine && !front.claims.returned.contains_key(&record.range);
            let span = front.engine.network().and_then(|n| n.pool(record.range.pool)).and_then(|pool| {
                let (first, last) = pool.geometry.slots_of(record.range.slice)?;
                Some((pool.geometry.prefix_at(first).bits(), pool.geometry.prefix_at(last).last_bits()))
            });
            match span.filter(|_| mine) {
                Some(span) => {
                    self.fronts[slot].claims.ranges.insert(record.range, span);
                    self.judge_claim(slot, record.range, span);
                }
                None => {
                    self.fronts[slot].claims.ranges.remove(&record.range);
                }
            }
        }
    }

    fn may_issue(&self, slot: usize, pool: PoolId) -> bool {
        let front = &self.fronts[slot];
        let status = front.engine.status(front.clock.local(self.now)).leases;
        !status.is_superseded
            && status.pools.iter().any(|p| p.pool == pool && p.autonomy_left > Duration::ZERO)
    }

    fn judge_claim(&mut self, slot: usize, range: RangeId, (first, last): (u128, u128)) {
        let overlapping = |(_, other): &(&RangeId, &(u128, u128))| other.0 <= last && first <= other.1;
        let rival = (0..self.fronts.len()).filter(|s| *s != slot && self.fronts[*s].up).find_map(|s| {
            let other = self.fronts[s].claims.ranges.iter().find(overlapping)?;
            self.may_issue(s, other.0.pool).then_some((s, *other.0))
        });
        let Some((rival, theirs)) = rival else { return };
        if self.may_issue(slot, range.pool) && !self.is_overridden(slot) && !self.is_overridden(rival) {
            self.fail(format!("R1: frontend {slot} owns {range:?} and frontend {rival} owns {theirs:?}"));
        }
    }
}
