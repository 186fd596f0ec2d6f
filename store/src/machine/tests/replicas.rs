//! Replicas: the same entries give the same rows; a machine rebuilt from rows goes the same way as one that lived
//! through it all.

use super::lab::{address, applying, frontend, network};
use crate::machine::{Command, CommandBatch, Found, Machine, invariants};
use leasehold_proto::lease::{LeaseUpdate, UpdateKind};
use leasehold_proto::session::{HostProof, RangeRequest, SessionBatch};
use leasehold_proto::time::{ClusterTime, Lifetime};
use leasehold_proto::words::{BindingKey, Duid, FrontendId, IaKind, Iaid, LogIndex, RangeId, UpdateSeq};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone)]
enum Step {
    Open(bool, u8),
    DeclareDown {
        first: bool,
        withdraw: bool,
    },
    Drain {
        first: bool,
        on: bool,
    },
    Pass(u64),
    Batch {
        session: usize,
        kind: UpdateKind,
        slot: u64,
        client: u8,
        ack: bool,
        ranges: u32,
        closing: bool,
        back: bool,
    },
    Configure(u8),
    Respread,
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        6 => Just(UpdateKind::Promise),
        2 => Just(UpdateKind::Release),
        1 => Just(UpdateKind::Decline),
        1 => Just(UpdateKind::Adopt),
    ];
    let batch = (0..4usize, kind, 0..16u64, 0..4u8, any::<bool>(), 0..3u32, 0..40u8, 0..20u8);
    prop_oneof![
        1 => (any::<bool>(), 0..3u8).prop_map(|(first, host)| Step::Open(first, host)),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(first, withdraw)| Step::DeclareDown { first, withdraw }),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(first, on)| Step::Drain { first, on }),
        3 => (1..200u64).prop_map(Step::Pass),
        12 => batch.prop_map(|(session, kind, slot, client, ack, ranges, closing, back)| Step::Batch {
            session, kind, slot, client, ack, ranges, closing: closing == 0, back: back == 0,
        }),
        2 => (0..9u8).prop_map(Step::Configure),
        1 => Just(Step::Respread),
    ]
}

/// Turns steps into commands by looking at a machine, so that most of them make sense.
fn command(machine: &Machine, step: &Step) -> Vec<Command> {
    match step {
        Step::Open(first, host) => {
            // Host 0 cannot tell where it runs.
            let holding = machine.sessions().map(|s| s.epoch.0).max().unwrap_or_default();
            let host = (*host > 0).then_some(HostProof { boot_id: [*host; 16], lock_id: [1; 16], holding });
            vec![Command::OpenSession { frontend: partner(*first), host }]
        }
        Step::DeclareDown { first, withdraw: false } => {
            vec![Command::DeclareDown { frontend: partner(*first), newest: machine.newest_epoch() }]
        }
        Step::DeclareDown { first, withdraw: true } => {
            vec![Command::WithdrawDown { frontend: partner(*first) }]
        }
        Step::Drain { first, on } => vec![Command::Drain { frontend: partner(*first), on: *on }],
        Step::Respread => vec![Command::Respread],
        Step::Pass(_) => Vec::new(),
        Step::Configure(variant) => {
            let mut network = network();
            match variant {
                0 => network.pools[0].range_bits = Some(1),
                1 => network.relationships[0].secondary = String::new(),
                2 => {
                    network.timing =
                        Some(leasehold_proto::v1::Timing { rho_ppm: 500, flight_ms: 1000, send_ms: 500 })
                }
                // Cut, in the middle of a slice; grown; left to the store, among two and among three.
                3 => network.pools[0].last = address(0x19).bits().to_be_bytes().to_vec(),
                4 => network.pools[0].last = address(0x26).bits().to_be_bytes().to_vec(),
                5 | 6 => {
                    let frontends = if *variant == 5 { vec!["a", "b"] } else { vec!["a", "b", "c"] };
                    network.relationships.clear();
                    network.auto = Some(leasehold_proto::v1::Auto {
                        frontends: frontends.into_iter().map(str::to_owned).collect(),
                        shards: 2,
                        ..Default::default()
                    });
                }
                _ => {}
            }
            vec![applying(network)]
        }
        Step::Batch { session, kind, slot, client, ack, ranges, closing, back } => {
            let sessions: Vec<_> = machine.sessions().collect();
            let Some(view) = sessions.iter().rev().nth(*session % sessions.len().max(1)) else {
                return Vec::new();
            };
            let Some(network) = machine.network() else { return Vec::new() };
            let configured = &network.pools[usize::from(*client) % network.pools.len()];
            // With what was cut off of it, about which late updates are taken.
            let Some(pool) = machine.pool(configured.id) else { return Vec::new() };
            let now = machine.time();
            let prefix = pool.geometry.prefix_at((*slot).min(pool.geometry.last_slot()));
            let update = LeaseUpdate {
                kind: *kind,
                prefix,
                pool: pool.id,
                binding: BindingKey {
                    link: pool.link,
                    duid: Duid::new(&[0, 3, 0, 1, *client]).unwrap(),
                    kind: IaKind::Na,
                    iaid: Iaid(1),
                },
                valid_until: now + Duration::from_secs(60),
                preferred: Lifetime::from_wire(60),
                valid: Lifetime::from_wire(60),
                ack_until: now + Duration::from_secs(630),
                client_last_contact: now,
                base_version: machine.lease(prefix).map_or(LogIndex(0), |l| l.version),
                extra: None,
            };
            let owned: Vec<RangeId> = machine
                .ranges()
                .filter(|r| r.owner.as_ref().is_some_and(|o| o.0 == view.epoch))
                .map(|r| r.range)
                .collect();
            vec![Command::Session(Arc::new(SessionBatch {
                epoch: view.epoch,
                sequence: UpdateSeq(view.applied_sequence.0 + 1),
                updates: vec![update],
                requests: vec![RangeRequest { pool: pool.id, ranges: *ranges }],
                returned: if *back { owned } else { Vec::new() },
                acked_index: if *ack { machine.applied() } else { LogIndex(0) },
                closing: *closing,
                registrations: Vec::new(),
            }))]
        }
    }
}

