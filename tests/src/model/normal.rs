//! One representative for states that differ only in names or in what can matter no more.
//!
//! Indexes and versions become ranks, moments that are over become 0, what nobody will look at again is blanked, and
//! of the states that are alike but for the names of clients and addresses the least is taken. Every rule treats all
//! clients alike and all addresses alike, so a state and its renaming have the same futures.

use super::config::{Config, Sabotage};
use super::state::{ADDRESSES, CLIENTS, Event, Lease, Record, Session, Standing, World};
use smallvec::SmallVec;
use std::cmp::Ordering;

impl World {
    /// The representative.
    pub(super) fn normal(mut self, config: &Config) -> Self {
        self.blank(config);
        self.rank();
        if config.addresses > 1 {
            let mut other = self.clone();
            other.swap_addresses();
            return self.with_clients_in_order().min(other.with_clients_in_order());
        }
        self.with_clients_in_order()
    }

    fn with_clients_in_order(mut self) -> Self {
        match self.standing_of(0).cmp(&self.standing_of(1)) {
            Ordering::Less => self,
            Ordering::Greater => {
                self.swap_clients();
                self
            }
            // Not told apart so cheaply.
            Ordering::Equal => {
                let mut other = self.clone();
                other.swap_clients();
                self.min(other)
            }
        }
    }

    /// Something about a client that has nothing to do with its name, quickly found, and seldom the same for both.
    fn standing_of(&self, client: u8) -> ([u8; ADDRESSES], u32) {
        let leases = self.leases.iter().map(|l| l.is_some_and(|l| l.client == client));
        let processes = self.sessions.iter().filter_map(|s| s.process.as_ref());
        let records = processes.flat_map(|p| p.records.iter());
        let known = records.map(|r| r.as_ref().is_some_and(|r| r.client == client));
        let marks = leases.chain(known).fold(0, |marks, is| marks << 1 | u32::from(is));
        (self.held_until[usize::from(client)], marks)
    }

    /// Moments that are over, and fields without a reader.
    fn blank(&mut self, config: &Config) {
        let (now, time) = (self.now, self.time);
        let over = |until: u8| if until + config.flight <= time { 0 } else { until };
        let no_longer_acked = |until: u8| if until <= time { 0 } else { until };
        let blank_lease = |lease: &mut Lease, acked_matters: bool| {
            if lease.state != Standing::Active {
                lease.valid_until = over(lease.valid_until);
            }
            if !acked_matters {
                lease.acked_until = no_longer_acked(lease.acked_until);
            }
        };
        // What is acknowledged lengthens the life of sessions, those to come included, whose autonomy ends earlier.
        let provable = if config.proofs { time } else { time + config.autonomy };
        let end_of =
            |s: &Session| (s.extended_at + config.autonomy).min(s.autonomy_ended_at.unwrap_or(provable));
        let earliest = self.sessions.iter().filter(|s| !s.closed).map(end_of).fold(provable, u8::min);
        for lease in self.leases.iter_mut().flatten() {
            let matters = lease.acked_until > earliest;
            blank_lease(lease, matters);
        }
        for entry in &mut self.log {
            if let Event::Lease { lease, .. } = &mut entry.event {
                blank_lease(lease, false);
            }
        }
        for held in self.held_until.iter_mut().flatten() {
            *held = if *held > now { *held } else { 0 };
        }
        for session in &mut self.sessions {
            if session.closed {
                (session.extended_at, session.acked, session.autonomy_ended_at) = (0, 0, None);
            }
            let has_process = session.process.is_some();
            for batch in &mut session.sent {
                if batch.taken && !config.duplicates {
                    batch.acked = 0;
                    for update in batch.updates.iter_mut().flatten() {
                        (update.valid_until, update.base) = (0, 0);
                    }
                }
                if !has_process {
                    batch.sent_at = 0;
                }
            }
            let Some(process) = session.process.as_mut() else { continue };
            if process.deadline <= now && !config.has(Sabotage::LeadPastDeadline) {
                process.deadline = 0;
            }
            for record in process.records.iter_mut().flatten() {
                record.acked_until = no_longer_acked(record.acked_until);
                record.valid_until = over(record.valid_until);
            }
        }
    }

