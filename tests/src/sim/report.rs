//! What a run showed: counts of what decides, and what went wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// How often things happened that a run is worth its time for.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
            /// Updates that the store refused, by reason.
            pub refused: BTreeMap<String, u64>,
            /// Messages that frontends left without an answer, by reason.
            pub discards: BTreeMap<String, u64>,
        }

        impl Counts {
            /// Adds the counts of another run.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
                for (reason, count) in &other.refused {
                    *self.refused.entry(reason.clone()).or_default() += count;
                }
                for (reason, count) in &other.discards {
                    *self.discards.entry(reason.clone()).or_default() += count;
                }
            }
        }

        impl fmt::Display for Counts {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "  {:<32} {:>12}", stringify!($name).replace('_', " "), self.$name)?;)*
                for (reason, count) in &self.refused {
                    writeln!(f, "  {:<32} {count:>12}", format!("refused: {reason}"))?;
                }
                for (reason, count) in &self.discards {
                    writeln!(f, "  {:<32} {count:>12}", format!("no answer: {reason}"))?;
                }
                Ok(())
            }
        }
    };
}

counts! {
    /// Leases that a client got anew.
    leases,
    /// Leases that a client got extended.
    renewals,
    /// Extensions by another frontend than answered before.
    renewals_by_the_partner,
    /// Leases that a client held, and that another had held before.
    addresses_reused,
    /// Leases that clients lost because nobody answered before they expired.
    lost_by_silence,
    /// Clients without all of their leases in the end: where leases are scarce, or one partner owns all ranges.
    without_a_lease_in_the_end,
    /// Releases sent.
    releases,
    /// Declines sent.
    declines,
    /// Clients that forgot all, or went away without a word.
    client_reboots,
    /// Clients that came back with an old lease.
    client_returns,
    /// Datagrams between clients and frontends.
    datagrams,
    /// Of them lost.
    datagrams_lost,
    /// Replies that R4 kept back just before sending.
    replies_kept_back,
    /// Log entries committed.
    entries,
    /// Log entries lost before they were committed.
    entries_lost,
    /// Lease updates that took effect.
    updates,
    /// Leases expired.
    expired,
    /// Leases freed.
    freed,
    /// Released or expired leases made active again.
    reactivated,
    /// Of them while faults lasted.
    freed_under_fault,
    /// Leases adopted (R7).
    adopted,
    /// Ranges granted to another frontend than had them before.
    handoffs,
    /// Times that a frontend was asked to give ranges back.
    ranges_asked_back,
    /// Ranges that frontends gave back while they went on.
    ranges_given_back,
    /// Conflicts R8: one address, two clients.
    conflicts_two_clients,
    /// Conflicts R9: one binding, two addresses.
    conflicts_two_addresses,
    /// Addresses that had two owners because an operator overrode the rules.
    owners_two_by_override,
    /// Sessions proved gone by their successors (R6).
    proofs,
    /// Frontends declared down.
    declared_down,
    /// Processes of them that lived.
    declared_though_alive,
    /// Declarations taken back.
    withdrawn,
    /// Declarations and withdrawals that the store refused.
    declarations_refused,
    /// Frontends drained, or told to serve again.
    drains,
    /// Configurations taken.
    configurations,
    /// Clients rolled back to an old state.
    rollbacks,
    /// Releases that arrived again, late.
    late_releases,
    /// Ranges opened again after their owner was dead for certain.
    ranges_reopened,
    /// Ranges closed.
    ranges_closed,
    /// Sessions opened.
    sessions,
    /// Sessions superseded.
    sessions_superseded,
    /// Sessions resumed on a new connection.
    sessions_resumed,
    /// Sessions closed by a clean stop.
    clean_stops,
    /// Frontends crashed.
    frontend_crashes,
    /// Frontends paused.
    frontend_pauses,
    /// Frontends whose machine was paused, clock and all.
    frontend_clock_jumps,
    /// Second processes of a frontend started.
    frontend_twins,
    /// Frontends cut off from the store, in one or both directions.
    frontend_store_cuts,
    /// Frontends cut off from clients, in one or both directions.
    frontend_client_cuts,
    /// Times that messages between a frontend and the store took up to minutes.
    frontend_store_slow,
    /// Client-facing links of a frontend that went down.
    links_down,
    /// Connections broken.
    connections_broken,
    /// Store nodes crashed.
    store_crashes,
    /// Store nodes that lost their disks.
    store_disks_lost,
    /// Times that a node took another's snapshot in the place of entries.
    snapshots_installed,
    /// Store nodes cut off from their peers.
    store_partitions,
    /// Leaders elected.
    elections,
    /// Times that replicas were compared and found equal.
    replicas_compared,
    /// Times that a node was rebuilt from its disk.
    rebuilt_from_disk,
    /// Orders to ask clients by Reconfigure.
    reconfigure_orders,
    /// Of them refused: their link or pool was gone.
    reconfigure_orders_refused,
    /// Reconfigures sent, each sending counted.
    reconfigures_sent,
    /// Of them verified by their clients, and acted upon.
    reconfigures_verified,
    /// Clients that came with the message asked for, and were answered.
    reconfigures_answered,
    /// Of them those with an Information-request.
    informed_when_asked,
    /// Reconfigures that a client had heard before, or that an older order overtook.
    reconfigures_repeated,
    /// Reconfigures to clients that were away or in the middle of something.
    reconfigures_at_a_bad_moment,
    /// Reconfigures to clients that lost the Reply with their key, or forgot it.
    reconfigures_without_key,
    /// Reconfigure keys that clients took.
    keys_taken,
    /// Replies with keys that clients passed over: the clock of who gave the key before was ahead.
    keys_passed_over,
    /// The same: who gave the key had not read of an order that the client had heard of.
    keys_before_an_order,
    /// Registrations made, extended or ended in the store.
    registrations,
    /// Registrations that the store refused.
    registrations_refused,
    /// Registrations that were answered: of an address that the client had not registered.
    registrations_made,
    /// Of one that it had.
    registrations_refreshed,
    /// Of one that it gave up.
    registrations_ended,
    /// Registrations that were sent as often as may be and not answered.
    registrations_unanswered,
    /// Addresses that one client registered while another had.
    registrations_taken_over,
}

