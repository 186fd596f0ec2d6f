//! An engine with a store that says what the script tells it to: believable words, in an unbelievable order.

use crate::budget::{Budget, Cost, live_bytes, measured};
use crate::judge::{self, Asked};
use crate::message::CLIENTS;
use crate::networks::{self, ADDRESSES, LAN, PREFIXES};
use leasehold_frontend::codec::Discard;
use leasehold_frontend::codec::wire::msg;
use leasehold_frontend::engine::{Engine, Interface, Limits, Packet, ReplySink, ReplyTo, Settings};
use leasehold_proto::lease::{Lease, LeaseState};
use leasehold_proto::session::{
    BatchOutcome, FromStore, LoadChunk, RangeRecord, SessionBatch, StoreEvent, StreamEntry, ToStore,
    UpdateOutcome, UpdateRefusal, Welcome,
};
use leasehold_proto::time::{ClusterTime, Lifetime, LocalTime};
use leasehold_proto::words::{
    BindingKey, Duid, Epoch, FrontendId, IaKind, Iaid, LinkId, LogIndex, PoolId, Prefix, RangeId, UpdateSeq,
};
use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

/// Messages kept at most: few, so that the ring turns over.
const PARKED_MAX: usize = 16;
/// The engine's own bound on Replies that wait for a commit.
const HELD_MAX: usize = 1024;
/// What one datagram may cost at most, and a turn for each message that is kept and one more. The work is bounded by what
/// the codec reads: 256 options in all, 32 levels, 32 IAs, 256 codes; the bytes by the tables' growth, which doubles them
/// now and then.
const MOST: Cost = Cost { steps: 150_000, allocations: 100, bytes: 256 << 10 };
/// Each IA looks through the pools of its link: with so many more pools the cost may be so much again.
const POOLS_EACH: u64 = 150;
static PACKET: Budget = Budget::new("a packet", MOST);
static TURN: Budget = Budget::new("a turn", MOST);
/// What may stay in memory of each datagram and each word of the store, in the mean, beside what the tables have in
/// reserve.
const KEPT_BYTES: u64 = 8 << 10;
const RESERVE_BYTES: u64 = 1 << 20;

/// Collects replies.
#[derive(Default)]
struct Sink {
    buffer: Vec<u8>,
    sent: Vec<(ReplyTo, Vec<u8>)>,
}

impl ReplySink for Sink {
    fn begin(&mut self) -> &mut Vec<u8> {
        self.buffer.clear();
        &mut self.buffer
    }

    fn commit(&mut self, to: ReplyTo) {
        self.sent.push((to, self.buffer.clone()));
    }
}

/// The engine, its store, and what is remembered of both.
pub(crate) struct Lab {
    pub(crate) engine: Engine,
    pub(crate) now: LocalTime,
    me: FrontendId,
    epoch: u64,
    index: u64,
    network_version: u64,
    /// Batches sent and not answered.
    pending: VecDeque<Arc<SessionBatch>>,
    answered: UpdateSeq,
    /// Clients that the engine asked about.
    lookups: VecDeque<(LinkId, Duid)>,
    /// What clients were given lately.
    pub(crate) given: Vec<Prefix>,
    to_store: Vec<ToStore>,
    /// Bytes held before it began, and for configurations, which are the operator's.
    began_with: u64,
    packets: u64,
    told: u64,
}

fn frontend(name: &str) -> FrontendId {
    FrontendId::new(name).expect("a name")
}

impl Lab {
    /// A frontend that has a configuration and a session; its load has not begun.
    pub(crate) fn new(is_primary: bool, network: u8) -> Self {
        let began_with = live_bytes();
        let me = frontend(if is_primary { "fe-a" } else { "fe-b" });
        let limits = Limits { parked_messages_max: PARKED_MAX, ..Limits::default() };
        let mut lab = Self {
            engine: Engine::new(Settings { frontend: me.clone(), hash_key: [9; 16], limits }),
            now: LocalTime::from_millis(100_000),
            me,
            epoch: 7,
            index: 10,
            network_version: 1,
            pending: VecDeque::new(),
            answered: UpdateSeq(0),
            lookups: VecDeque::new(),
            given: Vec::new(),
            to_store: Vec::new(),
            began_with,
            packets: 0,
            told: 0,
        };
        lab.interfaces(0);
        lab.connect(false, false, Some(network));
        lab.first_message();
        lab
    }

