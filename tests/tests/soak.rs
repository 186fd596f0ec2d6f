//! The simulation for as long as one likes: `make soak`. Prints seeds and steps per second and what was covered.
//!
//! `LEASEHOLD_SOAK_SECS=n` runs for so long, `LEASEHOLD_SOAK_SEEDS=n` for so many seeds; with neither, a few seeds show
//! that it works. `LEASEHOLD_SOAK_FIRST=n` begins at that seed, else the clock says where. A violation is printed with
//! its seed; `LEASEHOLD_SIM_SEED` replays it.

use leasehold_tests::sim::{Plan, run_all};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seeds when nothing is asked for.
const SEEDS_FEW: u64 = 8;
/// Room for the seeds of one soak before those that a soak of the next second begins with.
const SEEDS_A_SECOND: u64 = 1000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().filter(|text| !text.is_empty()).map(|text| {
        text.parse().unwrap_or_else(|_| panic!("{variable}={text}: write a number of seconds or of seeds"))
    })
}

#[test]
fn what_is_promised_holds_for_as_long_as_one_cares_to_look() {
    let (span, seeds) = (number("LEASEHOLD_SOAK_SECS"), number("LEASEHOLD_SOAK_SEEDS"));
    let seeds = seeds.unwrap_or(if span.is_some() { u64::MAX } else { SEEDS_FEW });
    let first = number("LEASEHOLD_SOAK_FIRST").unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
        since.as_secs() * SEEDS_A_SECOND
    });
    let began = Instant::now();
    let until = span.map(|secs| began + Duration::from_secs(secs));
    println!("soak: from seed {first}");
    let more = |seed: u64| seed - first < seeds && until.is_none_or(|until| Instant::now() < until);
    let (report, failures) = run_all(first, Plan::draw, more);
    let took = began.elapsed().as_secs_f64();
    let per_second = |count: u64| {
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let count = count as f64;
        count / took
    };
    println!("soak: {report}");
    println!(
        "soak: {took:.0} s, {:.1} seeds/s, {:.0} steps/s, {} violations",
        per_second(report.seeds),
        per_second(report.steps),
        failures.len()
    );
    for failure in &failures {
        println!("seed {} at {:?}: {}", failure.seed, failure.at, failure.violation);
    }
    if let Some(failure) = failures.first() {
        panic!("{failure}");
    }
}