/// A run that held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Runs in it.
    pub seeds: u64,
    /// Events handled.
    pub steps: u64,
    /// Simulated time.
    pub simulated: Duration,
    /// Folds every event's kind and time: equal for equal runs.
    pub fingerprint: u64,
    /// What happened.
    pub counts: Counts,
}

impl Report {
    /// Nothing run yet.
    #[must_use]
    pub fn empty() -> Self {
        Self { seeds: 0, steps: 0, simulated: Duration::ZERO, fingerprint: 0, counts: Counts::default() }
    }

    /// Adds another run.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.simulated += other.simulated;
        self.fingerprint ^= other.fingerprint;
        self.counts.add(&other.counts);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.simulated.as_secs_f64() / 3600.0;
        writeln!(f, "{} seeds, {} steps, {hours:.1} simulated hours", self.seeds, self.steps)?;
        self.counts.fmt(f)
    }
}

/// What kind of thing was violated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An address had two owners: the invariant of design section 5.
    Safety,
    /// A client that kept renewing lost its lease, or got none where there was room.
    Stability,
    /// A rule of the cores, before any client was harmed by it.
    Rule,
}

/// A run that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed: set it as `LEASEHOLD_SIM_SEED` to run it again.
    pub seed: u64,
    /// True time of the violation.
    pub at: Duration,
    /// What kind of thing was violated.
    pub kind: Kind,
    /// What was violated.
    pub violation: String,
    /// What led to it, oldest first.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "seed {} at {:.6} s: {}", self.seed, self.at.as_secs_f64(), self.violation)?;
        write!(
            f,
            "again: LEASEHOLD_SIM_SEED={} cargo test --release -p leasehold-tests --test simulation",
            self.seed
        )
    }
}
