//! The frontend's engine under packets and words of the store in any order.

use crate::lab::Lab;
use crate::message::{self, CLIENTS, prefix};
use crate::networks::{ADDRESSES, PREFIXES};
use crate::script::Script;
use leasehold_frontend::engine::Packet;
use leasehold_proto::lease::{Lease, LeaseState};
use leasehold_proto::session::{FromStore, Liveness, RefusalReason, Refused, StoreEvent, UpdateRefusal};
use leasehold_proto::words::{FrontendId, LinkId, LogIndex, PoolId, Prefix};
use std::net::Ipv6Addr;

/// Steps of a script that are carried out: enough for a lease's life, few enough to be quick.
const STEPS_MAX: usize = 200;

/// Runs a script.
///
/// # Panics
/// When the engine says or does what it must not.
pub fn run(data: &[u8]) {
    let mut script = Script(data);
    let beginning = script.octet();
    let mut lab = Lab::new(beginning & 1 == 0, script.octet());
    if beginning & 2 == 0 {
        lab.settle();
    }
    let mut last: Option<(Arrival, Vec<u8>)> = None;
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        step(&mut lab, &mut script, &mut last);
    }
}

/// How a datagram comes.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    source: Ipv6Addr,
    source_port: u16,
    destination: Ipv6Addr,
    interface_index: u32,
}

impl Arrival {
    fn read(script: &mut Script<'_>) -> Self {
        const SOURCES: [&str; 8] = [
            "fe80::c",
            "fe80::c",
            "fe80::d",
            "2001:db8:1::9",
            "2001:db8:2::9",
            "2001:db8:ff::1",
            "::",
            "ff02::1",
        ];
        const DESTINATIONS: [&str; 4] = ["ff02::1:2", "ff02::1:2", "2001:db8:ff::2", "ff05::1:3"];
        let address = |text: &str| text.parse().expect("an address");
        Self {
            source: address(script.pick(&SOURCES)),
            source_port: script.pick(&[546, 547, 6000, 0]),
            destination: address(script.pick(&DESTINATIONS)),
            interface_index: script.pick(&[1, 1, 2, 3, 9]),
        }
    }

    fn packet<'b>(&self, bytes: &'b [u8]) -> Packet<'b> {
        let Self { source, source_port, destination, interface_index } = *self;
        Packet { bytes, source, source_port, destination, interface_index }
    }
}

