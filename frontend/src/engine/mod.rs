//! The frontend's engine: packets and store messages in, replies and store messages out. Pure.
//!
//! It owns everything that decides about leases on this side: [`leases`] (what is known, owned, promised and dirty; the
//! session's order; R1 to R9 but R8's record) and [`exchange`] (what each DHCPv6 message means and what is answered, by
//! whom). Beside them [`admission`] says who goes first while more comes in than can be answered, and [`budget`] for how
//! long and for whom this frontend can go on without the store.
//! It refuses to know sockets, clocks, entropy, tokio and gRPC: time is an argument, the hash key a setting. Inputs
//! are [`Engine::handle`], [`Engine::apply`], [`Engine::connected`], [`Engine::disconnected`], [`Engine::turn`]; after
//! any of them the shell takes [`Engine::drain`] and asks [`Engine::next_deadline`]. Nothing here panics on input.
//!
//! One round of the shell: [`Engine::batch_begin`]; any of `handle`, `apply` and `turn`, each of which may put replies
//! into the sink; `drain`, so that every update is queued before its Reply leaves (R4); and right before the replies
//! are sent, with a clock read at that moment, [`Engine::may_send`]: if it says no, all of them are dropped.

pub mod admission;
pub mod budget;
mod counters;
pub mod exchange;
pub mod leases;
mod pool_index;
mod trace;

pub use counters::Counters;

use crate::codec::Discard;
use budget::{Reach, SurvivalBudget};
use exchange::{Desk, Exchange};
use leasehold_proto::network::Network;
use leasehold_proto::session::{FromStore, InterfaceHealth, ToStore};
use leasehold_proto::time::{ClusterTime, LocalTime};
use leasehold_proto::trace::TraceFilter;
use leasehold_proto::words::FrontendId;
use leases::{Leases, LeasesStatus, News};
use std::net::Ipv6Addr;
use std::sync::Arc;
use trace::TraceLog;

/// What the engine is told once.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This frontend's name.
    pub frontend: FrontendId,
    /// Keys the hashes that choose addresses and buckets' tie-breaks (SV-214). Buckets themselves are keyed by the
    /// relationship, so that partners agree.
    pub hash_key: [u8; 16],
    /// Bounds on what packets may cost.
    pub limits: Limits,
}

/// Bounds on memory and work that packets can cause, those that are no configuration.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Messages kept for the partner's liveness to flip or for a look-up to be answered.
    pub parked_messages_max: usize,
    /// Updates in one batch to the store; at least one.
    pub updates_per_batch_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { parked_messages_max: 4096, updates_per_batch_max: 1024 }
    }
}

/// A client-facing interface as the shell found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Kernel index now.
    pub index: u32,
    /// Name on this machine.
    pub name: String,
    /// Name of the link that it serves; none for an interface that only hears relays.
    pub link: Option<String>,
    /// Whether relays may speak there too (SEC-05).
    pub relays: bool,
}

/// One datagram as received.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// The UDP payload.
    pub bytes: &'a [u8],
    /// Where it came from.
    pub source: Ipv6Addr,
    /// The sender's UDP port.
    pub source_port: u16,
    /// Where it was sent to: multicast or one of this machine's addresses.
    pub destination: Ipv6Addr,
    /// Index of the interface it came in by.
    pub interface_index: u32,
}

/// Where a reply goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyTo {
    /// Client or relay.
    pub address: Ipv6Addr,
    /// 546, 547, or the relay's source port (SV-102, SV-103).
    pub port: u16,
    /// Interface to leave by.
    pub interface_index: u32,
    /// Source address to leave from: the packet's destination when that was unicast.
    pub source: Option<Ipv6Addr>,
}

/// Takes replies. The buffer is the sink's own, reused from packet to packet.
pub trait ReplySink {
    /// An empty buffer to encode the next reply into. Beginning again without a commit discards what was written.
    fn begin(&mut self) -> &mut Vec<u8>;
    /// The reply in the buffer is complete.
    fn commit(&mut self, to: ReplyTo);
}

/// What the engine is doing, for people and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineStatus {
    /// Leases, ranges and the session.
    pub leases: LeasesStatus,
    /// Version of the network configuration in use; none before the first came.
    pub network_version: Option<u64>,
    /// Messages kept for the partner's liveness to flip or for a look-up.
    pub parked_messages: usize,
    /// Replies that wait for the commit of what they promise (FO-903).
    pub held_replies: usize,
    /// Clients that were asked by Reconfigure and not heard since.
    pub reconfigures_waiting: usize,
    /// Interfaces that name a link which the configuration does not have: they serve relays only (FO-113).
    pub interfaces_without_link: Vec<String>,
}

