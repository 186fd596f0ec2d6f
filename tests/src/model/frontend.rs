//! What happens at the frontends: clients ask, renew and give back; batches are made; the stream is read.
//!
//! A promise is recorded and dirty before the Reply exists; a batch carries all that is dirty and acknowledges all that
//! was read, so that nothing is acknowledged before what was promised earlier is told. What each process knows and may
//! do is in `process` and `record`; the store is seen only through batches and events.

use super::config::{Config, Sabotage};
use super::process::Promise;
use super::sight::Sight;
use super::state::{ADDRESSES, Event, Kind, Process, Record, Refusal, Standing, Tick, World};
use super::store::Rules;
use smallvec::SmallVec;

/// How much later than it may a Reply is sent when nobody looks.
const LATE_SEND: Tick = 2;

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