fn step(lab: &mut Lab, script: &mut Script<'_>, last: &mut Option<(Arrival, Vec<u8>)>) {
    match script.below(32) {
        0..=11 => {
            let arrival = Arrival::read(script);
            let bytes = message::build(script, &lab.given);
            lab.packet(&arrival.packet(&bytes));
            *last = Some((arrival, bytes));
        }
        12 => {
            let arrival = Arrival::read(script);
            let length = usize::from(script.short());
            let bytes = script.take(length).to_vec();
            lab.packet(&arrival.packet(&bytes));
            *last = Some((arrival, bytes));
        }
        13 => {
            // The same again: a retransmission, or a copy by another way.
            if let Some((arrival, bytes)) = last {
                if script.coin() {
                    *arrival = Arrival::read(script);
                }
                lab.packet(&arrival.packet(bytes));
            }
        }
        14..=16 => lab.answer_batches(8, true, None),
        17 => {
            let count = usize::from(script.below(4));
            let refusals = [
                UpdateRefusal::NotGranted,
                UpdateRefusal::OtherClient,
                UpdateRefusal::ChangedSince,
                UpdateRefusal::UnknownLease,
                UpdateRefusal::UnknownPool,
                UpdateRefusal::Fenced,
                UpdateRefusal::NotAdopted,
            ];
            let refusal = (usize::from(script.below(4)), script.pick(&refusals));
            let extended = script.octet() & 7 != 0;
            lab.answer_batches(count, extended, Some(refusal));
        }
        18 => lab.wait(u64::from(script.short())),
        19 => lab.wait(u64::from(script.octet()) * 600_000),
        20 => lab.wait(0),
        21 => {
            let lease = lease(lab, script);
            lab.event(StoreEvent::Lease(lease.into()));
        }
        22 => {
            let pool = script.pick(&[ADDRESSES, PREFIXES, PoolId(3), PoolId(4), PoolId(99)]);
            let slice = u64::from(script.octet());
            let (whose, fresh) = (script.octet(), script.coin());
            lab.range(pool, slice, whose, fresh);
        }
        23 => {
            let pool = script.pick(&[ADDRESSES, PREFIXES, PoolId(3)]);
            let event = match script.below(5) {
                0 => StoreEvent::PoolDry { pool, dry: true },
                1 => StoreEvent::PoolDry { pool, dry: false },
                2 => StoreEvent::GiveBack { pool, ranges: u32::from(script.octet()) },
                3 => StoreEvent::Draining { on: true },
                _ => StoreEvent::Draining { on: false },
            };
            lab.event(event);
        }
        24 => lab.reconfigure(script.octet()),
        25 => {
            let whom = script.pick(&["fe-a", "fe-b", "fe-c"]);
            let links = script.octet();
            let links_down = [LinkId(1), LinkId(2)].into_iter().filter(|link| links & (1 << link.0) != 0);
            let relays = (script.coin()).then(|| vec![prefix(5).bits()]);
            lab.word(FromStore::Liveness(Liveness {
                frontend: FrontendId::new(whom).expect("a name"),
                live: script.coin(),
                links_down: links_down.collect(),
                relays_heard: relays,
            }));
        }
        26 => {
            let leases = (0..script.below(3)).map(|_| lease(lab, script)).collect();
            lab.look_up(leases);
        }
        27 => {
            let leases = (0..script.below(3)).map(|_| lease(lab, script)).collect();
            let is_last = script.coin();
            lab.load(leases, is_last);
        }
        28 => {
            let network = script.octet();
            let (resumed, took) = (script.coin(), script.coin());
            lab.connect(resumed, took, Some(network));
        }
        29 => lab.engine.disconnected(lab.now),
        30 => seldom(lab, script),
        _ => lab.interfaces(script.octet()),
    }
}

/// What happens once in a session's life.
fn seldom(lab: &mut Lab, script: &mut Script<'_>) {
    match script.below(6) {
        0 => lab.superseded(),
        1 => lab.engine.clock_jumped(lab.now),
        2 => lab.engine.begin_stop(lab.now),
        3 => {
            let relays = [prefix(script.octet()).bits()].to_vec();
            lab.engine.report_health(Vec::new(), relays);
        }
        4 => {
            let reasons = [
                RefusalReason::NotLeader,
                RefusalReason::Superseded,
                RefusalReason::UnknownSession,
                RefusalReason::Protocol,
                RefusalReason::Forbidden,
            ];
            let reason = script.pick(&reasons);
            lab.word(FromStore::Refused(Refused { reason, detail: String::new(), leader_address: None }));
        }
        _ => lab.word(FromStore::HeartbeatAnswer { log_index: LogIndex(u64::from(script.octet())) }),
    }
}

/// A lease of the store: of a prefix that lies in a pool, or that a client was given.
fn lease(lab: &Lab, script: &mut Script<'_>) -> Lease {
    const IN_POOLS: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 14, 15, 16, 17];
    let choice = script.octet();
    let what: Prefix = match lab.given.get(usize::from(choice & 15)) {
        Some(given) if choice & 16 == 0 => *given,
        _ => prefix(IN_POOLS[usize::from(choice) % IN_POOLS.len()]),
    };
    let states = [
        LeaseState::Active,
        LeaseState::Expired,
        LeaseState::Released,
        LeaseState::Free,
        LeaseState::Abandoned,
        LeaseState::Reset,
    ];
    let client = script.pick(&CLIENTS);
    let iaid = u32::from(script.below(4));
    let state = script.pick(&states);
    lab.lease(what, client, iaid, state, script.coin())
}