fn partner(first: bool) -> FrontendId {
    frontend(if first { "a" } else { "b" })
}

fn rows(machine: &Machine) -> Vec<(Vec<u8>, Vec<u8>)> {
    machine.rows().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Invariants hold after every entry; the rows told are exactly those that differ; and a machine restored at any
    /// point stays equal to the one that was never restarted.
    #[test]
    fn fo_214_restored_replicas_stay_equal(steps in prop::collection::vec(step(), 1..120), restart_at in 0..120usize) {
        let mut machine = Machine::default();
        let mut restored: Option<Machine> = None;
        let mut copy = std::collections::BTreeMap::new();
        let mut now = 1000u64;
        let found = Found { cluster: "test".into(), incarnation: 1, server_duid_seed: [7; 16], restored: None };
        let mut script = [vec![Command::Found(found)], vec![applying(network())]];
        for (n, step) in std::iter::repeat_n(&Step::Pass(0), 2).chain(&steps).enumerate() {
            if let Step::Pass(secs) = step { now += secs * 1000 }
            let commands = if n < 2 { std::mem::take(&mut script[n]) } else { command(&machine, step) };
            let batch = CommandBatch::new(ClusterTime::from_millis(now), commands);
            let index = LogIndex(n as u64 + 1);
            let applied = machine.apply(index, &batch);
            invariants::check(&machine).map_err(TestCaseError::fail)?;
            for row in &applied.rows {
                match &row.value {
                    Some(value) => { copy.insert(row.key.clone(), value.clone()); }
                    None => { copy.remove(&row.key); }
                }
            }
            prop_assert_eq!(rows(&machine), copy.iter().map(|(k, v)| (k.clone(), v.clone())).collect::<Vec<_>>());
            if let Some(other) = &mut restored {
                let again = other.apply(index, &batch);
                prop_assert_eq!(&again.outcomes, &applied.outcomes);
                prop_assert_eq!(&again.events, &applied.events);
                prop_assert_eq!(rows(other), rows(&machine));
            }
            if n == restart_at {
                let mut from = copy.iter().map(|(k, v)| (k.clone(), v.clone()));
                restored = Some(Machine::from_rows(&mut from).map_err(|e| TestCaseError::fail(e.to_string()))?);
            }
        }
    }
}

#[test]
fn rows_of_a_newer_program_are_refused() {
    let mut rows = vec![(vec![99u8], vec![])].into_iter();
    assert!(Machine::from_rows(&mut rows).is_err());
    let newer = leasehold_proto::v1::ClusterRow { format_version: 99, ..Default::default() };
    let mut rows = vec![(vec![1u8], prost::Message::encode_to_vec(&newer))].into_iter();
    assert!(Machine::from_rows(&mut rows).unwrap_err().to_string().contains("format 99"));
}
