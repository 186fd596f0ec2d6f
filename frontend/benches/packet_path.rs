//! What one message costs on the packet path: decode, engine and encode together, without sockets.
//!
//! A Solicit and a Renew of one of many known clients, and a Request of a new one; and what a message costs more when
//! it waits in the admission queue among a thousand others. Run with
//! `cargo bench -p leasehold-frontend --bench packet_path`. The bar for the whole exchange, kernel included, is
//! a few microseconds.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use leasehold_frontend::codec::wire::{msg, opt};
use leasehold_frontend::engine::admission::{Admission, Arrival, Bounds};
use leasehold_frontend::engine::{Engine, Interface, Limits, Packet, ReplySink, ReplyTo, Settings};
use leasehold_proto::network::{Network, fill_defaults};
use leasehold_proto::session::{
    BatchOutcome, FromStore, LoadChunk, RangeRecord, StoreEvent, StreamEntry, ToStore, Welcome,
};
use leasehold_proto::time::{ClusterTime, LocalTime};
use leasehold_proto::v1;
use leasehold_proto::words::{Epoch, FrontendId, LogIndex, PoolId, RangeId, UpdateSeq};
use std::hint::black_box;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CLIENTS: u32 = 20_000;
const SERVER_DUID: &[u8] = &[0, 2, 0, 0, 0, 1, 1];
const NOW: LocalTime = LocalTime::from_millis(100_000);

/// Keeps the last reply and counts.
#[derive(Default)]
struct Sink {
    buffer: Vec<u8>,
    sent: u64,
}

impl ReplySink for Sink {
    fn begin(&mut self) -> &mut Vec<u8> {
        self.buffer.clear();
        &mut self.buffer
    }

    fn commit(&mut self, _to: ReplyTo) {
        self.sent += 1;
    }
}

fn bits(text: &str) -> Vec<u8> {
    text.parse::<Ipv6Addr>().map(|ip| ip.octets().to_vec()).unwrap_or_default()
}

fn network() -> Arc<Network> {
    let mut wire = v1::Network {
        version: 1,
        links: vec![v1::Link {
            name: "lan".into(),
            prefixes: vec![v1::Prefix { address: bits("2001:db8:1::"), length_bits: 64 }],
            ..v1::Link::default()
        }],
        // The same clients come again and again without time passing.
        limits: Some(v1::Limits { messages_per_client: Some(1_000_000_000), ..v1::Limits::default() }),
        pools: vec![v1::Pool {
            name: "a1".into(),
            link: "lan".into(),
            kind: v1::IaKind::Na.into(),
            first: bits("2001:db8:1::"),
            last: bits("2001:db8:1::ffff:ffff"),
            length_bits: 128,
            range_bits: Some(16),
            ..v1::Pool::default()
        }],
        relationships: vec![v1::Relationship {
            name: "r1".into(),
            server_duid: SERVER_DUID.to_vec(),
            primary: "fe-a".into(),
            secondary: "fe-b".into(),
            pools: vec!["a1".into()],
            ..v1::Relationship::default()
        }],
        options: Some(v1::DhcpOptions {
            options: vec![
                v1::DhcpOption { code: 23, data: bits("2001:db8::53"), forced: false },
                v1::DhcpOption { code: 24, data: b"\x07example\x03com\0".to_vec(), forced: false },
            ],
            ..v1::DhcpOptions::default()
        }),
        ..v1::Network::default()
    };
    fill_defaults(&mut wire);
    Arc::new(Network::from_wire(&wire).expect("the bench's configuration is sound"))
}

/// An engine that is loaded and owns two ranges of 65,536 addresses.
fn engine() -> Engine {
    let frontend = FrontendId::new("fe-a").expect("a name");
    let settings = Settings { frontend: frontend.clone(), hash_key: [3; 16], limits: Limits::default() };
    let mut engine = Engine::new(settings);
    let (mut sink, mut sent) = (Sink::default(), Vec::new());
    engine.set_interfaces(vec![Interface {
        index: 1,
        name: "eth0".into(),
        link: Some("lan".into()),
        relays: false,
    }]);
    engine.connected(NOW);
    engine.drain(NOW, &mut sent);
    let welcome = Welcome {
        epoch: Epoch(7),
        index: LogIndex(10),
        resumed: false,
        applied_sequence: UpdateSeq(0),
        network: Some(network()),
        supersedes: Epoch::NONE,
        draining: false,
        reconfigure_secret: None,
        reconfigure_orders: 0,
    };
    engine.apply(NOW, FromStore::Welcome(welcome), &mut sink);
    let load = LoadChunk { leases: vec![], ranges: vec![], registrations: vec![], done: Some(LogIndex(10)) };
    engine.apply(NOW, FromStore::Load(load), &mut sink);
    engine.drain(NOW, &mut sent);
    let mut events: Vec<StoreEvent> = (0..2)
        .map(|slice| {
            StoreEvent::Range(RangeRecord {
                range: RangeId { pool: PoolId(1), slice },
                owner: Epoch(7),
                frontend: Some(frontend.clone()),
                closed: false,
                fresh: true,
            })
        })
        .collect();
    for message in sent {
        if let ToStore::Batch(batch) = message {
            events.push(StoreEvent::Batch(BatchOutcome {
                sequence: batch.sequence,
                stamp: ClusterTime::from_millis(100_000),
                extended: true,
                refused: vec![],
            }));
        }
    }
    engine.apply(NOW, FromStore::Entry(StreamEntry { index: LogIndex(11), events }), &mut sink);
    engine
}

