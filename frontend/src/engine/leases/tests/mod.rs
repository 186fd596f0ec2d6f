//! A frontend's leases against a store played by the test: it answers what it is told to.

mod adoption;
mod affinity;
mod autonomy;
mod born;
mod budget;
mod draining;
mod give;
mod lifetimes;
mod load;
mod map;
mod merge;
mod order;
mod ranges;
mod returns;
mod stop;

use super::{Given, IaRef, Leases, News, NoLease, Wanted};
use crate::engine::Limits;
use leasehold_proto::lease::{Lease, LeaseState};
use leasehold_proto::lifetimes::LifetimeWish;
use leasehold_proto::network::{Network, fill_defaults};
use leasehold_proto::session::{
    BatchOutcome, FromStore, Hello, LoadChunk, RangeRecord, SessionBatch, StoreEvent, StreamEntry, ToStore,
    UpdateOutcome, UpdateRefusal, Welcome,
};
use leasehold_proto::time::{ClusterTime, Lifetime, LocalTime};
use leasehold_proto::v1;
use leasehold_proto::words::{
    BindingKey, Duid, Epoch, FrontendId, IaKind, Iaid, LinkId, LogIndex, PoolId, Prefix, RangeId, UpdateSeq,
};
use std::sync::Arc;

pub(super) const LINK: LinkId = LinkId(1);
/// 256 addresses in ranges of 16.
pub(super) const POOL: PoolId = PoolId(1);
/// 256 prefixes in ranges of 16, autonomy 1 h.
pub(super) const PREFIXES: PoolId = PoolId(2);
/// A whole /64 in ranges of 2^32.
pub(super) const VAST: PoolId = PoolId(3);
/// The partner's, not of this frontend.
pub(super) const FOREIGN: PoolId = PoolId(4);

pub(super) const ME: Epoch = Epoch(100);
pub(super) const PARTNER: Epoch = Epoch(200);
pub(super) const HOUR: u64 = 3_600_000;
pub(super) const DAY_SECS: u32 = 86_400;

pub(super) fn bits(text: &str) -> u128 {
    text.parse::<std::net::Ipv6Addr>().unwrap().to_bits()
}

fn pool(
    id: u32,
    name: &str,
    kind: v1::IaKind,
    first: &str,
    last: &str,
    length_bits: u32,
    range_bits: u32,
) -> v1::Pool {
    v1::Pool {
        id,
        name: name.into(),
        link: "lan".into(),
        kind: kind.into(),
        first: bits(first).to_be_bytes().to_vec(),
        last: bits(last).to_be_bytes().to_vec(),
        length_bits,
        range_bits: Some(range_bits),
        preferred_lifetime_secs: DAY_SECS,
        valid_lifetime_secs: 2 * DAY_SECS,
        mclt_secs: 3600,
        ..v1::Pool::default()
    }
}

fn wire() -> v1::Network {
    let mut prefixes = pool(2, "prefixes", v1::IaKind::Pd, "2001:db8:1::", "2001:db8:1:ff00::", 56, 4);
    prefixes.autonomy_ms = HOUR;
    let relationship = |id, name: &str, primary: &str, pools: &[&str]| v1::Relationship {
        id,
        name: name.into(),
        primary: primary.into(),
        secondary: "fe-b".into(),
        pools: pools.iter().map(|p| (*p).to_owned()).collect(),
        server_duid: format!("\0\x04{name}").into_bytes(),
        ..v1::Relationship::default()
    };
    let mut wire = v1::Network {
        version: 1,
        links: vec![v1::Link {
            id: 1,
            name: "lan".into(),
            prefixes: vec![v1::Prefix {
                address: bits("2001:db8::").to_be_bytes().to_vec(),
                length_bits: 48,
            }],
            ..v1::Link::default()
        }],
        pools: vec![
            pool(1, "small", v1::IaKind::Na, "2001:db8::100", "2001:db8::1ff", 128, 4),
            prefixes,
            pool(3, "vast", v1::IaKind::Na, "2001:db8:0:1::", "2001:db8:0:1:ffff:ffff:ffff:ffff", 128, 32),
            pool(4, "foreign", v1::IaKind::Na, "2001:db8:0:2::", "2001:db8:0:2::ff", 128, 4),
        ],
        relationships: vec![
            relationship(1, "ab", "fe-a", &["small", "prefixes", "vast"]),
            relationship(2, "cb", "fe-c", &["foreign"]),
        ],
        ..v1::Network::default()
    };
    fill_defaults(&mut wire);
    wire
}

