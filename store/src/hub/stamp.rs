//! The leader's cluster clock (design section 4): how cluster time goes on while one node leads.

use leasehold_proto::time::{ClusterTime, LocalTime};

/// Cluster time as one leader counts it: the last committed value, and its own monotonic clock since it took over.
///
/// It never runs ahead of real time: while nobody led, cluster time stood still, which only makes the store wait
/// longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderClock {
    base: ClusterTime,
    at: LocalTime,
}

impl LeaderClock {
    /// Takes over: `committed` is the machine's time once everything committed is applied, `now` this process's own
    /// monotonic time.
    #[must_use]
    pub fn lead(committed: ClusterTime, now: LocalTime) -> Self {
        Self { base: committed, at: now }
    }

    /// The stamp for a batch made at `now`.
    #[must_use]
    pub fn stamp(&self, now: LocalTime) -> ClusterTime {
        self.base + now.saturating_since(self.at)
    }

    /// The local moment at which the stamp reaches a cluster time; `NEVER` for one that does not come.
    #[must_use]
    pub fn local_at(&self, moment: ClusterTime) -> LocalTime {
        if moment == ClusterTime::NEVER {
            return LocalTime::NEVER;
        }
        self.at + moment.saturating_since(self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn fo_906_cluster_time_goes_on_from_the_last_committed_value_by_the_monotonic_clock() {
        let at = LocalTime::from_millis(5_000);
        let clock = LeaderClock::lead(ClusterTime::from_millis(70_000), at);
        assert_eq!(clock.stamp(at), ClusterTime::from_millis(70_000));
        assert_eq!(clock.stamp(at + Duration::from_millis(250)), ClusterTime::from_millis(70_250));
        assert_eq!(clock.stamp(LocalTime::ZERO), ClusterTime::from_millis(70_000), "never back");
        assert_eq!(clock.local_at(ClusterTime::from_millis(70_250)), at + Duration::from_millis(250));
        assert_eq!(clock.local_at(ClusterTime::NEVER), LocalTime::NEVER);
    }
}
