//! Clocks that drift: each process has a monotonic clock of its own, with its own origin and rate.
//!
//! Owns the way between true time, which only the simulation knows, and a process's local time. Invariant: local time
//! never goes back. True time is counted in nanoseconds from the run's beginning.

use leasehold_proto::time::LocalTime;
use std::time::Duration;

/// True time: nanoseconds since the run began.
pub(super) type Nanos = u64;

/// A span in nanoseconds, from milliseconds.
pub(super) const fn ms(ms: u64) -> Nanos {
    ms * 1_000_000
}

/// A span in nanoseconds, from seconds.
pub(super) const fn secs(secs: u64) -> Nanos {
    secs.saturating_mul(1_000_000_000)
}

/// A span in nanoseconds.
pub(super) fn nanos(span: Duration) -> Nanos {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Parts of a billion that a clock of the right rate advances in one billionth of a second.
pub(super) const TRUE_RATE: u64 = 1_000_000_000;

/// One process's monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct DriftClock {
    since: Nanos,
    local_then: u64,
    rate_ppb: u64,
}

impl DriftClock {
    /// A clock that shows `offset_ns` at the beginning and advances `rate_ppb` nanoseconds in a true second.
    pub(super) fn new(offset_ns: u64, rate_ppb: u64) -> Self {
        Self { since: 0, local_then: offset_ns, rate_ppb }
    }

    /// What it shows.
    pub(super) fn local(&self, at: Nanos) -> LocalTime {
        let passed = u128::from(at - self.since) * u128::from(self.rate_ppb) / u128::from(TRUE_RATE);
        LocalTime::from_nanos(self.local_then + u64::try_from(passed).unwrap_or(u64::MAX / 2))
    }

    /// The first true time at which it shows `local` or more; the far future for a moment that does not come.
    pub(super) fn when(&self, local: LocalTime) -> Nanos {
        let ahead = u128::from(local.as_nanos().saturating_sub(self.local_then));
        let passed = (ahead * u128::from(TRUE_RATE)).div_ceil(u128::from(self.rate_ppb));
        u64::try_from(passed).map_or(u64::MAX, |p| self.since.saturating_add(p))
    }

    /// A paused virtual machine: true time passed from `from` to `to`, and the clock stood still.
    pub(super) fn stood_still(&mut self, from: Nanos, to: Nanos) {
        self.local_then = self.local(from).as_nanos();
        self.since = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_and_true_time_round_trip() {
        for rate in [999_500_000, TRUE_RATE, 1_000_500_000, 300_000_000] {
            let clock = DriftClock::new(12_345, rate);
            for at in [0, 1, 7, secs(1), secs(86_400) + 3] {
                let local = clock.local(at);
                let back = clock.when(local);
                assert!(back <= at && clock.local(back) >= local, "rate {rate}, at {at}");
            }
        }
        assert_eq!(DriftClock::new(0, TRUE_RATE).when(LocalTime::NEVER), u64::MAX);
    }

    #[test]
    fn a_clock_that_stood_still_goes_on_from_where_it_was() {
        let mut clock = DriftClock::new(0, TRUE_RATE);
        clock.stood_still(secs(5), secs(9));
        assert_eq!(clock.local(secs(10)), LocalTime::from_millis(6000));
    }
}
