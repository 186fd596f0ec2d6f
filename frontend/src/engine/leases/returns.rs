//! Ranges that go back: to a partner that has nothing left, because they lie idle, or because this frontend is drained.
//!
//! Owns which ranges are spared and when. A range goes back when nothing in it is dirty or in flight (FO-606) and it is
//! known through and through; leases may be in it, since ownership matters for new ones only and the partner knows them
//! all before it reads of its grant. From the moment at which a range is put into a batch nothing is created from it,
//! whatever the store's records still say, until that batch is answered. Refuses to know why a partner is dry.

use super::Leases;
use super::pool_ranges::PoolRanges;
use super::ranges::Ranges;
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::{Epoch, PoolId, RangeId};
use std::collections::BTreeSet;
use std::time::Duration;

/// A wish of the store that could not be met is forgotten after this long: it asks again if need be.
const WISH_KEPT: Duration = Duration::from_secs(30);
/// Between two looks for ranges to be spared.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Idle ranges of one pool that go back in one step.
const IDLE_STEP: usize = 16;
/// With more updates waiting than this nothing is looked for: going through them all would hold up packets.
const WAITING_MAX: usize = 8192;

/// Ranges that the store wants back for the partner.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    ranges: u32,
    until: LocalTime,
}

/// A range of which nothing is untold.
struct Spare {
    slice: u64,
    free: u64,
    is_empty: bool,
}

impl PoolRanges {
    /// Ranges of which nothing is untold and that can be used, the emptiest first.
    fn spares(&self, id: PoolId, busy: &BTreeSet<RangeId>) -> Vec<Spare> {
        let mut spares: Vec<Spare> = self
            .usable()
            .filter(|(slice, _)| !busy.contains(&RangeId { pool: id, slice: *slice }))
            .map(|(slice, range)| Spare { slice, free: range.free(), is_empty: range.is_empty() })
            .filter(|spare| spare.free > 0)
            .collect();
        spares.sort_by_key(|s| std::cmp::Reverse((s.is_empty, s.free, s.slice)));
        spares
    }

    /// What the partner gets: half of what is free, and of a single range with room the whole, so that a pool of one
    /// address goes to whoever has a client (FO-211).
    fn for_partner(&self, now: LocalTime, wish: Wish, spares: &[Spare]) -> Vec<u64> {
        let is_last = self.usable().filter(|(_, range)| range.free() > 0).nth(1).is_none();
        if is_last {
            let last = spares.first().filter(|_| !self.demand.keeps_last(now));
            return last.map(|spare| spare.slice).into_iter().collect();
        }
        let keep = self.free() / 2;
        let mut left = self.free();
        let mut given = Vec::new();
        for spare in spares {
            if given.len() < wish.ranges as usize && left.saturating_sub(spare.free) >= keep {
                left -= spare.free;
                given.push(spare.slice);
            }
        }
        given
    }
}

impl Ranges {
    /// The store wants ranges of a pool back, for the partner.
    pub(super) fn wish_back(&mut self, now: LocalTime, pool: PoolId, ranges: u32) {
        if let Some(pool) = self.pool_mut(pool) {
            pool.wish = (ranges > 0).then_some(Wish { ranges, until: now + WISH_KEPT });
            self.look_at = LocalTime::ZERO;
        }
    }

    /// Whether to look for ranges to be spared.
    fn is_to_look(&self, now: LocalTime) -> bool {
        now >= self.look_at
            && self
                .pools()
                .any(|(_, p)| p.wish.is_some_and(|w| now < w.until) || p.demand.idle(now, p.stock()) > 0)
    }

