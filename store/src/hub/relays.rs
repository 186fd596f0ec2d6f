//! Which relays each frontend hears, as it last said, and when its partners are told (design section 3).
//!
//! Owns one list a frontend, bounded. Refuses to know who is told. Why news of a relay waits a moment before it is told:
//! a relay that begins to speak is heard by both partners at once, and their heartbeats say so up to 200 ms apart; told
//! in between, both would answer what it forwards. So it waits from when anybody says it first, and is then told of all
//! who hear it at the same moment. That a relay is heard no more is told at once.

use leasehold_proto::time::LocalTime;
use leasehold_proto::words::FrontendId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Relays known of one frontend, at most: with more it is unknown which it hears, and everybody is presumed to.
const RELAYS_MAX: usize = 1024;
/// How long news of a relay waits: two heartbeats and a little.
const SETTLES_IN: Duration = Duration::from_millis(450);

#[derive(Debug, Default)]
pub(super) struct Relays {
    heard: BTreeMap<FrontendId, Heard>,
    /// From when each relay that somebody hears is told of.
    tell_at: BTreeMap<u128, LocalTime>,
    /// When the next of these moments comes.
    due: Option<LocalTime>,
    changed: bool,
}

/// None: unknown.
type List = Option<BTreeSet<u128>>;

#[derive(Debug, Default)]
struct Heard {
    said: List,
    told: List,
}

impl Relays {
    /// Forgets everything: it is unknown who hears what.
    pub(super) fn clear(&mut self) {
        *self = Self { changed: true, ..Self::default() };
    }

    /// Forgets who is not configured any more.
    pub(super) fn retain(&mut self, frontends: &BTreeSet<FrontendId>) {
        self.heard.retain(|frontend, _| frontends.contains(frontend));
    }

    /// A frontend lists the relays that it hears.
    pub(super) fn said(&mut self, frontend: &FrontendId, relays: &[u128], now: LocalTime) {
        let list: List = (relays.len() <= RELAYS_MAX).then(|| relays.iter().copied().collect());
        let heard = self.heard.entry(frontend.clone()).or_default();
        if heard.said == list {
            return;
        }
        for relay in list.iter().flatten() {
            self.tell_at.entry(*relay).or_insert(now + SETTLES_IN);
        }
        match (&mut heard.told, &list) {
            (Some(told), Some(said)) => {
                let before = told.len();
                told.retain(|relay| said.contains(relay));
                self.changed |= told.len() != before;
            }
            // What was unknown so far, or is so now, is told at once.
            (told, said) => {
                told.clone_from(said);
                self.changed = true;
            }
        }
        heard.said = list;
        let said: Vec<&BTreeSet<u128>> = self.heard.values().filter_map(|h| h.said.as_ref()).collect();
        self.tell_at.retain(|relay, _| said.iter().any(|list| list.contains(relay)));
        self.tell_settled(now);
    }

    /// Tells what has settled.
    pub(super) fn turn(&mut self, now: LocalTime) {
        if self.due.is_some_and(|due| due <= now) {
            self.tell_settled(now);
        }
    }

    fn tell_settled(&mut self, now: LocalTime) {
        self.due = None;
        for Heard { said, told } in self.heard.values_mut() {
            let (Some(said), Some(told)) = (said, told) else { continue };
            for relay in said.iter() {
                // Each that is said has its moment.
                let at = self.tell_at.get(relay).copied().unwrap_or(now);
                if at <= now {
                    self.changed |= told.insert(*relay);
                } else if !told.contains(relay) {
                    self.due = Some(self.due.map_or(at, |due| due.min(at)));
                }
            }
        }
    }

    /// When [`Relays::turn`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<LocalTime> {
        self.due
    }

    /// Whether what is told changed since this was asked last.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// The relays that a frontend hears, sorted, as is told of it.
    pub(super) fn told_of(&self, frontend: &FrontendId) -> Option<Vec<u128>> {
        self.heard.get(frontend)?.told.as_ref().map(|told| told.iter().copied().collect())
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
        assert_eq!(relays.told_of(&fe), Some(vec![3, 9]));
        assert!(relays.take_changed() && relays.next_deadline() == Some(at(660)));
        relays.turn(at(660));
        assert_eq!(relays.told_of(&fe), Some(vec![3, 5, 9]));
        assert!(relays.take_changed());
        relays.said(&fe, &[9, 5], at(700));
        assert_eq!(relays.told_of(&fe), Some(vec![5, 9]));
        assert!(relays.take_changed() && relays.next_deadline().is_none());
    }

    /// In between each would believe that the other does not hear it, and both would answer.
    #[test]
    fn fo_910_a_relay_that_begins_to_speak_is_told_of_both_partners_at_the_same_moment() {
        let [a, b, late] = ["fe-a", "fe-b", "fe-c"].map(|name| FrontendId::new(name).unwrap());
        let mut relays = Relays::default();
        for frontend in [&a, &b, &late] {
            relays.said(frontend, &[1], at(0));
        }
        relays.take_changed();
        relays.said(&a, &[1, 7], at(1000));
        relays.said(&b, &[1, 7], at(1190));
        for ms in 1190..1450 {
            relays.turn(at(ms));
            assert!(!relays.take_changed(), "{ms}");
        }
        relays.turn(at(1450));
        assert_eq!((relays.told_of(&a), relays.told_of(&b)), (Some(vec![1, 7]), Some(vec![1, 7])));
        assert_eq!(relays.told_of(&late), Some(vec![1]), "it does not hear it");
        assert!(relays.take_changed() && relays.next_deadline().is_none());
        relays.said(&late, &[1, 7], at(2000));
        assert!(
            relays.take_changed() && relays.told_of(&late) == Some(vec![1, 7]),
            "others are told already"
        );
        // Heard by nobody for a while, it is news again.
        for frontend in [&a, &b, &late] {
            relays.said(frontend, &[1], at(3000));
        }
        relays.said(&a, &[1, 7], at(9000));
        assert_eq!(relays.told_of(&a), Some(vec![1]));
        assert_eq!(relays.next_deadline(), Some(at(9450)));
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