    /// The first message makes the table of message rates, once: 2 MiB that are no packet's to answer for.
    fn first_message(&mut self) {
        let before = live_bytes();
        let bytes = [&[msg::INFORMATION_REQUEST, 0, 0, 0, 0, 1, 0, 10][..], CLIENTS[0]].concat();
        let packet = Packet {
            bytes: &bytes,
            source: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xc),
            source_port: 546,
            destination: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2),
            interface_index: 1,
        };
        self.engine.handle(self.now, &packet, &mut Sink::default());
        self.packets += 1;
        self.began_with += live_bytes().saturating_sub(before);
    }

    /// All leases are loaded, the first batch is answered, and some ranges are there, this frontend's, its partner's,
    /// and closed ones.
    pub(crate) fn settle(&mut self) {
        self.load(Vec::new(), true);
        self.answer_batches(8, true, None);
        for slice in 0..4 {
            self.range(ADDRESSES, slice, 0, true);
            self.range(PREFIXES, slice, 0, true);
        }
        self.range(ADDRESSES, 8, 1, true);
        self.range(PREFIXES, 8, 1, true);
        self.range(ADDRESSES, 12, 2, true);
    }

    /// The interfaces of this machine, in one of three arrangements.
    pub(crate) fn interfaces(&mut self, arrangement: u8) {
        let named = |name: &str, index, link: Option<&str>| Interface {
            index,
            name: name.into(),
            link: link.map(Into::into),
            relays: arrangement & 4 == 0,
        };
        self.engine.set_interfaces(match arrangement % 3 {
            0 => vec![named("eth0", 1, Some("lan")), named("eth1", 2, Some("wan")), named("up0", 3, None)],
            1 => vec![named("eth0", 2, Some("lan")), named("eth1", 1, Some("nowhere"))],
            _ => Vec::new(),
        });
    }

    /// One datagram arrives.
    pub(crate) fn packet(&mut self, packet: &Packet<'_>) {
        self.packets += 1;
        let before = self.engine.counters().clone();
        let mut sink = Sink::default();
        self.engine.batch_begin(self.now);
        let ((), cost) = measured(|| self.engine.handle(self.now, packet, &mut sink));
        PACKET.check(cost, self.times());
        assert!(sink.sent.len() <= 1, "one message, at most one answer");
        let after = self.engine.counters();
        let discarded = after.discards.iter().sum::<u64>() - before.discards.iter().sum::<u64>();
        let answered = after.advertises + after.replies - before.advertises - before.replies;
        assert_eq!(answered, sink.sent.len() as u64, "answers are counted");
        let kept = after.parked + after.held - before.parked - before.held;
        assert!(discarded + answered + kept <= 1, "one message, one end");
        let asked = Asked::of(packet.bytes);
        for (to, bytes) in &sink.sent {
            assert_eq!(to.address, packet.source, "SV-102, SV-103");
            assert_eq!(to.interface_index, packet.interface_index, "SV-102");
            self.note(bytes, asked.as_ref());
        }
        self.round_over();
    }

    /// Time passes, and what is due is done.
    pub(crate) fn wait(&mut self, ms: u64) {
        self.now = self.now + Duration::from_millis(ms);
        let status = self.engine.status(self.now);
        let kept = status.parked_messages + status.held_replies;
        let mut sink = Sink::default();
        self.engine.batch_begin(self.now);
        let ((), cost) = measured(|| self.engine.turn(self.now, &mut sink));
        TURN.check(cost, (1 + kept as u64) * self.times());
        assert!(sink.sent.len() <= kept, "only what was kept is answered");
        self.judge_late(sink);
        self.engine.survey(self.now);
        let _ = self.engine.survival_budget(self.now);
        self.round_over();
    }

    /// How much dearer many pools may make what is done.
    fn times(&self) -> u64 {
        let pools = self.engine.network().map_or(0, |network| network.pools.len());
        1 + pools as u64 / POOLS_EACH
    }

    fn apply(&mut self, message: FromStore) {
        self.told += 1;
        let mut sink = Sink::default();
        self.engine.batch_begin(self.now);
        self.engine.apply(self.now, message, &mut sink);
        self.judge_late(sink);
        self.round_over();
    }

    /// What was kept and is answered now: whose message it was is not known here any more.
    fn judge_late(&mut self, sink: Sink) {
        for (_, bytes) in &sink.sent {
            self.note(bytes, None);
        }
    }

    fn note(&mut self, bytes: &[u8], asked: Option<&Asked>) {
        let given = judge::answer(bytes, asked);
        self.given.extend(given);
        let surplus = self.given.len().saturating_sub(32);
        self.given.drain(..surplus);
    }

    /// What must hold after anything.
    fn round_over(&mut self) {
        if !self.engine.may_send(self.now) {
            self.engine.dropped_unsent(0);
        }
        self.drain();
        let status = self.engine.status(self.now);
        assert!(status.parked_messages <= PARKED_MAX, "{} messages are kept", status.parked_messages);
        assert!(status.held_replies <= HELD_MAX, "{} Replies are held", status.held_replies);
        // One for each IA of a message; how many a client may have is a matter of configuration.
        let most = self.told + self.packets * leasehold_frontend::codec::wire::IAS_MAX as u64;
        assert!(status.leases.known_leases <= most, "{} records, at most {most}", status.leases.known_leases);
        let live = live_bytes().saturating_sub(self.began_with);
        let most = RESERVE_BYTES + (self.told + self.packets) * KEPT_BYTES;
        assert!(live <= most, "{live} bytes are held after {} packets, more than {most}", self.packets);
        assert_eq!(self.engine.counters().packets, self.packets);
        let _ = (self.engine.next_deadline(), self.engine.cluster_time_at_most(self.now));
        debug_assert!(self.engine.counters().discarded(Discard::NoConfiguration) <= self.packets);
    }

    /// What the engine says to the store.
    fn drain(&mut self) {
        self.engine.drain(self.now, &mut self.to_store);
        for message in self.to_store.drain(..) {
            match message {
                ToStore::Batch(batch) => {
                    assert!(batch.updates.len() <= Limits::default().updates_per_batch_max);
                    let mut prefixes: Vec<Prefix> =
                        batch.updates.iter().map(|update| update.prefix).collect();
                    prefixes.sort_unstable();
                    assert!(prefixes.windows(2).all(|two| two[0] != two[1]), "one update for each lease");
                    if self.pending.iter().all(|known| known.sequence < batch.sequence)
                        && batch.sequence > self.answered
                    {
                        self.pending.push_back(batch);
                    }
                }
                ToStore::Lookup { link, duid } => self.lookups.push_back((link, duid)),
                ToStore::Hello(_) | ToStore::Heartbeat(_) | ToStore::Trace(_) => {}
            }
        }
    }

    /// The store answers up to so many batches. `refusal`: every so-manieth update is refused, for a reason.
    pub(crate) fn answer_batches(
        &mut self,
        count: usize,
        extended: bool,
        refusal: Option<(usize, UpdateRefusal)>,
    ) {
        for _ in 0..count {
            let Some(batch) = self.pending.pop_front() else { return };
            let refused = batch.updates.iter().enumerate().filter_map(|(n, update)| {
                let (each, refusal) = refusal?;
                (n % each.max(1) == 0).then_some(UpdateOutcome { prefix: update.prefix, refusal })
            });
            let (sequence, refused) = (batch.sequence, refused.collect());
            self.answered = sequence;
            let stamp = self.cluster_now();
            self.event(StoreEvent::Batch(BatchOutcome { sequence, stamp, extended, refused }));
        }
    }

    /// An entry of the log with one event.
    pub(crate) fn event(&mut self, event: StoreEvent) {
        self.index += 1;
        self.apply(FromStore::Entry(StreamEntry { index: LogIndex(self.index), events: vec![event] }));
    }

    /// A message of the store outside the order of the log.
    pub(crate) fn word(&mut self, message: FromStore) {
        self.apply(message);
    }

    /// A range is this frontend's (0), its partner's (1), the partner's and closed (2), its own and closed (3), or
    /// nobody's.
    pub(crate) fn range(&mut self, pool: PoolId, slice: u64, whose: u8, fresh: bool) {
        let partner = frontend(if self.me.as_str() == "fe-a" { "fe-b" } else { "fe-a" });
        let (owner, frontend) = match whose % 5 {
            0 | 3 => (Epoch(self.epoch), Some(self.me.clone())),
            1 | 2 => (Epoch(5), Some(partner)),
            _ => (Epoch::NONE, None),
        };
        let closed = matches!(whose % 5, 2 | 3);
        let range = RangeId { pool, slice };
        self.event(StoreEvent::Range(RangeRecord { range, owner, frontend, closed, fresh }));
    }

    /// A lease as the store has it, changed now by another session or this one.
    pub(crate) fn lease(
        &self,
        prefix: Prefix,
        client: &[u8],
        iaid: u32,
        state: LeaseState,
        own: bool,
    ) -> Lease {
        let (pool, kind) = if prefix.is_address() { (ADDRESSES, IaKind::Na) } else { (PREFIXES, IaKind::Pd) };
        let duid = Duid::new(client).expect("the clients' DUIDs are of a possible length");
        let until = self.cluster_now() + Duration::from_secs(1000);
        Lease {
            prefix,
            pool,
            binding: BindingKey { link: LAN, duid, kind, iaid: Iaid(iaid) },
            state,
            state_since: self.cluster_now(),
            valid_until: until,
            preferred: Lifetime::from_wire(1000),
            valid: Lifetime::from_wire(1000),
            acked_until: until,
            client_last_contact: self.cluster_now(),
            epoch: Epoch(if own { self.epoch } else { 5 }),
            version: LogIndex(self.index + 1),
            others_version: LogIndex(0),
            born: LogIndex(0),
            extra: None,
        }
    }

    /// A piece of the load.
    pub(crate) fn load(&mut self, leases: Vec<Lease>, is_last: bool) {
        self.told += leases.len() as u64;
        let leases = leases.into_iter().map(Arc::new).collect();
        let done = is_last.then_some(LogIndex(self.index));
        self.apply(FromStore::Load(LoadChunk {
            leases,
            ranges: Vec::new(),
            registrations: Vec::new(),
            done,
        }));
    }

    /// The oldest question about a client is answered with these leases of it.
    pub(crate) fn look_up(&mut self, leases: Vec<Lease>) {
        let Some((link, duid)) = self.lookups.pop_front() else { return };
        self.told += leases.len() as u64;
        let leases = leases.into_iter().map(Arc::new).collect();
        self.apply(FromStore::Lookup { link, duid, leases, index: LogIndex(self.index) });
    }

    /// Another configuration is in force.
    pub(crate) fn reconfigure(&mut self, network: u8) {
        let before = live_bytes();
        let network = networks::checked(network, self.network_version + 1);
        self.began_with += live_bytes().saturating_sub(before);
        self.network_version += 1;
        self.event(StoreEvent::Network(network));
    }

    /// The connection breaks and comes back: the session goes on, or another follows and loads. With `took` the store
    /// had taken what was in flight.
    pub(crate) fn connect(&mut self, resumed: bool, took: bool, network: Option<u8>) {
        self.engine.disconnected(self.now);
        self.lookups.clear();
        self.engine.connected(self.now);
        self.drain();
        if took && let Some(last) = self.pending.back() {
            self.answered = last.sequence;
            self.pending.clear();
        }
        if !resumed && !took {
            self.epoch += 1;
            self.pending.clear();
            self.answered = UpdateSeq(0);
        }
        self.index += 1;
        let before = live_bytes();
        let network = network.map(|which| networks::checked(which, self.network_version));
        self.began_with += live_bytes().saturating_sub(before);
        let welcome = Welcome {
            epoch: Epoch(self.epoch),
            index: LogIndex(self.index),
            resumed,
            applied_sequence: self.answered,
            network,
            supersedes: Epoch::NONE,
            draining: false,
            reconfigure_secret: None,
            reconfigure_orders: 0,
        };
        self.apply(FromStore::Welcome(welcome));
    }

    pub(crate) fn cluster_now(&self) -> ClusterTime {
        ClusterTime::from_millis(self.now.as_nanos() / 1_000_000)
    }

    /// A newer session of this frontend exists.
    pub(crate) fn superseded(&mut self) {
        let (by, at) = (Epoch(self.epoch + 1), LogIndex(self.index + 1));
        self.event(StoreEvent::Superseded { by, at });
    }
}
