//! The frontend's side of the rules: what a process promises, tells, reads and acknowledges.
//!
//! Follows the real engine (`engine/leases`): a promise is recorded and dirty before the Reply exists; a batch carries
//! all that is dirty and acknowledges all that was read; what was promised here and not yet answered stays when the
//! store's word is merged. It sees the store only through batches and the events that it reads.

use super::config::{Config, Sabotage};
use super::sight::Sight;
use super::state::{
    ADDRESSES, Batch, Dirty, Event, Kind, Lease, Process, Record, Refusal, Standing, Tick, Update, World,
};
use super::store::{Rules, number};
use smallvec::SmallVec;

/// How much later than it may a Reply is sent when nobody looks.
const LATE_SEND: Tick = 2;

/// R3: what may be promised.
#[derive(Clone, Copy)]
pub(super) struct Promise {
    valid: u8,
    valid_until: Tick,
    ack_until: Tick,
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

    fn has_dirty(&self) -> bool {
        self.records.iter().flatten().any(|r| r.dirty.is_some())
    }

    fn make_dirty(&mut self, address: usize, kind: Kind, ack_until: Tick) {
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
    fn make_batch(&mut self, config: &Config, now: Tick, wants: Option<u8>, only_acks: bool) -> Batch {
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

    fn take_event(&mut self, s: usize, event: &Event) {
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

    fn settle(&mut self, address: usize, update: &Update, refused: Option<Refusal>, index: u8) {
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

impl Record {
    pub(super) fn of(lease: &Lease) -> Self {
        Self {
            client: lease.client,
            state: lease.state,
            store_state: Some(lease.state),
            valid_until: lease.valid_until,
            acked_until: lease.acked_until,
            version: lease.version,
            in_flight: 0,
            promises_in_flight: 0,
            dirty: None,
        }
    }

    fn has_own_promise(&self) -> bool {
        self.promises_in_flight > 0 || self.dirty.is_some_and(|d| d.kind == Kind::Promise)
    }

    fn has_own_end(&self) -> bool {
        self.in_flight > self.promises_in_flight || self.dirty.is_some_and(|d| d.kind == Kind::Release)
    }

    fn next_update(&mut self) -> Option<Update> {
        let dirty = self.dirty?;
        self.in_flight += 1;
        self.promises_in_flight += u8::from(dirty.kind == Kind::Promise);
        self.dirty = dirty.then_release.then_some(Dirty {
            kind: Kind::Release,
            then_release: false,
            ack_until: 0,
            base: dirty.base,
        });
        Some(Update {
            kind: dirty.kind,
            client: self.client,
            valid_until: self.valid_until,
            ack_until: dirty.ack_until,
            base: dirty.base,
        })
    }

    fn taken(&mut self, update: &Update, index: u8) {
        if self.version > index {
            self.stand_back();
            return;
        }
        self.version = index;
        if update.kind == Kind::Promise {
            self.store_state = Some(Standing::Active);
            if self.state != Standing::Free {
                self.acked_until = self.acked_until.max(update.ack_until);
            }
        } else {
            self.store_state = Some(Standing::Released);
        }
    }

    /// True when the record is to be forgotten.
    fn refused(&mut self, kind: Kind, reason: Refusal) -> bool {
        if kind == Kind::Promise {
            self.dirty = None;
        }
        if self.promises_in_flight > 0 {
            return false;
        }
        if self.version > 0 {
            self.stand_back();
            return false;
        }
        if reason == Refusal::OtherClient {
            // Nobody may have it until the record that stands is read.
            self.state = Standing::Expired;
            return false;
        }
        self.in_flight == 0 && self.dirty.is_none()
    }

    fn stand_back(&mut self) {
        if self.dirty.is_none()
            && self.promises_in_flight == 0
            && let Some(state) = self.store_state
        {
            self.state = state;
        }
    }
}

impl World {
    /// A client asks a process for an address: recorded, dirty, and a Reply on its way.
    pub(super) fn ask(&mut self, rules: Rules<'_>, s: usize, address: usize, client: u8) -> Option<()> {
        let config = rules.config;
        let now = self.now;
        let process = self.sessions[s].process.as_mut()?;
        let promise = process.promise(config, now, 0)?;
        let old = process.records[address];
        let carried = old.filter(|_| config.has(Sabotage::AckCarriedOver)).map_or(0, |r| r.acked_until);
        let promise = if carried > 0 { process.promise(config, now, carried)? } else { promise };
        process.records[address] = Some(Record {
            client,
            state: Standing::Active,
            store_state: old.and_then(|r| r.store_state),
            valid_until: promise.valid_until,
            acked_until: carried,
            version: old.map_or(0, |r| r.version),
            in_flight: old.map_or(0, |r| r.in_flight),
            promises_in_flight: 0,
            dirty: None,
        });
        process.make_dirty(address, Kind::Promise, promise.ack_until);
        self.reply(rules.config, client, address, promise);
        Some(())
    }

    /// A client renews with a process: the same.
    pub(super) fn renew(&mut self, rules: Rules<'_>, s: usize, address: usize, client: u8) -> Option<()> {
        let now = self.now;
        let process = self.sessions[s].process.as_mut()?;
        let acked_until = process.records[address]?.acked_until;
        let promise = process.promise(rules.config, now, acked_until)?;
        if now >= process.deadline {
            rules.sights.note(Sight::PromisedPastDeadline);
        }
        let record = process.records[address].as_mut()?;
        record.valid_until = record.valid_until.max(promise.valid_until);
        process.make_dirty(address, Kind::Promise, promise.ack_until);
        self.reply(rules.config, client, address, promise);
        Some(())
    }

    /// A client gives its lease back; a Reply still on its way means nothing to it any more.
    pub(super) fn give_back(&mut self, s: usize, address: usize, client: u8) -> Option<()> {
        let process = self.sessions[s].process.as_mut()?;
        process.records[address].as_mut()?.state = Standing::Released;
        process.make_dirty(address, Kind::Release, 0);
        self.held_until[usize::from(client)][address] = 0;
        Some(())
    }

    /// A process makes its next batch.
    pub(super) fn send(
        &mut self,
        rules: Rules<'_>,
        s: usize,
        wants: Option<u8>,
        only_acks: bool,
    ) -> Option<()> {
        let now = self.now;
        let session = &mut self.sessions[s];
        let batch = session.process.as_mut()?.make_batch(rules.config, now, wants, only_acks);
        session.sent.push(batch);
        Some(())
    }

    /// Whether a process has anything to say: what is dirty or claimed, an acknowledgement for which the store waits,
    /// or, in the last tick before its deadline and after it, a request to be extended.
    pub(super) fn has_to_say(config: &Config, process: &Process, now: Tick) -> bool {
        let is_time = now + 1 + config.drift >= process.deadline;
        let may_be_extended = !process.superseded && !process.over && is_time;
        let claims = process.claims.iter().any(Option::is_some);
        process.has_dirty() || claims || process.owes || (may_be_extended && !process.spoke)
    }

    /// A process reads all events of the next entry of its stream.
    pub(super) fn read(&mut self, rules: Rules<'_>, s: usize) -> Option<()> {
        let bit = 1_u8 << s;
        let index = self.log.iter().filter(|e| e.unread_by & bit != 0).map(|e| e.index).min()?;
        let mut events: SmallVec<[Event; 4]> = SmallVec::new();
        for entry in self.log.iter_mut().filter(|e| e.index == index && e.unread_by & bit != 0) {
            entry.unread_by &= !bit;
            events.push(entry.event);
        }
        for event in events {
            match event {
                Event::Outcome { stamp, extended, refused } => {
                    self.take_outcome(rules, s, index, stamp, extended, refused)?;
                }
                // The outcome of a closing batch ends the process.
                event => {
                    if let Some(process) = self.sessions[s].process.as_mut() {
                        process.take_event(s, &event);
                    }
                }
            }
        }
        self.log.retain(|e| e.unread_by != 0);
        if let Some(process) = self.sessions[s].process.as_mut() {
            process.read = index;
        }
        Some(())
    }

    fn take_outcome(
        &mut self,
        rules: Rules<'_>,
        s: usize,
        index: u8,
        stamp: Tick,
        extended: bool,
        refused: [Option<Refusal>; ADDRESSES],
    ) -> Option<()> {
        let now = self.now;
        let session = &mut self.sessions[s];
        let batch = session.sent.remove(0);
        let process = session.process.as_mut()?;
        // Cluster time was at most the stamp when the batch was sent.
        let skew = stamp.checked_signed_diff(batch.sent_at)?;
        process.skew = Some(process.skew.map_or(skew, |known| known.min(skew)));
        if extended {
            let from = if rules.config.has(Sabotage::DeadlineFromAnswer) { now } else { batch.sent_at };
            let deadline = from + rules.config.autonomy + rules.config.drift;
            process.deadline = process.deadline.max(deadline);
        }
        process.over |= !extended && !process.superseded && !process.closing;
        for (address, update) in batch.updates.iter().enumerate() {
            if let Some(update) = update {
                process.settle(address, update, refused[address], index);
            }
        }
        if batch.closing {
            rules.sights.note(Sight::Closed);
            self.stop_process(s);
        }
        Some(())
    }

    /// The process is gone with all that it knew. What it had sent may still arrive.
    pub(super) fn stop_process(&mut self, s: usize) {
        let session = &mut self.sessions[s];
        session.process = None;
        session.sent.retain(|b| !b.taken);
        for entry in &mut self.log {
            entry.unread_by &= !(1 << s);
        }
        self.log.retain(|e| e.unread_by != 0);
    }

    /// A Reply leaves. Whenever within its flight it arrives, its client counts from then: so at each moment from now
    /// until the latest arrival and the lifetime the client may take the address for its own. That it is lost needs
    /// no step: to be held by nobody hurts nobody.
    fn reply(&mut self, config: &Config, client: u8, address: usize, promise: Promise) {
        self.promises += 1;
        let late = if config.has(Sabotage::LateSend) { LATE_SEND } else { 0 };
        let until = &mut self.held_until[usize::from(client)][address];
        // It may go by an earlier, longer promise.
        *until = (*until).max(self.now + late + config.flight + promise.valid);
        self.ever_held[usize::from(client)][address] = config.adoption;
    }
}
