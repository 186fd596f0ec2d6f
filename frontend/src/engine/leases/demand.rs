//! When to ask for more ranges of one pool and how many; and when ranges lie idle.
//!
//! Big pools: asked for before running dry, by doubling. Scarce pools (prefixes, and fewer than 2^24 addresses): in
//! small bites, by the rate of new leases, so that a crash strands little; what lies above the high-water mark while
//! nothing happens goes back. Refuses to know which ranges. Invariant: without a new lease, a client that found no place,
//! or a range that came free elsewhere, asking and returning never follow one another (no ping-pong): what was refused
//! by the store or was given to the partner is not asked for again until one of these has happened.

use leasehold_proto::pool::Geometry;
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::{IaKind, UpdateSeq};
use std::cell::Cell;
use std::time::Duration;

/// The first ask is for about this many slots, or for the share of the pool below.
const FIRST_SLOTS: u64 = 64;
/// No first ask for ranges of a scarce pool is for more than one in so many of them.
const FIRST_SHARE_SCARCE: u64 = 32;
/// No ask is for a larger share of a pool than this, or for more ranges at once than the next.
const SHARE: u64 = 8;
const RANGES_MAX: u64 = 256;
/// Address pools of fewer slots are scarce.
const SCARCE_BELOW: u64 = 1 << 24;
/// A pool said to be dry is asked for again after this long at the earliest.
const DRY_RETRY: Duration = Duration::from_secs(5);
/// The store said nothing and gave nothing: asked again after this long.
const SILENCE_RETRY: Duration = Duration::from_secs(1);
/// Over which the rate of new leases is looked at.
const RATE_WINDOW: Duration = Duration::from_secs(10);
/// So long nothing must have happened in a pool before any of its ranges counts as idle.
const IDLE_AFTER: Duration = Duration::from_secs(60);
/// Between two steps of returning what is idle.
const RETURN_EVERY: Duration = Duration::from_secs(1);
/// The high-water mark: so many times the low one, and a first bite.
const HIGH_WATER_TIMES: u64 = 4;
/// A range that came for a client who waits is kept this long, so that the client can have it.
const KEPT_FOR_CLIENT: Duration = Duration::from_secs(5);

/// What is owned of a pool.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stock {
    /// Ranges.
    pub(super) ranges: u64,
    /// Slots in them.
    pub(super) slots: u64,
    /// Free slots in those that can be used.
    pub(super) free: u64,
}

/// How large a pool and its ranges are.
#[derive(Debug, Clone, Copy)]
struct Scale {
    range_slots: u64,
    pool_ranges: u64,
    scarce: bool,
}

impl Scale {
    fn of(geometry: &Geometry, kind: IaKind) -> Self {
        Self {
            range_slots: 1u64 << geometry.range_bits(),
            pool_ranges: geometry.last_slice().saturating_add(1),
            scarce: kind == IaKind::Pd || geometry.last_slot() < SCARCE_BELOW,
        }
    }
}

/// The wish for ranges of one pool, and for less of them.
#[derive(Debug)]
pub(super) struct Demand {
    scale: Scale,
    outstanding: Option<UpdateSeq>,
    granted_since: bool,
    not_before: LocalTime,
    /// The store's last word.
    pub(super) dry: bool,
    /// Nothing was found though something seemed free.
    starved: Cell<bool>,
    /// Nothing has happened since the store's refusal, or since ranges went to the partner, for which to ask.
    content: Cell<bool>,
    /// A lease was made, a client found no place, or a range came.
    active_at: Cell<LocalTime>,
    missed_at: Cell<Option<LocalTime>>,
    granted_at: Option<LocalTime>,
    return_not_before: LocalTime,
    window_began: LocalTime,
    created: u64,
    created_before: u64,
    /// New leases from this pool in the session.
    pub(super) created_in_all: u64,
}

impl Demand {
    pub(super) fn new(geometry: &Geometry, kind: IaKind) -> Self {
        Self {
            created_in_all: 0,
            scale: Scale::of(geometry, kind),
            outstanding: None,
            granted_since: false,
            not_before: LocalTime::ZERO,
            dry: false,
            starved: Cell::new(false),
            content: Cell::new(false),
            active_at: Cell::new(LocalTime::ZERO),
            missed_at: Cell::new(None),
            granted_at: None,
            return_not_before: LocalTime::ZERO,
            window_began: LocalTime::ZERO,
            created: 0,
            created_before: 0,
        }
    }

