//! Messages kept for two seconds: left to the partner in case it dies, or waiting for a look-up in the store or for
//! an adoption by it.
//!
//! Owns the bounded ring of copies, oldest out first, and the index by which a message is known again. Refuses to
//! judge whether a message is ours or what is answered: it hands copies back. Bounds: as many messages as the limits
//! say, of at most [`MESSAGE_LEN_MAX`] octets each; slots keep their buffers, so in steady state nothing is allocated.

use crate::engine::Packet;
use hashbrown::HashMap;
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::{FrontendId, LinkId};
use std::net::Ipv6Addr;
use std::time::Duration;

/// How long a message is kept. Why two seconds: liveness flips about one second after a partner's last sign, and the
/// first retransmission of a Solicit or Request comes after one (RFC 9915 §7.6).
pub(super) const KEPT: Duration = Duration::from_secs(2);
/// Longest message kept, in octets. Why 2048: any honest message is far shorter, and the ring stays within megabytes.
pub(super) const MESSAGE_LEN_MAX: usize = 2048;

/// What a message waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Waiting {
    /// This partner answers it, unless it turns out not to serve.
    Partner {
        /// Who.
        partner: FrontendId,
        /// Where the client is.
        link: LinkId,
        /// For a Release or Decline: how the leases stood that it ends. While they stand so, nothing came of it.
        ending: Option<u64>,
    },
    /// The store's answer about the client with this key.
    LookUp(u64),
    /// The store's decision on an adoption (R7) that the client with this key asked for.
    Adoption(u64),
}

/// How many released messages one turn answers. Why 256: a batch of replies has room for a thousand.
pub(super) const RELEASED_PER_TURN_MAX: usize = 256;

/// Which kept messages are to be answered now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Releasing {
    /// Those left to a partner whose service was judged anew, or this frontend's own was.
    LeftTo {
        /// To whom; none: to any.
        partner: Option<FrontendId>,
        /// On which link; none: on any.
        link: Option<LinkId>,
    },
    /// All that wait for a look-up: everything is loaded.
    LookUps,
}

impl Releasing {
    /// Whether a message waited for this.
    pub(super) fn fits(&self, waiting: &Waiting) -> bool {
        match (self, waiting) {
            (Self::LeftTo { partner: whom, link: on }, Waiting::Partner { partner, link, .. }) => {
                whom.as_ref().is_none_or(|whom| whom == partner) && on.is_none_or(|on| on == *link)
            }
            (Self::LookUps, Waiting::LookUp(_)) => true,
            _ => false,
        }
    }
}

/// A copy of a message, taken out of the ring to be answered.
#[derive(Debug)]
pub(super) struct Taken {
    serial: u64,
    key: u64,
    since: LocalTime,
    bytes: Vec<u8>,
    origin: Origin,
    /// What it waited for.
    pub(super) waiting: Waiting,
}

impl Taken {
    /// The message as it arrived.
    pub(super) fn packet(&self) -> Packet<'_> {
        Packet {
            bytes: &self.bytes,
            source: self.origin.source,
            source_port: self.origin.source_port,
            destination: self.origin.destination,
            interface_index: self.origin.interface_index,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Origin {
    source: Ipv6Addr,
    source_port: u16,
    destination: Ipv6Addr,
    interface_index: u32,
}

#[derive(Debug)]
struct Slot {
    /// Nothing: answered, or known to be of no use any more.
    waiting: Option<Waiting>,
    key: u64,
    since: LocalTime,
    bytes: Vec<u8>,
    origin: Origin,
}

/// What became of a message that was to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parking {
    /// It is kept.
    Kept,
    /// It is kept, and the oldest one gave way.
    KeptForOldest,
    /// It is too long, or nothing may be kept at all.
    Refused,
}

/// The ring. Serial numbers `head..tail` are in it, at `serial % capacity`.
#[derive(Debug)]
pub(super) struct Parked {
    slots: Vec<Slot>,
    capacity: usize,
    head: u64,
    tail: u64,
    waiting_count: usize,
    /// Key of a message to its serial number; only for those that still wait.
    by_key: HashMap<u64, u64>,
}

impl Parked {
    /// An empty ring for at most `capacity` messages.
    pub(super) fn new(capacity: usize) -> Self {
        Self { slots: Vec::new(), capacity, head: 0, tail: 0, waiting_count: 0, by_key: HashMap::new() }
    }

    /// How many messages wait.
    pub(super) fn len(&self) -> usize {
        self.waiting_count
    }

    /// Since when the message with this key waits, and for what.
    pub(super) fn find(&self, key: u64) -> Option<(LocalTime, &Waiting)> {
        let slot = &self.slots[self.index(*self.by_key.get(&key)?)];
        slot.waiting.as_ref().map(|waiting| (slot.since, waiting))
    }