pub(super) fn network_with(change: impl FnOnce(&mut v1::Network)) -> Arc<Network> {
    let mut wire = wire();
    change(&mut wire);
    Arc::new(Network::from_wire(&wire).unwrap())
}

pub(super) fn network() -> Arc<Network> {
    network_with(|_| {})
}

pub(super) fn duid(client: u8) -> Duid {
    Duid::new(&[0, 3, 0, 1, client]).unwrap()
}

pub(super) fn binding(client: u8, kind: IaKind) -> BindingKey {
    BindingKey { link: LINK, duid: duid(client), kind, iaid: Iaid(1) }
}

/// A frontend and the moments it lives in.
pub(super) struct Bench {
    pub(super) leases: Leases,
    /// Local time in milliseconds; cluster time runs alongside, 1000 s ahead.
    pub(super) ms: u64,
    pub(super) index: u64,
    pub(super) news: Vec<News>,
    /// Sent and not answered.
    pub(super) batches: Vec<Arc<SessionBatch>>,
    pub(super) hellos: Vec<Hello>,
    pub(super) others: Vec<ToStore>,
}

impl Bench {
    /// Nothing known yet.
    pub(super) fn new() -> Self {
        Self {
            leases: Leases::new(FrontendId::new("fe-a").unwrap(), [7; 16], Limits::default()),
            ms: 1000,
            index: 10,
            news: Vec::new(),
            batches: Vec::new(),
            hellos: Vec::new(),
            others: Vec::new(),
        }
    }

    /// Connected, loaded (nothing there), first batch answered, first range of each pool granted.
    pub(super) fn ready() -> Self {
        let mut b = Self::new();
        b.welcome(ME, false, 0);
        b.load_done(&[], &[]);
        b.drain();
        b.answer_all();
        for pool in [POOL, PREFIXES, VAST] {
            b.grant(pool, 0, true);
        }
        b.settle();
        b
    }

    pub(super) fn now(&self) -> LocalTime {
        LocalTime::from_millis(self.ms)
    }

    pub(super) fn cluster(&self) -> ClusterTime {
        ClusterTime::from_millis(self.ms + 1_000_000)
    }

    pub(super) fn apply(&mut self, message: FromStore) {
        self.leases.apply(self.now(), message, &mut self.news);
    }

    pub(super) fn connect(&mut self) {
        self.leases.connected(self.now());
        self.drain();
    }

    pub(super) fn welcome(&mut self, epoch: Epoch, resumed: bool, applied: u64) {
        self.welcome_with(epoch, resumed, applied, &network());
    }

    pub(super) fn welcome_with(&mut self, epoch: Epoch, resumed: bool, applied: u64, network: &Arc<Network>) {
        self.connect();
        let welcome = Welcome {
            epoch,
            index: LogIndex(self.index),
            resumed,
            applied_sequence: UpdateSeq(applied),
            network: Some(Arc::clone(network)),
            supersedes: Epoch::NONE,
            draining: false,
            reconfigure_secret: None,
            reconfigure_orders: 0,
        };
        self.apply(FromStore::Welcome(welcome));
    }

    pub(super) fn load_done(&mut self, leases: &[Lease], ranges: &[RangeRecord]) {
        let chunk = LoadChunk {
            leases: leases.iter().cloned().map(Arc::new).collect(),
            ranges: ranges.to_vec(),
            registrations: Vec::new(),
            done: Some(LogIndex(self.index)),
        };
        self.apply(FromStore::Load(chunk));
    }

    pub(super) fn disconnect(&mut self) {
        self.leases.disconnected(self.now());
    }

    /// What is sent now; batches are kept for answering.
    pub(super) fn drain(&mut self) -> Vec<Arc<SessionBatch>> {
        let mut out = Vec::new();
        self.leases.drain(self.now(), &mut out);
        let mut batches = Vec::new();
        for message in out {
            match message {
                ToStore::Batch(batch) => batches.push(batch),
                ToStore::Hello(hello) => self.hellos.push(hello),
                other => self.others.push(other),
            }
        }
        self.batches.extend(batches.iter().cloned());
        batches
    }

    pub(super) fn entry(&mut self, events: Vec<StoreEvent>) {
        self.index += 1;
        self.apply(FromStore::Entry(StreamEntry { index: LogIndex(self.index), events }));
    }

