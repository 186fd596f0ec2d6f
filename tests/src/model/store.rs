//! The store's side of the rules: what one committed entry does to sessions, ranges and records.
//!
//! Follows the real machine's order: updates, acknowledgement, extension, closing, grants, the outcome; then what time
//! makes due, then what watermarks free. All events of one entry have its index and are read at once. It knows nothing
//! of processes, except who could read an event.

use super::config::{Config, Sabotage};
use super::sight::{Sight, Sights};
use super::state::{
    ADDRESSES, Batch, Event, Kind, Lease, Process, Range, Record, Refusal, Session, Standing, Tick, World,
};
use smallvec::SmallVec;

/// What an entry is applied under.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) config: &'a Config,
    pub(super) sights: &'a Sights,
}

impl Rules<'_> {
    pub(super) fn has(&self, sabotage: Sabotage) -> bool {
        self.config.has(sabotage)
    }

    fn guard_at_expiry(&self) -> Tick {
        if self.has(Sabotage::ExpiryWithoutGuard) { 0 } else { self.config.flight }
    }

    fn guard_at_death(&self) -> Tick {
        if self.has(Sabotage::DeathWithoutGuard) { 0 } else { self.config.flight + self.config.drift }
    }

    /// The shortest moment at which a session's autonomy ends.
    fn deadline_of(&self, session: &Session) -> Tick {
        let deadline = session.extended_at + self.config.autonomy;
        session.autonomy_ended_at.map_or(deadline, |at| deadline.min(at))
    }

    /// R4: from when on nothing that a session may have promised of a lease is in force.
    fn dead_moment(&self, session: &Session, acked_until: Tick) -> Tick {
        if session.closed {
            return 0;
        }
        let deadline = self.deadline_of(session);
        let promised = if self.has(Sabotage::DeathIgnoresAck) { deadline } else { deadline.max(acked_until) };
        promised + self.config.mclt + self.guard_at_death()
    }

    pub(super) fn is_dead(&self, time: Tick, session: &Session, acked_until: Tick) -> bool {
        (session.closed || session.is_gone()) && time >= self.dead_moment(session, acked_until)
    }

    /// R4 and R6: only the current session, and not past its deadline.
    fn may_extend(&self, time: Tick, session: &Session) -> bool {
        let in_time = !session.ended && time < self.deadline_of(session);
        !session.closed
            && (in_time || self.has(Sabotage::ExtendedPastDeadline))
            && (!session.superseded || self.has(Sabotage::SupersededServed))
    }
}

impl World {
    /// R6: a new session supersedes the frontend's older one, whose ranges stay closed.
    pub(super) fn open_session(&mut self, rules: Rules<'_>, frontend: u8, proved: bool) {
        self.index += 1;
        let time = self.time;
        let older = (0..self.sessions.len()).rev().find(|s| self.sessions[*s].frontend == frontend);
        self.open(frontend);
        if let Some(old) = older {
            let session = &mut self.sessions[old];
            session.superseded = true;
            if proved {
                session.autonomy_ended_at = Some(time);
                rules.sights.note(Sight::Proved);
            }
            let reader = u8::from(session.process.is_some()) << old;
            self.tell(reader, Event::Superseded);
            if rules.has(Sabotage::ReopenedAtOnce) {
                self.free_ranges_of(old, false);
            } else {
                self.close_ranges_of(old);
            }
        }
        self.settle(rules);
    }

    /// A session's batch, applied whether or not it was before: that is decided by who calls.
    pub(super) fn take_batch(&mut self, rules: Rules<'_>, s: usize, batch: &Batch, is_copy: bool) {
        self.index += 1;
        let mut refused = [None; ADDRESSES];
        for (address, update) in batch.updates.iter().enumerate() {
            let Some(update) = update else { continue };
            refused[address] = self.take_update(rules, s, address, update).err();
            match refused[address] {
                Some(Refusal::Fenced) => rules.sights.note(Sight::Fenced),
                Some(Refusal::ChangedSince) => rules.sights.note(Sight::StaleReleaseRefused),
                Some(_) if update.kind == Kind::Promise && !self.is_fenced(rules, s, address, update) => {
                    self.promise_refused = true;
                }
                _ => {}
            }
        }
        let time = self.time;
        let session = &mut self.sessions[s];
        session.took_part = true;
        session.acked = session.acked.max(batch.acked);
        let extended = rules.may_extend(time, session);
        if extended {
            session.extended_at = time;
            session.ended = false;
        }
        if batch.closing {
            session.closed = true;
            self.free_ranges_of(s, true);
        }
        if let Some(address) = batch.wants {
            self.grant(rules, s, usize::from(address));
        }
        if self.sessions[s].process.is_some() && !is_copy {
            self.tell(1 << s, Event::Outcome { stamp: time, extended, refused });
        }
        self.settle(rules);
    }

