//! A network that comes back at once: who returns with a lease, who without, and how long until all are bound.
//!
//! Owns the shape of the avalanche, the choice of each client's part in it, the account of who is bound again, and its
//! report. Refuses to send and to read clocks: the generator does. Before the avalanche the clients that shall return
//! with leases get them, unhurried; nothing of that is in the report. Moments count from the first client's beginning.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use leasehold_proto::time::LocalTime;
use serde::Serialize;

use super::oracle::ClientNumber;
use super::report::Percentiles;
use super::stats::Spans;

/// What an avalanche is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avalanche {
    /// All clients begin within this span, evenly.
    pub window: Duration,
    /// So many of a hundred return with leases; the others are new.
    pub returning_percent: u32,
    /// So many of a hundred that return send Rebind, to any server; the others Renew, to theirs.
    pub rebinding_percent: u32,
}

/// What a client does first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// It extends its leases at their server.
    Renew,
    /// It extends its leases at any server.
    Rebind,
    /// It looks for leases.
    Solicit,
}

impl Part {
    const ALL: [Self; 3] = [Self::Renew, Self::Rebind, Self::Solicit];

    /// The name in reports: stable.
    const fn name(self) -> &'static str {
        match self {
            Self::Renew => "renew",
            Self::Rebind => "rebind",
            Self::Solicit => "solicit",
        }
    }
}

impl Avalanche {
    /// The part of a client: parts are spread evenly over the numbers.
    #[must_use]
    pub fn part(&self, client: ClientNumber) -> Part {
        // 37 and 100 have no common divisor: each hundred takes each value once, and neighbours differ.
        let place = (client % 100) * 37 % 100;
        if place >= self.returning_percent {
            Part::Solicit
        } else if place * 100 < self.returning_percent * self.rebinding_percent {
            Part::Rebind
        } else {
            Part::Renew
        }
    }

    /// Clients begun in a second.
    pub(super) fn rate_per_sec(&self, clients: u32) -> f64 {
        f64::from(clients) / self.window.as_secs_f64().max(0.001)
    }

    /// All clients in the order in which they begin: the same for the same seed, and no other order to be seen in it.
    pub(super) fn order(clients: u32, seed: u64) -> Vec<ClientNumber> {
        let mut order: Vec<ClientNumber> = (0..clients).collect();
        order.sort_by_cached_key(|number| mix(seed ^ u64::from(*number)));
        order
    }
}

/// The last steps of SplitMix64: neighbours get unrelated values.
fn mix(value: u64) -> u64 {
    let z = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The account of an avalanche under way.
#[derive(Debug)]
pub(super) struct Account {
    began: LocalTime,
    last_begun: LocalTime,
    parts: Vec<Part>,
    is_bound: Vec<bool>,
    unbound: u32,
    all: Spans,
    by_part: [Spans; Part::ALL.len()],
}

impl Account {
    /// The avalanche begins now; `parts` says each client's.
    pub(super) fn new(now: LocalTime, parts: Vec<Part>) -> Self {
        Self {
            began: now,
            last_begun: now,
            is_bound: vec![false; parts.len()],
            unbound: u32::try_from(parts.len()).unwrap_or(u32::MAX),
            parts,
            all: Spans::new(),
            by_part: std::array::from_fn(|_| Spans::new()),
        }
    }

    pub(super) fn part(&self, client: ClientNumber) -> Part {
        self.parts[client as usize]
    }

    /// A client sends its first message.
    pub(super) fn begin(&mut self, now: LocalTime) {
        self.last_begun = now;
    }

    /// A client holds leases as it wished; the first time counts.
    pub(super) fn bound(&mut self, now: LocalTime, client: ClientNumber) {
        if std::mem::replace(&mut self.is_bound[client as usize], true) {
            return;
        }
        self.unbound -= 1;
        let after = now.saturating_since(self.began);
        self.all.record(after);
        self.by_part[self.part(client) as usize].record(after);
    }

    /// Whether nobody is left to be bound.
    pub(super) fn is_over(&self) -> bool {
        self.unbound == 0
    }

    pub(super) fn report(&self) -> AvalancheReport {
        let by_part = Part::ALL.into_iter().map(|part| {
            let clients = self.parts.iter().filter(|other| **other == part).count();
            let clients = u64::try_from(clients).unwrap_or(u64::MAX);
            (part.name(), PartReport { clients, bound_after: Percentiles::of(&self.by_part[part as usize]) })
        });
        let window = self.last_begun.saturating_since(self.began);
        AvalancheReport {
            begun_within_ms: u64::try_from(window.as_millis()).unwrap_or(u64::MAX),
            unbound: self.unbound,
            bound_after: Percentiles::of(&self.all),
            by_part: by_part.filter(|(_, part)| part.clients > 0).collect(),
        }
    }
}

/// One part of the clients.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PartReport {
    /// How many there are.
    pub clients: u64,
    /// From the avalanche's beginning until they were bound.
    pub bound_after: Percentiles,
}

