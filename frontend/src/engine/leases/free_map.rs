//! Which slots of a range are free: a bitmap under bitmaps, so that the next free one is found in constant time
//! from any start, however full the range is.
//!
//! Level 0 has a bit for each slot; a bit of each higher level says whether the word of 64 below has any bit set.
//! 2^16 slots need three levels and 8.3 KiB. Knows nothing of leases.

/// A set of numbers below a bound, answering "the next one from here, around the end".
pub(super) struct FreeMap {
    levels: Vec<Vec<u64>>,
    len: usize,
    free: usize,
}

impl FreeMap {
    /// All of `len` slots free, or none.
    pub(super) fn new(len: usize, all_free: bool) -> Self {
        let mut levels = Vec::new();
        let mut bits = len;
        loop {
            let words = bits.div_ceil(64).max(1);
            let mut level = vec![if all_free { u64::MAX } else { 0 }; words];
            let spare = words * 64 - bits;
            if all_free && let Some(last) = level.last_mut() {
                *last = u64::MAX.checked_shr(u32::try_from(spare).unwrap_or(64)).unwrap_or(0);
            }
            levels.push(level);
            if words == 1 {
                break;
            }
            bits = words;
        }
        Self { levels, len, free: if all_free { len } else { 0 } }
    }

    /// How many are free.
    pub(super) fn free(&self) -> usize {
        self.free
    }

    /// How many slots there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_free(&self, slot: usize) -> bool {
        slot < self.len && self.levels[0][slot / 64] & (1 << (slot % 64)) != 0
    }

    /// Sets one slot; true when that changed anything. Slots past the end are never free.
    pub(super) fn set(&mut self, slot: usize, free: bool) -> bool {
        if slot >= self.len || self.is_free(slot) == free {
            return false;
        }
        let mut at = slot;
        for level in &mut self.levels {
            let word = &mut level[at / 64];
            let before = *word;
            if free {
                *word |= 1 << (at % 64);
            } else {
                *word &= !(1 << (at % 64));
            }
            // Above, only whether there is any bit counts.
            if (before == 0) == (*word == 0) {
                break;
            }
            at /= 64;
        }
        if free {
            self.free += 1;
        } else {
            self.free -= 1;
        }
        true
    }

    /// Makes room for more slots, which are not free.
    pub(super) fn grow(&mut self, len: usize) {
        if len <= self.len {
            return;
        }
        let mut larger = Self::new(len.next_power_of_two(), false);
        let mut at = 0;
        while let Some(slot) = self.first_from(at) {
            larger.set(slot, true);
            at = slot + 1;
        }
        *self = larger;
    }

    /// The first free slot at or after `start`, going on at 0 past the end.
    pub(super) fn next_from(&self, start: usize) -> Option<usize> {
        self.first_from(start).or_else(|| self.first_from(0))
    }

    /// The first free slot at or after `start`.
    pub(super) fn first_from(&self, start: usize) -> Option<usize> {
        let mut at = start;
        for (height, level) in self.levels.iter().enumerate() {
            let word = at / 64;
            let bits = level.get(word)? & (u64::MAX << (at % 64));
            if bits != 0 {
                let mut found = word * 64 + bits.trailing_zeros() as usize;
                for below in self.levels[..height].iter().rev() {
                    found = found * 64 + below[found].trailing_zeros() as usize;
                }
                return Some(found);
            }
            at = word + 1;
        }
        None
    }
}
