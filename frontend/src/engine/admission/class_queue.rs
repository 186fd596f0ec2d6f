//! The waiting datagrams of one class: a queue for each source, served in turn.
//!
//! Owns the order among sources, one datagram each in turn whatever its size (the work is per message), and the
//! finding of the longest queue. Refuses to know contents and classes: the datagrams themselves lie in [`Slots`].
//! Invariants: a source's datagrams keep their order; a source that waits is served after at most one datagram of each
//! other; the number of queues is fixed, so that made-up sources cost no memory, only company.

use super::slots::{NO_SLOT, SlotIndex, Slots};

/// Queues of a class. Why 256: relays of one server are dozens, seldom hundreds, and colliding ones share a queue.
pub(super) const SOURCE_QUEUES: usize = 256;

const WORD_BITS: usize = 64;

/// One class.
#[derive(Debug)]
pub(super) struct ClassQueue {
    heads: [SlotIndex; SOURCE_QUEUES],
    tails: [SlotIndex; SOURCE_QUEUES],
    lens: [u32; SOURCE_QUEUES],
    /// A bit for each queue that is not empty.
    waiting: [u64; SOURCE_QUEUES / WORD_BITS],
    /// The queue that is served next, if it waits.
    turn: usize,
    len: u32,
}

impl ClassQueue {
    pub(super) fn new() -> Self {
        Self {
            heads: [NO_SLOT; SOURCE_QUEUES],
            tails: [NO_SLOT; SOURCE_QUEUES],
            lens: [0; SOURCE_QUEUES],
            waiting: [0; SOURCE_QUEUES / WORD_BITS],
            turn: 0,
            len: 0,
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Appends to a source's queue.
    pub(super) fn push<E: Copy>(&mut self, queue: usize, slot: SlotIndex, slots: &mut Slots<E>) {
        if self.lens[queue] == 0 {
            self.heads[queue] = slot;
            self.waiting[queue / WORD_BITS] |= 1 << (queue % WORD_BITS);
        } else {
            slots.link(self.tails[queue], slot);
        }
        self.tails[queue] = slot;
        self.lens[queue] += 1;
        self.len += 1;
    }

    /// Takes the oldest of the source whose turn it is.
    pub(super) fn pop_in_turn<E: Copy>(&mut self, slots: &mut Slots<E>) -> Option<SlotIndex> {
        let queue = self.next_waiting()?;
        self.turn = (queue + 1) % SOURCE_QUEUES;
        Some(self.pop(queue, slots))
    }

    /// Takes the oldest of the longest queue: of all that wait there, its client sends again first.
    pub(super) fn pop_of_longest<E: Copy>(&mut self, slots: &mut Slots<E>) -> Option<SlotIndex> {
        let (queue, len) = self.lens.iter().enumerate().max_by_key(|(_, len)| **len)?;
        if *len == 0 { None } else { Some(self.pop(queue, slots)) }
    }

    fn pop<E: Copy>(&mut self, queue: usize, slots: &mut Slots<E>) -> SlotIndex {
        let slot = self.heads[queue];
        self.heads[queue] = slots.next(slot);
        self.lens[queue] -= 1;
        self.len -= 1;
        if self.lens[queue] == 0 {
            self.waiting[queue / WORD_BITS] &= !(1 << (queue % WORD_BITS));
        }
        slot
    }

    /// The first queue from `turn` on, around the end, that is not empty.
    fn next_waiting(&self) -> Option<usize> {
        let words = self.waiting.len();
        let (first, bit) = (self.turn / WORD_BITS, self.turn % WORD_BITS);
        let at_or_after = u64::MAX << bit;
        for step in 0..=words {
            let word = (first + step) % words;
            let mask = match step {
                0 => at_or_after,
                step if step == words => !at_or_after,
                _ => u64::MAX,
            };
            let found = self.waiting[word] & mask;
            if found != 0 {
                return Some(word * WORD_BITS + found.trailing_zeros() as usize);
            }
        }
        None
    }
}
