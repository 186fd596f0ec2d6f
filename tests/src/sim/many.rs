//! Many runs at once, on as many threads as the machine has processors. Each run is its own thread's from begin to end,
//! so the same plans give the same results in whatever order they are run.

use super::plan::Plan;
use super::report::{Failure, Report};
use std::panic::{catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Runs the plans of seeds from `first` on until `more` says no. Gives what all runs together showed, and what failed,
/// by seed. `plan` makes the plan of a seed; `more` is asked with the seed before each run.
///
/// # Panics
/// When a run panics.
pub fn run_all(
    first: u64,
    plan: impl Fn(u64) -> Plan + Sync,
    more: impl Fn(u64) -> bool + Sync,
) -> (Report, Vec<Failure>) {
    run_each(first, plan, more, |_| ())
}

fn run_each(
    first: u64,
    plan: impl Fn(u64) -> Plan + Sync,
    more: impl Fn(u64) -> bool + Sync,
    found: impl Fn(&Failure) + Sync,
) -> (Report, Vec<Failure>) {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = AtomicU64::new(first);
    let is_over = AtomicBool::new(false);
    let results = Mutex::new((Report::empty(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !more(seed) {
                        is_over.store(true, Ordering::Relaxed);
                        break;
                    }
                    let drawn = plan(seed);
                    let result = catch_unwind(|| super::run(&drawn)).unwrap_or_else(|panic| {
                        eprintln!("seed {seed} panicked");
                        resume_unwind(panic)
                    });
                    let mut all = results.lock().expect("no run panicked while it added its result");
                    match result {
                        Ok(report) => all.0.add(&report),
                        Err(failure) => {
                            found(&failure);
                            all.1.push(*failure);
                        }
                    }
                }
            });
        }
    });
    let (report, mut failures) = results.into_inner().expect("no run panicked while it added its result");
    failures.sort_by_key(|f| f.seed);
    (report, failures)
}

/// The first of so many seeds whose run fails, and its failure.
///
/// # Panics
/// When a run panics.
pub fn first_failure(seeds: u64, plan: impl Fn(u64) -> Plan + Sync) -> Option<Failure> {
    let enough = AtomicU64::new(seeds);
    let checked = |seed: u64| {
        // Whatever the threads' order, every seed below the first that fails is run.
        seed < enough.load(Ordering::Relaxed)
    };
    let found = |failure: &Failure| {
        enough.fetch_min(failure.seed, Ordering::Relaxed);
    };
    let (_, mut failures) = run_each(0, plan, checked, found);
    (!failures.is_empty()).then(|| failures.swap_remove(0))
}
