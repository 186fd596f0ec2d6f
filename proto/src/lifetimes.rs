//! R3 and R4's arithmetic, once for both sides: what lifetime may be promised, what the store is asked to
//! acknowledge, when a session is dead for certain, and how much allowance clocks and packets need.
//!
//! Pure functions of spans and moments; nothing here reads a clock. Source: RFC 8156 §4.4, design section 5.

use crate::sabotage::{Mechanism, is_off};
use crate::time::{ClusterTime, Lifetime};
use std::time::Duration;

/// The allowances of R4, from the network configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Bound on the relative rate of any two clocks, in parts per million.
    pub rho_ppm: u32,
    /// Longest time a Reply is in flight before the client counts from it, in milliseconds.
    pub flight_ms: u32,
    /// Longest time between computing a Reply and handing it to the kernel, in milliseconds.
    pub send_ms: u32,
}

impl Default for Timing {
    /// 1000 ppm, 5 s, 1 s: design section 1 and R4.
    fn default() -> Self {
        Self { rho_ppm: 1000, flight_ms: 5000, send_ms: 1000 }
    }
}

impl Timing {
    /// guard(d) = flight + send + rho d (R4). `judged` is the whole span that is judged; an unbounded one gives an
    /// unbounded guard.
    #[must_use]
    pub fn guard(&self, judged: Duration) -> Duration {
        if judged == Duration::MAX {
            return Duration::MAX;
        }
        if is_off(Mechanism::Guard) {
            return Duration::ZERO;
        }
        let fixed = Duration::from_millis(u64::from(self.flight_ms) + u64::from(self.send_ms));
        fixed.saturating_add(self.drift(judged))
    }

    /// Each allowance the larger of the two.
    #[must_use]
    pub fn at_least(self, other: Self) -> Self {
        Self {
            rho_ppm: self.rho_ppm.max(other.rho_ppm),
            flight_ms: self.flight_ms.max(other.flight_ms),
            send_ms: self.send_ms.max(other.send_ms),
        }
    }

    /// rho d, rounded up to a millisecond.
    #[must_use]
    pub fn drift(&self, span: Duration) -> Duration {
        let ms = span.as_millis().saturating_mul(u128::from(self.rho_ppm)).div_ceil(1_000_000);
        Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
    }
}

/// The lifetimes a pool is configured to give and the lead it allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Desired {
    /// Preferred lifetime wanted.
    pub preferred: Lifetime,
    /// Valid lifetime wanted (D).
    pub valid: Lifetime,
    /// How far beyond the acknowledged a lease may run. Zero past the autonomy deadline (R4).
    pub mclt: Lifetime,
}

/// Lifetimes that a client's class asks for; nothing: the pool's defaults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LifetimeWish {
    /// Preferred lifetime.
    pub preferred: Option<Lifetime>,
    /// Valid lifetime.
    pub valid: Option<Lifetime>,
}

/// What one lease is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// Preferred lifetime, never above the valid one (FO-407).
    pub preferred: Lifetime,
    /// Valid lifetime (V).
    pub valid: Lifetime,
    /// Cluster time at which the lease ends at the latest, as the promising side bounds it.
    pub valid_until: ClusterTime,
    /// What the store is asked to acknowledge: now + T1 + D (FO-405).
    pub ack_until: ClusterTime,
}

/// R3, the lifetime rule: valid = min(desired, max(0, acked_until - now) + MCLT) (FO-402, FO-403).
///
/// `now_at_most` is the caller's upper bound of cluster time, so that what is left of `acked_until` is never
/// overstated. Infinity is given only once infinity was acknowledged (FO-410). Preferred follows from the granted
/// valid lifetime (FO-407).
#[must_use]
pub fn promise(now_at_most: ClusterTime, acked_until: ClusterTime, desired: Desired) -> Promise {
    let acknowledged = acked_until.saturating_since(now_at_most);
    let lead = match desired.mclt.finite_secs() {
        Some(secs) => Duration::from_secs(u64::from(secs)),
        // An infinite MCLT is refused by the configuration; taken as no bound should one ever come.
        None => Duration::MAX,
    };
    let bound = acknowledged.saturating_add(lead);
    let unbounded = is_off(Mechanism::Lead) && desired.mclt > Lifetime::ZERO;
    let valid = if unbounded || bound >= desired.valid.span() {
        desired.valid
    } else {
        Lifetime::from_span_floor(bound)
    };
    let preferred = desired.preferred.min(valid);
    let t1 = t1_t2(preferred).0;
    let ack_until = if desired.valid == Lifetime::INFINITE {
        ClusterTime::NEVER
    } else {
        now_at_most.after_lifetime(t1) + desired.valid.span()
    };
    Promise { preferred, valid, valid_until: now_at_most.after_lifetime(valid), ack_until }
}

/// T1 and T2 for the shortest preferred lifetime among the leases extended: 0.5 and 0.8 of it (SV-208).
#[must_use]
pub fn t1_t2(shortest_preferred: Lifetime) -> (Lifetime, Lifetime) {
    match shortest_preferred.finite_secs() {
        None => (Lifetime::INFINITE, Lifetime::INFINITE),
        Some(secs) => {
            // 8/10 by division first would round to 0 for tiny lifetimes; u64 holds the product.
            let t2 = u64::from(secs) * 8 / 10;
            (Lifetime::from_wire(secs / 2), Lifetime::from_wire(u32::try_from(t2).unwrap_or(secs)))
        }
    }
}

