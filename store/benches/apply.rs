//! How long the state machine takes for one lease update: new leases and renewals, 512 to an entry, over a table of
//! 2^18 leases of one pair of frontends. Rows and events are made as in service; Raft and the disk are not in it.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use leasehold_proto::lease::{LeaseUpdate, UpdateKind};
use leasehold_proto::session::{RangeRequest, SessionBatch};
use leasehold_proto::time::{ClusterTime, Lifetime};
use leasehold_proto::v1;
use leasehold_proto::words::{BindingKey, Duid, Epoch, FrontendId, IaKind, Iaid, LogIndex, UpdateSeq};
use leasehold_store::machine::{Command, CommandBatch, Found, Machine, Outcome};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

const BATCH: u64 = 512;
const TABLE: u64 = 1 << 18;

struct World {
    machine: Machine,
    index: u64,
    epoch: Epoch,
    sequence: u64,
    time_ms: u64,
}

impl World {
    fn new() -> Self {
        let mut world =
            Self { machine: Machine::default(), index: 0, epoch: Epoch::NONE, sequence: 0, time_ms: 0 };
        let address = |last: u128| ((0x2001_0db8_u128 << 96) + last).to_be_bytes().to_vec();
        let mut network = v1::Network {
            links: vec![v1::Link {
                name: "lan".into(),
                prefixes: vec![v1::Prefix { address: address(0), length_bits: 64 }],
                ..Default::default()
            }],
            pools: vec![v1::Pool {
                name: "pool".into(),
                link: "lan".into(),
                kind: v1::IaKind::Na.into(),
                first: address(0),
                last: address(0xffff_ffff),
                length_bits: 128,
                range_bits: Some(30),
                ..Default::default()
            }],
            relationships: vec![v1::Relationship {
                name: "pair".into(),
                primary: "fe-a".into(),
                secondary: "fe-b".into(),
                pools: vec!["pool".into()],
                ..Default::default()
            }],
            ..Default::default()
        };
        leasehold_proto::network::fill_defaults(&mut network);
        let found =
            Found { cluster: "berlin".into(), incarnation: 1, server_duid_seed: [1; 16], restored: None };
        let frontend = FrontendId::new("fe-a").unwrap();
        let outcomes = world.apply(vec![
            Command::Found(found),
            Command::ApplyNetwork { expected_version: 0, network: Box::new(network) },
            Command::OpenSession { frontend, host: None },
        ]);
        let Some(Outcome::SessionOpened(epoch)) = outcomes.last() else { panic!("{outcomes:?}") };
        world.epoch = *epoch;
        let pool = world.machine.network().unwrap().pools[0].id;
        let mut first = world.batch(Vec::new());
        first.requests.push(RangeRequest { pool, ranges: 1 });
        world.apply(vec![Command::Session(Arc::new(first))]);
        for at in (0..TABLE).step_by(usize::try_from(BATCH).unwrap()) {
            let batch = world.promises(at);
            world.apply(vec![Command::Session(batch)]);
        }
        world
    }

    fn apply(&mut self, commands: Vec<Command>) -> Vec<Outcome> {
        self.index += 1;
        self.time_ms += 10;
        let batch = CommandBatch::new(ClusterTime::from_millis(self.time_ms), commands);
        self.machine.apply(LogIndex(self.index), &batch).outcomes
    }

    fn batch(&mut self, updates: Vec<LeaseUpdate>) -> SessionBatch {
        self.sequence += 1;
        SessionBatch {
            epoch: self.epoch,
            sequence: UpdateSeq(self.sequence),
            updates,
            requests: Vec::new(),
            returned: Vec::new(),
            acked_index: LogIndex(self.index),
            closing: false,
            registrations: Vec::new(),
        }
    }

    /// The next batch: promises of addresses scattered over the range, from the n-th client on.
    fn promises(&mut self, from: u64) -> Arc<SessionBatch> {
        let now = ClusterTime::from_millis(self.time_ms);
        let network = Arc::clone(self.machine.network().unwrap());
        let (pool, link) = (&network.pools[0], network.links[0].id);
        let updates = (from..from + BATCH).map(|n| {
            // An odd factor permutes the 2^30 slots of the range.
            let slot = n.wrapping_mul(0x2545_F491) & ((1 << 30) - 1);
            let mut duid = vec![0, 3, 0, 1];
            duid.extend(n.to_be_bytes());
            LeaseUpdate {
                kind: UpdateKind::Promise,
                prefix: pool.geometry.prefix_at(slot),
                pool: pool.id,
                binding: BindingKey {
                    link,
                    duid: Duid::new(&duid).unwrap(),
                    kind: IaKind::Na,
                    iaid: Iaid(1),
                },
                valid_until: now + Duration::from_secs(86_400),
                preferred: Lifetime::from_wire(43_200),
                valid: Lifetime::from_wire(86_400),
                ack_until: now + Duration::from_secs(108_000),
                client_last_contact: now,
                base_version: LogIndex(0),
                extra: None,
            }
        });
        let updates = updates.collect();
        Arc::new(self.batch(updates))
    }

    fn entry(&mut self, from: u64) -> (LogIndex, CommandBatch) {
        let batch = self.promises(from);
        self.index += 1;
        self.time_ms += 10;
        let stamp = ClusterTime::from_millis(self.time_ms);
        (LogIndex(self.index), CommandBatch::new(stamp, vec![Command::Session(batch)]))
    }
}

fn apply(c: &mut Criterion) {
    let mut group = c.benchmark_group("machine_apply");
    group.throughput(Throughput::Elements(BATCH));
    // Both closures of a benchmark need the world, one after the other.
    let world = std::cell::RefCell::new(World::new());
    let next = std::cell::Cell::new(TABLE);
    group.bench_function("new_leases_512", |b| {
        b.iter_batched(
            || {
                next.set(next.get() + BATCH);
                world.borrow_mut().entry(next.get())
            },
            |(index, entry)| black_box(world.borrow_mut().machine.apply(index, &entry)),
            BatchSize::PerIteration,
        );
    });
    let world = std::cell::RefCell::new(World::new());
    let next = std::cell::Cell::new(0);
    group.bench_function("renewals_512", |b| {
        b.iter_batched(
            || {
                next.set((next.get() + BATCH) % TABLE);
                world.borrow_mut().entry(next.get())
            },
            |(index, entry)| black_box(world.borrow_mut().machine.apply(index, &entry)),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, apply);
criterion_main!(benches);