/// One frontend: packets and the store's words in, replies and words to the store out.
pub struct Engine {
    leases: Leases,
    exchange: Exchange,
    counters: Counters,
    news: Vec<News>,
    reach: Reach,
    trace: TraceLog,
}

impl Engine {
    /// Knows nothing yet: no interface, no configuration, no lease.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let Settings { frontend, hash_key, limits } = settings;
        Self {
            exchange: Exchange::new(&hash_key, limits.parked_messages_max),
            leases: Leases::new(frontend, hash_key, limits),
            counters: Counters::default(),
            news: Vec::new(),
            reach: Reach::default(),
            trace: TraceLog::default(),
        }
    }

    /// What this process shows to the store, so that its successor can prove it gone (R6); none: no proof.
    pub fn set_host_proof(&mut self, proof: Option<leasehold_proto::session::HostProof>) {
        self.leases.set_host_proof(proof);
    }

    /// Takes the client-facing interfaces as they are now: all of them, each time one appears, goes, or changes its
    /// index.
    pub fn set_interfaces(&mut self, interfaces: Vec<Interface>) {
        self.exchange.set_interfaces(interfaces);
    }

    /// Answers one datagram, keeps it, or discards it in silence; counts which.
    pub fn handle(&mut self, now: LocalTime, packet: &Packet<'_>, replies: &mut impl ReplySink) {
        self.desk(now, replies).handle(packet);
    }

    /// Takes a message of the store. What it brings may answer messages that were kept.
    pub fn apply(&mut self, now: LocalTime, message: FromStore, replies: &mut impl ReplySink) {
        let mut news = std::mem::take(&mut self.news);
        news.clear();
        if let FromStore::Traces(filters) = &message {
            self.set_traces(filters.clone());
        }
        self.leases.apply(now, message, &mut news);
        self.note_reach(now);
        for item in &news {
            match item {
                News::Network => {
                    if let Some(network) = self.leases.network() {
                        self.exchange.set_network(network.clone(), self.leases.frontend());
                        self.desk(now, replies).reconfigured();
                    }
                }
                // Good news of this frontend, bad news of another.
                News::Liveness { frontend, live } if *live == (frontend == self.leases.frontend()) => {
                    self.desk(now, replies).judged_anew(frontend, None);
                }
                News::Links { frontend, down, up } => {
                    match if frontend == self.leases.frontend() { up } else { down }.as_slice() {
                        [] => {}
                        [link] => self.desk(now, replies).judged_anew(frontend, Some(*link)),
                        _ => self.desk(now, replies).judged_anew(frontend, None),
                    }
                }
                News::Relays { frontend } => self.desk(now, replies).judged_anew(frontend, None),
                News::LookedUp { link, duid } => self.desk(now, replies).looked_up(*link, duid.as_bytes()),
                News::Adopted { link, duid } => self.desk(now, replies).adopted(*link, duid.as_bytes()),
                News::Loaded => self.desk(now, replies).loaded(),
                News::ReconfigureSecret { secret, orders } => {
                    self.exchange.set_reconfigure_secret(secret, *orders);
                }
                News::Reconfigure(order) => self.desk(now, replies).take_order(order.clone()),
                _ => {}
            }
        }
        self.news = news;
    }

    /// What the last [`Engine::apply`] brought, in order: for logs, and for the shell to act on when the session or
    /// the connection is over.
    #[must_use]
    pub fn news(&self) -> &[News] {
        &self.news
    }

    /// Whose messages are told of in [`ToStore::Trace`], in place of those before; none: nobody's.
    pub fn set_traces(&mut self, filters: Vec<TraceFilter>) {
        self.trace.set(filters);
    }

    /// Does what is due: kept messages that have waited long enough are answered or dropped.
    pub fn turn(&mut self, now: LocalTime, replies: &mut impl ReplySink) {
        self.desk(now, replies).turn();
    }

    /// A connection to the store is up.
    pub fn connected(&mut self, now: LocalTime) {
        self.leases.connected(now);
        self.note_reach(now);
        // What was heard while nobody was told is no news.
        self.exchange.take_link_reports();
        self.trace.clear();
    }

    /// The connection to the store is gone. Service goes on (FO-904).
    pub fn disconnected(&mut self, now: LocalTime) {
        self.leases.disconnected(now);
        self.note_reach(now);
        self.trace.clear();
    }

    /// Begins a clean stop: nothing new is promised, what is dirty is flushed, ranges are returned.
    pub fn begin_stop(&mut self, now: LocalTime) {
        self.leases.begin_stop(now);
    }

    /// Whether a clean stop is complete.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.leases.is_stopped()
    }

    /// The monotonic and the wall clock moved apart: nothing is promised until the store was heard (design section 4).
    pub fn clock_jumped(&mut self, now: LocalTime) {
        self.leases.clock_jumped(now);
        // How long they have been held is not known any more.
        let dropped = self.exchange.drop_held();
        self.dropped_unsent(dropped);
    }

    /// Takes what the next heartbeat says of interfaces and relays.
    pub fn report_health(&mut self, interfaces: Vec<InterfaceHealth>, relays_heard: Vec<u128>) {
        self.leases.report_health(interfaces, relays_heard);
    }

    /// Appends what is to be sent to the store, in order.
    pub fn drain(&mut self, now: LocalTime, out: &mut Vec<ToStore>) {
        let earlier = out.len();
        self.leases.drain(now, out);
        for message in out.iter_mut().skip(earlier) {
            if let ToStore::Heartbeat(heartbeat) = message {
                heartbeat.links = self.exchange.take_link_reports();
            }
        }
        self.trace.drain(out);
    }

    /// When [`Engine::turn`] and [`Engine::drain`] are to be called at the latest; none: nothing is due by itself.
    #[must_use]
    pub fn next_deadline(&self) -> Option<LocalTime> {
        [self.leases.next_deadline(), self.exchange.next_deadline()].into_iter().flatten().min()
    }

    /// Replies put into the sink from now on belong to one batch (R4).
    pub fn batch_begin(&mut self, now: LocalTime) {
        self.leases.batch_begin(now);
    }

    /// Whether the replies of this batch may still be sent (R4); `now` is to be read right before sending. Replies
    /// that are dropped are to be told by [`Engine::dropped_unsent`].
    #[must_use]
    pub fn may_send(&self, now: LocalTime) -> bool {
        self.leases.may_send(now)
    }

    /// Counts replies that [`Engine::may_send`] kept back.
    pub fn dropped_unsent(&mut self, replies: u64) {
        self.counters.discards[Discard::SentTooLate.index()] += replies;
    }

    /// Counts datagrams that were given up, or merged with a newer copy, before the engine saw them ([`admission`]).
    pub fn shed(&mut self, reason: Discard, datagrams: u64) {
        self.counters.discards[reason.index()] += datagrams;
    }

    /// All counts since the engine began.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// This frontend's name.
    #[must_use]
    pub fn frontend(&self) -> &FrontendId {
        self.leases.frontend()
    }

    /// The configuration in use, once one came: for names in logs.
    #[must_use]
    pub fn network(&self) -> Option<&Arc<Network>> {
        self.leases.network()
    }

    /// The upper bound of cluster time that the session can prove; nothing when it has no proof (design section 4).
    #[must_use]
    pub fn cluster_time_at_most(&self, now: LocalTime) -> Option<ClusterTime> {
        self.leases.cluster_time_at_most(now)
    }

    /// What the engine is doing now.
    #[must_use]
    pub fn status(&self, now: LocalTime) -> EngineStatus {
        EngineStatus {
            leases: self.leases.status(now),
            network_version: self.leases.network().map(|network| network.version),
            parked_messages: self.exchange.parked_count(),
            held_replies: self.exchange.held_count(),
            reconfigures_waiting: self.exchange.reconfigures_waiting(),
            interfaces_without_link: self.exchange.interfaces_without_link(),
        }
    }

    /// For how long, and for how many new clients, this frontend can go on without the store (FO-904, FO-911).
    #[must_use]
    pub fn survival_budget(&self, now: LocalTime) -> SurvivalBudget {
        SurvivalBudget::new(now, &self.reach, &self.leases)
    }

    /// Goes on counting what the budget says of known leases, by a bounded piece. True when more of it is to be done
    /// soon; else a call each second will do.
    pub fn survey(&mut self, now: LocalTime) -> bool {
        self.reach.note(now, self.leases.is_connected());
        self.leases.survey(now)
    }

    fn note_reach(&mut self, now: LocalTime) {
        if self.reach.note(now, self.leases.is_connected()) {
            self.leases.survey_anew();
        }
    }

    fn desk<'e, S: ReplySink>(&'e mut self, now: LocalTime, replies: &'e mut S) -> Desk<'e, S> {
        Desk {
            now,
            exchange: &mut self.exchange,
            leases: &mut self.leases,
            counters: &mut self.counters,
            trace: &mut self.trace,
            replies,
        }
    }
}
