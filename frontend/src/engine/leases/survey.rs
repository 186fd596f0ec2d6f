//! What must be counted record by record for the survival budget, in bounded pieces; and the pace of new leases.
//!
//! Owns one pass over the records at a time and the result of the last complete one: for each pool how many leases are
//! Active, and how far the store has acknowledged the one that reaches furthest. Refuses to judge: `engine::budget`
//! does. In: calls now and then. Out: [`KnownLeases`] and [`Pace`].
//!
//! Invariants: a call looks at a bounded number of records; a result is of one session; while the store is out of reach
//! acknowledgements stand still (FO-409), so the first pass after the loss holds for all of the outage, releases aside.

use super::{Leases, records::Records};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::time::{ClusterTime, LocalTime};
use leasehold_proto::words::{Epoch, PoolId};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Records looked at in one call. Why: at some 20 ns each, packets wait for a third of a millisecond.
const RECORDS_PER_CALL: u32 = 16_384;
/// From the beginning of a pass to that of the next.
const PASS_EVERY: Duration = Duration::from_secs(60);
/// Between samples of the count of new leases, and how many are kept.
const SAMPLE_EVERY: Duration = Duration::from_secs(60);
const SAMPLES_MAX: usize = 10;

/// What is known of the leases of one pool, as of the last pass over all records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownLeases {
    /// Active leases, whoever gave them. One that has run out stays among them until the store calls its end.
    pub active: u64,
    /// From now until the end of the lease that the store has acknowledged furthest: the longest that any client can
    /// be promised past the autonomy deadline (R4). Zero when nothing is acknowledged, or when cluster time cannot be
    /// bounded now; `Duration::MAX` for an infinite lease.
    pub acknowledged_left: Duration,
}

/// New leases over a span of the recent past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// How many.
    pub leases: u64,
    /// In which span; zero before anything was seen.
    pub over: Duration,
}

impl Pace {
    /// How long so many free slots last; nothing when none is being used up.
    #[must_use]
    pub fn lasts(&self, free: u64) -> Option<Duration> {
        if self.leases == 0 {
            return None;
        }
        let ms = u128::from(free).saturating_mul(self.over.as_millis()) / u128::from(self.leases);
        Some(Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)))
    }
}

/// Sums of one pool in a pass.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    active: u64,
    furthest: ClusterTime,
}

/// The counts of new leases at moments past, oldest first.
#[derive(Debug, Default)]
struct Samples(VecDeque<(LocalTime, u64)>);

impl Samples {
    fn take(&mut self, now: LocalTime, created: u64) {
        match self.0.back() {
            // The pool was cut anew, or it is another session: what was counted before means nothing.
            Some((_, before)) if created < *before => self.0.clear(),
            Some((at, _)) if now.saturating_since(*at) < SAMPLE_EVERY => return,
            _ => {}
        }
        self.0.push_back((now, created));
        if self.0.len() > SAMPLES_MAX {
            self.0.pop_front();
        }
    }

    fn pace(&self, now: LocalTime, created: u64) -> Pace {
        let since_oldest = self.0.front().map(|(at, before)| Pace {
            leases: created.saturating_sub(*before),
            over: now.saturating_since(*at),
        });
        since_oldest.unwrap_or_default()
    }
}

/// The pass under way and what the last one found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    epoch: Epoch,
    next_pass: LocalTime,
    /// The number of the next record to be looked at, while a pass is under way.
    at: Option<u32>,
    counting: BTreeMap<PoolId, Sums>,
    found: Option<BTreeMap<PoolId, Sums>>,
    samples: BTreeMap<PoolId, Samples>,
}

