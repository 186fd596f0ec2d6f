//! A machine with a clock in hand, a network of two partners, and sessions that number their batches.

use crate::machine::{
    Applied, Audience, Command, CommandBatch, FORMAT_VERSION, Found, Machine, Outcome, invariants,
};
use leasehold_proto::lease::{Lease, LeaseState, LeaseUpdate, UpdateKind};
use leasehold_proto::session::{
    BatchOutcome, HostProof, RangeRequest, SessionBatch, StoreEvent, UpdateRefusal,
};
use leasehold_proto::time::{ClusterTime, Lifetime};
use leasehold_proto::v1;
use leasehold_proto::words::{
    BindingKey, Duid, Epoch, FrontendId, IaKind, Iaid, LogIndex, PoolId, Prefix, RangeId, UpdateSeq,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(super) const VALID_SECS: u32 = 600;
pub(super) const MCLT_SECS: u32 = 60;
pub(super) const AUTONOMY_SECS: u64 = 300;

pub(super) struct Lab {
    pub(super) machine: Machine,
    index: u64,
    now_ms: u64,
    sequences: BTreeMap<Epoch, u64>,
}

pub(super) fn bits(text: &str) -> u128 {
    text.parse::<std::net::Ipv6Addr>().unwrap().to_bits()
}

pub(super) fn address(last: u16) -> Prefix {
    Prefix::address(bits("2001:db8:1::") + u128::from(last))
}

/// One link, a pool of 16 addresses in ranges of 4, one relationship of `a` and `b`.
pub(super) fn network() -> v1::Network {
    v1::Network {
        links: vec![v1::Link {
            name: "lan".into(),
            prefixes: vec!["2001:db8:1::/64".parse::<Prefix>().unwrap().into()],
            ..Default::default()
        }],
        pools: vec![v1::Pool {
            name: "pool".into(),
            link: "lan".into(),
            kind: v1::IaKind::Na.into(),
            first: bits("2001:db8:1::10").to_be_bytes().to_vec(),
            last: bits("2001:db8:1::1f").to_be_bytes().to_vec(),
            length_bits: 128,
            range_bits: Some(2),
            valid_lifetime_secs: VALID_SECS,
            preferred_lifetime_secs: VALID_SECS / 2,
            mclt_secs: MCLT_SECS,
            autonomy_ms: AUTONOMY_SECS * 1000,
            decline_quarantine_secs: 1000,
            ..Default::default()
        }],
        relationships: vec![v1::Relationship {
            name: "ab".into(),
            primary: "a".into(),
            secondary: "b".into(),
            pools: vec!["pool".into()],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The command that applies a network, defaults filled in.
pub(super) fn applying(mut network: v1::Network) -> Command {
    leasehold_proto::network::fill_defaults(&mut network);
    Command::ApplyNetwork { expected_version: 0, network: Box::new(network) }
}

pub(super) fn frontend(name: &str) -> FrontendId {
    FrontendId::new(name).unwrap()
}

impl Lab {
    /// A machine to which nothing has happened.
    pub(super) fn blank(now: ClusterTime) -> Self {
        Self { machine: Machine::default(), index: 0, now_ms: now.as_millis(), sequences: BTreeMap::new() }
    }

    /// Founded, configured.
    pub(super) fn new() -> Self {
        let mut lab = Self::blank(ClusterTime::from_millis(1000));
        let found =
            Found { cluster: "test".into(), incarnation: 1, server_duid_seed: [7; 16], restored: None };
        lab.apply(vec![Command::Found(found)]);
        let applied = lab.configure(&network());
        assert_eq!(applied.outcomes, [Outcome::NetworkApplied { version: 1 }]);
        lab
    }

    pub(super) fn apply(&mut self, commands: Vec<Command>) -> Applied {
        self.apply_as(FORMAT_VERSION, commands)
    }

    /// By an entry as a program of that format wrote it.
    pub(super) fn apply_as(&mut self, format: u32, commands: Vec<Command>) -> Applied {
        self.index += 1;
        let batch = CommandBatch { format, stamp: ClusterTime::from_millis(self.now_ms), commands };
        // Through the bytes of the log, so that every test exercises them.
        let batch = CommandBatch::decode(&batch.encode()).unwrap();
        let applied = self.machine.apply(LogIndex(self.index), &batch);
        invariants::check(&self.machine).unwrap();
        applied
    }

    pub(super) fn configure(&mut self, network: &v1::Network) -> Applied {
        self.apply(vec![applying(network.clone())])
    }

    pub(super) fn now(&self) -> ClusterTime {
        ClusterTime::from_millis(self.now_ms)
    }

    pub(super) fn index(&self) -> LogIndex {
        LogIndex(self.index)
    }

    /// Time passes, and the machine hears nothing of it before the next entry.
    pub(super) fn wait(&mut self, secs: u64) {
        self.now_ms += secs * 1000;
    }

    /// Lets time pass and tells the machine, as often as it asks.
    pub(super) fn pass(&mut self, secs: u64) -> Vec<StoreEvent> {
        self.now_ms += secs * 1000;
        let mut events = Vec::new();
        for _ in 0..50 {
            events.extend(self.apply(Vec::new()).events.into_iter().map(|e| e.event));
            if self.machine.next_due().is_none_or(|due| due > self.now()) {
                return events;
            }
        }
        panic!("the machine asks for time without end");
    }

    pub(super) fn open(&mut self, name: &str) -> Epoch {
        self.open_on(name, None)
    }

    /// Opens a session of a process that shows on which host it runs.
    pub(super) fn open_on(&mut self, name: &str, host: Option<HostProof>) -> Epoch {
        let applied = self.apply(vec![Command::OpenSession { frontend: frontend(name), host }]);
        match applied.outcomes[..] {
            [Outcome::SessionOpened(epoch)] => epoch,
            ref other => panic!("{other:?}"),
        }
    }

    pub(super) fn pool(&self) -> PoolId {
        self.machine.network().unwrap().pools[0].id
    }

    /// The next batch of a session, empty but for its number and what has been read so far.
    pub(super) fn batch(&mut self, epoch: Epoch) -> SessionBatch {
        let sequence = self.sequences.entry(epoch).or_default();
        *sequence += 1;
        SessionBatch {
            epoch,
            sequence: UpdateSeq(*sequence),
            updates: Vec::new(),
            requests: Vec::new(),
            returned: Vec::new(),
            acked_index: LogIndex(0),
            closing: false,
            registrations: Vec::new(),
        }
    }

    pub(super) fn send(&mut self, batch: SessionBatch) -> (BatchOutcome, Applied) {
        let epoch = batch.epoch;
        let applied = self.apply(vec![Command::Session(Arc::new(batch))]);
        let outcome = applied.events.iter().find_map(|e| match (&e.audience, &e.event) {
            (Audience::Session(to), StoreEvent::Batch(outcome)) if *to == epoch => Some(outcome.clone()),
            _ => None,
        });
        (outcome.unwrap_or_else(|| panic!("no outcome in {applied:?}")), applied)
    }

    /// Lets time pass while one session goes on acknowledging.
    pub(super) fn pass_with(&mut self, epoch: Epoch, secs: u64) {
        for _ in 0..secs.div_ceil(60) {
            self.pass(60);
            self.acknowledge(epoch);
        }
    }

    /// Asks for ranges and returns those granted.
    pub(super) fn grant(&mut self, epoch: Epoch, ranges: u32) -> Vec<RangeId> {
        let mut batch = self.batch(epoch);
        batch.requests.push(RangeRequest { pool: self.pool(), ranges });
        let (_, applied) = self.send(batch);
        applied
            .events
            .iter()
            .filter_map(|e| match &e.event {
                StoreEvent::Range(r) if r.owner == epoch && !r.closed => Some(r.range),
                _ => None,
            })
            .collect()
    }

    /// Asks for ranges of a pool; gives what the asker and others are told of it.
    pub(super) fn ask(&mut self, epoch: Epoch, pool: PoolId, ranges: u32) -> Vec<(Audience, StoreEvent)> {
        let mut batch = self.batch(epoch);
        batch.requests.push(RangeRequest { pool, ranges });
        let events = self.send(batch).1.events.into_iter().map(|e| (e.audience, e.event));
        events.filter(|(_, e)| !matches!(e, StoreEvent::Batch(_))).collect()
    }

    /// Gives ranges back.
    pub(super) fn give_back(&mut self, epoch: Epoch, ranges: &[RangeId]) {
        let mut batch = self.batch(epoch);
        batch.returned = ranges.to_vec();
        self.send(batch);
    }

    /// Acknowledges every event so far.
    pub(super) fn acknowledge(&mut self, epoch: Epoch) -> Applied {
        let mut batch = self.batch(epoch);
        batch.acked_index = self.index();
        self.send(batch).1
    }

    pub(super) fn update(&self, kind: UpdateKind, prefix: Prefix, client: u8) -> LeaseUpdate {
        let network = self.machine.network().unwrap();
        LeaseUpdate {
            kind,
            prefix,
            pool: self.pool(),
            binding: BindingKey {
                link: network.links[0].id,
                duid: Duid::new(&[0, 3, 0, 1, client]).unwrap(),
                kind: IaKind::Na,
                iaid: Iaid(1),
            },
            valid_until: self.now() + Duration::from_secs(u64::from(MCLT_SECS)),
            preferred: Lifetime::from_wire(MCLT_SECS),
            valid: Lifetime::from_wire(MCLT_SECS),
            ack_until: self.now() + Duration::from_secs(u64::from(MCLT_SECS / 2 + VALID_SECS)),
            client_last_contact: self.now(),
            base_version: LogIndex(0),
            extra: None,
        }
    }

    /// Sends one update; what was refused comes back.
    pub(super) fn tell(&mut self, epoch: Epoch, update: LeaseUpdate) -> Result<Applied, UpdateRefusal> {
        let mut batch = self.batch(epoch);
        batch.updates.push(update);
        let (outcome, applied) = self.send(batch);
        match outcome.refused.first() {
            Some(refused) => Err(refused.refusal),
            None => Ok(applied),
        }
    }

    pub(super) fn promise(
        &mut self,
        epoch: Epoch,
        prefix: Prefix,
        client: u8,
    ) -> Result<Applied, UpdateRefusal> {
        self.tell(epoch, self.update(UpdateKind::Promise, prefix, client))
    }

    pub(super) fn lease(&self, prefix: Prefix) -> &Lease {
        self.machine.lease(prefix).unwrap()
    }

    pub(super) fn state(&self, prefix: Prefix) -> LeaseState {
        self.lease(prefix).state
    }
}
