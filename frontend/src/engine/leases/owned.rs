//! One range granted to this session: which of its slots can be given to a new client.
//!
//! Ranges of up to 2^16 slots keep a map of free slots; larger ones are looked through by keyed probing, with the
//! table of records as the set of those taken. Free slots that are kept for who had them last (affinity) stand in a map
//! of their own, and are given to others only when a whole pool has no other. A range that had owners before can be used
//! only when all leases are loaded and its slots were gone through. Reserved interface ids are never free (SV-213).

use super::free_map::FreeMap;
use super::kept::Kept;
use super::reserved::is_reserved;
use leasehold_proto::pool::Geometry;
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{IaKind, Prefix};
use std::time::Duration;

/// Ranges up to this size have a map.
pub(super) const DENSE_BITS_MAX: u8 = 16;
const DENSE_SLOTS_MAX: u64 = 1 << DENSE_BITS_MAX;
/// Candidates of a map that records contradict before another range is tried. A map is exact, so the first fits.
const DENSE_TRIES: usize = 16;
/// Places looked at in a large range.
const SPARSE_TRIES: u64 = 64;

/// How a lease stands for those who do not hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vacancy {
    /// Somebody holds it, or it is not read as free (R2).
    Taken,
    /// Nobody had it before.
    Vacant,
    /// It is free since this moment of cluster time, and somebody had it.
    Left(ClusterTime),
}

impl Vacancy {
    pub(super) fn is_free(self) -> bool {
        self != Self::Taken
    }

    /// Until when it is kept for who had it, if it is at all.
    pub(super) fn kept_until(self, affinity: Duration) -> Option<ClusterTime> {
        match self {
            Self::Left(since) if affinity > Duration::ZERO => Some(since + affinity),
            _ => None,
        }
    }
}

/// Which free slots are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    /// Those that are anybody's.
    Common,
    /// Those that are kept for somebody else.
    Kept,
}