    /// Versions become ranks; positions become the last version up to them that is awaited.
    fn rank(&mut self) {
        let mut points: SmallVec<[u8; 24]> = SmallVec::new();
        self.each_version(&mut |v| points.push(*v));
        points.push(0);
        points.sort_unstable();
        points.dedup();
        let awaited: SmallVec<[u8; ADDRESSES]> =
            self.leases.iter().flatten().filter(|l| l.state.awaits_freeing()).map(|l| l.version).collect();
        let position = |v: u8| awaited.iter().copied().filter(|a| *a <= v).max().unwrap_or(0);
        for session in &mut self.sessions {
            session.acked = position(session.acked);
            for batch in &mut session.sent {
                batch.acked = position(batch.acked);
            }
            if let Some(process) = session.process.as_mut() {
                process.read = position(process.read);
            }
        }
        let rank = |v: u8| super::store::number(points.partition_point(|p| *p < v));
        if let Some((_, batch)) = self.copy.as_mut() {
            batch.acked = position(batch.acked);
            batch.acked = rank(batch.acked);
        }
        for session in &mut self.sessions {
            session.acked = rank(session.acked);
            for batch in &mut session.sent {
                batch.acked = rank(batch.acked);
            }
            if let Some(process) = session.process.as_mut() {
                process.read = rank(process.read);
            }
        }
        self.each_version(&mut |v| *v = rank(*v));
        self.index = super::store::number(points.len());
    }

    /// Everything that is an index of an entry.
    fn each_version(&mut self, f: &mut dyn FnMut(&mut u8)) {
        let of_lease = |lease: &mut Lease, f: &mut dyn FnMut(&mut u8)| {
            f(&mut lease.version);
            f(&mut lease.others_version);
        };
        for lease in self.leases.iter_mut().flatten() {
            of_lease(lease, f);
        }
        for entry in &mut self.log {
            f(&mut entry.index);
            if let Event::Lease { lease, .. } = &mut entry.event {
                of_lease(lease, f);
            }
        }
        let copied = self.copy.as_mut().map(|(_, batch)| batch);
        let batches = self.sessions.iter_mut().flat_map(|s| s.sent.iter_mut());
        for update in batches.chain(copied).flat_map(|b| b.updates.iter_mut().flatten()) {
            f(&mut update.base);
        }
        let processes = self.sessions.iter_mut().filter_map(|s| s.process.as_mut());
        for record in processes.flat_map(|p| p.records.iter_mut().flatten()) {
            f(&mut record.version);
            if let Some(dirty) = record.dirty.as_mut() {
                f(&mut dirty.base);
            }
        }
    }

    fn swap_clients(&mut self) {
        let other = |client: &mut u8| *client = 1 - *client;
        self.held_until.swap(0, CLIENTS - 1);
        self.ever_held.swap(0, CLIENTS - 1);
        self.leases.iter_mut().flatten().for_each(|l| other(&mut l.client));
        for entry in &mut self.log {
            if let Event::Lease { lease, .. } = &mut entry.event {
                other(&mut lease.client);
            }
        }
        let copied = self.copy.as_mut().map(|(_, batch)| batch);
        let batches = self.sessions.iter_mut().flat_map(|s| s.sent.iter_mut());
        for update in batches.chain(copied).flat_map(|b| b.updates.iter_mut().flatten()) {
            other(&mut update.client);
        }
        for process in self.sessions.iter_mut().filter_map(|s| s.process.as_mut()) {
            process.records.iter_mut().flatten().for_each(|r: &mut Record| other(&mut r.client));
            process.claims.iter_mut().flatten().for_each(other);
        }
    }

    fn swap_addresses(&mut self) {
        let other = |address: &mut u8| *address = 1 - *address;
        self.ranges.swap(0, 1);
        self.leases.swap(0, 1);
        self.held_until.iter_mut().for_each(|held| held.swap(0, 1));
        self.ever_held.iter_mut().for_each(|held| held.swap(0, 1));
        for entry in &mut self.log {
            match &mut entry.event {
                Event::Lease { address, .. } | Event::Range { address, .. } => other(address),
                Event::Outcome { refused, .. } => refused.swap(0, 1),
                Event::Superseded => {}
            }
        }
        let copied = self.copy.as_mut().map(|(_, batch)| batch);
        for batch in self.sessions.iter_mut().flat_map(|s| s.sent.iter_mut()).chain(copied) {
            batch.updates.swap(0, 1);
            batch.wants.iter_mut().for_each(other);
        }
        for process in self.sessions.iter_mut().filter_map(|s| s.process.as_mut()) {
            process.owns.swap(0, 1);
            process.records.swap(0, 1);
            process.claims.swap(0, 1);
        }
    }
}
