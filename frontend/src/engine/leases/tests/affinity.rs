//! Affinity against a model: what is kept is given to others exactly when there is no other.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// No multiple of the steps of time below, so that nothing is due at the very moment of a step.
const AFFINITY_SECS: u32 = 3 * 3600 + 1800;
const STEP_MS: u64 = HOUR;

/// One slot as the model knows it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Held(u8),
    /// Freed at a moment, by a client.
    Freed(u64, u8),
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Ask(u8),
    Free(u8),
    Pass,
    /// The range goes back, and comes again to be gone through.
    Regrant,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..24).prop_map(Step::Ask),
        5 => (0u8..24).prop_map(Step::Free),
        3 => Just(Step::Pass),
        1 => Just(Step::Regrant),
    ]
}

fn ready(allocator: v1::Allocator) -> Bench {
    let mut b = Bench::ready();
    let network = network_with(|wire| {
        wire.version = 2;
        wire.pools[0].affinity_secs = Some(AFFINITY_SECS);
        wire.pools[0].allocator = allocator.into();
    });
    b.entry(vec![StoreEvent::Network(network)]);
    b.settle();
    b
}

fn run(b: &mut Bench, steps: &[Step], in_order: bool) {
    let mut model: BTreeMap<Prefix, Place> = BTreeMap::new();
    let all = || (0..16).map(address);
    for step in steps {
        match *step {
            Step::Pass => {
                b.ms += STEP_MS;
                b.settle();
            }
            Step::Free(client) => {
                let held = model.iter().find(|(_, place)| **place == Place::Held(client)).map(|(p, _)| *p);
                if let Some(prefix) = held {
                    b.settle();
                    let record = b.record(prefix, client, LeaseState::Free, ClusterTime::ZERO);
                    b.lease(&record);
                    model.insert(prefix, Place::Freed(b.ms, client));
                }
            }
            Step::Regrant => {
                b.settle();
                let (gone, back) = (b.range(POOL, 0, PARTNER, false), b.range(POOL, 0, ME, false));
                b.entry(vec![StoreEvent::Range(gone)]);
                b.entry(vec![StoreEvent::Range(back)]);
                b.settle();
            }
            Step::Ask(client) => {
                if model.values().any(|place| *place == Place::Held(client)) {
                    continue;
                }
                b.settle();
                b.leases.batch_begin(b.now());
                let is_kept = |prefix: &Prefix| match model.get(prefix) {
                    Some(Place::Freed(at, _)) => b.ms < at + u64::from(AFFINITY_SECS) * 1000,
                    _ => false,
                };
                let is_held = |prefix: &Prefix| matches!(model.get(prefix), Some(Place::Held(_)));
                let is_own = |prefix: &Prefix| matches!(model.get(prefix), Some(Place::Freed(_, last)) if *last == client);
                let own: Vec<Prefix> = all().filter(is_own).collect();
                let common: Vec<Prefix> = all().filter(|p| !is_held(p) && !is_kept(p)).collect();
                let kept: Vec<Prefix> = all().filter(is_kept).collect();
                let fit = [own, common, kept].into_iter().find(|of| !of.is_empty()).unwrap_or_default();
                let is_new = !all().any(|p| is_own(&p));
                let key = binding(client, IaKind::Na);
                let offered = b.leases.offer(b.now(), IaRef::of(&key), &Wanted::of(&[POOL])).ok();
                let given = b.create(client).ok();
                assert_eq!(offered, given, "SV-303");
                match given {
                    Some(given) => {
                        assert!(fit.contains(&given.prefix), "{} is not of {fit:?}", given.prefix);
                        if in_order && is_new {
                            assert_eq!(Some(&given.prefix), fit.first());
                        }
                        model.insert(given.prefix, Place::Held(client));
                    }
                    None => assert!(fit.is_empty(), "{fit:?} was there"),
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_is_given_to_others_exactly_when_there_is_no_other(
        steps in proptest::collection::vec(step(), 1..80),
        in_order in any::<bool>(),
    ) {
        let allocator = if in_order { v1::Allocator::InOrder } else { v1::Allocator::Hashed };
        run(&mut ready(allocator), &steps, in_order);
    }
}

#[test]
fn kept_slots_are_free_slots() {
    let mut b = ready(v1::Allocator::Hashed);
    let free = |b: &Bench| b.leases.status(b.now()).pools[0].slots_free;
    assert_eq!(free(&b), 16);
    let prefix = b.create(1).unwrap().prefix;
    b.settle();
    assert_eq!(free(&b), 15);
    let record = b.record(prefix, 1, LeaseState::Free, ClusterTime::ZERO);
    b.lease(&record);
    assert_eq!(free(&b), 16);
    b.ms += 4 * STEP_MS;
    b.settle();
    assert_eq!(free(&b), 16);
}