/// R4, dead for certain: the cluster time from which on nothing that a silent session may have promised about a
/// lease (or, with `acked_until` zero, about an address without a record) is in force.
///
/// `extended_at` is when the store last extended the session, `deadline` when its autonomy ends (or was ended), `mclt`
/// the pool's. A deadline that never comes or an infinite acknowledgement give `NEVER`: only an operator ends such a
/// wait.
#[must_use]
pub fn dead_at(
    extended_at: ClusterTime,
    deadline: ClusterTime,
    acked_until: ClusterTime,
    mclt: Duration,
    timing: &Timing,
) -> ClusterTime {
    if deadline == ClusterTime::NEVER {
        return ClusterTime::NEVER;
    }
    let promised = deadline.max(acked_until);
    if promised == ClusterTime::NEVER {
        return ClusterTime::NEVER;
    }
    let promised = promised + mclt;
    promised + timing.guard(promised.saturating_since(extended_at))
}

/// The cluster time at which a lease that was promised until `valid_until` may be called expired: the promise, and
/// the guard for its span, since the client counts from when the Reply reached it, on its own clock.
#[must_use]
pub fn expires_at(valid_until: ClusterTime, valid: Lifetime, timing: &Timing) -> ClusterTime {
    if valid_until == ClusterTime::NEVER {
        return ClusterTime::NEVER;
    }
    valid_until + timing.guard(valid.span())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn at(ms: u64) -> ClusterTime {
        ClusterTime::from_millis(ms)
    }

    fn desired(valid_secs: u32, mclt_secs: u32) -> Desired {
        Desired {
            preferred: Lifetime::from_wire(valid_secs),
            valid: Lifetime::from_wire(valid_secs),
            mclt: Lifetime::from_wire(mclt_secs),
        }
    }

    /// RFC 8156 §4.4.1's example: MCLT one hour, three days desired, T1 half of the granted.
    #[test]
    fn fo_408_worked_vector() {
        let d = desired(3 * 86_400, 3600);
        let first = promise(at(0), ClusterTime::ZERO, d);
        assert_eq!(first.valid, Lifetime::from_wire(3600));
        assert_eq!(first.ack_until, at(HOUR / 2 + 72 * HOUR));
        let second = promise(at(HOUR / 2), first.ack_until, d);
        assert_eq!(second.valid, Lifetime::from_wire(3 * 86_400));
        assert_eq!(second.ack_until, at(HOUR / 2 + 36 * HOUR + 72 * HOUR));
    }

    #[test]
    fn fo_403_never_more_than_acknowledged_and_mclt() {
        for now in [0, HOUR, 100 * HOUR] {
            for acked in [0, HOUR / 2, 50 * HOUR, 200 * HOUR] {
                let p = promise(at(now), at(acked), desired(86_400, 600));
                let bound = acked.max(now) + 600_000;
                assert!(p.valid_until <= at(bound), "now {now} acked {acked}");
            }
        }
    }

    #[test]
    fn fo_407_preferred_follows_the_granted_valid_lifetime() {
        let p = promise(at(0), ClusterTime::ZERO, desired(86_400, 600));
        assert_eq!(p.preferred, Lifetime::from_wire(600));
        assert_eq!(t1_t2(p.preferred), (Lifetime::from_wire(300), Lifetime::from_wire(480)));
    }

    #[test]
    fn fo_409_a_frozen_acknowledgement_shrinks_the_lifetime_toward_mclt() {
        let acked = at(10 * HOUR);
        let mut last = u32::MAX;
        for now in 0..12 {
            let p = promise(at(now * HOUR), acked, desired(86_400, 3600));
            assert!(p.valid.to_wire() <= last);
            last = p.valid.to_wire();
        }
        assert_eq!(last, 3600);
    }

    #[test]
    fn fo_410_infinity_only_after_infinity_was_acknowledged() {
        let d = Desired {
            preferred: Lifetime::INFINITE,
            valid: Lifetime::INFINITE,
            mclt: Lifetime::from_wire(600),
        };
        let first = promise(at(0), ClusterTime::ZERO, d);
        assert_eq!(first.valid, Lifetime::from_wire(600));
        assert_eq!(first.ack_until, ClusterTime::NEVER);
        let second = promise(at(1000), ClusterTime::NEVER, d);
        assert_eq!((second.valid, second.valid_until), (Lifetime::INFINITE, ClusterTime::NEVER));
        assert_eq!(t1_t2(second.preferred), (Lifetime::INFINITE, Lifetime::INFINITE));
    }

    #[test]
    fn sv_209_t1_not_above_t2_nor_t2_above_preferred() {
        for secs in [0, 1, 2, 3, 9, 10, 3600, u32::MAX - 1, u32::MAX] {
            let (t1, t2) = t1_t2(Lifetime::from_wire(secs));
            assert!(t1 <= t2 && t2 <= Lifetime::from_wire(secs));
        }
    }

    #[test]
    fn fo_508_a_silent_session_is_dead_only_after_autonomy_promise_and_guard() {
        let timing = Timing::default();
        let day = Duration::from_secs(86_400);
        let hour = Duration::from_secs(3600);
        let dead = dead_at(at(0), at(0) + day, ClusterTime::ZERO, hour, &timing);
        assert_eq!(dead, at(0) + day + hour + Duration::from_millis(6000 + 90_000));
        let with_acked = dead_at(at(0), at(0) + day, at(0) + day + day, hour, &timing);
        assert!(with_acked >= at(0) + day + day + hour);
        assert_eq!(dead_at(at(0), ClusterTime::NEVER, at(0), hour, &timing), ClusterTime::NEVER);
        assert_eq!(dead_at(at(0), at(0) + day, ClusterTime::NEVER, hour, &timing), ClusterTime::NEVER);
    }
}
