//! The state of the small world: what the store has committed, what processes and clients know, what is on its way.
//!
//! Moments are ticks since the beginning. Log indexes and record versions are small numbers of which only the order
//! counts; 0 is before all. A session is named by its place in [`World::sessions`], a frontend by 0 or 1.

use super::config::Config;
use smallvec::SmallVec;

pub(super) const ADDRESSES: usize = 2;
pub(super) const CLIENTS: usize = 2;

pub(super) type Tick = u8;
pub(super) type Index = u8;

/// Who changed a record last.
pub(super) type Changer = Option<u8>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Standing {
    Active,
    Expired,
    Released,
    Free,
}

impl Standing {
    pub(super) fn awaits_freeing(self) -> bool {
        matches!(self, Self::Expired | Self::Released)
    }
}

/// The store's record of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Lease {
    pub(super) client: u8,
    pub(super) state: Standing,
    pub(super) valid_until: Tick,
    pub(super) acked_until: Tick,
    pub(super) by: Changer,
    pub(super) version: Index,
    pub(super) others_version: Index,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Range {
    pub(super) owner: Option<u8>,
    pub(super) closed: bool,
    pub(super) unclean: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Promise,
    Release,
    Adopt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Update {
    pub(super) kind: Kind,
    pub(super) client: u8,
    pub(super) valid_until: Tick,
    pub(super) ack_until: Tick,
    pub(super) base: Index,
}

/// One number of a session's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Batch {
    /// The store has taken it, the answer is not read.
    pub(super) taken: bool,
    pub(super) sent_at: Tick,
    pub(super) updates: [Option<Update>; ADDRESSES],
    pub(super) acked: Index,
    pub(super) wants: Option<u8>,
    pub(super) closing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Refusal {
    Fenced,
    NotGranted,
    OtherClient,
    ChangedSince,
    UnknownLease,
    NotAdopted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Event {
    Lease { address: u8, lease: Lease },
    Range { address: u8, owns: bool },
    Superseded,
    Outcome { stamp: Tick, extended: bool, refused: [Option<Refusal>; ADDRESSES] },
}

/// An event that somebody has yet to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Entry {
    pub(super) index: Index,
    /// One bit for each session.
    pub(super) unread_by: u8,
    pub(super) event: Event,
}

/// What is to be told of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Dirty {
    pub(super) kind: Kind,
    pub(super) then_release: bool,
    pub(super) ack_until: Tick,
    pub(super) base: Index,
}

/// What a process knows of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Record {
    pub(super) client: u8,
    pub(super) state: Standing,
    /// The state that the store is known to have it in; none while the store was never heard of it.
    pub(super) store_state: Option<Standing>,
    pub(super) valid_until: Tick,
    pub(super) acked_until: Tick,
    pub(super) version: Index,
    pub(super) in_flight: u8,
    pub(super) promises_in_flight: u8,
    pub(super) dirty: Option<Dirty>,
}

/// A frontend's process: all of it is lost when it stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Process {
    /// Every event up to here was applied.
    pub(super) read: Index,
    pub(super) owns: [bool; ADDRESSES],
    pub(super) records: [Option<Record>; ADDRESSES],
    /// By how much its bound of cluster time is above the true time; none without a proof.
    pub(super) skew: Option<i8>,
    /// Until when it may issue and extend, by the true clock; 0 = not, or no longer.
    pub(super) deadline: Tick,
    /// Clients that came with addresses of which nothing is known, to be told to the store.
    pub(super) claims: [Option<u8>; ADDRESSES],
    /// It has read something that the store waits to hear acknowledged.
    pub(super) owes: bool,
    /// It has sent something in this tick.
    pub(super) spoke: bool,
    pub(super) superseded: bool,
    /// The store extends the session no more.
    pub(super) over: bool,
    /// The closing batch was made.
    pub(super) closing: bool,
}

