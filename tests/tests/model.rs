//! The small model of design section 5, explored exhaustively: with all rules in force nothing may go wrong, and
//! without any one of them something must.
//!
//! `LEASEHOLD_MODEL=large` explores larger worlds as well.

use leasehold_tests::model::{Config, EXHAUSTED, LARGE, Outcome, Sabotage, Sight, explore, sabotages};

/// A checker that explores less than this has lost its way.
const STATES_MIN: usize = 3_000_000;

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn shown(config: &Config, outcome: &Outcome) -> String {
    let Outcome { states, depth, took, .. } = outcome;
    format!("{:<34} {states:>10} states {depth:>3} deep {:>6.1} s", config.name, took.as_secs_f64())
}

#[test]
fn fo_211_no_address_has_two_owners_in_any_history_of_the_model() {
    let mut worlds = EXHAUSTED.to_vec();
    if std::env::var("LEASEHOLD_MODEL").is_ok_and(|size| size == "large") {
        worlds.extend(LARGE);
    }
    let mut states = 0;
    let mut unseen = Sight::ALL.to_vec();
    for config in &worlds {
        let outcome = explore(*config, threads(), &[]);
        println!("model: {}", shown(config, &outcome));
        assert!(outcome.found.is_empty(), "{}: {:#?}", config.name, outcome.found);
        states += outcome.states;
        unseen.retain(|sight| !outcome.sights.has(*sight));
    }
    println!("model: {states} states, no violation");
    assert!(unseen.is_empty(), "never seen to happen: {unseen:?}");
    assert!(states > STATES_MIN, "only {states} states");
}

#[test]
fn each_rule_taken_away_is_missed() {
    let cases = sabotages();
    for sabotage in Sabotage::ALL {
        assert!(cases.iter().any(|(config, _)| config.sabotage == sabotage), "{sabotage:?} is not tried");
    }
    for (config, falls) in cases {
        let outcome = explore(config, threads(), falls.as_slice());
        let Outcome { states, took, found, .. } = &outcome;
        let seconds = took.as_secs_f64();
        let name = format!("{:?}", config.sabotage);
        let Some(property) = falls else {
            println!(
                "model: {name:<21} {states:>8} states {seconds:>5.1} s, nothing: a second line of defence"
            );
            assert!(found.is_empty(), "{name} matters after all: {found:#?}");
            continue;
        };
        let violation = found
            .iter()
            .find(|f| f.property == property)
            .unwrap_or_else(|| panic!("{name} was not found in {states} states; instead: {found:?}"));
        let steps = violation.actions.len();
        println!("model: {name:<21} {states:>8} states {seconds:>5.1} s, in {steps} steps: not {property:?}");
    }
}
