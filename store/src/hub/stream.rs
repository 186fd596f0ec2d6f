//! What a welcomed session is sent of the log: entries, catch-up, the load.

use super::connection::Load;
use super::{ConnectionId, Hub, HubOutput};
use crate::machine::{Audience, Event, Machine};
use leasehold_proto::lease::Lease;
use leasehold_proto::registration::Registration;
use leasehold_proto::session::{FromStore, LoadChunk, StreamEntry};
use leasehold_proto::words::{Epoch, FrontendId, LinkId, LogIndex, PoolId, Prefix};
use std::ops::Bound;
use std::sync::Arc;

/// Ranges in one piece of a load: they are small, and all are sent at once.
const RANGES_PIECE: usize = 4096;
/// Leases of other relationships looked past for one piece, in pieces.
const LOOK_PAST: usize = 16;

impl Hub {
    /// Sends what an entry means for a session, unless that catches up and will come to it.
    pub(super) fn send_entry(
        &mut self,
        id: ConnectionId,
        index: LogIndex,
        events: &[Event],
        machine: &Machine,
    ) {
        let Some(connection) = self.connections.get(&id) else { return };
        let Some(stream) = &connection.stream else { return };
        if stream.catching_up.is_some() {
            return;
        }
        if let Some(entry) = entry_for(index, events, stream.epoch, &connection.frontend, machine) {
            self.out.push(HubOutput::Send(id, FromStore::Entry(entry)));
        }
    }

    /// The next piece of a catch-up, or else of a load.
    pub(super) fn next_piece(&mut self, id: ConnectionId, machine: &Machine) {
        let Some(stream) = self.connections.get(&id).and_then(|c| c.stream.as_ref()) else { return };
        match (stream.catching_up, stream.load) {
            (Some(sent), _) => self.catch_up(id, sent, machine),
            (None, Some(load)) => self.load_piece(id, load, machine),
            (None, None) => {}
        }
    }

    fn catch_up(&mut self, id: ConnectionId, sent: LogIndex, machine: &Machine) {
        if !self.history.reaches_back_to(sent) {
            // It was too slow for the history: it comes back and loads.
            self.close(id);
            return;
        }
        let Some(connection) = self.connections.get(&id) else { return };
        let Some(stream) = &connection.stream else { return };
        let (mut looked_at, mut last) = (0, None);
        for entry in self.history.above(sent).take(self.settings.replay_piece_len) {
            looked_at += 1;
            last = Some(entry.index);
            let (epoch, frontend) = (stream.epoch, &connection.frontend);
            if let Some(entry) = entry_for(entry.index, &entry.events, epoch, frontend, machine) {
                self.out.push(HubOutput::Send(id, FromStore::Entry(entry)));
            }
        }
        let more = looked_at == self.settings.replay_piece_len;
        if let Some(stream) = self.connections.get_mut(&id).and_then(|c| c.stream.as_mut()) {
            stream.catching_up = if more { last } else { None };
        }
    }

    /// All ranges that a session must know of, at once: as of the entry applied last, like the Welcome before them.
    pub(super) fn send_ranges(&mut self, id: ConnectionId, frontend: &FrontendId, machine: &Machine) {
        let ranges = machine.range_records_for(frontend);
        for piece in ranges.chunks(RANGES_PIECE) {
            let chunk = LoadChunk {
                leases: Vec::new(),
                ranges: piece.to_vec(),
                registrations: Vec::new(),
                done: None,
            };
            self.out.push(HubOutput::Send(id, FromStore::Load(chunk)));
        }
    }

    fn load_piece(&mut self, id: ConnectionId, load: Load, machine: &Machine) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(stream) = connection.stream.as_mut() else { return };
        let (frontend, len) = (&connection.frontend, self.settings.load_piece_len);
        let mut chunk =
            LoadChunk { leases: Vec::new(), ranges: Vec::new(), registrations: Vec::new(), done: None };
        stream.load = match load {
            Load::Leases { after } => {
                let (leases, last) = leases_piece(after, frontend, len, machine);
                chunk.leases = leases;
                let has_registrations = machine.registrations_above(None).next().is_some();
                match last {
                    Some(last) => Some(Load::Leases { after: Some(last.prefix) }),
                    None => has_registrations.then_some(Load::Registrations { after: None }),
                }
            }
            Load::Registrations { after } => {
                let (registrations, last) = registrations_piece(after, frontend, len, machine);
                chunk.registrations = registrations;
                last.map(|last| Load::Registrations { after: Some(last) })
            }
        };
        chunk.done = stream.load.is_none().then_some(machine.applied());
        if chunk.done.is_some() || !chunk.leases.is_empty() || !chunk.registrations.is_empty() {
            self.out.push(HubOutput::Send(id, FromStore::Load(chunk)));
        }
    }
}

/// The events of an entry that are for a session; nothing if none is.
fn entry_for(
    index: LogIndex,
    events: &[Event],
    epoch: Epoch,
    frontend: &FrontendId,
    machine: &Machine,
) -> Option<StreamEntry> {
    // Events come in runs for the same audience.
    let mut last: Option<(Audience, bool)> = None;
    let mut is_for = |audience: Audience| match last {
        Some((same, answer)) if same == audience => answer,
        _ => {
            let answer = machine.concerns(audience, epoch, frontend);
            last = Some((audience, answer));
            answer
        }
    };
    let events: Vec<_> = events.iter().filter(|e| is_for(e.audience)).map(|e| e.event.clone()).collect();
    (!events.is_empty()).then_some(StreamEntry { index, events })
}

/// The next leases of a load, and the last lease looked at if there may be more.
fn leases_piece<'m>(
    after: Option<Prefix>,
    frontend: &FrontendId,
    len: usize,
    machine: &'m Machine,
) -> (Vec<Arc<Lease>>, Option<&'m Arc<Lease>>) {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut leases = Vec::new();
    let mut pool: Option<(PoolId, bool)> = None;
    let mut last = None;
    for (looked_at, lease) in machine.leases_from(from).enumerate() {
        if leases.len() >= len || looked_at >= len.saturating_mul(LOOK_PAST) {
            return (leases, last);
        }
        last = Some(lease);
        let concerned = match pool {
            Some((same, answer)) if same == lease.pool => answer,
            _ => machine.pool_concerns(lease.pool, frontend),
        };
        pool = Some((lease.pool, concerned));
        if concerned {
            leases.push(Arc::clone(lease));
        }
    }
    (leases, None)
}

/// The next registrations of a load, and the last one looked at if there may be more.
fn registrations_piece(
    after: Option<u128>,
    frontend: &FrontendId,
    len: usize,
    machine: &Machine,
) -> (Vec<Arc<Registration>>, Option<u128>) {
    let mut registrations = Vec::new();
    let mut link: Option<(LinkId, bool)> = None;
    let mut last = None;
    for (looked_at, registration) in machine.registrations_above(after).enumerate() {
        if registrations.len() >= len || looked_at >= len.saturating_mul(LOOK_PAST) {
            return (registrations, last);
        }
        last = Some(registration.address);
        let concerned = match link {
            Some((same, answer)) if same == registration.link => answer,
            _ => machine.link_concerns(registration.link, frontend),
        };
        link = Some((registration.link, concerned));
        if concerned {
            registrations.push(Arc::clone(registration));
        }
    }
    (registrations, None)
}