fn option(out: &mut Vec<u8>, code: u16, data: &[u8]) {
    out.extend(code.to_be_bytes());
    out.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
    out.extend(data);
}

/// A message as dhclient would send it.
fn message(kind: u8, client: u32, to_server: bool, address: Option<[u8; 16]>) -> Vec<u8> {
    let [a, b, c, d] = client.to_be_bytes();
    let mut out = vec![kind, b, c, d];
    option(&mut out, opt::CLIENT_ID, &[0, 1, 0, 1, 0x2a, 0x2b, 0x2c, 0x2d, 2, 0, a, b, c, d]);
    if to_server {
        option(&mut out, opt::SERVER_ID, SERVER_DUID);
    }
    option(&mut out, opt::ORO, &[0, 23, 0, 24, 0, 39]);
    option(&mut out, opt::ELAPSED_TIME, &[0, 0]);
    let mut ia = vec![0; 12];
    ia[3] = 1;
    if let Some(address) = address {
        ia.extend([0, 5, 0, 24]);
        ia.extend(address);
        ia.extend([0; 8]);
    }
    option(&mut out, opt::IA_NA, &ia);
    out
}

fn handle(engine: &mut Engine, bytes: &[u8], sink: &mut Sink) {
    let packet = Packet {
        bytes: black_box(bytes),
        source: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xc),
        source_port: 546,
        destination: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2),
        interface_index: 1,
    };
    engine.handle(NOW, &packet, sink);
}

/// Cycles through messages, all of which must be answered.
fn cycle(engine: &mut Engine, messages: &[Vec<u8>], rounds: u64) -> Duration {
    let mut sink = Sink::default();
    engine.batch_begin(NOW);
    let start = Instant::now();
    for message in messages.iter().cycle().take(usize::try_from(rounds).unwrap_or(usize::MAX)) {
        handle(engine, message, &mut sink);
    }
    let took = start.elapsed();
    assert_eq!(sink.sent, rounds, "every message is answered");
    took
}

fn packet_path(c: &mut Criterion) {
    let mut group = c.benchmark_group("packet_path");
    group.throughput(Throughput::Elements(1));

    let solicits: Vec<_> = (0..CLIENTS).map(|n| message(msg::SOLICIT, n, false, None)).collect();
    let requests: Vec<_> = (0..CLIENTS).map(|n| message(msg::REQUEST, n, true, None)).collect();

    let mut fresh = engine();
    group.bench_function("solicit", |b| b.iter_custom(|rounds| cycle(&mut fresh, &solicits, rounds)));

    group.bench_function("request_of_a_new_client", |b| {
        b.iter_custom(|mut rounds| {
            let mut took = Duration::ZERO;
            while rounds > 0 {
                let now = rounds.min(u64::from(CLIENTS));
                took += cycle(&mut engine(), &requests, now);
                rounds -= now;
            }
            took
        });
    });

    let mut holding = engine();
    let mut sink = Sink::default();
    let renews: Vec<_> = (0..CLIENTS)
        .map(|n| {
            handle(&mut holding, &requests[n as usize], &mut sink);
            let address = given(&sink.buffer);
            message(msg::RENEW, n, true, Some(address))
        })
        .collect();
    group.bench_function("renew", |b| b.iter_custom(|rounds| cycle(&mut holding, &renews, rounds)));
    group.finish();
}

/// What one message costs to be put into a queue in which a thousand wait, and to be taken out.
fn admission(c: &mut Criterion) {
    const WAITING: u32 = 1_000;
    let mut group = c.benchmark_group("admission");
    group.throughput(Throughput::Elements(1));
    let solicits: Vec<_> = (0..CLIENTS).map(|n| message(msg::SOLICIT, n, false, None)).collect();
    group.bench_function("wait", |b| {
        let mut queue = Admission::new([3; 16], Bounds::default());
        let mut messages = solicits.iter().cycle();
        let mut offer = |queue: &mut Admission<u32>| {
            if let Some(bytes) = messages.next() {
                let sender = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xc);
                queue.offer(NOW, &Arrival { bytes: black_box(bytes), sender, interface_index: 1 }, 7);
            }
        };
        (0..WAITING).for_each(|_| offer(&mut queue));
        b.iter(|| {
            offer(&mut queue);
            black_box(queue.take(NOW)).map(|(bytes, _)| bytes.len())
        });
        assert_eq!(queue.len(), WAITING, "no message was lost, none was taken for another's copy");
    });
    group.finish();
}

/// The address in a Reply.
fn given(reply: &[u8]) -> [u8; 16] {
    let reply = leasehold_frontend::codec::reply::ServerMessage::decode(reply).expect("a sound Reply");
    let lease = reply.ias[0].leases().next().expect("an address");
    lease.bits.to_be_bytes()
}

criterion_group!(benches, packet_path, admission);
criterion_main!(benches);