    /// Keeps a copy.
    pub(super) fn park(
        &mut self,
        now: LocalTime,
        key: u64,
        waiting: Waiting,
        packet: &Packet<'_>,
    ) -> Parking {
        if self.capacity == 0 || packet.bytes.len() > MESSAGE_LEN_MAX {
            return Parking::Refused;
        }
        self.forget(key);
        let mut outcome = Parking::Kept;
        if self.tail - self.head == self.capacity as u64 {
            let oldest = self.index(self.head);
            if self.clear(oldest).is_some() {
                outcome = Parking::KeptForOldest;
            }
            self.head += 1;
        }
        let origin = Origin {
            source: packet.source,
            source_port: packet.source_port,
            destination: packet.destination,
            interface_index: packet.interface_index,
        };
        let index = self.index(self.tail);
        if index == self.slots.len() {
            self.slots.push(Slot { waiting: None, key, since: now, bytes: Vec::new(), origin });
        }
        let slot = &mut self.slots[index];
        slot.bytes.clear();
        slot.bytes.extend_from_slice(packet.bytes);
        (slot.waiting, slot.key, slot.since, slot.origin) = (Some(waiting), key, now, origin);
        self.by_key.insert(key, self.tail);
        self.tail += 1;
        self.waiting_count += 1;
        outcome
    }

    /// Drops the message with this key, if it waits: it has been answered otherwise.
    pub(super) fn forget(&mut self, key: u64) {
        if let Some(serial) = self.by_key.get(&key) {
            let index = self.index(*serial);
            self.clear(index);
        }
    }

    /// Takes the oldest message that has waited for [`KEPT`].
    pub(super) fn take_due(&mut self, now: LocalTime) -> Option<Taken> {
        while self.head < self.tail {
            let index = self.index(self.head);
            let slot = &self.slots[index];
            if slot.waiting.is_some() && slot.since + KEPT > now {
                return None;
            }
            let serial = self.head;
            self.head += 1;
            if let Some(taken) = self.take(serial) {
                return Some(taken);
            }
        }
        None
    }

    /// When the next message will have waited for [`KEPT`]; at the latest, since answered ones may stand before it.
    pub(super) fn next_due(&self) -> Option<LocalTime> {
        if self.waiting_count == 0 {
            return None;
        }
        Some(self.slots[self.index(self.head)].since + KEPT)
    }

    /// The serial numbers in the ring now, oldest first: the bound of a walk with [`Parked::take_if`].
    pub(super) fn serials(&self) -> std::ops::Range<u64> {
        self.head..self.tail
    }

    /// Takes the message with this serial number if it still waits, for something that fits.
    pub(super) fn take_if(&mut self, serial: u64, fits: impl FnOnce(&Waiting) -> bool) -> Option<Taken> {
        if !self.serials().contains(&serial) {
            return None;
        }
        let index = self.index(serial);
        if self.slots[index].waiting.as_ref().is_some_and(fits) { self.take(serial) } else { None }
    }

    /// Gives the buffer of a taken message back to its slot, to be used again.
    pub(super) fn give_back(&mut self, taken: Taken) {
        let index = self.index(taken.serial);
        if let Some(slot) = self.slots.get_mut(index)
            && slot.bytes.capacity() == 0
        {
            slot.bytes = taken.bytes;
        }
    }

    /// A taken message waits on where it was, unless it gave way or is kept for something else meanwhile.
    pub(super) fn put_back(&mut self, taken: Taken) {
        let index = self.index(taken.serial);
        let is_free = self.slots.get(index).is_some_and(|slot| slot.waiting.is_none());
        if !is_free || !self.serials().contains(&taken.serial) || self.by_key.contains_key(&taken.key) {
            self.give_back(taken);
            return;
        }
        let slot = &mut self.slots[index];
        (slot.waiting, slot.key, slot.since) = (Some(taken.waiting), taken.key, taken.since);
        (slot.bytes, slot.origin) = (taken.bytes, taken.origin);
        self.by_key.insert(taken.key, taken.serial);
        self.waiting_count += 1;
    }

    fn take(&mut self, serial: u64) -> Option<Taken> {
        let index = self.index(serial);
        let waiting = self.clear(index)?;
        let slot = &mut self.slots[index];
        let bytes = std::mem::take(&mut slot.bytes);
        Some(Taken { serial, key: slot.key, since: slot.since, bytes, origin: slot.origin, waiting })
    }

    fn clear(&mut self, index: usize) -> Option<Waiting> {
        let waiting = self.slots[index].waiting.take()?;
        self.by_key.remove(&self.slots[index].key);
        self.waiting_count -= 1;
        Some(waiting)
    }

