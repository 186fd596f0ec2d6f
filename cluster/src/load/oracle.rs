//! Judges whether an address or prefix was promised to two clients at once.
//!
//! Owns what every Reply has promised, counted from its receipt, until the promise runs out or the client gives it
//! back. Refuses to know servers, stores and what they believe: Replies are all it judges by (design section 5's
//! invariant). Pure: time is an argument. Memory is bounded by the promises in force, twice over at most.

use std::collections::{BTreeMap, BTreeSet};

use leasehold_proto::time::{Lifetime, LocalTime};
use leasehold_proto::words::Prefix;

/// A client, by any number that the caller gives it.
pub type ClientNumber = u32;

/// Two clients held the same address, or overlapping prefixes, at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoublePromise {
    /// What the later Reply promised.
    pub prefix: Prefix,
    /// To whom.
    pub client: ClientNumber,
    /// What had been promised before: the same, or a prefix that overlaps it.
    pub held: Prefix,
    /// To whom.
    pub holder: ClientNumber,
    /// Until when, by the holder's clock.
    pub held_until: LocalTime,
}

#[derive(Clone, Copy, Debug)]
struct Holding {
    client: ClientNumber,
    until: LocalTime,
}

/// Promises are swept when they have doubled since the last sweep, and not below this.
const SWEEP_MIN: usize = 4096;

/// All promises in force.
#[derive(Debug, Default)]
pub struct Oracle {
    held: BTreeMap<Prefix, Holding>,
    /// Lengths that were ever promised.
    lengths: BTreeSet<u8>,
    sweep_at: usize,
}

impl Oracle {
    /// Nothing was promised yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A Reply received now promises a lease; a lifetime of zero takes it back. Says which other client holds it, or
    /// something that overlaps it. The later promise counts from then on.
    pub fn promised(
        &mut self,
        now: LocalTime,
        client: ClientNumber,
        prefix: Prefix,
        valid: Lifetime,
    ) -> Option<DoublePromise> {
        if valid == Lifetime::ZERO {
            self.released(client, prefix);
            return None;
        }
        let clash = self.clash(now, client, prefix);
        let until = valid.finite_secs().map_or(LocalTime::NEVER, |_| now + valid.span());
        self.held.insert(prefix, Holding { client, until });
        self.lengths.insert(prefix.len_bits());
        self.sweep(now);
        clash
    }

    /// A client stops using a lease: it is about to send a Release, or was told to stop.
    pub fn released(&mut self, client: ClientNumber, prefix: Prefix) {
        if self.held.get(&prefix).is_some_and(|holding| holding.client == client) {
            self.held.remove(&prefix);
        }
    }

    /// Promises in force now.
    #[must_use]
    pub fn in_force(&self, now: LocalTime) -> usize {
        self.held.values().filter(|holding| holding.until > now).count()
    }

    fn clash(&self, now: LocalTime, client: ClientNumber, prefix: Prefix) -> Option<DoublePromise> {
        let same_or_around =
            self.lengths.iter().take_while(|len| **len <= prefix.len_bits()).filter_map(|len| {
                let key = Prefix::containing(prefix.bits(), u32::from(*len)).ok()?;
                self.held.get_key_value(&key)
            });
        let is_leaf = self.lengths.last().is_none_or(|longest| *longest <= prefix.len_bits());
        let inside =
            if is_leaf { None } else { Some(self.held.range(prefix..=Prefix::address(prefix.last_bits()))) };
        // The range is by first address, so shorter prefixes that begin there are in it too: `overlaps` holds for all.
        same_or_around
            .chain(inside.into_iter().flatten())
            .find(|(held, holding)| holding.client != client && holding.until > now && held.overlaps(prefix))
            .map(|(held, holding)| DoublePromise {
                prefix,
                client,
                held: *held,
                holder: holding.client,
                held_until: holding.until,
            })
    }

    fn sweep(&mut self, now: LocalTime) {
        if self.held.len() >= self.sweep_at.max(SWEEP_MIN) {
            self.held.retain(|_, holding| holding.until > now);
            self.sweep_at = self.held.len() * 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> LocalTime {
        LocalTime::from_millis(secs * 1000)
    }

    fn lease(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    fn hour() -> Lifetime {
        Lifetime::from_wire(3600)
    }

    #[test]
    fn an_address_promised_to_two_clients_is_found() {
        let mut oracle = Oracle::new();
        let address = lease("2001:db8::1");
        assert_eq!(oracle.promised(at(0), 1, address, hour()), None);
        assert_eq!(oracle.promised(at(5), 1, address, hour()), None, "the same client renews");
        let found = oracle.promised(at(3604), 2, address, hour()).unwrap();
        assert_eq!((found.holder, found.client, found.held_until), (1, 2, at(3605)));
        assert_eq!(oracle.promised(at(3606), 3, lease("2001:db8::2"), hour()), None);
    }

    #[test]
    fn a_promise_ends_with_its_lifetime_or_its_release() {
        let mut oracle = Oracle::new();
        let address = lease("2001:db8::1");
        oracle.promised(at(0), 1, address, hour());
        assert_eq!(oracle.promised(at(3600), 2, address, hour()), None);
        oracle.released(1, address);
        assert!(
            oracle.promised(at(3700), 3, address, hour()).is_some(),
            "a stranger's release frees nothing"
        );
        oracle.released(3, address);
        assert_eq!(oracle.promised(at(3800), 4, address, Lifetime::INFINITE), None);
        assert!(oracle.promised(at(u32::MAX.into()), 5, address, hour()).is_some(), "infinite does not end");
        assert_eq!(oracle.promised(at(u32::MAX.into()), 5, address, Lifetime::ZERO), None);
        assert_eq!(oracle.in_force(at(u32::MAX.into())), 0);
    }

    #[test]
    fn overlapping_prefixes_are_found_whichever_came_first() {
        let mut oracle = Oracle::new();
        oracle.promised(at(0), 1, lease("2001:db8:f00::/48"), hour());
        let inner = oracle.promised(at(1), 2, lease("2001:db8:f00:100::/56"), hour()).unwrap();
        assert_eq!(inner.held, lease("2001:db8:f00::/48"));
        assert!(oracle.promised(at(1), 3, lease("2001:db8:f00:ffff::1"), hour()).is_some());
        assert!(oracle.promised(at(2), 4, lease("2001:db8::/32"), hour()).is_some(), "around all of them");
        let mut oracle = Oracle::new();
        oracle.promised(at(0), 1, lease("2001:db8:f00::/56"), hour());
        assert!(
            oracle.promised(at(1), 2, lease("2001:db8:f00::/48"), hour()).is_some(),
            "same first address"
        );
        assert_eq!(oracle.promised(at(1), 1, lease("2001:db8:e00::/48"), hour()), None);
    }

    #[test]
    fn memory_follows_what_is_in_force() {
        let mut oracle = Oracle::new();
        for i in 0..100_000u32 {
            let address = Prefix::address(u128::from(i));
            assert_eq!(oracle.promised(at(i.into()), i, address, Lifetime::from_wire(10)), None);
            assert!(oracle.held.len() <= SWEEP_MIN, "{}", oracle.held.len());
        }
    }
}
