//! What waits between being received and being handled when more comes in than can be answered, and who goes first.
//!
//! Owns the order in which waiting datagrams are handled, and the choice of those that are given up: extensions go
//! before Requests, Requests before all else ([`Class`]), and within a class relays take turns, so that one that
//! floods delays itself. Refuses to decode (a glance at the message type is all, the strict reading comes later), to
//! answer, and to know sockets and clocks. In: datagrams with the moment of their arrival. Out: the same, reordered;
//! counts of those given up, by reason.
//!
//! Why at all: after an outage a network comes back at once. A lost Renew costs its client ten seconds, a lost Solicit
//! one (RFC 9915 §7.6), and a Request unanswered wastes the Solicit that was answered before it.
//!
//! Invariants: never more than [`Bounds`] waits; below them nothing is lost; one exchange waits at most once, its
//! latest copy in the place of its first; no class is locked out for ever; a steady state allocates nothing.

mod class_queue;
mod peek;
mod slots;

#[cfg(test)]
mod tests;

use std::hash::Hasher;
use std::net::Ipv6Addr;

use hashbrown::HashTable;
use leasehold_proto::time::LocalTime;
use siphasher::sip::SipHasher13;

use class_queue::{ClassQueue, SOURCE_QUEUES};
use peek::Peeked;
pub(in crate::engine) use peek::peek;
pub use peek::{Class, class_of};
pub use slots::BUFFER_KEPT_LEN;
use slots::{SlotIndex, Slots};

/// Bounds on what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Datagrams. Each place, once used, keeps a buffer of [`BUFFER_KEPT_LEN`] bytes.
    pub messages_max: u32,
    /// Bytes of all datagrams together.
    pub bytes_max: usize,
}

impl Default for Bounds {
    /// Some two seconds of work for one core, in some 45 MB at most.
    fn default() -> Self {
        Self { messages_max: 65_536, bytes_max: 32 << 20 }
    }
}

/// One message in so many is taken from a lower class although a higher one waits. Why: a relay gone mad that repeats
/// Renews without end must not keep new clients out for ever; a sixteenth delays an honest avalanche by no more.
const LOWER_CLASS_EACH: u64 = 16;

/// A datagram as received.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The UDP payload.
    pub bytes: &'a [u8],
    /// Who sent it: a relay, or a client on the interface's link.
    pub sender: Ipv6Addr,
    /// The interface it came in by.
    pub interface_index: u32,
}

/// Datagrams given up or merged since the beginning, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShedCounts {
    /// There was no room: this one, or one of a lower class or a longer queue in its stead.
    pub full: u64,
    /// It had waited longer than [`Class::wait_max`].
    pub stale: u64,
    /// A newer copy of the same message took its place.
    pub superseded: u64,
}

/// Datagrams that wait, each with an envelope of the caller's that comes back with it.
#[derive(Debug)]
pub struct Admission<E> {
    key: [u8; 16],
    bounds: Bounds,
    slots: Slots<E>,
    classes: [ClassQueue; Class::ALL.len()],
    /// Waiting messages by exchange, so that a copy sent again finds the first one.
    exchanges: HashTable<SlotIndex>,
    /// Taken so far, modulo twice [`LOWER_CLASS_EACH`].
    taken: u64,
    shed: ShedCounts,
}

impl<E: Copy> Admission<E> {
    /// Nothing waits. The key makes it hard to aim at another relay's queue from outside.
    #[must_use]
    pub fn new(key: [u8; 16], bounds: Bounds) -> Self {
        Self {
            key,
            bounds,
            slots: Slots::new(),
            classes: std::array::from_fn(|_| ClassQueue::new()),
            exchanges: HashTable::new(),
            taken: 0,
            shed: ShedCounts::default(),
        }
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.len() == 0
    }

