//! One range granted to this session: which of its slots can be given to a new client.
//!
//! Ranges of up to 2^16 slots keep a map of free slots; larger ones are looked through by keyed probing, with the
//! table of records as the set of those taken. A range that had owners before can be used only when all leases are
//! loaded and its slots were gone through. Reserved interface ids are never free (SV-213).

use super::free_map::FreeMap;
use super::reserved::is_reserved;
use leasehold_proto::pool::Geometry;
use leasehold_proto::words::{IaKind, Prefix};

/// Ranges up to this size have a map.
const DENSE_SLOTS_MAX: u64 = 1 << 16;
/// Candidates of a map that records contradict before another range is tried. A map is exact, so the first fits.
const DENSE_TRIES: usize = 16;
/// Places looked at in a large range.
const SPARSE_TRIES: u64 = 64;

/// Whether and how far a range can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readiness {
    /// It had owners before, and not all leases are known.
    AwaitsLoad,
    /// Its records are being gone through; the next offset.
    Scanning(u64),
    Ready,
}

enum Slots {
    Dense(FreeMap),
    /// An estimate of how many are taken.
    Sparse {
        taken: u64,
    },
}

/// A range granted to this session.
pub(super) struct OwnedRange {
    first: u64,
    last: u64,
    readiness: Readiness,
    /// A load is under way that may show it to be another's now.
    suspended: bool,
    slots: Slots,
    /// Slots that are not reserved, where there is a map.
    usable: u64,
}

impl OwnedRange {
    /// A range of a pool; `fresh`: there are no leases in it to know about.
    pub(super) fn new(
        geometry: &Geometry,
        kind: IaKind,
        slice: u64,
        fresh: bool,
        loaded: bool,
    ) -> Option<Self> {
        let (first, last) = geometry.slots_of(slice)?;
        let size = last - first;
        let slots = if size < DENSE_SLOTS_MAX {
            // At most 2^16, as just compared.
            let mut map = FreeMap::new(usize::try_from(size).unwrap_or(0) + 1, true);
            for offset in 0..map.len() {
                if is_reserved(kind, geometry.prefix_at(first + offset as u64)) {
                    map.set(offset, false);
                }
            }
            Slots::Dense(map)
        } else {
            Slots::Sparse { taken: 0 }
        };
        let readiness = match (fresh, loaded) {
            (true, _) => Readiness::Ready,
            (false, true) => Readiness::Scanning(0),
            (false, false) => Readiness::AwaitsLoad,
        };
        let usable = match &slots {
            Slots::Dense(map) => map.free() as u64,
            Slots::Sparse { .. } => 0,
        };
        Some(Self { first, last, readiness, suspended: false, slots, usable })
    }

    pub(super) fn is_ready(&self) -> bool {
        self.readiness == Readiness::Ready && !self.suspended
    }

    /// Whether the session may use it waits for the load.
    pub(super) fn suspend(&mut self, suspended: bool) {
        self.suspended = suspended;
    }

    /// All leases are known now.
    pub(super) fn loaded(&mut self) {
        if self.readiness == Readiness::AwaitsLoad {
            self.readiness = Readiness::Scanning(0);
        }
    }

    pub(super) fn is_scanning(&self) -> bool {
        matches!(self.readiness, Readiness::Scanning(_))
    }

    /// Goes through up to `budget` slots for leases left by earlier owners; gives how many were looked at.
    pub(super) fn scan(&mut self, geometry: &Geometry, budget: u64, is_free: &dyn Fn(Prefix) -> bool) -> u64 {
        let Readiness::Scanning(from) = self.readiness else { return 0 };
        let Slots::Dense(map) = &mut self.slots else {
            // Too large to go through: probing looks at the records themselves.
            self.readiness = Readiness::Ready;
            return 0;
        };
        let to = (from + budget).min(self.last - self.first + 1);
        for offset in from..to {
            if !is_free(geometry.prefix_at(self.first + offset)) {
                map.set(usize::try_from(offset).unwrap_or(usize::MAX), false);
            }
        }
        self.readiness = if to > self.last - self.first { Readiness::Ready } else { Readiness::Scanning(to) };
        to - from
    }

    /// Slots of the range.
    pub(super) fn size(&self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }

    /// Free slots: exact where there is a map, else an estimate. None while the range cannot be used.
    pub(super) fn free(&self) -> u64 {
        match &self.slots {
            _ if !self.is_ready() => 0,
            Slots::Dense(map) => map.free() as u64,
            Slots::Sparse { taken } => self.size().saturating_sub(*taken),
        }
    }

    /// Whether it can be used and nobody holds anything in it; an estimate where there is no map.
    pub(super) fn is_empty(&self) -> bool {
        match &self.slots {
            _ if !self.is_ready() => false,
            Slots::Dense(map) => map.free() as u64 == self.usable,
            Slots::Sparse { taken } => *taken == 0,
        }
    }

    /// A slot became taken or free.
    pub(super) fn set(&mut self, geometry: &Geometry, kind: IaKind, slot: u64, free: bool) {
        let Some(offset) = slot.checked_sub(self.first).filter(|_| slot <= self.last) else { return };
        match &mut self.slots {
            Slots::Dense(map) => {
                let free = free && !is_reserved(kind, geometry.prefix_at(slot));
                map.set(usize::try_from(offset).unwrap_or(usize::MAX), free);
            }
            Slots::Sparse { taken } if free => *taken = taken.saturating_sub(1),
            Slots::Sparse { taken } => *taken = taken.saturating_add(1),
        }
    }

    /// R1: whether a new client may be given this slot, records aside.
    pub(super) fn may_create(&self, geometry: &Geometry, kind: IaKind, slot: u64) -> bool {
        let Some(offset) = slot.checked_sub(self.first).filter(|_| slot <= self.last) else { return false };
        self.is_ready()
            && match &self.slots {
                Slots::Dense(map) => usize::try_from(offset).is_ok_and(|o| map.is_free(o)),
                Slots::Sparse { .. } => !is_reserved(kind, geometry.prefix_at(slot)),
            }
    }

    /// A free place, looked for from a hashed start.
    pub(super) fn pick(
        &self,
        geometry: &Geometry,
        kind: IaKind,
        hash: u64,
        is_free: &dyn Fn(Prefix) -> bool,
    ) -> Option<Prefix> {
        if !self.is_ready() {
            return None;
        }
        match &self.slots {
            Slots::Dense(map) => {
                let len = map.len();
                let mut at = usize::try_from(hash % len as u64).unwrap_or(0);
                for _ in 0..DENSE_TRIES {
                    at = map.next_from(at)?;
                    let prefix = geometry.prefix_at(self.first + at as u64);
                    if is_free(prefix) {
                        return Some(prefix);
                    }
                    at = (at + 1) % len;
                }
                None
            }
            Slots::Sparse { .. } => {
                let last = self.last - self.first;
                // An odd step visits every slot of a range whose size is a power of two.
                let step = hash.rotate_left(32) | 1;
                (0..SPARSE_TRIES)
                    .map(|n| hash.wrapping_add(n.wrapping_mul(step)))
                    .map(|h| if last == u64::MAX { h } else { h % (last + 1) })
                    .map(|offset| geometry.prefix_at(self.first + offset))
                    .find(|prefix| !is_reserved(kind, *prefix) && is_free(*prefix))
            }
        }
    }
}
