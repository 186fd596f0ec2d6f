//! Whether a frontend is heard. Judged by the leader, allowed to be wrong: it decides who answers, never who may have
//! an address (design section 4).
//!
//! Owns: one judgement a frontend, with the moment until which it holds. Refuses to know: connections and sessions.
//! Invariant: a judgement flips only in here, and every flip sets `flipped` until it was told.

use leasehold_proto::time::LocalTime;
use leasehold_proto::words::FrontendId;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Liveness {
    lost_after: Duration,
    judged: BTreeMap<FrontendId, Judgement>,
    flipped: bool,
}

#[derive(Debug, Clone, Copy)]
struct Judgement {
    live: bool,
    /// While live: it is called lost when nothing is heard until then.
    until: LocalTime,
}

impl Liveness {
    pub(super) fn new(lost_after: Duration) -> Self {
        Self { lost_after, judged: BTreeMap::new(), flipped: false }
    }

    /// A new leader knows nobody: all are presumed live until they had time to reconnect.
    pub(super) fn presume(&mut self, frontends: impl Iterator<Item = FrontendId>, now: LocalTime) {
        let until = now + self.lost_after * 2;
        self.judged = frontends.map(|f| (f, Judgement { live: true, until })).collect();
        self.flipped = true;
    }

    /// Forgets everything: this node does not lead.
    pub(super) fn clear(&mut self) {
        self.judged.clear();
        self.flipped = false;
    }

    /// Makes a frontend known; not heard yet, so not live.
    pub(super) fn know(&mut self, frontend: &FrontendId) {
        if !self.judged.contains_key(frontend) {
            self.judged.insert(frontend.clone(), Judgement { live: false, until: LocalTime::ZERO });
        }
    }

    pub(super) fn heard(&mut self, frontend: &FrontendId, now: LocalTime) {
        let until = now + self.lost_after;
        match self.judged.get_mut(frontend) {
            Some(judgement) => {
                self.flipped |= !judgement.live;
                *judgement = Judgement { live: true, until };
            }
            None => {
                self.judged.insert(frontend.clone(), Judgement { live: true, until });
                self.flipped = true;
            }
        }
    }

    pub(super) fn lost(&mut self, frontend: &FrontendId) {
        if let Some(judgement) = self.judged.get_mut(frontend) {
            self.flipped |= judgement.live;
            judgement.live = false;
        }
    }

    /// Calls lost whoever was silent for too long.
    pub(super) fn turn(&mut self, now: LocalTime) {
        for judgement in self.judged.values_mut() {
            if judgement.live && judgement.until <= now {
                judgement.live = false;
                self.flipped = true;
            }
        }
    }

    /// Partners changed: whoever was not told of somebody is to be told.
    pub(super) fn tell_again(&mut self) {
        self.flipped = true;
    }

    pub(super) fn take_flipped(&mut self) -> bool {
        std::mem::take(&mut self.flipped)
    }

    pub(super) fn is_live(&self, frontend: &FrontendId) -> bool {
        self.judged.get(frontend).is_some_and(|j| j.live)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (FrontendId, bool)> {
        self.judged.iter().map(|(f, j)| (f.clone(), j.live))
    }

    pub(super) fn next_deadline(&self) -> Option<LocalTime> {
        self.judged.values().filter(|j| j.live).map(|j| j.until).min()
    }
}
