//! What one frontend process may promise, what it tells, and what it learns.
//!
//! Follows the real engine (`engine/leases`: promise, batches, merge, outcome). Knows its own records and what it read
//! of the stream, nothing else.

use super::config::{Config, Sabotage};
use super::state::{
    ADDRESSES, Batch, Dirty, Event, Kind, Lease, Process, Record, Refusal, Standing, Tick, Update,
};
use super::store::number;

/// R3: what may be promised.
#[derive(Clone, Copy)]
pub(super) struct Promise {
    pub(super) valid: u8,
    pub(super) valid_until: Tick,
    pub(super) ack_until: Tick,
}

impl Process {
    /// R3 under R4's allowance; nothing when no time may be promised, or cluster time is not bounded.
    pub(super) fn promise(&self, config: &Config, now: Tick, acked_until: Tick) -> Option<Promise> {
        let now_at_most = now.checked_add_signed(self.skew?)?;
        let within = now < self.deadline || config.has(Sabotage::LeadPastDeadline);
        let lead = if within { config.mclt } else { 0 };
        let valid = config.lifetime.min(acked_until.saturating_sub(now_at_most) + lead);
        // T1 is half of what is granted.
        let ack_until = now_at_most + valid / 2 + config.lifetime;
        (valid > 0).then_some(Promise { valid, valid_until: now_at_most + valid, ack_until })
    }

    /// R1: a new holding only in an own range, of an address that is free here.
    pub(super) fn may_create(&self, config: &Config, address: usize, client: u8) -> bool {
        let is_free = |r: &Record| r.state == Standing::Free;
        let has_other =
            self.records.iter().flatten().any(|r| r.client == client && r.state == Standing::Active);
        !self.closing
            && (!self.superseded || config.has(Sabotage::SupersededServed))
            && self.owns[address]
            && self.records[address].as_ref().is_none_or(is_free)
            && !has_other
    }

    /// R5: an extension, for the same client, whoever owns the range; not of what the store called ended while a
    /// promise of ours that revives it is under way.
    pub(super) fn may_extend(&self, address: usize, client: u8) -> bool {
        self.records[address].as_ref().is_some_and(|r| {
            r.client == client
                && r.state == Standing::Active
                && !r.store_state.is_some_and(Standing::awaits_freeing)
                && !self.closing
        })
    }

    pub(super) fn has_dirty(&self) -> bool {
        self.records.iter().flatten().any(|r| r.dirty.is_some())
    }

    pub(super) fn make_dirty(&mut self, address: usize, kind: Kind, ack_until: Tick) {
        let Some(record) = self.records[address].as_mut() else { return };
        let base = if kind == Kind::Promise { 0 } else { record.version };
        match record.dirty.as_mut() {
            Some(waiting) if waiting.kind == Kind::Promise && kind == Kind::Release => {
                waiting.then_release = true;
                waiting.base = base;
            }
            Some(waiting) => {
                waiting.ack_until = waiting.ack_until.max(ack_until);
                (waiting.kind, waiting.then_release, waiting.base) = (kind, false, base);
            }
            None => record.dirty = Some(Dirty { kind, then_release: false, ack_until, base }),
        }
    }

    /// The next batch; with `only_acks`, what the sabotaged order would say first.
    pub(super) fn make_batch(
        &mut self,
        config: &Config,
        now: Tick,
        wants: Option<u8>,
        only_acks: bool,
    ) -> Batch {
        let mut updates = [None; ADDRESSES];
        for (address, update) in updates.iter_mut().enumerate().filter(|_| !only_acks) {
            *update = self.records[address].as_mut().and_then(Record::next_update);
            if update.is_some() {
                continue;
            }
            let claim = self.claims[address].take();
            *update = claim.zip(self.promise(config, now, 0)).map(|(client, promise)| Update {
                kind: Kind::Adopt,
                client,
                valid_until: promise.valid_until,
                ack_until: promise.ack_until,
                base: 0,
            });
        }
        self.owes = false;
        self.spoke = true;
        Batch { taken: false, sent_at: now, updates, acked: self.read, wants, closing: self.closing }
    }

    pub(super) fn take_event(&mut self, s: usize, event: &Event) {
        match *event {
            Event::Lease { address, lease } => {
                self.owes |= lease.state.awaits_freeing();
                self.claims[usize::from(address)] = None;
                self.take_lease(s, usize::from(address), &lease);
            }
            Event::Range { address, owns } => self.owns[usize::from(address)] = owns,
            Event::Superseded => self.superseded = true,
            // An answer to a batch, which the world keeps.
            Event::Outcome { .. } => {}
        }
    }

    /// The store's word about one address (the engine's `merge`).
    fn take_lease(&mut self, s: usize, address: usize, lease: &Lease) {
        let Some(record) = self.records[address].as_mut() else {
            self.records[address] = Some(Record::of(lease));
            return;
        };
        if record.version > lease.version {
            return;
        }
        let is_same_client = record.client == lease.client;
        if record.has_own_promise() {
            if is_same_client || lease.state == Standing::Free {
                record.version = lease.version;
                record.store_state = Some(lease.state);
                record.acked_until = lease.acked_until;
                if lease.state != Standing::Free {
                    record.valid_until = record.valid_until.max(lease.valid_until);
                }
                return;
            }
        } else if is_same_client && record.has_own_end() {
            let is_extended_by_other = lease.version > record.version
                && lease.state == Standing::Active
                && lease.by != Some(number(s));
            if !is_extended_by_other && lease.state != Standing::Free {
                record.version = lease.version;
                record.store_state = Some(lease.state);
                record.acked_until = lease.acked_until;
                record.valid_until = record.valid_until.max(lease.valid_until);
                return;
            }
        }
        let promises_in_flight = if is_same_client { record.promises_in_flight } else { 0 };
        *record = Record { in_flight: record.in_flight, promises_in_flight, ..Record::of(lease) };
    }

    pub(super) fn settle(&mut self, address: usize, update: &Update, refused: Option<Refusal>, index: u8) {
        let Some(record) = self.records[address].as_mut() else { return };
        if update.kind == Kind::Adopt {
            // What came of it is told as a record.
            return;
        }
        record.in_flight = record.in_flight.saturating_sub(1);
        if record.client != update.client {
            return;
        }
        if update.kind == Kind::Promise {
            record.promises_in_flight = record.promises_in_flight.saturating_sub(1);
        }
        match refused {
            None => record.taken(update, index),
            Some(reason) => {
                let drops = record.refused(update.kind, reason);
                if drops {
                    self.records[address] = None;
                }
            }
        }
    }
}