    /// Datagrams that wait.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.slots.len()
    }

    /// Bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.slots.bytes()
    }

    /// Datagrams of a class that wait.
    #[must_use]
    pub fn waiting(&self, class: Class) -> u32 {
        self.classes[class.index()].len()
    }

    /// What was given up so far.
    #[must_use]
    pub fn shed(&self) -> ShedCounts {
        self.shed
    }

    /// Lets a datagram wait. A copy of a message that waits already takes its place; where there is no room, the
    /// oldest datagram of the longest queue in the lowest class gives way, this one itself if all others rank higher.
    pub fn offer(&mut self, now: LocalTime, arrival: &Arrival<'_>, envelope: E) {
        let peeked = peek(arrival.bytes);
        let exchange = peeked.message.map(|_| self.exchange_hash(arrival, &peeked));
        if let Some(slot) = exchange.and_then(|hash| self.find(hash)) {
            // Of the same length by its hash, so no bound is touched.
            self.slots.replace(slot, arrival.bytes, envelope, now);
            self.shed.superseded += 1;
            return;
        }
        if !self.make_room(peeked.class, arrival.bytes.len()) {
            self.shed.full += 1;
            return;
        }
        let source = self.source_queue(arrival, &peeked);
        let slot = self.slots.fill(arrival.bytes, envelope, now, exchange);
        self.classes[peeked.class.index()].push(source, slot, &mut self.slots);
        if let Some(hash) = exchange {
            let slots = &self.slots;
            self.exchanges.insert_unique(hash, slot, |other| slots.exchange(*other).unwrap_or(0));
        }
    }

    /// Takes the next datagram to be handled; those that have waited too long are given up on the way.
    pub fn take(&mut self, now: LocalTime) -> Option<(&[u8], &E)> {
        // Bounded: each pass takes one datagram out.
        loop {
            let class = self.next_class()?;
            let slot = self.classes[class.index()].pop_in_turn(&mut self.slots)?;
            let arrived = self.forget(slot);
            if now.saturating_since(arrived) > class.wait_max() {
                self.shed.stale += 1;
                continue;
            }
            self.taken = (self.taken + 1) % (2 * LOWER_CLASS_EACH);
            return Some(self.slots.released(slot));
        }
    }

    /// The class whose turn it is; none if nothing waits.
    fn next_class(&self) -> Option<Class> {
        let waits = |class: &Class| self.waiting(*class) > 0;
        let lower = match (self.taken + 1) % (2 * LOWER_CLASS_EACH) {
            LOWER_CLASS_EACH => Some(Class::Requesting),
            0 => Some(Class::Soliciting),
            _ => None,
        };
        lower.filter(waits).or_else(|| Class::ALL.into_iter().find(waits))
    }

    /// Makes room for a datagram by giving up others that do not rank above it; says whether there is room.
    fn make_room(&mut self, class: Class, len: usize) -> bool {
        // Bounded: each pass gives one datagram up.
        while self.slots.len() >= self.bounds.messages_max || self.slots.bytes() + len > self.bounds.bytes_max
        {
            let Some(lowest) = Class::ALL.into_iter().rev().find(|class| self.waiting(*class) > 0) else {
                return false;
            };
            if lowest < class {
                return false;
            }
            let Some(slot) = self.classes[lowest.index()].pop_of_longest(&mut self.slots) else {
                return false;
            };
            self.forget(slot);
            self.shed.full += 1;
        }
        true
    }

    /// Frees the place of a datagram that is in no queue any more; says when it had arrived.
    fn forget(&mut self, slot: SlotIndex) -> LocalTime {
        if let Some(hash) = self.slots.exchange(slot)
            && let Ok(entry) = self.exchanges.find_entry(hash, |other| *other == slot)
        {
            entry.remove();
        }
        self.slots.release(slot)
    }

    fn find(&self, hash: u64) -> Option<SlotIndex> {
        self.exchanges.find(hash, |slot| self.slots.exchange(*slot) == Some(hash)).copied()
    }

    /// Relays have a queue each, but for collisions; all clients on the link of one interface share one.
    fn source_queue(&self, arrival: &Arrival<'_>, peeked: &Peeked<'_>) -> usize {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        if peeked.innermost_relay.is_some() {
            hasher.write(&arrival.sender.octets());
        } else {
            hasher.write(&arrival.interface_index.to_be_bytes());
        }
        usize::try_from(hasher.finish() % SOURCE_QUEUES as u64).unwrap_or(0)
    }

    /// What copies of one message have in common and messages of different clients have not: sender, the innermost
    /// relay's header (with the client's address), message type, transaction id, length. (The text of the client's
    /// options would tell even clients apart that share address, link and transaction id, at the cost of a walk.)
    fn exchange_hash(&self, arrival: &Arrival<'_>, peeked: &Peeked<'_>) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write(&arrival.sender.octets());
        hasher.write(&arrival.interface_index.to_be_bytes());
        hasher.write(&(arrival.bytes.len() as u64).to_be_bytes());
        hasher.write(&peeked.message.unwrap_or_default());
        hasher.write(peeked.innermost_relay.unwrap_or_default());
        hasher.finish()
    }
}
