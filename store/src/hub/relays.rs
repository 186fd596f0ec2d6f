//! Which relays each frontend hears, as it last said, and when its partners are told (design section 3).
//!
//! Owns one list a frontend, bounded. Refuses to know who is told. Why news of a relay waits a moment before it is told:
//! a relay that begins to speak is heard by both partners at once, and their heartbeats say so up to 200 ms apart; told
//! in between, both would answer what it forwards. That a relay is heard no more is told at once.

use leasehold_proto::time::LocalTime;
use leasehold_proto::words::FrontendId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Relays known of one frontend, at most: with more it is unknown which it hears, and everybody is presumed to.
const RELAYS_MAX: usize = 1024;
/// How long a list that only grew waits: two heartbeats and a little.
const SETTLES_IN: Duration = Duration::from_millis(450);

#[derive(Debug, Default)]
pub(super) struct Relays {
    heard: BTreeMap<FrontendId, Heard>,
    changed: bool,
}

/// None: unknown.
type List = Option<Vec<u128>>;

#[derive(Debug, Default)]
struct Heard {
    said: List,
    told: List,
    tell_at: Option<LocalTime>,
}

impl Relays {
    /// Forgets everything: it is unknown who hears what.
    pub(super) fn clear(&mut self) {
        self.heard.clear();
        self.changed = true;
    }

    /// Forgets who is not configured any more.
    pub(super) fn retain(&mut self, frontends: &BTreeSet<FrontendId>) {
        self.heard.retain(|frontend, _| frontends.contains(frontend));
    }

    /// A frontend lists the relays that it hears.
    pub(super) fn said(&mut self, frontend: &FrontendId, relays: &[u128], now: LocalTime) {
        let list = (relays.len() <= RELAYS_MAX).then(|| {
            let sorted: BTreeSet<u128> = relays.iter().copied().collect();
            sorted.into_iter().collect::<Vec<_>>()
        });
        let heard = self.heard.entry(frontend.clone()).or_default();
        if heard.said == list {
            return;
        }
        heard.said = list;
        let only_grew = match (&heard.told, &heard.said) {
            (Some(told), Some(said)) => told.iter().all(|relay| said.binary_search(relay).is_ok()),
            _ => false,
        };
        if only_grew {
            heard.tell_at.get_or_insert(now + SETTLES_IN);
        } else {
            heard.tell();
            self.changed = true;
        }
    }

    /// Tells the lists that have settled.
    pub(super) fn turn(&mut self, now: LocalTime) {
        for heard in self.heard.values_mut().filter(|h| h.tell_at.is_some_and(|at| at <= now)) {
            heard.tell();
            self.changed = true;
        }
    }

    /// When [`Relays::turn`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<LocalTime> {
        self.heard.values().filter_map(|h| h.tell_at).min()
    }

    /// Whether what is told changed since this was asked last.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// The relays that a frontend hears, sorted, as is told of it.
    pub(super) fn told_of(&self, frontend: &FrontendId) -> Option<Vec<u128>> {
        self.heard.get(frontend)?.told.clone()
    }
}

impl Heard {
    fn tell(&mut self) {
        self.told.clone_from(&self.said);
        self.tell_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> LocalTime {
        LocalTime::from_millis(ms)
    }

    #[test]
    fn news_of_a_relay_settles_and_its_silence_is_told_at_once() {
        let fe = FrontendId::new("fe-a").unwrap();
        let mut relays = Relays::default();
        assert_eq!(relays.told_of(&fe), None, "unknown before the first word");
        relays.said(&fe, &[], at(0));
        assert_eq!(relays.told_of(&fe), Some(vec![]));
        assert!(relays.take_changed());
        relays.said(&fe, &[9, 3], at(10));
        relays.said(&fe, &[9, 3, 5], at(210));
        relays.turn(at(459));
        assert!(!relays.take_changed() && relays.next_deadline() == Some(at(460)));
        relays.turn(at(460));
        assert_eq!(relays.told_of(&fe), Some(vec![3, 5, 9]));
        assert!(relays.take_changed());
        relays.said(&fe, &[9, 5], at(700));
        assert_eq!(relays.told_of(&fe), Some(vec![5, 9]));
        assert!(relays.take_changed() && relays.next_deadline().is_none());
    }

    #[test]
    fn more_relays_than_can_be_listed_are_unknown() {
        let fe = FrontendId::new("fe-a").unwrap();
        let mut relays = Relays::default();
        let many: Vec<u128> = (0..1025).collect();
        relays.said(&fe, &many[..1024], at(0));
        assert_eq!(relays.told_of(&fe).map(|l| l.len()), Some(1024));
        relays.said(&fe, &many, at(10));
        assert_eq!(relays.told_of(&fe), None);
    }
}
