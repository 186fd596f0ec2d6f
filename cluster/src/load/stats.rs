//! What the load generator counts while it runs, and the live view of it.
//!
//! Owns counters, histograms, the shared [`Progress`] and [`Shares`]. Refuses to judge. The counters belong to the
//! packet thread; [`Progress`] is written by it and read by anybody, each number right by itself. Spans are in
//! microseconds in histograms and in milliseconds in the live view.

use std::collections::BTreeMap;
use std::net::SocketAddrV6;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use leasehold_frontend::codec::message::MessageKind;
use serde::Serialize;

use super::judge::Fault;

/// One message and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exchange {
    /// Solicit and Advertise.
    Offer,
    /// Solicit and Reply (Rapid Commit).
    RapidCommit,
    /// Request and Reply.
    Request,
    /// Renew and Reply.
    Renew,
    /// Rebind and Reply.
    Rebind,
    /// Release and Reply.
    Release,
}

impl Exchange {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Offer, Self::RapidCommit, Self::Request, Self::Renew, Self::Rebind, Self::Release];

    /// The name in reports: stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Offer => "solicit_advertise",
            Self::RapidCommit => "solicit_reply",
            Self::Request => "request_reply",
            Self::Renew => "renew_reply",
            Self::Rebind => "rebind_reply",
            Self::Release => "release_reply",
        }
    }

    /// The exchange that a Reply to such a message ends.
    pub(super) const fn replied(kind: MessageKind) -> Self {
        match kind {
            MessageKind::Solicit => Self::RapidCommit,
            MessageKind::Renew => Self::Renew,
            MessageKind::Rebind => Self::Rebind,
            MessageKind::Release => Self::Release,
            _ => Self::Request,
        }
    }
}

/// Longest span that a histogram keeps: an hour, in microseconds. Longer ones count as an hour there; the longest
/// wait is kept apart.
const SPAN_MAX_US: u64 = 3_600_000_000;

/// Examples kept of each thing that went wrong.
pub(super) const EXAMPLES_MAX: usize = 10;

/// A histogram of spans, and the longest.
#[derive(Clone, Debug)]
pub(super) struct Spans {
    pub(super) histogram: Histogram<u64>,
    pub(super) longest: Duration,
}

impl Spans {
    pub(super) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, SPAN_MAX_US, 3)
            .expect("the bounds are in order, the precision is 0 to 5");
        Self { histogram, longest: Duration::ZERO }
    }

    pub(super) fn record(&mut self, span: Duration) {
        self.longest = self.longest.max(span);
        self.histogram.saturating_record(u64::try_from(span.as_micros()).unwrap_or(SPAN_MAX_US));
    }
}

/// All counters of a run.
#[derive(Debug)]
pub(super) struct Stats {
    pub(super) exchanges: [Spans; Exchange::ALL.len()],
    pub(super) new_lease: Spans,
    pub(super) renewal: Spans,
    pub(super) sent: u64,
    pub(super) sent_again: BTreeMap<&'static str, u64>,
    pub(super) received: u64,
    pub(super) late: u64,
    pub(super) discards: BTreeMap<&'static str, u64>,
    pub(super) refused: BTreeMap<u16, u64>,
    pub(super) lost: u64,
    pub(super) expired: u64,
    pub(super) wrong: BTreeMap<Fault, u64>,
    pub(super) wrong_examples: Vec<String>,
    pub(super) double_promises: u64,
    pub(super) double_examples: Vec<String>,
}

impl Stats {
    pub(super) fn new() -> Self {
        Self {
            exchanges: std::array::from_fn(|_| Spans::new()),
            new_lease: Spans::new(),
            renewal: Spans::new(),
            sent: 0,
            sent_again: BTreeMap::new(),
            received: 0,
            late: 0,
            discards: BTreeMap::new(),
            refused: BTreeMap::new(),
            lost: 0,
            expired: 0,
            wrong: BTreeMap::new(),
            wrong_examples: Vec::new(),
            double_promises: 0,
            double_examples: Vec::new(),
        }
    }

    pub(super) fn exchange(&mut self, exchange: Exchange, after: Duration) {
        self.exchanges[exchange as usize].record(after);
    }

    pub(super) fn discard(&mut self, reason: &'static str) {
        *self.discards.entry(reason).or_default() += 1;
    }

    pub(super) fn exchanges_done(&self) -> u64 {
        self.exchanges.iter().map(|spans| spans.histogram.len()).sum()
    }
}

/// Answers taken, by the server that gave them. Only servers that are named beforehand are counted, so that memory is
/// bounded; one message counts once, for whoever was first.
#[derive(Debug, Default)]
pub(super) struct Shares(BTreeMap<SocketAddrV6, AtomicU64>);

impl Shares {
    pub(super) fn new(servers: &[SocketAddrV6]) -> Self {
        Self(servers.iter().map(|server| (*server, AtomicU64::new(0))).collect())
    }

    /// An answer from this source was taken.
    pub(super) fn count(&self, source: SocketAddrV6) {
        // A scope id stands in one form of an address and not in another.
        let is_it = |server: &SocketAddrV6| (server.ip(), server.port()) == (source.ip(), source.port());
        if let Some((_, answers)) = self.0.iter().find(|(server, _)| is_it(server)) {
            answers.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn forget(&self) {
        self.0.values().for_each(|answers| answers.store(0, Ordering::Relaxed));
    }

    pub(super) fn by_server(&self) -> BTreeMap<SocketAddrV6, u64> {
        self.0.iter().map(|(server, answers)| (*server, answers.load(Ordering::Relaxed))).collect()
    }
}

macro_rules! progress {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// The live view of a run, shared with the thread that drives it.
        #[derive(Debug, Default)]
        pub struct Progress {
            $(pub(super) $name: AtomicU64,)+
            pub(super) finished: AtomicBool,
            pub(super) stop: AtomicBool,
            pub(super) shares: Shares,
        }

        /// The live view at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Snapshot {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        impl Progress {
            /// Reads all numbers; each is right, but they are not of one instant.
            #[must_use]
            pub fn snapshot(&self) -> Snapshot {
                Snapshot { $($name: self.$name.load(Ordering::Relaxed),)+ }
            }

            /// Shows the numbers of one moment.
            pub(super) fn show(&self, snapshot: &Snapshot) {
                $(self.$name.store(snapshot.$name, Ordering::Relaxed);)+
            }
        }
    };
}

progress! {
    /// Milliseconds since the first message.
    elapsed_ms,
    /// Messages answered, of any kind.
    exchanges,
    /// New leases given: four messages, or two with Rapid Commit.
    leases_given,
    /// Renews and Rebinds answered with an extension.
    renewals_answered,
    /// Releases answered.
    releases_answered,
    /// Messages sent more than once.
    retransmissions,
    /// Clients that hold leases and are content.
    clients_bound,
    /// Clients that wait for an answer.
    clients_waiting,
    /// How long the client that waits longest for a new lease has been waiting, in milliseconds.
    waiting_new_lease_ms,
    /// The same for a renewal.
    waiting_renewal_ms,
    /// The longest that a client had to wait for a new lease, answered or not, in milliseconds.
    longest_new_lease_ms,
    /// The same for a renewal.
    longest_renewal_ms,
    /// Leases that their server took back or knew nothing of.
    leases_lost,
    /// Leases that ran out because nobody extended them.
    leases_expired,
    /// Answers that refused by a status code.
    refusals,
    /// Answers that no right server gives.
    wrong_answers,
    /// Promises of what another client held.
    double_promises,
}
