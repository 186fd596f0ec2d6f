//! Connections that have not proved who they are, bounded.
//!
//! Owns: the table of handshakes in progress and the choice of whom to drop when it is full. Refuses to know: sockets
//! and TLS; a handshake is whatever value `T` stands for it.
//!
//! Invariant (FO-304): the table never holds more than its capacity, and a newcomer is always admitted: the oldest
//! entry of the source that holds most goes instead. So a flood from one source evicts itself, never a peer
//! elsewhere; and a peer that shares the flood's source needs only finish before `capacity` newer ones arrive.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// Where a connection comes from, as far as one party may be assumed: an IPv4 address or an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source(IpAddr);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
            v4 => v4,
        })
    }
}

/// Handshakes in progress, oldest first.
#[derive(Debug)]
pub(super) struct HalfOpen<T> {
    capacity: usize,
    entries: BTreeMap<u64, (Source, T)>,
    next: u64,
}

impl<T> HalfOpen<T> {
    /// A table of at least one place.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), entries: BTreeMap::new(), next: 0 }
    }

    /// The key that the next [`Self::insert`] will use.
    pub(super) const fn next_key(&self) -> u64 {
        self.next
    }

    /// Admits a handshake; returns the one that had to go for it, if any.
    pub(super) fn insert(&mut self, source: Source, handshake: T) -> Option<T> {
        let evicted = if self.entries.len() >= self.capacity { self.evict() } else { None };
        self.entries.insert(self.next, (source, handshake));
        self.next = self.next.wrapping_add(1);
        evicted
    }

    /// Forgets a handshake that has ended, if it was not evicted before.
    pub(super) fn remove(&mut self, key: u64) {
        self.entries.remove(&key);
    }

    fn evict(&mut self) -> Option<T> {
        let mut held: BTreeMap<Source, usize> = BTreeMap::new();
        for (source, _) in self.entries.values() {
            *held.entry(*source).or_default() += 1;
        }
        let (greediest, _) = held.into_iter().max_by_key(|(_, count)| *count)?;
        let key = self.entries.iter().find(|(_, (source, _))| *source == greediest).map(|(key, _)| *key)?;
        self.entries.remove(&key).map(|(_, handshake)| handshake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn fo_304_sec_11_a_flood_evicts_itself_and_no_other_source() {
        let mut table = HalfOpen::new(4);
        assert_eq!(table.insert(source("2001:db8::1"), "peer"), None);
        for name in ["f0", "f1", "f2"] {
            assert_eq!(table.insert(source("2001:db8:0:1::1"), name), None);
        }
        // The flood moves about inside its /64: still one source.
        assert_eq!(table.insert(source("2001:db8:0:1:ffff::2"), "f3"), Some("f0"));
        assert_eq!(table.insert(source("2001:db8:0:1::3"), "f4"), Some("f1"));
        assert_eq!(table.entries.len(), 4);
        assert!(table.entries.values().any(|(_, name)| *name == "peer"));
    }

    #[test]
    fn a_finished_handshake_makes_room() {
        let mut table = HalfOpen::new(1);
        let key = table.next_key();
        assert_eq!(table.insert(source("192.0.2.1"), 1), None);
        table.remove(key);
        assert_eq!(table.insert(source("192.0.2.1"), 2), None);
        assert_eq!(table.insert(source("::ffff:192.0.2.1"), 3), Some(2));
    }
}