    /// Cluster time advances.
    pub(super) fn pass_time(&mut self, rules: Rules<'_>) {
        self.index += 1;
        self.time += 1;
        self.settle(rules);
    }

    /// A new session's row; its process loads what the store has as of now.
    pub(super) fn open(&mut self, frontend: u8) {
        let records = self.leases.map(|l| l.as_ref().map(Record::of));
        let process = Process { read: self.index, records, ..Default::default() };
        self.sessions.push(Session {
            frontend,
            took_part: false,
            extended_at: self.time,
            acked: 0,
            superseded: false,
            closed: false,
            ended: false,
            autonomy_ended_at: None,
            process: Some(process),
            sent: SmallVec::new(),
        });
    }

    fn grant(&mut self, rules: Rules<'_>, s: usize, address: usize) {
        let range = &mut self.ranges[address];
        if range.owner.is_some() || !rules.may_extend(self.time, &self.sessions[s]) {
            return;
        }
        range.owner = Some(number(s));
        if range.unclean {
            rules.sights.note(Sight::GrantedAfterDeath);
        }
        self.tell_range(s, address);
    }

    /// What time and watermarks say, at the end of each entry.
    fn settle(&mut self, rules: Rules<'_>) {
        let time = self.time;
        for s in 0..self.sessions.len() {
            let session = &mut self.sessions[s];
            if !session.is_gone() && !session.closed && time >= rules.deadline_of(session) {
                session.ended = true;
                self.close_ranges_of(s);
            }
            if rules.is_dead(time, &self.sessions[s], 0) {
                self.free_ranges_of(s, false);
            }
        }
        for address in 0..ADDRESSES {
            let Some(mut lease) = self.leases[address] else { continue };
            if lease.state == Standing::Active && time >= lease.valid_until + rules.guard_at_expiry() {
                lease.state = Standing::Expired;
                self.stamp(&mut lease, None);
                self.leases[address] = Some(lease);
                self.tell_lease(address, self.readers());
            }
            if lease.state.awaits_freeing() && self.may_free(rules, &lease) {
                self.free(rules, address, lease);
            }
        }
    }

    /// R2: all who could have extended it have read of its end, or are dead for certain.
    fn may_free(&self, rules: Rules<'_>, lease: &Lease) -> bool {
        let has_acked = |s: &Session| s.acked >= lease.version;
        let mut extenders = self.sessions.iter().filter(|s| s.took_part && !s.closed);
        rules.has(Sabotage::FreedUnacknowledged)
            || extenders.all(|s| has_acked(s) || rules.is_dead(self.time, s, lease.acked_until))
    }

    fn free(&mut self, rules: Rules<'_>, address: usize, lease: Lease) {
        let by_death = self.sessions.iter().any(|s| s.took_part && !s.closed && s.acked < lease.version);
        rules.sights.note(if by_death { Sight::FreedByDeath } else { Sight::FreedByWatermark });
        let mut freed = Lease { state: Standing::Free, valid_until: 0, ..lease };
        if !rules.has(Sabotage::AckCarriedOver) {
            freed.acked_until = 0;
        }
        self.stamp(&mut freed, None);
        self.leases[address] = Some(freed);
        self.tell_lease(address, self.readers());
        let now = self.now;
        self.freed_under_holder |= self.held_until.iter().any(|held| held[address] > now);
    }

    pub(super) fn stamp(&self, lease: &mut Lease, by: Option<u8>) {
        if lease.by != by {
            lease.others_version = lease.version;
        }
        lease.by = by;
        lease.version = self.index;
    }

    fn close_ranges_of(&mut self, s: usize) {
        for address in self.owned_by(s) {
            self.ranges[address].closed = true;
            self.tell_range(s, address);
        }
    }

    fn free_ranges_of(&mut self, s: usize, clean: bool) {
        for address in self.owned_by(s) {
            let unclean = self.ranges[address].unclean || !clean;
            self.ranges[address] = Range { owner: None, closed: false, unclean };
            self.tell_range(s, address);
        }
    }

    fn owned_by(&self, s: usize) -> SmallVec<[usize; ADDRESSES]> {
        (0..ADDRESSES).filter(|a| self.ranges[*a].owner == Some(number(s))).collect()
    }

    pub(super) fn tell_lease(&mut self, address: usize, readers: u8) {
        if let Some(lease) = self.leases[address] {
            self.tell(readers, Event::Lease { address: number(address), lease });
        }
    }

    /// Others hear of it too, but do nothing about it.
    fn tell_range(&mut self, s: usize, address: usize) {
        let Range { owner, closed, .. } = self.ranges[address];
        let owns = owner == Some(number(s)) && !closed;
        self.tell(self.readers() & 1 << s, Event::Range { address: number(address), owns });
    }
}

/// Sessions and addresses are few.
pub(super) fn number(at: usize) -> u8 {
    u8::try_from(at).unwrap_or(u8::MAX)
}
