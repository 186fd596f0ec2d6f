//! An engine with a store that says what the script tells it to.

use super::message::Answered;
use crate::engine::{Engine, Interface, Limits, Packet, ReplySink, ReplyTo, Settings};
use leasehold_proto::lease::{Lease, LeaseState};
use leasehold_proto::network::{Network, fill_defaults};
use leasehold_proto::session::{
    BatchOutcome, FromStore, LoadChunk, RangeRecord, StoreEvent, StreamEntry, ToStore, Welcome,
};
use leasehold_proto::time::{ClusterTime, Lifetime, LocalTime};
use leasehold_proto::v1;
use leasehold_proto::words::{
    BindingKey, Duid, Epoch, FrontendId, IaKind, Iaid, LinkId, LogIndex, PoolId, Prefix, RangeId, UpdateSeq,
};
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

pub(super) const CLIENT: &str = "fe80::c";
pub(super) const MULTICAST: &str = "ff02::1:2";
pub(super) const SERVER_DUID: &[u8] = &[0, 2, 0, 0, 0, 1, 1];
pub(super) const OTHER_SERVER_DUID: &[u8] = &[0, 2, 0, 0, 0, 1, 2];
/// Addresses `2001:db8:1::1000` to `::1fff`, ranges of 256: slices 0 to 3 are ours, 8 the partner's, 12 closed, 14
/// nobody's.
pub(super) const ADDRESSES: PoolId = PoolId(1);
/// Prefixes `2001:db8:8000::/56` to `2001:db8:8000:ff00::/56`, ranges of 16: slices 0 to 3 are ours, 8 the partner's.
pub(super) const PREFIXES: PoolId = PoolId(2);
pub(super) const LAN: LinkId = LinkId(1);

