//! The deterministic simulation: many seeds of the two cores with crashes, partitions and loss, judged by what Replies
//! promised; and sabotage, which the judge must find.
//!
//! `LEASEHOLD_SIM_SEED=n` runs one seed and prints its trace if it fails; `LEASEHOLD_SIM_SEEDS=n` runs so many.

use leasehold_tests::sim::{Counts, Flavour, Plan, Sabotage, run, run_all};

/// Seeds run when nothing else is asked for: about a minute on two idle cores.
const SEEDS: u64 = 420;
/// Of so many seeds together each part of what they are to show must have happened.
const SEEDS_SHOW_ALL: u64 = 100;
/// Seeds among which a sabotage must be found.
const SABOTAGE_SEEDS: u64 = 40;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number of seeds or a seed"))
}

#[test]
fn no_address_has_two_owners_whatever_breaks() {
    let (first, count) = match number("LEASEHOLD_SIM_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("LEASEHOLD_SIM_SEEDS").unwrap_or(SEEDS)),
    };
    let (total, failures) = run_all(first, Plan::draw, |seed| seed < first + count);
    println!("simulation: {total}");
    for failure in &failures {
        println!("seed {} at {:?}: {}", failure.seed, failure.at, failure.violation);
    }
    if let Some(failure) = failures.first() {
        panic!("{failure}");
    }
    if count >= SEEDS_SHOW_ALL {
        what_links_offer_was_used(&total.counts);
    }
}

/// SV-381 and SV-401 to SV-407 were put to the test at all.
fn what_links_offer_was_used(counts: &Counts) {
    let figures = [
        ("registrations made", counts.registrations_made),
        ("registrations refreshed", counts.registrations_refreshed),
        ("registrations ended", counts.registrations_ended),
        ("registrations taken over", counts.registrations_taken_over),
        ("registrations refused by the store", counts.registrations_refused),
        (
            "registrations of leased addresses",
            counts.discards.get("registration_leased").copied().unwrap_or(0),
        ),
        ("orders", counts.reconfigure_orders),
        ("Reconfigures sent", counts.reconfigures_sent),
        ("Reconfigures verified", counts.reconfigures_verified),
        ("Reconfigures repeated", counts.reconfigures_repeated),
        ("Reconfigures answered", counts.reconfigures_answered),
        ("Information-requests asked for", counts.informed_when_asked),
        ("keys taken", counts.keys_taken),
    ];
    let missing: Vec<&str> = figures.iter().filter(|(_, count)| *count == 0).map(|(name, _)| *name).collect();
    assert!(missing.is_empty(), "nothing was seen of: {missing:?}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..3 {
        let plan = Plan::draw(seed);
        assert_eq!(run(&plan).ok(), run(&plan).ok(), "seed {seed}");
    }
}

#[test]
fn without_faults_nobody_loses_a_lease() {
    for (seed, flavour) in (100..).zip(Flavour::ALL) {
        let report = run(&Plan::of(seed, flavour, Sabotage::None).with_services().without_faults())
            .unwrap_or_else(|f| panic!("{f}"));
        let enough = if flavour == Flavour::Single { 20 } else { 100 };
        assert!(report.counts.renewals > enough, "{flavour:?}: {report}");
        assert_eq!(report.counts.lost_by_silence, 0, "{flavour:?}");
    }
}

/// Runs seeds until the oracle finds an address with two owners.
fn two_owners_are_found(flavour: Flavour, sabotage: Sabotage) {
    let failure = (0..SABOTAGE_SEEDS)
        .find_map(|seed| run(&Plan::of(seed, flavour, sabotage)).err())
        .unwrap_or_else(|| panic!("{sabotage:?} was not found in {SABOTAGE_SEEDS} seeds"));
    println!("{sabotage:?}: seed {} at {:?}: {}", failure.seed, failure.at, failure.violation);
    assert!(failure.violation.contains("was promised to client"), "{failure}");
}

#[test]
fn the_judge_finds_a_frontend_whose_clock_is_far_outside_rho() {
    two_owners_are_found(Flavour::Scarce, Sabotage::SlowFrontendClock);
}

#[test]
fn the_judge_finds_clients_that_hold_leases_for_longer_than_promised() {
    two_owners_are_found(Flavour::Scarce, Sabotage::SlowClientClocks);
}

#[test]
fn the_judge_finds_a_frontend_that_leases_what_it_does_not_own() {
    two_owners_are_found(Flavour::Roomy, Sabotage::RogueFrontend);
}

#[test]
fn the_judge_finds_a_store_that_loses_committed_entries() {
    two_owners_are_found(Flavour::Scarce, Sabotage::ForgetfulStore);
}