/// One incarnation of a frontend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Session {
    // The store's row.
    pub(super) frontend: u8,
    pub(super) took_part: bool,
    pub(super) extended_at: Tick,
    pub(super) acked: Index,
    pub(super) superseded: bool,
    pub(super) closed: bool,
    pub(super) ended: bool,
    /// Its autonomy was ended at that moment by a proof.
    pub(super) autonomy_ended_at: Option<Tick>,
    // The frontend's side.
    pub(super) process: Option<Process>,
    pub(super) sent: SmallVec<[Batch; 2]>,
}

impl Session {
    pub(super) fn is_gone(&self) -> bool {
        self.superseded || self.ended
    }
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct World {
    /// The true time.
    pub(super) now: Tick,
    /// Cluster time.
    pub(super) time: Tick,
    /// The last index of the log.
    pub(super) index: Index,
    pub(super) sessions: SmallVec<[Session; 3]>,
    pub(super) ranges: [Range; ADDRESSES],
    pub(super) leases: [Option<Lease>; ADDRESSES],
    pub(super) log: SmallVec<[Entry; 6]>,
    /// A batch that the network may bring once more, and whose it is.
    pub(super) copy: Option<(u8, Batch)>,
    /// Until when each client may take each address for its own, by any Reply on its way or delivered; 0 = not.
    pub(super) held_until: [[Tick; ADDRESSES]; CLIENTS],
    /// Whether it ever did: what it may still claim by a delayed message.
    pub(super) ever_held: [[bool; ADDRESSES]; CLIENTS],
    pub(super) promises: u8,
    /// An address was called free while a client held it.
    pub(super) freed_under_holder: bool,
    /// A promise of a session that is not dead for certain was refused.
    pub(super) promise_refused: bool,
}

impl World {
    /// Two frontends whose sessions have just been extended; the first owns all ranges, or nobody does yet.
    pub(super) fn start(config: &Config) -> Self {
        let mut world = Self {
            now: 0,
            time: 0,
            index: 0,
            sessions: SmallVec::new(),
            ranges: Default::default(),
            leases: Default::default(),
            log: SmallVec::new(),
            copy: None,
            held_until: Default::default(),
            ever_held: Default::default(),
            promises: 0,
            freed_under_holder: false,
            promise_refused: false,
        };
        for frontend in 0..2 {
            world.open(frontend);
        }
        for session in &mut world.sessions {
            session.took_part = true;
            if let Some(process) = session.process.as_mut() {
                process.skew = Some(0);
                process.deadline = config.autonomy + config.drift;
                process.owns = [config.granted && session.frontend == 0; ADDRESSES];
            }
        }
        if config.granted {
            world.ranges.iter_mut().for_each(|r| r.owner = Some(0));
        }
        world
    }

    pub(super) fn tell(&mut self, unread_by: u8, event: Event) {
        if unread_by != 0 {
            self.log.push(Entry { index: self.index, unread_by, event });
        }
    }

    /// Nobody holds anything and no promise, or copy of one, is on its way to the store: without another promise no
    /// property can be violated any more.
    pub(super) fn is_settled(&self) -> bool {
        let is_held = self.held_until.iter().flatten().any(|held| *held > self.now);
        let has_promise = |s: &Session| {
            let updates = s.sent.iter().filter(|b| !b.taken).flat_map(|b| b.updates.iter().flatten());
            let dirty = s.process.iter().flat_map(|p| p.records.iter().flatten()).filter_map(|r| r.dirty);
            updates.map(|u| u.kind).chain(dirty.map(|d| d.kind)).any(|kind| kind == Kind::Promise)
        };
        !is_held && self.copy.is_none() && !self.sessions.iter().any(has_promise)
    }

    pub(super) fn has_unread(&self, s: usize) -> bool {
        self.log.iter().any(|e| e.unread_by & (1 << s) != 0)
    }

    /// All sessions with a process that can read.
    pub(super) fn readers(&self) -> u8 {
        self.sessions
            .iter()
            .enumerate()
            .filter(|(_, s)| s.process.is_some())
            .fold(0, |mask, (at, _)| mask | 1 << at)
    }
}
