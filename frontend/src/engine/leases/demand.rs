//! When to ask for more ranges of one pool, and how many: before running dry (low-water mark), by doubling.

use leasehold_proto::pool::Geometry;
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::UpdateSeq;
use std::cell::Cell;
use std::time::Duration;

/// The first ask is for about this many slots, or an eighth of the pool.
const FIRST_SLOTS: u64 = 64;
/// No ask is for a larger share of a pool than this, or for more ranges at once than the next.
const SHARE: u64 = 8;
const RANGES_MAX: u64 = 256;
/// A pool said to be dry is asked for again after this long.
const DRY_RETRY: Duration = Duration::from_secs(5);
/// The store said nothing and gave nothing: asked again after this long.
const SILENCE_RETRY: Duration = Duration::from_secs(1);
/// Over which the rate of new leases is looked at.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// The wish for ranges of one pool.
#[derive(Debug, Default)]
pub(super) struct Demand {
    outstanding: Option<UpdateSeq>,
    granted_since: bool,
    not_before: LocalTime,
    /// The store's last word.
    pub(super) dry: bool,
    /// Nothing was found though something seemed free.
    starved: Cell<bool>,
    window_began: LocalTime,
    created: u64,
    created_before: u64,
    /// New leases from this pool in the session.
    pub(super) created_in_all: u64,
}

impl Demand {
    pub(super) fn created(&mut self, now: LocalTime) {
        self.roll(now);
        self.created += 1;
        self.created_in_all += 1;
    }

    pub(super) fn starved(&self) {
        self.starved.set(true);
    }

    fn roll(&mut self, now: LocalTime) {
        let elapsed = now.saturating_since(self.window_began);
        if elapsed >= RATE_WINDOW {
            self.created_before = if elapsed < RATE_WINDOW * 2 { self.created } else { 0 };
            self.created = 0;
            self.window_began = now;
        }
    }

    /// New leases in a window of late.
    fn rate(&self, now: LocalTime) -> u64 {
        match now.saturating_since(self.window_began) {
            since if since < RATE_WINDOW => self.created.max(self.created_before),
            since if since < RATE_WINDOW * 2 => self.created,
            _ => 0,
        }
    }

    /// How many ranges to ask for now, if any. `owned` and `slots` are what is owned, `free` what is left of it.
    pub(super) fn due(
        &self,
        now: LocalTime,
        geometry: &Geometry,
        owned: u64,
        slots: u64,
        free: u64,
    ) -> Option<u32> {
        if self.outstanding.is_some() || now < self.not_before {
            return None;
        }
        let low_water = (slots / 4).max(self.rate(now)).max(1);
        if owned > 0 && free >= low_water && !self.starved.get() {
            return None;
        }
        let pool_ranges = geometry.last_slice().saturating_add(1);
        let range_slots = 1u64 << geometry.range_bits();
        let wanted = if owned == 0 { FIRST_SLOTS.div_ceil(range_slots) } else { owned };
        let ranges = wanted.min(pool_ranges.div_ceil(SHARE)).clamp(1, RANGES_MAX);
        u32::try_from(ranges).ok()
    }

    /// When to look again though nothing happens.
    pub(super) fn not_before(&self) -> Option<LocalTime> {
        if self.outstanding.is_some() { None } else { Some(self.not_before) }
    }

    pub(super) fn asked(&mut self, batch: UpdateSeq) {
        self.outstanding = Some(batch);
        self.granted_since = false;
        self.starved.set(false);
    }

    /// The batch that asked was answered, or its answer will not come.
    pub(super) fn answered(&mut self, now: LocalTime) {
        self.outstanding = None;
        if !self.granted_since {
            self.not_before = self.not_before.max(now + SILENCE_RETRY);
        }
    }

    pub(super) fn granted(&mut self) {
        self.granted_since = true;
        self.not_before = LocalTime::ZERO;
        self.dry = false;
    }

    pub(super) fn word(&mut self, now: LocalTime, dry: bool) {
        self.dry = dry;
        self.not_before = if dry { now + DRY_RETRY } else { LocalTime::ZERO };
    }
}