impl Survey {
    /// Looks at the next records. True when the pass is not complete.
    fn pass(&mut self, now: LocalTime, records: &Records) -> bool {
        if self.at.is_none() && now < self.next_pass {
            return false;
        }
        let from = self.at.unwrap_or_else(|| {
            self.next_pass = now + PASS_EVERY;
            self.counting.clear();
            0
        });
        let to = from.saturating_add(RECORDS_PER_CALL).min(records.end());
        let active = (from..to).filter_map(|at| records.get(at)).filter(|r| r.state() == LeaseState::Active);
        for record in active {
            let sums = self.counting.entry(record.pool).or_default();
            sums.active += 1;
            sums.furthest = sums.furthest.max(record.acked_until);
        }
        if to < records.end() {
            self.at = Some(to);
            return true;
        }
        self.at = None;
        self.found = Some(std::mem::take(&mut self.counting));
        now >= self.next_pass
    }
}

impl Leases {
    /// Goes on with the survey by a bounded piece. True when more is to be done soon; else a call each second will do.
    pub fn survey(&mut self, now: LocalTime) -> bool {
        if self.survey.epoch != self.session.epoch {
            self.survey = Survey { epoch: self.session.epoch, ..Survey::default() };
        }
        self.survey.samples.retain(|id, _| self.ranges.pool(*id).is_some());
        for (id, pool) in self.ranges.pools() {
            self.survey.samples.entry(id).or_default().take(now, pool.demand.created_in_all);
        }
        self.survey.pass(now, &self.records)
    }

    /// The next call of [`Leases::survey`] is to begin another pass, as soon as the one under way is complete.
    pub fn survey_anew(&mut self) {
        self.survey.next_pass = LocalTime::ZERO;
    }

    /// What is known of a pool's leases; nothing before the first pass of the session is complete.
    #[must_use]
    pub fn known_leases(&self, now: LocalTime, pool: PoolId) -> Option<KnownLeases> {
        let found = self.survey.found.as_ref().filter(|_| self.survey.epoch == self.session.epoch)?;
        let sums = found.get(&pool).copied().unwrap_or_default();
        let cluster_now = self.cluster_time_at_most(now);
        let left = |at| sums.furthest.saturating_since(at);
        Some(KnownLeases { active: sums.active, acknowledged_left: cluster_now.map_or(Duration::ZERO, left) })
    }

    /// How fast new leases were given from a pool, over the last ten minutes at most.
    #[must_use]
    pub fn pace(&self, now: LocalTime, pool: PoolId) -> Pace {
        let created = self.ranges.pool(pool).map_or(0, |pool| pool.demand.created_in_all);
        self.survey.samples.get(&pool).map(|samples| samples.pace(now, created)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> LocalTime {
        LocalTime::from_millis(secs * 1000)
    }

    #[test]
    fn the_pace_is_that_of_the_last_ten_minutes() {
        let mut samples = Samples::default();
        assert_eq!(samples.pace(at(5), 3), Pace::default());
        // Two a second for an hour, looked at each second.
        for second in 0..3600 {
            samples.take(at(second), second * 2);
        }
        let pace = samples.pace(at(3600), 7200);
        assert!((540..=600).contains(&pace.over.as_secs()), "{pace:?}");
        assert_eq!(pace.leases, pace.over.as_secs() * 2);
        assert_eq!(pace.lasts(7200), Some(Duration::from_secs(3600)));
        assert_eq!(samples.0.len(), SAMPLES_MAX);
        // Nothing more is given: the pace falls to nothing within ten minutes.
        for second in 3600..4300 {
            samples.take(at(second), 7200);
        }
        assert_eq!(samples.pace(at(4300), 7200).lasts(7200), None);
    }

    #[test]
    fn a_pool_that_is_cut_anew_begins_at_nothing() {
        let mut samples = Samples::default();
        samples.take(at(0), 500);
        samples.take(at(30), 10);
        assert_eq!(samples.pace(at(40), 12), Pace { leases: 2, over: Duration::from_secs(10) });
    }

    #[test]
    fn a_pace_never_overflows() {
        let pace = Pace { leases: 1, over: Duration::MAX };
        assert_eq!(pace.lasts(u64::MAX), Some(Duration::from_millis(u64::MAX)));
    }
}
