//! The map of free slots against a naive set.

use super::super::free_map::FreeMap;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn naive_next(free: &BTreeSet<usize>, start: usize) -> Option<usize> {
    free.range(start..).next().or_else(|| free.iter().next()).copied()
}

proptest! {
    #[test]
    fn a_free_map_agrees_with_a_set(
        len in 1usize..5000,
        all_free in any::<bool>(),
        steps in proptest::collection::vec((0usize..5200, any::<bool>(), 0usize..5000), 1..200),
    ) {
        let mut map = FreeMap::new(len, all_free);
        let mut set: BTreeSet<usize> = if all_free { (0..len).collect() } else { BTreeSet::new() };
        for (slot, free, start) in steps {
            let changes = slot < len && set.contains(&slot) != free;
            prop_assert_eq!(map.set(slot, free), changes);
            if changes && free { set.insert(slot); }
            if changes && !free { set.remove(&slot); }
            prop_assert_eq!(map.free(), set.len());
            prop_assert_eq!(map.is_free(slot), set.contains(&slot));
            let start = start % len;
            prop_assert_eq!(map.next_from(start), naive_next(&set, start));
        }
        map.grow(len * 2);
        prop_assert_eq!(map.free(), set.len());
        prop_assert_eq!(map.next_from(0), naive_next(&set, 0));
    }
}

#[test]
fn the_last_of_65536_is_found_and_lost() {
    let mut map = FreeMap::new(1 << 16, true);
    for slot in (0..1 << 16).filter(|s| *s != 40_000) {
        assert!(map.set(slot, false));
    }
    for start in [0, 39_999, 40_000, 40_001, 65_535] {
        assert_eq!(map.next_from(start), Some(40_000));
    }
    map.set(40_000, false);
    assert_eq!((map.next_from(0), map.free()), (None, 0));
}