    /// The pool ends elsewhere now.
    pub(super) fn reshape(&mut self, geometry: &Geometry, kind: IaKind) {
        self.scale = Scale::of(geometry, kind);
        self.opened();
    }

    pub(super) fn created(&mut self, now: LocalTime) {
        self.roll(now);
        self.created += 1;
        self.created_in_all += 1;
        self.stir(now);
    }

    /// A client found no place.
    pub(super) fn missed(&self, now: LocalTime) {
        self.missed_at.set(Some(now));
        self.stir(now);
    }

    fn stir(&self, now: LocalTime) {
        self.content.set(false);
        self.active_at.set(self.active_at.get().max(now));
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

    /// Ranges of the first ask.
    fn first_bite(&self) -> u64 {
        let share = if self.scale.scarce { FIRST_SHARE_SCARCE } else { SHARE };
        FIRST_SLOTS.div_ceil(self.scale.range_slots).min(self.scale.pool_ranges.div_ceil(share)).max(1)
    }

    fn first_bite_slots(&self) -> u64 {
        self.first_bite().saturating_mul(self.scale.range_slots)
    }

    fn low_water(&self, now: LocalTime, stock: Stock) -> u64 {
        let least = if self.scale.scarce { self.first_bite_slots() / 4 } else { stock.slots / 4 };
        least.max(self.rate(now)).max(1)
    }

    /// How many ranges to ask for now, if any.
    pub(super) fn due(&self, now: LocalTime, stock: Stock) -> Option<u32> {
        if self.outstanding.is_some() || now < self.not_before || self.content.get() {
            return None;
        }
        if stock.ranges > 0 && stock.free >= self.low_water(now, stock) && !self.starved.get() {
            return None;
        }
        let wanted = match (stock.ranges, self.scale.scarce) {
            (0, _) => self.first_bite(),
            (_, true) => self.rate(now).div_ceil(self.scale.range_slots).max(self.first_bite()),
            (owned, false) => owned,
        };
        let ranges = wanted.min(self.scale.pool_ranges.div_ceil(SHARE)).clamp(1, RANGES_MAX);
        u32::try_from(ranges).ok()
    }

    /// How many free slots of a scarce pool lie idle above the high-water mark.
    pub(super) fn idle(&self, now: LocalTime, stock: Stock) -> u64 {
        let quiet = now >= self.active_at.get() + IDLE_AFTER;
        if !self.scale.scarce || !quiet || now < self.return_not_before || self.outstanding.is_some() {
            return 0;
        }
        let low = self.low_water(now, stock).saturating_mul(HIGH_WATER_TIMES);
        stock.free.saturating_sub(low.saturating_add(self.first_bite_slots()))
    }

    /// Idle ranges were looked for; `found`: some went back.
    pub(super) fn idle_looked_for(&mut self, now: LocalTime, found: bool) {
        self.return_not_before = now + if found { RETURN_EVERY } else { IDLE_AFTER };
    }

    /// Whether the last range with room is kept for a client who waits for it.
    pub(super) fn keeps_last(&self, now: LocalTime) -> bool {
        self.granted_at.is_some_and(|granted| {
            now < granted + KEPT_FOR_CLIENT
                && self.missed_at.get().is_some_and(|missed| granted <= missed + KEPT_FOR_CLIENT)
        })
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

    pub(super) fn granted(&mut self, now: LocalTime) {
        self.granted_since = true;
        self.not_before = LocalTime::ZERO;
        self.dry = false;
        self.granted_at = Some(now);
        self.stir(now);
    }

    pub(super) fn word(&mut self, now: LocalTime, dry: bool) {
        self.dry = dry;
        self.not_before = if dry { now + DRY_RETRY } else { LocalTime::ZERO };
        self.content.set(dry);
    }

    /// A range became nobody's, and not by this session's return: what is wanted is asked for at once.
    pub(super) fn opened(&mut self) {
        self.not_before = LocalTime::ZERO;
        self.content.set(false);
    }

    /// Ranges went to the partner.
    pub(super) fn gave(&mut self) {
        self.content.set(true);
    }
}
