//! How many messages one client, or one port of a relay, may send (SEC-01).
//!
//! Owns a table of buckets of a fixed size. Refuses to know messages. Each bucket holds one moment: when all that its
//! owner was allowed so far is paid for at the configured rate (the generic cell rate algorithm); what lies further
//! ahead than [`WINDOW`] is refused. A bucket that is needed for another takes the place of the one that owes least, so
//! whoever floods is remembered, and nobody is ever refused for another's messages, but by a collision of 64-bit hashes
//! under a secret key. 8192 buckets take 128 KiB, which the processor keeps at hand; more are not needed, for what is
//! to be remembered is who sends too much, and not who sends.

use leasehold_proto::time::LocalTime;
use std::time::Duration;

/// Over which messages are counted.
const WINDOW: Duration = Duration::from_secs(20);
/// Of the window, what new work may use: the rest is for clients that have leases to keep.
const SHARE_OF_NEW: u64 = 3;
const SHARES: u64 = 4;
/// Buckets that lie together, so that one look brings one line of the processor's cache.
const WAYS: usize = 4;
/// Sets of buckets: a power of two.
const SETS: usize = 1 << 11;

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    owner: u64,
    /// In nanoseconds of local time.
    paid_at: u64,
}

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Looking for a server, asking for configuration: shed first.
    New,
    /// Asking for leases, keeping them or giving them back.
    Leases,
}

/// The buckets.
#[derive(Debug, Default)]
pub(super) struct Rates {
    sets: Vec<[Bucket; WAYS]>,
}

impl Rates {
    /// Takes one message of an owner out of what it may send in 20 s; false if it may not send it. `owner`: a hash under
    /// a secret key. `u32::MAX` bounds nothing.
    pub(super) fn take(&mut self, now: LocalTime, owner: u64, per_window: u32, work: Work) -> bool {
        if per_window == u32::MAX {
            return true;
        }
        if self.sets.is_empty() {
            self.sets = vec![[Bucket::default(); WAYS]; SETS];
        }
        let now = now.as_nanos();
        let window = u64::try_from(WINDOW.as_nanos()).unwrap_or(u64::MAX);
        let cost = window / u64::from(per_window.max(1));
        let room = if work == Work::New { window / SHARES * SHARE_OF_NEW } else { window };
        let set = usize::try_from(owner % SETS as u64).expect("a remainder of a small number");
        let set = &mut self.sets[set];
        let at = set.iter().position(|bucket| bucket.owner == owner);
        let least = || (0..WAYS).min_by_key(|at| set[*at].paid_at).unwrap_or(0);
        let at = at.unwrap_or_else(least);
        let bucket = &mut set[at];
        let paid_at = if bucket.owner == owner { bucket.paid_at.max(now) } else { now };
        if paid_at.saturating_add(cost) > now.saturating_add(room) {
            return false;
        }
        *bucket = Bucket { owner, paid_at: paid_at.saturating_add(cost) };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> LocalTime {
        LocalTime::from_millis(ms)
    }

    fn burst(rates: &mut Rates, now: u64, owner: u64, work: Work) -> usize {
        (0..100).take_while(|_| rates.take(at(now), owner, 20, work)).count()
    }

    #[test]
    fn sec_01_twenty_messages_in_twenty_seconds_and_one_more_with_each_second() {
        let mut rates = Rates::default();
        assert_eq!(burst(&mut rates, 1000, 7, Work::Leases), 20);
        assert_eq!(burst(&mut rates, 3000, 7, Work::Leases), 2);
        assert_eq!(burst(&mut rates, 60_000, 7, Work::Leases), 20);
    }

    #[test]
    fn sec_01_new_work_is_shed_before_the_keeping_of_leases() {
        let mut rates = Rates::default();
        assert_eq!(burst(&mut rates, 1000, 7, Work::New), 15);
        assert_eq!(burst(&mut rates, 1000, 7, Work::Leases), 5);
    }

    #[test]
    fn sec_01_a_flood_of_many_names_forgets_the_innocent_and_not_the_loud() {
        let mut rates = Rates::default();
        assert_eq!(burst(&mut rates, 1000, 3, Work::Leases), 20);
        for n in 1..=1000u64 {
            // All of the same set.
            assert!(rates.take(at(1000), 3 + n * SETS as u64, 20, Work::New));
        }
        assert!(!rates.take(at(1000), 3, 20, Work::Leases), "it owes most, so it kept its place");
        assert_eq!(rates.sets.len(), SETS);
    }

    #[test]
    fn sec_01_no_bound_costs_nothing() {
        let mut rates = Rates::default();
        assert!((0..1000).all(|_| rates.take(at(0), 1, u32::MAX, Work::New)));
        assert!(rates.sets.is_empty());
    }
}
