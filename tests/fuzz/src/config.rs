//! The network configuration under any bytes: what a store reads from its disk, or is sent, in the place of one.
//!
//! What is refused is refused with reasons. What is accepted must be usable: its defaults are complete, a frontend can
//! work by it, and the store can spread it.

use leasehold_frontend::engine::{Engine, Interface, Limits, Packet, ReplySink, ReplyTo, Settings};
use leasehold_proto::network::auto::{self, Standing};
use leasehold_proto::network::{Network, check_complete, fill_defaults};
use leasehold_proto::session::{FromStore, LoadChunk, Welcome};
use leasehold_proto::time::LocalTime;
use leasehold_proto::v1;
use leasehold_proto::words::{Epoch, FrontendId, LogIndex, UpdateSeq};
use prost::Message;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Reads a configuration and uses it.
///
/// # Panics
/// When one that was accepted breaks something, or one was refused without a reason.
pub fn run(data: &[u8]) {
    let Ok(mut wire) = v1::Network::decode(data) else { return };
    // As it came: never written out, or written by an older version.
    let _ = (Network::from_wire(&wire), check_complete(&wire));
    fill_defaults(&mut wire);
    let filled = wire.clone();
    fill_defaults(&mut wire);
    assert!(wire == filled, "filling in defaults twice changes nothing");
    match Network::from_wire(&wire) {
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a reason");
            assert!(errors.iter().all(|error| !error.message.is_empty()));
            assert!(Network::accept(&wire).is_err(), "what may not be in force is not accepted either");
        }
        Ok(network) => {
            if let Err(errors) = Network::accept(&wire) {
                assert!(!errors.is_empty(), "not accepted without a reason");
            }
            accepted(&wire, network);
        }
    }
}

fn accepted(wire: &v1::Network, network: Network) {
    assert!(check_complete(wire).is_ok(), "what is accepted is complete: {:?}", check_complete(wire));
    assert!(network.to_wire() == wire, "it is kept as it came");
    assert_eq!(network.pools.len(), wire.pools.len());
    for (at, pool) in network.pools.iter().enumerate() {
        let geometry = &pool.geometry;
        let (first, last) = (geometry.prefix_at(0), geometry.prefix_at(geometry.last_slot()));
        assert_eq!(geometry.slot_of(first), Some(0));
        assert_eq!(geometry.slot_of(last), Some(geometry.last_slot()));
        assert!(geometry.slots_of(geometry.last_slice()).is_some());
        assert!(pool.preferred <= pool.valid, "SV-209");
        for other in &network.pools[..at] {
            assert!(!geometry.overlaps(&other.geometry), "FO-102");
        }
    }
    if network.auto.is_some() {
        spread(wire);
    } else {
        serve(network);
    }
}

/// The store's part in a configuration that leaves relationships to it.
fn spread(wire: &v1::Network) {
    let Some(listed) = wire.auto.as_ref().map(|auto| auto.frontends.clone()) else { return };
    let usable: BTreeSet<String> = listed.iter().skip(1).cloned().collect();
    let standing = Standing { usable: &usable, up: &|_, _| true };
    let mut concrete = auto::expand(wire, None, &standing);
    for relationship in &mut concrete.relationships {
        relationship.server_duid = b"\0\x04duid".to_vec();
    }
    for _ in 0..4 {
        let all: BTreeSet<String> = listed.iter().cloned().collect();
        let standing = Standing { usable: &all, up: &|_, frontend| frontend.len() % 2 == 0 };
        match auto::next_step(wire, &concrete, &standing) {
            Some(next) => concrete = next,
            None => break,
        }
    }
    let _ = Network::from_wire(&concrete);
}

struct Sink(Vec<u8>);

impl ReplySink for Sink {
    fn begin(&mut self) -> &mut Vec<u8> {
        self.0.clear();
        &mut self.0
    }

    fn commit(&mut self, _to: ReplyTo) {}
}

/// A frontend that gets it, and some clients.
fn serve(network: Network) {
    let Some(frontend) = network.relationships.first().map(|r| r.primary.clone()) else { return };
    let index = |n: usize| u32::try_from(n + 1).unwrap_or(u32::MAX);
    let interfaces = network.links.iter().take(8).enumerate().map(|(n, link)| Interface {
        index: index(n),
        name: format!("eth{n}"),
        link: Some(link.name.clone()),
        relays: n % 2 == 0,
    });
    let interfaces: Vec<Interface> = interfaces.collect();
    let mut engine = new_engine(frontend);
    engine.set_interfaces(interfaces.clone());
    let mut sink = Sink(Vec::new());
    let mut to_store = Vec::new();
    let now = LocalTime::from_millis(1_000_000);
    engine.connected(now);
    engine.drain(now, &mut to_store);
    engine.apply(
        now,
        FromStore::Welcome(Welcome {
            epoch: Epoch(1),
            index: LogIndex(1),
            resumed: false,
            applied_sequence: UpdateSeq(0),
            network: Some(Arc::new(network)),
            supersedes: Epoch::NONE,
            draining: false,
            reconfigure_secret: None,
            reconfigure_orders: 0,
        }),
        &mut sink,
    );
    let done = LoadChunk {
        leases: Vec::new(),
        ranges: Vec::new(),
        registrations: Vec::new(),
        done: Some(LogIndex(1)),
    };
    engine.apply(now, FromStore::Load(done), &mut sink);
    engine.drain(now, &mut to_store);
    for interface in &interfaces {
        for (name, message) in crate::seeds::messages() {
            let is_relayed = name.starts_with("relayed");
            let packet = Packet {
                bytes: &message,
                source: "fe80::c".parse().expect("an address"),
                source_port: 546,
                destination: (if is_relayed { "2001:db8:ff::2" } else { "ff02::1:2" })
                    .parse()
                    .expect("an address"),
                interface_index: interface.index,
            };
            engine.batch_begin(now);
            engine.handle(now, &packet, &mut sink);
            engine.drain(now, &mut to_store);
        }
    }
    let _ = (engine.status(now), engine.survey(now), engine.survival_budget(now));
}

fn new_engine(frontend: FrontendId) -> Engine {
    Engine::new(Settings { frontend, hash_key: [3; 16], limits: Limits::default() })
}
