//! The free slots of one range that are kept for who had them last, and when each of them is anybody's.
//!
//! A slot is kept from when its record is read as free for the pool's affinity time. Owns the map of these slots and
//! their queue in the order of time; a slot stands in the queue once at most, however often it comes and goes, so that
//! the queue is never longer than the range. Refuses to know records: whoever takes a slot out of the queue asks them
//! whether it is to be kept on. Moments are of cluster time.

use super::free_map::FreeMap;
use leasehold_proto::time::ClusterTime;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The kept slots of a range with a map, by their offset in it.
pub(super) struct Kept {
    map: FreeMap,
    queue: BinaryHeap<Reverse<(ClusterTime, u32)>>,
    queued: FreeMap,
}

impl Kept {
    /// None of `len` slots.
    pub(super) fn new(len: usize) -> Self {
        Self { map: FreeMap::new(len, false), queue: BinaryHeap::new(), queued: FreeMap::new(len, false) }
    }

    /// How many are kept.
    pub(super) fn len(&self) -> usize {
        self.map.free()
    }

    pub(super) fn contains(&self, offset: usize) -> bool {
        self.map.is_free(offset)
    }

    /// A slot is kept until a moment. One that stands in the queue already stays where it is, and is looked at then.
    pub(super) fn keep(&mut self, offset: usize, until: ClusterTime) {
        self.map.set(offset, true);
        if let Ok(slot) = u32::try_from(offset)
            && self.queued.set(offset, true)
        {
            self.queue.push(Reverse((until, slot)));
        }
    }

    /// A slot was given, or is anybody's. Its place in the queue is found to mean nothing when its time comes.
    pub(super) fn forget(&mut self, offset: usize) {
        self.map.set(offset, false);
    }

    /// The first kept slot from a place on, around the end.
    pub(super) fn next_from(&self, start: usize) -> Option<usize> {
        self.map.next_from(start)
    }

    /// When the queue is to be looked at.
    pub(super) fn next_due(&self) -> Option<ClusterTime> {
        self.queue.peek().map(|Reverse((until, _))| *until)
    }

    /// Takes the slot out of the queue whose time comes first.
    pub(super) fn pop(&mut self) -> Option<usize> {
        let Reverse((_, slot)) = self.queue.pop()?;
        let offset = slot as usize;
        self.queued.set(offset, false);
        Some(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_stands_in_the_queue_once() {
        let mut kept = Kept::new(16);
        for n in 1..100 {
            kept.keep(3, ClusterTime::from_millis(n));
            kept.forget(3);
        }
        kept.keep(3, ClusterTime::from_millis(100));
        assert_eq!((kept.len(), kept.queue.len()), (1, 1));
        assert_eq!(kept.next_due(), Some(ClusterTime::from_millis(1)), "looked at early, and kept on");
        assert_eq!((kept.pop(), kept.pop()), (Some(3), None));
        assert!(kept.contains(3));
    }
}
