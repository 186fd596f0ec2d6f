//! Each mechanism of the rules R1 to R9 switched off in turn: the simulation finds what then goes wrong, in a bounded
//! number of seeds, as a violation that a client would see: of safety (an address with two owners) or of stability (a
//! client that keeps renewing loses its lease, or gets none where there is room).
//!
//! A build of its own, so that the product never carries the switches: `make sabotage`.

use leasehold_proto::sabotage::Mechanism;
use leasehold_tests::sim::{Failure, Flavour, Kind, Operator, Plan, Sabotage, first_failure};

/// How a mechanism is put to the test.
struct Case {
    mechanism: Mechanism,
    plan: fn(u64) -> Plan,
    seeds: u64,
}

fn scarce(seed: u64) -> Plan {
    Plan::of(seed, Flavour::Scarce, Sabotage::None).with_operator(Operator::Quiet)
}

fn drawn(seed: u64) -> Plan {
    Plan::draw(seed)
}

fn any(seed: u64) -> Plan {
    Plan::of(seed, Flavour::Any, Sabotage::None).with_operator(Operator::Quiet)
}

fn rogue(seed: u64) -> Plan {
    Plan::of(seed, Flavour::Scarce, Sabotage::RogueUpdates)
}

const ALL: [Mechanism; 22] = [
    Mechanism::OneOrder,
    Mechanism::Idempotence,
    Mechanism::ExclusiveRanges,
    Mechanism::StoreFence,
    Mechanism::Watermarks,
    Mechanism::RecordVersions,
    Mechanism::MaxMerge,
    Mechanism::AcknowledgedPerHolding,
    Mechanism::Lead,
    Mechanism::AutonomyDeadline,
    Mechanism::DeadlineFromBefore,
    Mechanism::SendShare,
    Mechanism::Guard,
    Mechanism::NoExtensionPastDeadline,
    Mechanism::LateUpdates,
    Mechanism::PartnerRenewal,
    Mechanism::ClosedRanges,
    Mechanism::BornLater,
    Mechanism::AdoptionConditions,
    Mechanism::Adoption,
    Mechanism::CommittedFirstStays,
    Mechanism::UnusedReleased,
];

#[test]
fn explore() {
    let seeds: u64 = std::env::var("SEEDS").map_or(100, |s| s.parse().unwrap());
    let only = std::env::var("ONLY").unwrap_or_default();
    let plan: fn(u64) -> Plan = match std::env::var("PLAN").as_deref() {
        Ok("any") => any,
        Ok("rogue") => rogue,
        Ok("drawn") => drawn,
        _ => scarce,
    };
    for mechanism in ALL {
        if !only.is_empty() && !only.split(',').any(|o| o == format!("{mechanism:?}")) {
            continue;
        }
        let began = std::time::Instant::now();
        let found = first_failure(seeds, |seed| plan(seed).without(mechanism));
        match found {
            Some(f) => println!(
                "{mechanism:?}: seed {} {:?} {} ({:?})",
                f.seed,
                f.kind,
                f.violation,
                began.elapsed()
            ),
            None => println!("{mechanism:?}: nothing in {seeds} ({:?})", began.elapsed()),
        }
    }
}
