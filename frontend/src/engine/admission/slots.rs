//! Places for waiting datagrams, used again and again with their buffers.
//!
//! Owns the bytes, the count of them, and the link from one datagram to the next of its queue. Refuses to know queues
//! and bounds: its caller asks for a place only where there is room. Invariants: a free place keeps at most
//! [`BUFFER_KEPT_LEN`] bytes of buffer, so that rare long datagrams cost no memory for ever; what was released last
//! stays readable until the next release.

use leasehold_proto::time::LocalTime;

/// A place, by its number.
pub(super) type SlotIndex = u32;

/// No place.
pub(super) const NO_SLOT: SlotIndex = SlotIndex::MAX;

/// Bytes of buffer that a free place keeps: room for a relayed message of an ordinary client.
pub const BUFFER_KEPT_LEN: usize = 512;

#[derive(Debug)]
struct Slot<E> {
    bytes: Vec<u8>,
    envelope: E,
    arrived: LocalTime,
    /// Hash of the exchange that it belongs to, if that can be told.
    exchange: Option<u64>,
    /// The next one in its queue, or the next free one.
    next: SlotIndex,
}

/// All places.
#[derive(Debug)]
pub(super) struct Slots<E> {
    slots: Vec<Slot<E>>,
    free: SlotIndex,
    /// The bytes of what was released last, swapped with its place for those of the one before.
    released: Vec<u8>,
    len: u32,
    bytes: usize,
}

impl<E: Copy> Slots<E> {
    pub(super) fn new() -> Self {
        let released = Vec::with_capacity(BUFFER_KEPT_LEN);
        Self { slots: Vec::new(), free: NO_SLOT, released, len: 0, bytes: 0 }
    }

    /// Places in use.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Bytes in places in use.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a free place, or a new one, and fills it.
    pub(super) fn fill(
        &mut self,
        bytes: &[u8],
        envelope: E,
        arrived: LocalTime,
        exchange: Option<u64>,
    ) -> SlotIndex {
        let index = match self.slots.get(self.free as usize) {
            Some(_) => self.free,
            None => {
                let buffer = Vec::with_capacity(BUFFER_KEPT_LEN);
                self.slots.push(Slot { bytes: buffer, envelope, arrived, exchange, next: NO_SLOT });
                u32::try_from(self.slots.len() - 1).unwrap_or(NO_SLOT)
            }
        };
        let slot = &mut self.slots[index as usize];
        if index == self.free {
            self.free = slot.next;
        }
        slot.bytes.extend_from_slice(bytes);
        (slot.envelope, slot.arrived, slot.exchange, slot.next) = (envelope, arrived, exchange, NO_SLOT);
        self.len += 1;
        self.bytes += bytes.len();
        index
    }

    /// Puts a newer copy into a place in use.
    pub(super) fn replace(&mut self, index: SlotIndex, bytes: &[u8], envelope: E, arrived: LocalTime) {
        let slot = &mut self.slots[index as usize];
        self.bytes = self.bytes - slot.bytes.len() + bytes.len();
        slot.bytes.clear();
        slot.bytes.extend_from_slice(bytes);
        (slot.envelope, slot.arrived) = (envelope, arrived);
    }

    /// Frees a place; says when what was in it arrived.
    pub(super) fn release(&mut self, index: SlotIndex) -> LocalTime {
        let slot = &mut self.slots[index as usize];
        std::mem::swap(&mut self.released, &mut slot.bytes);
        slot.bytes.clear();
        slot.bytes.shrink_to(BUFFER_KEPT_LEN);
        slot.next = self.free;
        self.free = index;
        self.len -= 1;
        self.bytes -= self.released.len();
        slot.arrived
    }

    /// What was in the place released last.
    pub(super) fn released(&self, index: SlotIndex) -> (&[u8], &E) {
        (&self.released, &self.slots[index as usize].envelope)
    }

    pub(super) fn exchange(&self, index: SlotIndex) -> Option<u64> {
        self.slots[index as usize].exchange
    }

    pub(super) fn next(&self, index: SlotIndex) -> SlotIndex {
        self.slots[index as usize].next
    }

    /// Makes `second` follow `first` in a queue.
    pub(super) fn link(&mut self, first: SlotIndex, second: SlotIndex) {
        self.slots[first as usize].next = second;
    }

    #[cfg(test)]
    pub(super) fn buffer_bytes(&self) -> usize {
        self.slots.iter().map(|slot| slot.bytes.capacity()).sum::<usize>() + self.released.capacity()
    }
}
