//! Three kinds of time that do not mix (design section 4): cluster time, a process's own monotonic time, and
//! lifetimes as clients are told. Wall-clock time has no type here: no lease depends on it.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// The store's clock: milliseconds since the cluster was founded. `NEVER` lies after every moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClusterTime(u64);

impl ClusterTime {
    /// The moment the cluster was founded.
    pub const ZERO: Self = Self(0);
    /// A moment that does not come: the end of an infinite lease.
    pub const NEVER: Self = Self(u64::MAX);

    /// From milliseconds since the founding; `u64::MAX` is `NEVER`.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the founding.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The span from `earlier` until this moment, or zero when it lies before; `Duration::MAX` for `NEVER`.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        if self == Self::NEVER {
            Duration::MAX
        } else {
            Duration::from_millis(self.0.saturating_sub(earlier.0))
        }
    }

    /// The moment a lifetime from now ends; infinity ends `NEVER`.
    #[must_use]
    pub fn after_lifetime(self, lifetime: Lifetime) -> Self {
        match lifetime.finite_secs() {
            Some(secs) => self + Duration::from_secs(u64::from(secs)),
            None => Self::NEVER,
        }
    }
}

impl Add<Duration> for ClusterTime {
    type Output = Self;

    /// Saturates at `NEVER`: a span too long to count ends at no moment anyone waits for.
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// A process's own monotonic clock (CLOCK_BOOTTIME): nanoseconds since an origin of its own. Comparable only within
/// that process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LocalTime(u64);

impl LocalTime {
    /// The origin.
    pub const ZERO: Self = Self(0);
    /// A moment that does not come.
    pub const NEVER: Self = Self(u64::MAX);

    /// From nanoseconds since the origin.
    #[must_use]
    pub const fn from_nanos(ns: u64) -> Self {
        Self(ns)
    }

    /// From milliseconds since the origin.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The span since `earlier`, or zero when that lies ahead.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for LocalTime {
    type Output = Self;

    /// Saturates at `NEVER`.
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for LocalTime {
    type Output = Self;

    /// Saturates at the origin.
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A preferred or valid lifetime as it stands on the wire: seconds, or infinity (RFC 9915 §7.7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lifetime(u32);

impl Lifetime {
    /// No time at all: "stop using this".
    pub const ZERO: Self = Self(0);
    /// 0xffffffff on the wire.
    pub const INFINITE: Self = Self(u32::MAX);
    /// The longest finite lifetime.
    pub const FINITE_MAX: Self = Self(u32::MAX - 1);

    /// From the number on the wire: seconds, or 0xffffffff for infinity.
    #[must_use]
    pub const fn from_wire(secs: u32) -> Self {
        Self(secs)
    }

    /// The number on the wire.
    #[must_use]
    pub const fn to_wire(self) -> u32 {
        self.0
    }

    /// Whole seconds of a span, rounded down; too long a span becomes the longest finite lifetime.
    #[must_use]
    pub fn from_span_floor(span: Duration) -> Self {
        if span == Duration::MAX {
            return Self::INFINITE;
        }
        Self(u32::try_from(span.as_secs()).unwrap_or(u32::MAX).min(Self::FINITE_MAX.0))
    }

    /// Seconds, or nothing for infinity.
    #[must_use]
    pub const fn finite_secs(self) -> Option<u32> {
        if self.0 == u32::MAX { None } else { Some(self.0) }
    }

    /// The span; infinity is `Duration::MAX`.
    #[must_use]
    pub const fn span(self) -> Duration {
        match self.finite_secs() {
            Some(secs) => Duration::from_secs(secs as u64),
            None => Duration::MAX,
        }
    }
}

impl fmt::Debug for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.finite_secs() {
            Some(secs) => write!(f, "{secs}s"),
            None => f.write_str("infinite"),
        }
    }
}

/// A span of so many milliseconds for people, in its two largest units: `1h 3m`.
#[must_use]
pub fn span_words(ms: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let Some(at) = UNITS.iter().position(|(_, factor)| ms >= *factor) else { return format!("{ms}ms") };
    let (unit, factor) = UNITS[at];
    let rest = UNITS.get(at + 1).map(|(unit, smaller)| (unit, ms % factor / smaller)).filter(|(_, n)| *n > 0);
    let head = format!("{}{unit}", ms / factor);
    rest.map_or_else(|| head.clone(), |(unit, n)| format!("{head} {n}{unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_two_units() {
        for (ms, words) in [
            (0, "0ms"),
            (999, "999ms"),
            (61_000, "1m 1s"),
            (3_600_000, "1h"),
            (3_780_000, "1h 3m"),
            (90_061_000, "1d 1h"),
        ] {
            assert_eq!(span_words(ms), words);
        }
    }

    #[test]
    fn infinity_stays_infinity() {
        assert_eq!(ClusterTime::from_millis(5).after_lifetime(Lifetime::INFINITE), ClusterTime::NEVER);
        assert_eq!(ClusterTime::NEVER.saturating_since(ClusterTime::ZERO), Duration::MAX);
        assert_eq!(Lifetime::from_span_floor(Duration::MAX), Lifetime::INFINITE);
        assert_eq!(Lifetime::from_span_floor(Duration::from_secs(u64::MAX / 2)), Lifetime::FINITE_MAX);
        assert_eq!(Lifetime::from_span_floor(Duration::from_millis(1999)), Lifetime::from_wire(1));
    }
}