    pub(super) fn outcome(
        &self,
        sequence: UpdateSeq,
        extended: bool,
        refused: &[(Prefix, UpdateRefusal)],
    ) -> StoreEvent {
        let refused =
            refused.iter().map(|(prefix, refusal)| UpdateOutcome { prefix: *prefix, refusal: *refusal });
        StoreEvent::Batch(BatchOutcome {
            sequence,
            stamp: self.cluster(),
            extended,
            refused: refused.collect(),
        })
    }

    /// Answers the oldest batch.
    pub(super) fn answer(&mut self, refused: &[(Prefix, UpdateRefusal)]) -> Arc<SessionBatch> {
        let batch = self.batches.remove(0);
        let outcome = self.outcome(batch.sequence, true, refused);
        self.entry(vec![outcome]);
        batch
    }

    pub(super) fn answer_all(&mut self) {
        while !self.batches.is_empty() {
            self.answer(&[]);
        }
    }

    /// Lets everything that is under way come to its end, without time passing much.
    pub(super) fn settle(&mut self) {
        for _ in 0..50 {
            self.ms += 20;
            self.drain();
            self.answer_all();
        }
        assert!(self.batches.is_empty());
    }

    pub(super) fn range(&self, pool: PoolId, slice: u64, owner: Epoch, fresh: bool) -> RangeRecord {
        let name = match owner {
            Epoch::NONE => None,
            PARTNER => Some("fe-b"),
            _ => Some("fe-a"),
        };
        let frontend = name.map(|n| FrontendId::new(n).unwrap());
        RangeRecord { range: RangeId { pool, slice }, owner, frontend, closed: false, fresh }
    }

    pub(super) fn grant(&mut self, pool: PoolId, slice: u64, fresh: bool) {
        let record = self.range(pool, slice, ME, fresh);
        self.entry(vec![StoreEvent::Range(record)]);
    }

    pub(super) fn lease(&mut self, lease: &Lease) {
        self.entry(vec![StoreEvent::Lease(Arc::new(Lease {
            version: LogIndex(self.index + 1),
            ..lease.clone()
        }))]);
    }

    /// A record as the store would have it, changed by the partner just now.
    pub(super) fn record(
        &self,
        prefix: Prefix,
        client: u8,
        state: LeaseState,
        acked_until: ClusterTime,
    ) -> Lease {
        let kind = if prefix.is_address() { IaKind::Na } else { IaKind::Pd };
        Lease {
            prefix,
            pool: if prefix.is_address() { POOL } else { PREFIXES },
            binding: binding(client, kind),
            state,
            state_since: self.cluster(),
            valid_until: self.cluster().after_lifetime(Lifetime::from_wire(3600)),
            preferred: Lifetime::from_wire(3600),
            valid: Lifetime::from_wire(3600),
            acked_until,
            client_last_contact: self.cluster(),
            epoch: PARTNER,
            version: LogIndex(self.index),
            others_version: LogIndex(0),
            born: LogIndex(0),
            extra: None,
        }
    }

    pub(super) fn create(&mut self, client: u8) -> Result<Given, NoLease> {
        let key = binding(client, IaKind::Na);
        self.leases.create(self.now(), IaRef::of(&key), &Wanted::of(&[POOL]))
    }

    pub(super) fn extend(&mut self, client: u8, prefix: Prefix) -> Option<Given> {
        let kind = if prefix.is_address() { IaKind::Na } else { IaKind::Pd };
        let key = binding(client, kind);
        self.leases.extend(self.now(), IaRef::of(&key), prefix, LifetimeWish::default(), None)
    }

    pub(super) fn remaining(&self, client: u8, prefix: Prefix) -> Option<Given> {
        self.leases.remaining(self.now(), IaRef::of(&binding(client, IaKind::Na)), prefix)
    }

    pub(super) fn release(&mut self, client: u8, prefix: Prefix) -> bool {
        let key = binding(client, IaKind::Na);
        self.leases.release(self.now(), IaRef::of(&key), prefix)
    }

    pub(super) fn state(&self, prefix: Prefix) -> Option<LeaseState> {
        self.leases.holder_of(prefix).map(|(_, state)| state)
    }

    pub(super) fn known(&self, client: u8, prefix: Prefix) -> super::Known {
        let kind = if prefix.is_address() { IaKind::Na } else { IaKind::Pd };
        let key = binding(client, kind);
        let mut out = smallvec::SmallVec::new();
        self.leases.leases_of(IaRef::of(&key), &mut out);
        *out.iter().find(|k| k.prefix == prefix).unwrap()
    }
}

pub(super) fn address(n: u128) -> Prefix {
    Prefix::address(bits("2001:db8::100") + n)
}