/// How an avalanche went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AvalancheReport {
    /// Until the last client had sent its first message. Much more than the window asked for means that the generator
    /// was too slow.
    pub begun_within_ms: u64,
    /// Clients that were not bound when time was over.
    pub unbound: u32,
    /// From the avalanche's beginning until clients were bound.
    pub bound_after: Percentiles,
    /// The same by what they sent first.
    pub by_part: BTreeMap<&'static str, PartReport>,
}

impl fmt::Display for AvalancheReport {
    /// For people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "avalanche: all clients had begun after {} ms", self.begun_within_ms)?;
        let mut line = |what: &str, bound: &Percentiles| {
            let [p50, p90, p99, all] = [bound.p50_us, bound.p90_us, bound.p99_us, bound.max_us].map(seconds);
            writeln!(
                f,
                "{what:<22}{:>10} bound: 50 % after {p50:.3} s, 90 % {p90:.3} s, 99 % {p99:.3} s, the last {all:.3} s",
                bound.count
            )
        };
        line("all", &self.bound_after)?;
        for (name, part) in &self.by_part {
            line(&format!("first sent {name}"), &part.bound_after)?;
        }
        if self.unbound > 0 {
            writeln!(f, "NOT BOUND: {} clients", self.unbound)?;
        }
        Ok(())
    }
}

/// Microseconds as seconds.
fn seconds(us: u64) -> f64 {
    Duration::from_micros(us).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_the_sizes_asked_for() {
        for (returning_percent, rebinding_percent, renew, rebind) in
            [(0, 50, 0, 0), (100, 0, 100, 0), (100, 100, 0, 100), (50, 50, 25, 25), (60, 25, 45, 15)]
        {
            let shape = Avalanche { window: Duration::from_secs(1), returning_percent, rebinding_percent };
            let count = |part| (0..1_000).filter(|client| shape.part(*client) == part).count();
            assert_eq!((count(Part::Renew), count(Part::Rebind)), (renew * 10, rebind * 10), "{shape:?}");
            assert_eq!(count(Part::Solicit), 1_000 - (renew + rebind) * 10);
        }
    }

    #[test]
    fn the_order_holds_everybody_once_and_repeats_for_its_seed() {
        let order = Avalanche::order(1_000, 7);
        assert_eq!(order, Avalanche::order(1_000, 7));
        assert_ne!(order, Avalanche::order(1_000, 8));
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1_000).collect::<Vec<_>>());
        assert_ne!(order, sorted);
    }

    #[test]
    fn a_client_counts_when_it_is_bound_first() {
        let at = |ms: u64| LocalTime::from_millis(5_000 + ms);
        let mut account = Account::new(at(0), vec![Part::Renew, Part::Solicit]);
        account.begin(at(9));
        account.bound(at(10), 0);
        account.bound(at(20), 0);
        assert!(!account.is_over());
        let report = account.report();
        assert_eq!((report.unbound, report.begun_within_ms, report.bound_after.count), (1, 9, 1));
        assert!(report.to_string().contains("NOT BOUND: 1 clients"), "{report}");
        account.bound(at(2_000), 1);
        let report = account.report();
        assert!(account.is_over());
        assert_eq!((report.by_part["renew"].clients, report.by_part["solicit"].bound_after.count), (1, 1));
        assert!((10_000..10_100).contains(&report.by_part["renew"].bound_after.max_us));
    }
}