pub(super) fn ip(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

pub(super) fn prefix(text: &str) -> Prefix {
    text.parse().expect("a prefix")
}

pub(super) fn frontend(name: &str) -> FrontendId {
    FrontendId::new(name).expect("a name")
}

fn octets(text: &str) -> Vec<u8> {
    ip(text).octets().to_vec()
}

pub(super) fn pool(
    name: &str,
    link: &str,
    kind: v1::IaKind,
    bounds: (&str, &str),
    length: u32,
    bits: u32,
) -> v1::Pool {
    v1::Pool {
        name: name.into(),
        link: link.into(),
        kind: kind.into(),
        first: octets(bounds.0),
        last: octets(bounds.1),
        length_bits: length,
        range_bits: Some(bits),
        preferred_lifetime_secs: 3000,
        valid_lifetime_secs: 4000,
        mclt_secs: 4000,
        ..v1::Pool::default()
    }
}

/// Options that are sent when asked for.
pub(super) fn options(values: &[(u32, &[u8])]) -> Option<v1::DhcpOptions> {
    let option =
        |(code, data): &(u32, &[u8])| v1::DhcpOption { code: *code, data: data.to_vec(), forced: false };
    Some(v1::DhcpOptions { options: values.iter().map(option).collect(), ..v1::DhcpOptions::default() })
}

/// Links `lan` and `wan`; relationship `r1` of `fe-a` and `fe-b` with one pool of each kind on `lan`.
pub(super) fn network() -> v1::Network {
    let on_link = |text: &str| {
        let p = prefix(text);
        v1::Prefix { address: p.ip().octets().to_vec(), length_bits: u32::from(p.len_bits()) }
    };
    v1::Network {
        version: 1,
        links: vec![
            v1::Link {
                name: "lan".into(),
                prefixes: vec![on_link("2001:db8:1::/64"), on_link("2001:db8:11::/64")],
                ..v1::Link::default()
            },
            v1::Link {
                name: "wan".into(),
                prefixes: vec![on_link("2001:db8:2::/64")],
                selectors: vec![v1::LinkSelector {
                    interface_id: b"port-7".to_vec(),
                    ..v1::LinkSelector::default()
                }],
                options: options(&[(23, &ip("2001:db8::99").octets())]),
                ..v1::Link::default()
            },
        ],
        pools: vec![
            pool("a1", "lan", v1::IaKind::Na, ("2001:db8:1::1000", "2001:db8:1::1fff"), 128, 8),
            pool("p1", "lan", v1::IaKind::Pd, ("2001:db8:8000::", "2001:db8:8000:ff00::"), 56, 4),
        ],
        relationships: vec![v1::Relationship {
            name: "r1".into(),
            server_duid: SERVER_DUID.to_vec(),
            primary: "fe-a".into(),
            secondary: "fe-b".into(),
            pools: vec!["a1".into(), "p1".into()],
            ..v1::Relationship::default()
        }],
        options: options(&[
            (23, &[ip("2001:db8::53").octets(), ip("2001:db8::54").octets()].concat()),
            (24, b"\x07example\x03com\0"),
        ]),
        ..v1::Network::default()
    }
}

pub(super) fn checked(mut wire: v1::Network) -> Arc<Network> {
    fill_defaults(&mut wire);
    Arc::new(Network::from_wire(&wire).expect("the script's configuration is sound"))
}

/// Collects replies.
#[derive(Default)]
pub(super) struct Sink {
    buffer: Vec<u8>,
    pub(super) sent: Vec<(ReplyTo, Vec<u8>)>,
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

pub(super) struct Lab {
    pub(super) engine: Engine,
    pub(super) now: LocalTime,
    pub(super) index: u64,
    pub(super) to_store: Vec<ToStore>,
    me: FrontendId,
}

pub(super) const EPOCH: u64 = 7;

impl Lab {
    /// `fe-a`, the primary, with all that [`network`] says and some ranges: it answers every client.
    pub(super) fn new() -> Self {
        Self::with("fe-a", network())
    }

    /// A frontend that is loaded and owns its ranges in the two pools of [`network`].
    pub(super) fn with(me: &str, wire: v1::Network) -> Self {
        Self::with_parked(me, wire, 16)
    }

    /// The same with room for so many parked messages.
    pub(super) fn with_parked(me: &str, wire: v1::Network, parked_messages_max: usize) -> Self {
        let mut lab = Self::loading_with_parked(me, wire, parked_messages_max);
        lab.load_done();
        for slice in 0..4 {
            lab.grant(ADDRESSES, slice);
            lab.grant(PREFIXES, slice);
        }
        let partner = if me == "fe-a" { "fe-b" } else { "fe-a" };
        lab.range(ADDRESSES, 8, Some(partner), false);
        lab.range(PREFIXES, 8, Some(partner), false);
        lab.range(ADDRESSES, 12, Some(partner), true);
        lab
    }

    /// A frontend whose load has not begun.
    pub(super) fn loading(me: &str, wire: v1::Network) -> Self {
        Self::loading_with_parked(me, wire, 16)
    }

    fn loading_with_parked(me: &str, wire: v1::Network, parked_messages_max: usize) -> Self {
        let limits = Limits { parked_messages_max, ..Limits::default() };
        let me = frontend(me);
        let mut lab = Self {
            engine: Engine::new(Settings { frontend: me.clone(), hash_key: [9; 16], limits }),
            now: LocalTime::from_millis(100_000),
            index: 10,
            to_store: Vec::new(),
            me,
        };
        let named = |name: &str, index, link: Option<&str>| Interface {
            index,
            name: name.into(),
            link: link.map(Into::into),
            relays: true,
        };
        lab.engine.set_interfaces(vec![
            named("eth0", 1, Some("lan")),
            named("eth1", 2, Some("wan")),
            named("up0", 3, None),
        ]);
        lab.engine.connected(lab.now);
        lab.drain();
        lab.apply(FromStore::Welcome(Welcome {
            epoch: Epoch(EPOCH),
            index: LogIndex(10),
            resumed: false,
            applied_sequence: UpdateSeq(0),
            network: Some(checked(wire)),
            supersedes: Epoch::NONE,
            draining: false,
            reconfigure_secret: None,
            reconfigure_orders: 0,
        }));
        lab
    }

    pub(super) fn load_done(&mut self) -> Vec<Answered> {
        let done = LoadChunk {
            leases: vec![],
            ranges: vec![],
            registrations: vec![],
            done: Some(LogIndex(self.index)),
        };
        let answers = self.apply(FromStore::Load(done));
        // The first answer to a batch starts autonomy.
        self.commit();
        answers
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self, ms: u64) -> Vec<Answered> {
        self.now = self.now + Duration::from_millis(ms);
        let mut sink = Sink::default();
        self.engine.turn(self.now, &mut sink);
        self.drain();
        sink.answers()
    }

    pub(super) fn apply(&mut self, message: FromStore) -> Vec<Answered> {
        let mut sink = Sink::default();
        self.engine.batch_begin(self.now);
        self.engine.apply(self.now, message, &mut sink);
        self.drain();
        sink.answers()
    }

    pub(super) fn event(&mut self, event: StoreEvent) -> Vec<Answered> {
        self.index += 1;
        self.apply(FromStore::Entry(StreamEntry { index: LogIndex(self.index), events: vec![event] }))
    }

    pub(super) fn range(&mut self, pool: PoolId, slice: u64, owner: Option<&str>, closed: bool) {
        let owner = owner.map(frontend);
        let epoch = match &owner {
            Some(owner) if *owner == self.me => Epoch(EPOCH),
            Some(_) => Epoch(5),
            None => Epoch::NONE,
        };
        let range = RangeId { pool, slice };
        self.event(StoreEvent::Range(RangeRecord {
            range,
            owner: epoch,
            frontend: owner,
            closed,
            fresh: true,
        }));
    }

    pub(super) fn grant(&mut self, pool: PoolId, slice: u64) {
        let me = self.me.clone();
        self.range(pool, slice, Some(me.as_str()), false);
    }

    /// The store commits all batches that were sent to it, and says so.
    pub(super) fn commit(&mut self) {
        for _ in 0..4 {
            self.drain();
            let batches: Vec<_> = self.to_store.drain(..).collect();
            for message in batches {
                if let ToStore::Batch(batch) = message {
                    self.event(StoreEvent::Batch(BatchOutcome {
                        sequence: batch.sequence,
                        stamp: self.cluster_now(),
                        extended: true,
                        refused: vec![],
                    }));
                }
            }
        }
    }

    pub(super) fn cluster_now(&self) -> ClusterTime {
        ClusterTime::from_millis(self.now.as_nanos() / 1_000_000)
    }

    pub(super) fn drain(&mut self) {
        self.engine.drain(self.now, &mut self.to_store);
    }

    /// The store commits a lease of another session, or changes one.
    pub(super) fn lease(&mut self, what: &str, client: &[u8], iaid: u32, state: LeaseState) {
        let prefix = prefix(what);
        let (pool, kind) = if prefix.is_address() { (ADDRESSES, IaKind::Na) } else { (PREFIXES, IaKind::Pd) };
        let lease = self.lease_record(prefix, pool, kind, client, iaid, state);
        self.event(StoreEvent::Lease(Arc::new(lease)));
    }

    pub(super) fn lease_record(
        &self,
        prefix: Prefix,
        pool: PoolId,
        kind: IaKind,
        client: &[u8],
        iaid: u32,
        state: LeaseState,
    ) -> Lease {
        let binding =
            BindingKey { link: LAN, duid: Duid::new(client).expect("a DUID"), kind, iaid: Iaid(iaid) };
        let until = self.cluster_now() + Duration::from_secs(1000);
        Lease {
            prefix,
            pool,
            binding,
            state,
            state_since: self.cluster_now(),
            valid_until: until,
            preferred: Lifetime::from_wire(1000),
            valid: Lifetime::from_wire(1000),
            acked_until: until,
            client_last_contact: self.cluster_now(),
            epoch: Epoch(5),
            version: LogIndex(self.index + 1),
            others_version: LogIndex(0),
            born: LogIndex(0),
            extra: None,
        }
    }

    pub(super) fn liveness(&mut self, of: &str, live: bool) -> Vec<Answered> {
        self.service(of, live, &[], None)
    }

    /// The store's word on a frontend.
    pub(super) fn service(
        &mut self,
        of: &str,
        live: bool,
        links_down: &[LinkId],
        relays_heard: Option<&[&str]>,
    ) -> Vec<Answered> {
        self.apply(FromStore::Liveness(leasehold_proto::session::Liveness {
            frontend: frontend(of),
            live,
            links_down: links_down.to_vec(),
            relays_heard: relays_heard.map(|relays| relays.iter().map(|relay| ip(relay).to_bits()).collect()),
        }))
    }

    pub(super) fn pool_dry(&mut self, pool: PoolId) {
        self.event(StoreEvent::PoolDry { pool, dry: true });
    }

    /// Sends a client's message by multicast on `lan`; the one answer, if any.
    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) -> Option<Answered> {
        self.send_on(1, CLIENT, 546, MULTICAST, bytes.as_ref())
    }

    /// Sends through a relay that speaks to this server by unicast.
    pub(super) fn send_relayed(&mut self, bytes: &[u8]) -> Option<Answered> {
        self.send_on(3, "2001:db8:ff::1", 547, "2001:db8:ff::2", bytes)
    }

    pub(super) fn send_on(
        &mut self,
        interface_index: u32,
        source: &str,
        source_port: u16,
        destination: &str,
        bytes: &[u8],
    ) -> Option<Answered> {
        let packet =
            Packet { bytes, source: ip(source), source_port, destination: ip(destination), interface_index };
        let mut sink = Sink::default();
        self.engine.batch_begin(self.now);
        self.engine.handle(self.now, &packet, &mut sink);
        assert!(sink.sent.len() <= 1, "one message, one answer");
        assert!(sink.sent.is_empty() || self.engine.may_send(self.now));
        self.drain();
        sink.answers().pop()
    }

    /// The one reason for which messages were discarded since the lab began, apart from `before`.
    pub(super) fn discarded(&self, reason: crate::codec::Discard) -> u64 {
        self.engine.counters().discarded(reason)
    }
}

impl Sink {
    pub(super) fn answers(&self) -> Vec<Answered> {
        self.sent.iter().map(|(to, bytes)| Answered::read(*to, bytes)).collect()
    }
}
