//! Random configuration changes among grants, promises, deaths and readings: two clients never hold one address, and
//! whatever an obedient frontend promised is taken.
//!
//! The frontends here obey the rules as far as they know: each knows the configuration and the ranges that it has read
//! of, and promises an address only from a range that it owns by what it read, and where no other client's record was
//! unfreed when it read last. What they promised is remembered here, apart from the store. They tell all that they
//! promise at once: so whoever claims what it held long ago is to be told that nothing of it is known (R7).

use super::lab::{applying, network};
use crate::machine::{Command, CommandBatch, Found, Machine, Outcome, invariants};
use leasehold_proto::lease::{LeaseState, LeaseUpdate, UpdateKind};
use leasehold_proto::network::Network;
use leasehold_proto::pool::Pool;
use leasehold_proto::session::{RangeRequest, SessionBatch, StoreEvent};
use leasehold_proto::time::{ClusterTime, Lifetime};
use leasehold_proto::words::{
    BindingKey, Duid, Epoch, FrontendId, IaKind, Iaid, LogIndex, Prefix, RangeId, UpdateSeq,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const VALID: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
enum Step {
    Open(usize),
    Pass(u64),
    /// Reads everything and acknowledges it.
    Read(usize),
    Ask(usize),
    Promise {
        session: usize,
        address: u16,
        client: u8,
    },
    /// A client that was rolled back claims what it held once.
    Claim {
        session: usize,
        held: usize,
    },
    GiveBack(usize),
    Configure {
        first: u16,
        last: u16,
        bits: u32,
        other: u16,
        swap: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let configure = (0..3u16, 0..24u16, 0..3u32, 0..3u16, any::<bool>());
    prop_oneof![
        1 => (0..2usize).prop_map(Step::Open),
        2 => prop_oneof![1..40u64, 200..500u64].prop_map(Step::Pass),
        6 => (0..3usize).prop_map(Step::Read),
        4 => (0..3usize).prop_map(Step::Ask),
        10 => (0..3usize, 0..40u16, 0..6u8)
            .prop_map(|(session, address, client)| Step::Promise { session, address, client }),
        3 => (0..3usize, any::<usize>()).prop_map(|(session, held)| Step::Claim { session, held }),
        1 => (0..3usize).prop_map(Step::GiveBack),
        3 => configure.prop_map(|(first, last, bits, other, swap)| Step::Configure { first, last, bits, other, swap }),
    ]
}

fn configuration(
    first: u16,
    last: u16,
    range_bits: u32,
    other: u16,
    swap: bool,
) -> leasehold_proto::v1::Network {
    let at = |n: u16| super::lab::address(0x10 + n).bits().to_be_bytes().to_vec();
    let mut network = network();
    let mut second = network.pools[0].clone();
    let (from, to) = (if first == 0 { 2 } else { 0 }, 4 + last);
    network.pools[0].first = at(from);
    network.pools[0].last = at(to);
    network.pools[0].range_bits = Some(range_bits);
    if other > 0 {
        // Right behind the first one, so that what one gives up the other takes.
        second.name = "second".into();
        second.first = at(to + 1);
        second.last = at(to + 4 * other);
        second.range_bits = Some(2);
        network.pools.push(second);
        network.relationships[0].pools.push("second".into());
        if swap {
            network.relationships[0].pools.pop();
            network.relationships.push(leasehold_proto::v1::Relationship {
                name: "ba".into(),
                primary: "b".into(),
                secondary: "a".into(),
                pools: vec!["second".into()],
                ..Default::default()
            });
        }
    }
    network
}

/// What a session has read.
#[derive(Default)]
struct Reader {
    sequence: u64,
    read: u64,
    network: Option<Arc<Network>>,
    owned: BTreeSet<RangeId>,
    extended_at: ClusterTime,
}

struct Play {
    machine: Machine,
    index: u64,
    now: u64,
    readers: BTreeMap<Epoch, Reader>,
    /// Events by log index, for everyone: readers pick theirs.
    stream: Vec<(u64, StoreEvent)>,
    /// Addresses promised: to whom and until when.
    promised: BTreeMap<Prefix, (u8, ClusterTime)>,
    /// All that was ever promised.
    ever: BTreeSet<(Prefix, u8)>,
}

impl Play {
    fn apply(&mut self, commands: Vec<Command>) -> Result<Vec<Outcome>, TestCaseError> {
        self.index += 1;
        let batch = CommandBatch::new(ClusterTime::from_millis(self.now), commands);
        let applied = self.machine.apply(LogIndex(self.index), &batch);
        invariants::check(&self.machine).map_err(TestCaseError::fail)?;
        let index = self.index;
        self.stream.extend(applied.events.into_iter().map(|e| (index, e.event)));
        Ok(applied.outcomes)
    }

    fn session(&self, n: usize) -> Option<Epoch> {
        self.readers.keys().rev().nth(n).copied()
    }

    fn send(
        &mut self,
        epoch: Epoch,
        fill: impl FnOnce(&mut SessionBatch),
    ) -> Result<Vec<StoreEvent>, TestCaseError> {
        let Some(reader) = self.readers.get_mut(&epoch) else { return Ok(Vec::new()) };
        reader.sequence += 1;
        let mut batch = SessionBatch {
            epoch,
            sequence: UpdateSeq(reader.sequence),
            updates: Vec::new(),
            requests: Vec::new(),
            returned: Vec::new(),
            acked_index: LogIndex(reader.read),
            closing: false,
            registrations: Vec::new(),
        };
        fill(&mut batch);
        let from = self.stream.len();
        self.apply(vec![Command::Session(Arc::new(batch))])?;
        let told: Vec<StoreEvent> = self.stream[from..].iter().map(|(_, e)| e.clone()).collect();
        let extended = told.iter().any(|e| matches!(e, StoreEvent::Batch(o) if o.extended));
        let time = self.machine.time();
        if let Some(reader) = self.readers.get_mut(&epoch)
            && extended
        {
            reader.extended_at = time;
        }
        Ok(told)
    }

    fn read(&mut self, epoch: Epoch) {
        let Some(reader) = self.readers.get_mut(&epoch) else { return };
        let read = reader.read;
        for (index, event) in self.stream.iter().filter(|(index, _)| *index > read) {
            match event {
                StoreEvent::Network(network) => reader.network = Some(Arc::clone(network)),
                StoreEvent::Range(r) if r.owner == epoch && !r.closed => {
                    reader.owned.insert(r.range);
                }
                StoreEvent::Range(r) => {
                    reader.owned.remove(&r.range);
                }
                _ => {}
            }
            reader.read = *index;
        }
    }

    fn promise(&mut self, epoch: Epoch, prefix: Prefix, client: u8) -> Result<(), TestCaseError> {
        let now = self.machine.time();
        let Some(reader) = self.readers.get(&epoch) else { return Ok(()) };
        let Some(network) = reader.network.clone() else { return Ok(()) };
        let Some(pool) = network.pools.iter().find(|p| p.geometry.slot_of(prefix).is_some()) else {
            return Ok(());
        };
        let Some(range) = pool.range_of(prefix) else { return Ok(()) };
        // R4: the shortest autonomy is 300 s here; R1: from an own range; R2: free as far as was read.
        let within_autonomy = now.saturating_since(reader.extended_at) < Duration::from_secs(300);
        let record = self.machine.lease(prefix);
        let is_others = record.is_some_and(|l| {
            l.binding.duid != duid(client) && (l.state != LeaseState::Free || l.version.0 > reader.read)
        });
        let extends = record.is_some_and(|l| {
            l.binding.duid == duid(client)
                && l.state == LeaseState::Active
                && l.pool == pool.id
                && l.version.0 <= reader.read
        });
        if !within_autonomy || is_others || !(extends || reader.owned.contains(&range)) {
            return Ok(());
        }
        let update = update(UpdateKind::Promise, pool, prefix, client, now);
        let until = update.valid_until;
        if let Some((holder, before)) = self.promised.get(&prefix) {
            prop_assert!(
                *holder == client || *before <= now,
                "{prefix} is {holder}'s until {before:?} and was promised to {client} at {now:?}"
            );
        }
        self.promised.insert(prefix, (client, until));
        self.ever.insert((prefix, client));
        let told = self.send(epoch, |batch| batch.updates.push(update))?;
        let refused = told.iter().find_map(|e| match e {
            StoreEvent::Batch(outcome) => outcome.refused.first().map(|r| r.refusal),
            _ => None,
        });
        prop_assert!(refused.is_none(), "a promise of {prefix} by {epoch} was refused: {refused:?}");
        Ok(())
    }

    fn claim(&mut self, epoch: Epoch, held: usize) -> Result<(), TestCaseError> {
        let nth = held.checked_rem(self.ever.len()).and_then(|n| self.ever.iter().nth(n));
        let Some((prefix, client)) = nth.copied() else { return Ok(()) };
        let network = self.readers.get(&epoch).and_then(|r| r.network.clone());
        let Some(network) = network else { return Ok(()) };
        let Some(pool) = network.pools.iter().find(|p| p.geometry.slot_of(prefix).is_some()) else {
            return Ok(());
        };
        let is_its_own = self.machine.lease(prefix).is_some_and(|l| {
            l.binding.duid == duid(client) && l.state != LeaseState::Free && l.pool == pool.id
        });
        if is_its_own {
            return Ok(());
        }
        let claim = update(UpdateKind::Adopt, pool, prefix, client, self.machine.time());
        let adopted = self.machine.counters().adopted;
        self.send(epoch, |batch| batch.updates.push(claim))?;
        let after = self.machine.counters().adopted;
        prop_assert_eq!(adopted, after, "{} was adopted for {}, which held it long ago", prefix, client);
        Ok(())
    }
}

fn update(kind: UpdateKind, pool: &Pool, prefix: Prefix, client: u8, now: ClusterTime) -> LeaseUpdate {
    LeaseUpdate {
        kind,
        prefix,
        pool: pool.id,
        binding: BindingKey { link: pool.link, duid: duid(client), kind: IaKind::Na, iaid: Iaid(1) },
        valid_until: now + VALID,
        preferred: Lifetime::from_wire(60),
        valid: Lifetime::from_wire(60),
        ack_until: now + Duration::from_secs(630),
        client_last_contact: now,
        base_version: LogIndex(0),
        extra: None,
    }
}

fn duid(client: u8) -> Duid {
    Duid::new(&[0, 3, 0, 1, client]).unwrap()
}

fn play(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut play = Play {
        machine: Machine::default(),
        index: 0,
        now: 1000,
        readers: BTreeMap::new(),
        stream: Vec::new(),
        promised: BTreeMap::new(),
        ever: BTreeSet::new(),
    };
    let found = Found { cluster: "test".into(), incarnation: 1, server_duid_seed: [7; 16], restored: None };
    play.apply(vec![Command::Found(found), applying(network())])?;
    for step in steps {
        match step {
            Step::Open(which) => {
                let frontend = FrontendId::new(if which == 0 { "a" } else { "b" }).unwrap();
                let outcomes = play.apply(vec![Command::OpenSession { frontend, host: None }])?;
                if let [Outcome::SessionOpened(epoch)] = outcomes[..] {
                    let reader = Reader { extended_at: play.machine.time(), ..Reader::default() };
                    play.readers.insert(epoch, reader);
                    play.read(epoch);
                }
            }
            Step::Pass(secs) => {
                play.now += secs * 1000;
                for _ in 0..20 {
                    play.apply(Vec::new())?;
                }
            }
            Step::Read(n) => {
                if let Some(epoch) = play.session(n) {
                    play.read(epoch);
                    play.send(epoch, |_| {})?;
                }
            }
            Step::Ask(n) => {
                if let Some(epoch) = play.session(n)
                    && let Some(network) = play.readers.get(&epoch).and_then(|r| r.network.clone())
                {
                    let requests: Vec<_> =
                        network.pools.iter().map(|p| RangeRequest { pool: p.id, ranges: 2 }).collect();
                    play.send(epoch, |batch| batch.requests = requests)?;
                }
            }
            Step::Promise { session, address, client } => {
                if let Some(epoch) = play.session(session) {
                    play.promise(epoch, super::lab::address(0x10 + address), client)?;
                }
            }
            Step::Claim { session, held } => {
                if let Some(epoch) = play.session(session) {
                    play.claim(epoch, held)?;
                }
            }
            Step::GiveBack(n) => {
                if let Some(epoch) = play.session(n)
                    && let Some(reader) = play.readers.get_mut(&epoch)
                    && let Some(range) = reader.owned.pop_first()
                {
                    play.send(epoch, |batch| batch.returned.push(range))?;
                }
            }
            Step::Configure { first, last, bits, other, swap } => {
                let outcomes = play.apply(vec![applying(configuration(first, last, bits, other, swap))])?;
                prop_assert!(matches!(outcomes[..], [Outcome::NetworkApplied { .. }]), "{outcomes:?}");
            }
        }
    }
    // Everyone reads, and time passes: nothing of what was cut or retired is left.
    for _ in 0..4 {
        for n in 0..play.readers.len() {
            if let Some(epoch) = play.session(n) {
                play.read(epoch);
                play.send(epoch, |_| {})?;
            }
        }
        play.now += 2_000_000;
        for _ in 0..20 {
            play.apply(Vec::new())?;
        }
    }
    let current = play.machine.network().map_or(0, |n| n.pools.len());
    let shown: Vec<_> = play.machine.pool_views().collect();
    prop_assert!(shown.len() == current && shown.iter().all(|p| !p.shrinking && !p.retired), "{shown:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn pools_of_any_shape_never_give_one_address_to_two(steps in prop::collection::vec(step(), 1..150)) {
        play(steps)?;
    }
}