/// How records are asked while a place is looked for.
pub(super) struct Look<'r> {
    /// How a lease stands.
    pub(super) vacancy: &'r dyn Fn(Prefix) -> Vacancy,
    /// Whether what stands so is kept for somebody else now.
    pub(super) is_kept: &'r dyn Fn(Vacancy) -> bool,
}

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
    /// Free slots that are anybody's, and those that are kept, if there ever were any.
    Dense(FreeMap, Option<Box<Kept>>),
    /// An estimate of how many are taken.
    Sparse { taken: u64 },
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
            Slots::Dense(map, None)
        } else {
            Slots::Sparse { taken: 0 }
        };
        let readiness = match (fresh, loaded) {
            (true, _) => Readiness::Ready,
            (false, true) => Readiness::Scanning(0),
            (false, false) => Readiness::AwaitsLoad,
        };
        let usable = match &slots {
            Slots::Dense(map, _) => map.free() as u64,
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
    pub(super) fn scan(
        &mut self,
        geometry: &Geometry,
        affinity: Duration,
        budget: u64,
        vacancy: &dyn Fn(Prefix) -> Vacancy,
    ) -> u64 {
        let Readiness::Scanning(from) = self.readiness else { return 0 };
        let Slots::Dense(map, kept) = &mut self.slots else {
            // Too large to go through: probing looks at the records themselves.
            self.readiness = Readiness::Ready;
            return 0;
        };
        let to = (from + budget).min(self.last - self.first + 1);
        for slot in from..to {
            let offset = usize::try_from(slot).unwrap_or(usize::MAX);
            let found = vacancy(geometry.prefix_at(self.first + slot));
            if let Some(until) = found.kept_until(affinity).filter(|_| map.is_free(offset)) {
                keep(map, kept, offset, until);
            } else if !found.is_free() {
                map.set(offset, false);
            }
        }
        self.readiness = if to > self.last - self.first { Readiness::Ready } else { Readiness::Scanning(to) };
        to - from
    }

    /// Slots of the range.
    pub(super) fn size(&self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }

    /// Free slots of one sort: exact where there is a map, else an estimate, in which none is kept. None while the range
    /// cannot be used.
    pub(super) fn room(&self, tier: Tier) -> u64 {
        match (&self.slots, tier) {
            _ if !self.is_ready() => 0,
            (Slots::Dense(map, _), Tier::Common) => map.free() as u64,
            (Slots::Dense(_, kept), Tier::Kept) => kept.as_ref().map_or(0, |kept| kept.len() as u64),
            (Slots::Sparse { taken }, Tier::Common) => self.size().saturating_sub(*taken),
            (Slots::Sparse { .. }, Tier::Kept) => 0,
        }
    }

    /// Free slots, the kept ones included.
    pub(super) fn free(&self) -> u64 {
        self.room(Tier::Common) + self.room(Tier::Kept)
    }

    /// Whether it can be used and nobody holds anything in it; an estimate where there is no map.
    pub(super) fn is_empty(&self) -> bool {
        match &self.slots {
            _ if !self.is_ready() => false,
            Slots::Dense(..) => self.free() == self.usable,
            Slots::Sparse { taken } => *taken == 0,
        }
    }

    /// The first slot.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// When a kept slot is to be looked at.
    pub(super) fn next_due(&self) -> Option<ClusterTime> {
        match &self.slots {
            Slots::Dense(_, Some(kept)) => kept.next_due(),
            _ => None,
        }
    }

    /// Looks at the kept slot whose time comes first: it is anybody's now, or kept on.
    pub(super) fn release_next(
        &mut self,
        geometry: &Geometry,
        affinity: Duration,
        now: ClusterTime,
        vacancy: &dyn Fn(Prefix) -> Vacancy,
    ) {
        let Slots::Dense(map, Some(kept)) = &mut self.slots else { return };
        let Some(offset) = kept.pop().filter(|offset| kept.contains(*offset)) else { return };
        let slot = self.first + offset as u64;
        match vacancy(geometry.prefix_at(slot)).kept_until(affinity) {
            Some(until) if until > now => kept.keep(offset, until),
            _ => {
                kept.forget(offset);
                map.set(offset, true);
            }
        }
    }

    /// A slot stands otherwise than before.
    pub(super) fn set(
        &mut self,
        geometry: &Geometry,
        kind: IaKind,
        affinity: Duration,
        slot: u64,
        (before, now): (Vacancy, Vacancy),
    ) {
        let Some(offset) = slot.checked_sub(self.first).filter(|_| slot <= self.last) else { return };
        match &mut self.slots {
            Slots::Dense(map, kept) => {
                let offset = usize::try_from(offset).unwrap_or(usize::MAX);
                let is_free = now.is_free() && !is_reserved(kind, geometry.prefix_at(slot));
                match now.kept_until(affinity).filter(|_| is_free) {
                    Some(until) => keep(map, kept, offset, until),
                    None => {
                        map.set(offset, is_free);
                        if let Some(kept) = kept {
                            kept.forget(offset);
                        }
                    }
                }
            }
            Slots::Sparse { taken } => match (before.is_free(), now.is_free()) {
                (false, true) => *taken = taken.saturating_sub(1),
                (true, false) => *taken = taken.saturating_add(1),
                _ => {}
            },
        }
    }

    /// R1: whether a new client may be given this slot, records aside.
    pub(super) fn may_create(&self, geometry: &Geometry, kind: IaKind, slot: u64) -> bool {
        let Some(offset) = slot.checked_sub(self.first).filter(|_| slot <= self.last) else { return false };
        self.is_ready()
            && match &self.slots {
                Slots::Dense(map, kept) => usize::try_from(offset)
                    .is_ok_and(|o| map.is_free(o) || kept.as_ref().is_some_and(|kept| kept.contains(o))),
                Slots::Sparse { .. } => !is_reserved(kind, geometry.prefix_at(slot)),
            }
    }

    /// A free place of one sort, looked for from a start: a hash, or 0 for the lowest. Where there is a map, it says what
    /// is kept; `is_kept` does where slots are probed for.
    pub(super) fn pick(
        &self,
        geometry: &Geometry,
        kind: IaKind,
        tier: Tier,
        start: u64,
        look: &Look<'_>,
    ) -> Option<Prefix> {
        if !self.is_ready() {
            return None;
        }
        match &self.slots {
            Slots::Dense(map, kept) => {
                let next_from = |at| match tier {
                    Tier::Common => map.next_from(at),
                    Tier::Kept => kept.as_ref()?.next_from(at),
                };
                let len = map.len();
                let mut at = usize::try_from(start % len as u64).unwrap_or(0);
                for _ in 0..DENSE_TRIES {
                    at = next_from(at)?;
                    let prefix = geometry.prefix_at(self.first + at as u64);
                    if (look.vacancy)(prefix).is_free() {
                        return Some(prefix);
                    }
                    at = (at + 1) % len;
                }
                None
            }
            Slots::Sparse { .. } => {
                let last = self.last - self.first;
                let is_fit =
                    |found: Vacancy| found.is_free() && (tier == Tier::Kept || !(look.is_kept)(found));
                // An odd step visits every slot of a range whose size is a power of two.
                let step = start.rotate_left(32) | 1;
                (0..SPARSE_TRIES)
                    .map(|n| start.wrapping_add(n.wrapping_mul(step)))
                    .map(|h| if last == u64::MAX { h } else { h % (last + 1) })
                    .map(|offset| geometry.prefix_at(self.first + offset))
                    .find(|prefix| !is_reserved(kind, *prefix) && is_fit((look.vacancy)(*prefix)))
            }
        }
    }
}

/// A free slot is kept for who had it last.
fn keep(map: &mut FreeMap, kept: &mut Option<Box<Kept>>, offset: usize, until: ClusterTime) {
    map.set(offset, false);
    kept.get_or_insert_with(|| Box::new(Kept::new(map.len()))).keep(offset, until);
}
