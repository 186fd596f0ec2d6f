//! Which addresses were granted by what is a pool no more, or not there any more (R7).
//!
//! Owns spans of addresses: those of every slice that a pool had granted when it was taken out, or when its end was moved
//! before them; and all, once a cluster was founded anew. A pool generation is forgotten once nothing of it is left, its
//! records of leases with it; a client that claims one of these addresses may have held it then, and another may have been
//! given it since. Refuses to know which pools, and when. Spans are only ever added, and too large ones only refuse more
//! adoptions than they must: so what touches is made one, and of too many the two nearest.

use super::command::FORMAT_HISTORY;
use super::rows::RowKey;
use super::state::{Machine, PoolState};
use leasehold_proto::words::{PoolId, RangeId};
use std::collections::BTreeMap;

/// Spans kept at most.
const SPANS_MAX: usize = 4096;

/// First and last address of each span, which are apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct History {
    last_by_first: BTreeMap<u128, u128>,
}

impl History {
    /// Whether any of these addresses is in it.
    pub(super) fn touches(&self, first: u128, last: u128) -> bool {
        self.last_by_first.range(..=last).next_back().is_some_and(|(_, end)| *end >= first)
    }

    pub(super) fn spans(&self) -> impl Iterator<Item = (u128, u128)> + Clone + use<'_> {
        self.last_by_first.iter().map(|(first, last)| (*first, *last))
    }

    pub(super) fn last_of(&self, first: u128) -> Option<u128> {
        self.last_by_first.get(&first).copied()
    }

    /// Adds a span, and gives the first addresses of those that changed, came or went.
    pub(super) fn add(&mut self, mut first: u128, mut last: u128) -> Vec<u128> {
        let mut changed = Vec::new();
        while let Some((from, to)) = self
            .last_by_first
            .range(..=last.saturating_add(1))
            .next_back()
            .map(|(from, to)| (*from, *to))
            .filter(|(_, to)| to.saturating_add(1) >= first)
        {
            self.last_by_first.remove(&from);
            changed.push(from);
            (first, last) = (first.min(from), last.max(to));
        }
        self.last_by_first.insert(first, last);
        changed.push(first);
        if self.last_by_first.len() > SPANS_MAX {
            changed.extend(self.join_nearest().into_iter().flatten());
        }
        changed
    }

    /// Makes the two spans one that are nearest to each other.
    fn join_nearest(&mut self) -> Option<[u128; 2]> {
        let pairs = self.last_by_first.iter().zip(self.last_by_first.iter().skip(1));
        let (first, next) = pairs
            .min_by_key(|((_, last), (next, _))| next.saturating_sub(**last))
            .map(|((first, _), (next, _))| (*first, *next))?;
        let last = self.last_by_first.remove(&next)?;
        self.last_by_first.insert(first, last);
        Some([first, next])
    }
}

impl Machine {
    /// What a pool has granted from a slot on is not offered any more.
    pub(super) fn note_granted_once(&mut self, id: PoolId, from_slot: u64) {
        let Some(state) = self.pools.get(&id).filter(|_| self.format >= FORMAT_HISTORY) else { return };
        let geometry = &state.pool.geometry;
        let last_slice = state.fresh_slices_used.max(state.unclean_below).checked_sub(1);
        let Some((_, last)) = last_slice.and_then(|s| geometry.slots_of(s.min(geometry.last_slice()))) else {
            return;
        };
        if from_slot <= last {
            let (first, last) = (geometry.prefix_at(from_slot).bits(), geometry.prefix_at(last).last_bits());
            self.note_history(first, last);
        }
    }

    /// What entries of format 1 took out or cut off, and did not write down.
    pub(super) fn note_what_format_1_took_out(&mut self) {
        let past = |state: &PoolState| match (state.retired, state.cut) {
            (Some(_), _) => Some((state.pool.id, 0)),
            (None, Some(_)) => Some((state.pool.id, state.offered_last_slot.saturating_add(1))),
            (None, None) => None,
        };
        let past: Vec<(PoolId, u64)> = self.pools.values().filter_map(past).collect();
        for (id, from_slot) in past {
            self.note_granted_once(id, from_slot);
        }
    }

    /// These addresses may have been leased before.
    pub(super) fn note_history(&mut self, first: u128, last: u128) {
        for changed in self.history.add(first, last) {
            self.touch(RowKey::History(changed));
        }
    }

    /// Whether any address that is offered of a range was granted by what is no more.
    pub(super) fn was_granted_once(&self, range: RangeId) -> bool {
        self.pools
            .get(&range.pool)
            .and_then(|pool: &PoolState| pool.offered_bounds(range.slice))
            .is_some_and(|(first, last)| self.history.touches(first, last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(spans: &[(u128, u128)]) -> History {
        let mut history = History::default();
        for (first, last) in spans {
            history.add(*first, *last);
        }
        history
    }

    #[test]
    fn what_touches_is_one_span() {
        let history = of(&[(10, 19), (30, 39), (50, 59)]);
        assert_eq!(history.spans().count(), 3);
        for (first, last, touches) in [
            (0, 9, false),
            (0, 10, true),
            (19, 19, true),
            (20, 29, false),
            (0, u128::MAX, true),
            (60, 99, false),
        ] {
            assert_eq!(history.touches(first, last), touches, "{first}..={last}");
        }
        let joined = |first, last| {
            let mut more = history.clone();
            let mut changed = more.add(first, last);
            changed.sort_unstable();
            (more.spans().collect::<Vec<_>>(), changed)
        };
        assert_eq!(joined(20, 29), (vec![(10, 39), (50, 59)], vec![10, 10, 30]));
        assert_eq!(joined(35, 36), (vec![(10, 19), (30, 39), (50, 59)], vec![30, 30]));
        assert_eq!(joined(21, 28), (vec![(10, 19), (21, 28), (30, 39), (50, 59)], vec![21]));
        assert_eq!(joined(0, u128::MAX), (vec![(0, u128::MAX)], vec![0, 10, 30, 50]));
    }

    #[test]
    fn of_too_many_spans_the_nearest_are_one() {
        let mut history = History::default();
        for n in 0..SPANS_MAX as u128 {
            history.add(n * 100, n * 100 + 9);
        }
        assert_eq!(history.spans().count(), SPANS_MAX);
        let changed = history.add(712, 720);
        assert_eq!(history.spans().count(), SPANS_MAX);
        assert_eq!(changed, [712, 700, 712]);
        assert!(history.touches(710, 711), "taken with them");
        assert_eq!(history.last_of(700), Some(720));
    }
}
