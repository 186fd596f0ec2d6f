//! Which of a pool's own ranges have room of one sort, and in which one a new lease is looked for.
//!
//! Three ways: from a hashed place on (SV-214), the lowest range first, or, for prefixes behind one relay, always the same
//! ranges, so that the relay's routes aggregate. The last one weighs ranges by a keyed hash of relay and range
//! (rendezvous), so that a range more or less moves few relays. Refuses to know slots.

use super::free_map::FreeMap;
use std::collections::BTreeSet;

/// Ranges weighed against each other for one relay. Why a bound: a packet may not cost more in a frontend that owns
/// very many; those that are weighed still have room.
const WEIGHED_MAX: usize = 256;

/// Ranges with room, by their place among the own ones.
pub(super) struct Rooms {
    places: FreeMap,
    /// The same in the order of slices, kept up only where leases are given in order.
    in_order: Option<BTreeSet<(u64, usize)>>,
}

impl Rooms {
    pub(super) fn new(in_order: bool) -> Self {
        Self { places: FreeMap::new(0, false), in_order: in_order.then(BTreeSet::new) }
    }

    /// There are this many places.
    pub(super) fn grow(&mut self, places: usize) {
        self.places.grow(places);
    }

    /// A range has room, or none any more.
    pub(super) fn set(&mut self, place: usize, slice: u64, has_room: bool) {
        if self.places.set(place, has_room)
            && let Some(in_order) = &mut self.in_order
        {
            if has_room {
                in_order.insert((slice, place));
            } else {
                in_order.remove(&(slice, place));
            }
        }
    }

    /// The next place with room from one on, around the end.
    pub(super) fn next_from(&self, start: usize) -> Option<usize> {
        self.places.next_from(start)
    }

    /// The n-th lowest range with room, where leases are given in order.
    pub(super) fn lowest(&self, n: usize) -> Option<usize> {
        self.in_order.as_ref()?.iter().nth(n).map(|(_, place)| *place)
    }

    /// The place of the range that is a relay's before all others; `weight` weighs a place for it.
    pub(super) fn heaviest(&self, weight: impl Fn(usize) -> u64) -> Option<usize> {
        let places = std::iter::successors(self.places.first_from(0), |at| self.places.first_from(at + 1));
        places.take(WEIGHED_MAX).max_by_key(|place| weight(*place))
    }
}
