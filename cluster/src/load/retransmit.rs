//! When a client sends again, and when it gives up.
//!
//! Owns RFC 9915's retransmission rule and the parameters of each message. Refuses to know clocks, randomness (both
//! are arguments) and messages. Invariant: every retransmission time lies within a tenth of its nominal value, as the
//! RFC's RAND does. Source: RFC 9915 §7.6 (parameters), §15 (rule), §18.2.1 (first Solicit).

use std::time::Duration;

use leasehold_proto::time::LocalTime;

/// Parameters of one kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// IRT: the first retransmission time.
    pub initial: Duration,
    /// MRT: the longest one; `None` is no limit.
    pub longest: Option<Duration>,
    /// MRC: how often the message is sent at most; `None` is no limit.
    pub sendings: Option<u32>,
}

const fn schedule(initial_secs: u64, longest_secs: u64, sendings: u32) -> Schedule {
    Schedule {
        initial: Duration::from_secs(initial_secs),
        longest: if longest_secs == 0 { None } else { Some(Duration::from_secs(longest_secs)) },
        sendings: if sendings == 0 { None } else { Some(sendings) },
    }
}

/// Solicit: 1 s, at most 1 h apart, for ever.
pub const SOLICIT: Schedule = schedule(1, 3600, 0);
/// Request: 1 s, at most 30 s apart, 10 times.
pub const REQUEST: Schedule = schedule(1, 30, 10);
/// Renew: 10 s, at most 600 s apart, until T2.
pub const RENEW: Schedule = schedule(10, 600, 0);
/// Rebind: 10 s, at most 600 s apart, until all leases have expired.
pub const REBIND: Schedule = schedule(10, 600, 0);
/// Release: 1 s, 4 times.
pub const RELEASE: Schedule = schedule(1, 0, 4);

/// RFC 9915's RAND: -0.1 to 0.1, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rand(i64);

/// A tenth, in millionths.
const TENTH_PPM: i64 = 100_000;

impl Rand {
    /// From any number: uniform over -0.1 to 0.1.
    #[must_use]
    pub fn new(random: u64) -> Self {
        let span = TENTH_PPM.unsigned_abs() * 2 + 1;
        Self((random % span).cast_signed() - TENTH_PPM)
    }

    /// From any number: above 0, at most 0.1, as the first Solicit needs it.
    #[must_use]
    pub fn above_zero(random: u64) -> Self {
        Self((random % TENTH_PPM.unsigned_abs()).cast_signed() + 1)
    }

    /// A span times (`whole` + RAND).
    fn of(self, span: Duration, whole: u32) -> Duration {
        let ppm = u128::try_from(i64::from(whole) * 1_000_000 + self.0).unwrap_or(0);
        let nanos = span.as_nanos() * ppm / 1_000_000;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// The sendings of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retransmission {
    schedule: Schedule,
    first_at: LocalTime,
    next_at: LocalTime,
    current: Duration,
    sent: u32,
}

impl Retransmission {
    /// The message is sent for the first time now.
    #[must_use]
    pub fn start(schedule: Schedule, now: LocalTime, rand: Rand) -> Self {
        let current = rand.of(schedule.initial, 1);
        Self { schedule, first_at: now, next_at: now + current, current, sent: 1 }
    }

    /// The time is over: says whether the message is to be sent again (it counts as sent), or given up.
    pub fn again(&mut self, now: LocalTime, rand: Rand) -> bool {
        if self.schedule.sendings.is_some_and(|most| self.sent >= most) {
            return false;
        }
        self.sent += 1;
        self.current = match self.schedule.longest {
            Some(longest) if rand.of(self.current, 2) > longest => rand.of(longest, 1),
            _ => rand.of(self.current, 2),
        };
        self.next_at = now + self.current;
        true
    }

    /// When the message was sent first.
    #[must_use]
    pub fn first_at(&self) -> LocalTime {
        self.first_at
    }

    /// When it is sent again, or given up.
    #[must_use]
    pub fn next_at(&self) -> LocalTime {
        self.next_at
    }

    /// For the Elapsed Time option: 1/100 s since the first sending; 0xffff is that or more.
    #[must_use]
    pub fn elapsed_centisecs(&self, now: LocalTime) -> u16 {
        u16::try_from(now.saturating_since(self.first_at).as_millis() / 10).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ends of RAND, and the middle.
    const RANDOM: [u64; 3] = [0, 100_000, 200_000];

    /// The spans between sendings until the message is given up, or `most` of them.
    fn spans(schedule: Schedule, rand: Rand, most: usize) -> Vec<f64> {
        let mut out = Vec::new();
        let mut retry = Retransmission::start(schedule, LocalTime::ZERO, rand);
        let mut last = LocalTime::ZERO;
        while out.len() < most {
            let now = retry.next_at();
            out.push(now.saturating_since(last).as_secs_f64());
            last = now;
            if !retry.again(now, rand) {
                break;
            }
        }
        out
    }

    #[test]
    fn rfc_9915_15_each_span_stays_within_a_tenth() {
        for random in RANDOM {
            for (schedule, longest) in
                [(SOLICIT, 3600.0), (REQUEST, 30.0), (RENEW, 600.0), (RELEASE, f64::MAX)]
            {
                let spans = spans(schedule, Rand::new(random), 20);
                let initial = schedule.initial.as_secs_f64();
                assert!((initial * 0.9..=initial * 1.1).contains(&spans[0]), "{spans:?}");
                for pair in spans.windows(2) {
                    let doubled = pair[1] >= pair[0] * 1.9 - 1e-6 && pair[1] <= pair[0] * 2.1 + 1e-6;
                    let capped = pair[1] >= longest * 0.9 && pair[1] <= longest * 1.1;
                    assert!(doubled || capped, "{pair:?} of {spans:?}");
                    assert!(pair[1] <= longest * 1.1);
                }
            }
        }
    }

    #[test]
    fn rfc_9915_7_6_request_is_sent_ten_times_and_release_four() {
        assert_eq!(spans(REQUEST, Rand::new(100_000), 99).len(), 10);
        assert_eq!(spans(RELEASE, Rand::new(100_000), 99).len(), 4);
        assert_eq!(spans(SOLICIT, Rand::new(100_000), 99).len(), 99);
    }

    #[test]
    fn rfc_9915_18_2_1_the_first_solicit_waits_longer_than_a_second() {
        for random in 0..1000 {
            let first = Retransmission::start(SOLICIT, LocalTime::ZERO, Rand::above_zero(random)).next_at();
            assert!(first > LocalTime::from_millis(1000) && first <= LocalTime::from_millis(1100));
        }
    }

    #[test]
    fn elapsed_time_counts_from_the_first_sending_and_saturates() {
        let retry = Retransmission::start(RENEW, LocalTime::from_millis(1000), Rand::new(0));
        assert_eq!(retry.elapsed_centisecs(LocalTime::from_millis(1000)), 0);
        assert_eq!(retry.elapsed_centisecs(LocalTime::from_millis(1529)), 52);
        assert_eq!(retry.elapsed_centisecs(LocalTime::from_millis(2_000_000)), u16::MAX);
    }
}