    fn index(&self, serial: u64) -> usize {
        usize::try_from(serial % self.capacity as u64).expect("a remainder of a usize is a usize")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(bytes: &[u8]) -> Packet<'_> {
        Packet {
            bytes,
            source: Ipv6Addr::LOCALHOST,
            source_port: 546,
            destination: Ipv6Addr::UNSPECIFIED,
            interface_index: 1,
        }
    }

    fn at(ms: u64) -> LocalTime {
        LocalTime::from_millis(ms)
    }

    #[test]
    fn the_oldest_gives_way() {
        let mut parked = Parked::new(2);
        assert_eq!(parked.park(at(0), 1, Waiting::LookUp(1), &packet(b"a")), Parking::Kept);
        assert_eq!(parked.park(at(1), 2, Waiting::LookUp(2), &packet(b"b")), Parking::Kept);
        assert_eq!(parked.park(at(2), 3, Waiting::LookUp(3), &packet(b"c")), Parking::KeptForOldest);
        assert!(parked.find(1).is_none());
        assert_eq!(parked.len(), 2);
        assert_eq!(parked.take_due(at(2001)).expect("kept for two seconds").packet().bytes, b"b");
        assert!(parked.take_due(at(2001)).is_none());
        assert_eq!(parked.next_due(), Some(at(2002)));
    }

    #[test]
    fn what_was_answered_otherwise_is_not_handed_back() {
        let mut parked = Parked::new(4);
        parked.park(at(0), 1, Waiting::LookUp(1), &packet(b"a"));
        parked.park(at(0), 2, Waiting::LookUp(2), &packet(b"b"));
        parked.forget(1);
        assert_eq!(parked.take_due(at(5000)).expect("one is left").packet().bytes, b"b");
        assert!(parked.take_due(at(5000)).is_none());
        assert_eq!(parked.next_due(), None);
    }

    #[test]
    fn a_slot_keeps_its_buffer() {
        let mut parked = Parked::new(1);
        parked.park(at(0), 1, Waiting::LookUp(1), &packet(&[7; 100]));
        let taken = parked.take_if(0, |_| true).expect("it waits");
        parked.give_back(taken);
        assert!(parked.slots[0].bytes.capacity() >= 100);
        assert_eq!(parked.park(at(0), 2, Waiting::LookUp(2), &packet(&[0; 4000])), Parking::Refused);
        assert_eq!(Parked::new(0).park(at(0), 1, Waiting::LookUp(1), &packet(b"a")), Parking::Refused);
    }

    #[test]
    fn what_is_put_back_grows_old_as_before_and_never_pushes_out_what_came_since() {
        let mut parked = Parked::new(2);
        parked.park(at(0), 1, Waiting::LookUp(1), &packet(b"a"));
        parked.park(at(5), 2, Waiting::LookUp(2), &packet(b"b"));
        let first = parked.take_if(0, |_| true).expect("it waits");
        parked.put_back(first);
        assert_eq!((parked.len(), parked.find(1).map(|(since, _)| since)), (2, Some(at(0))));
        let first = parked.take_if(0, |_| true).expect("it waits again");
        parked.park(at(9), 3, Waiting::LookUp(3), &packet(b"c"));
        parked.put_back(first);
        assert!(parked.find(1).is_none() && parked.find(3).is_some(), "its place was given away");
        let second = parked.take_if(1, |_| true).expect("it waits");
        parked.park(at(10), 2, Waiting::LookUp(7), &packet(b"b"));
        parked.put_back(second);
        assert_eq!(parked.find(2), Some((at(10), &Waiting::LookUp(7))), "it is kept for something else");
        assert_eq!(parked.len(), parked.by_key.len());
    }

    proptest::proptest! {
        #[test]
        fn the_ring_never_holds_more_than_its_bound(steps in proptest::collection::vec((0u64..8, 0u8..4), 0..200)) {
            let mut parked = Parked::new(3);
            for (step, (key, action)) in steps.iter().enumerate() {
                let now = at(step as u64 * 100);
                match action {
                    0 | 1 => { parked.park(now, *key, Waiting::LookUp(*key), &packet(&[1])); }
                    2 => parked.forget(*key),
                    _ => while let Some(taken) = parked.take_due(now) { parked.give_back(taken); },
                }
                let waiting = parked.slots.iter().filter(|slot| slot.waiting.is_some()).count();
                proptest::prop_assert!(waiting <= 3);
                proptest::prop_assert_eq!(waiting, parked.len());
                proptest::prop_assert_eq!(waiting, parked.by_key.len());
            }
        }
    }
}