    /// Chooses what is spared for the partner and what lies idle.
    fn spare(&mut self, now: LocalTime, busy: &BTreeSet<RangeId>) -> Vec<RangeId> {
        let mut chosen = Vec::new();
        for (id, pool) in self.pools_mut() {
            let wish = pool.wish.filter(|wish| now < wish.until);
            let idle = pool.demand.idle(now, pool.stock());
            if wish.is_none() && idle == 0 {
                continue;
            }
            let spares = pool.spares(id, busy);
            let slices = match wish {
                Some(wish) => pool.for_partner(now, wish, &spares),
                None => idle_of(&spares, idle),
            };
            match wish {
                Some(_) if slices.is_empty() => {}
                Some(_) => {
                    pool.wish = None;
                    pool.demand.gave();
                }
                None => pool.demand.idle_looked_for(now, !slices.is_empty()),
            }
            chosen.extend(slices.into_iter().map(|slice| RangeId { pool: id, slice }));
        }
        chosen
    }

    /// All ranges of a session in which nothing is untold. Of pools that are not configured any more, and past the end
    /// of those that are, it is not known which updates lie in which range: these go back once nothing at all is untold.
    fn all_told(&self, me: Epoch, busy: &BTreeSet<RangeId>, nothing_untold: bool) -> Vec<RangeId> {
        let mut all = self.mine(me);
        let is_configured = |range: &RangeId| {
            self.pool(range.pool).is_some_and(|p| p.geometry.slots_of(range.slice).is_some())
        };
        all.retain(|range| !busy.contains(range) && (nothing_untold || is_configured(range)));
        all
    }
}

/// Entirely free ranges, never going below the high-water mark.
fn idle_of(spares: &[Spare], mut above: u64) -> Vec<u64> {
    let mut slices = Vec::new();
    for spare in spares.iter().filter(|spare| spare.is_empty) {
        if slices.len() < IDLE_STEP && spare.free <= above {
            above -= spare.free;
            slices.push(spare.slice);
        }
    }
    slices
}

impl Leases {
    /// The ranges that go back with the batch that is made next; from now on nothing is created from them.
    pub(super) fn ranges_to_return(&mut self, now: LocalTime) -> Vec<RangeId> {
        if !self.load.loaded || !self.is_in_charge() {
            return Vec::new();
        }
        let me = self.session.epoch;
        let is_draining = self.session.draining;
        let is_to_look = if is_draining {
            now >= self.ranges.look_at && self.ranges.has_any(me)
        } else {
            self.ranges.is_to_look(now)
        };
        if !is_to_look {
            return Vec::new();
        }
        self.ranges.look_at = now + LOOK_EVERY;
        let Some(busy) = self.busy_ranges() else { return Vec::new() };
        let chosen = if is_draining {
            self.ranges.all_told(me, &busy, self.unacknowledged() == 0)
        } else {
            self.ranges.spare(now, &busy)
        };
        for range in &chosen {
            self.ranges.begin_return(*range, self.session.next_sequence);
        }
        chosen
    }

    /// Drained, or no more: gives everything back and creates nothing, but renews on; or asks for ranges again.
    pub(super) fn set_draining(&mut self, on: bool) {
        if std::mem::replace(&mut self.session.draining, on) != on {
            self.ranges.look_at = LocalTime::ZERO;
            for (_, pool) in self.ranges.pools_mut() {
                pool.demand.opened();
            }
        }
    }

    /// Ranges in which something is dirty or in flight. Nothing, and no range goes back now, when too much is to be gone
    /// through, or where something lies past the end of a pool that was cut: it may be of a slice that was cut in two.
    fn busy_ranges(&self) -> Option<BTreeSet<RangeId>> {
        if self.dirty.len() > WAITING_MAX {
            return None;
        }
        let dirty = self.dirty.records().filter_map(|at| self.records.get(at)).map(|r| (r.pool, r.prefix()));
        let sent = self.session.in_flight.all_updates().map(|u| (u.pool, u.prefix));
        let configured =
            dirty.chain(sent).filter_map(|(pool, prefix)| Some((self.names.pool(pool)?, prefix)));
        configured.map(|(pool, prefix)| pool.range_of(prefix)).collect()
    }
}
