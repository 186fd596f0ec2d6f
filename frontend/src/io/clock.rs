//! The clocks of the frontend: the only place in the crate that reads one, tokio's timers aside.
//!
//! Owns the reading of CLOCK_BOOTTIME, which counts suspend, and of the wall clock beside it for the one use that
//! design section 4 allows: noticing that the two have moved apart. Refuses to judge what that means. Out:
//! [`LocalTime`], monotonic within this process and comparable with nothing outside it.

use std::time::Duration;

use leasehold_proto::time::LocalTime;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

/// How far monotonic and wall clock may move apart before a process must suspect that it was paused.
///
/// Source: design section 4. Handlers compare it with [`ClockPair::drift_since`].
pub const PAUSE_SUSPECTED_AFTER: Duration = Duration::from_secs(1);

/// The monotonic time now.
#[must_use]
pub fn now() -> LocalTime {
    let span = read(ClockId::CLOCK_BOOTTIME);
    LocalTime::from_nanos(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
}

/// The wall clock, since 1970: for people, who compare it with other logs. Nothing is decided by it.
#[must_use]
pub fn wall_for_people() -> Duration {
    read(ClockId::CLOCK_REALTIME)
}

/// Both clocks, read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockPair {
    /// The monotonic clock.
    pub local: LocalTime,
    /// The wall clock, since 1970; for comparison with another `ClockPair` only.
    pub wall: Duration,
}

impl ClockPair {
    /// Reads both clocks.
    ///
    /// A pause between the two readings would look like drift, so the wall clock is read between two readings of the
    /// monotonic one, again (a few times at most) when those are more than 10 ms apart.
    #[must_use]
    pub fn sample() -> Self {
        const APART_MAX: Duration = Duration::from_millis(10);
        const TRIES: usize = 4;
        let mut pair = Self { local: LocalTime::ZERO, wall: Duration::ZERO };
        for _ in 0..TRIES {
            pair.local = now();
            pair.wall = read(ClockId::CLOCK_REALTIME);
            if now().saturating_since(pair.local) <= APART_MAX {
                break;
            }
        }
        pair
    }

    /// How far the two clocks have moved apart since an earlier sample, whichever ran ahead.
    #[must_use]
    pub fn drift_since(&self, earlier: &Self) -> Duration {
        let local = self.local.saturating_since(earlier.local);
        match self.wall.checked_sub(earlier.wall) {
            Some(wall) => wall.abs_diff(local),
            // The wall clock was set back.
            None => local.saturating_add(earlier.wall - self.wall),
        }
    }
}

/// A clock's reading; a clock set before its origin reads zero.
fn read(clock: ClockId) -> Duration {
    let time =
        clock_gettime(clock).expect("Linux has had both clocks since 2.6.39, and the pointer is nix's own");
    to_span(time)
}

fn to_span(time: TimeSpec) -> Duration {
    let secs = u64::try_from(time.tv_sec()).unwrap_or(0);
    Duration::new(secs, u32::try_from(time.tv_nsec()).unwrap_or(0))
}
