//! Bench: how long Replies take with the store stopped, and with a slow way to it, against the undisturbed case.
//!
//! Not part of the test run: `scripts/bench.sh latency` starts it. Windows alternate within one run of the same
//! processes and clients, so that the machine's moods fall on all kinds alike. Measured at the wire, with the kernel's
//! time stamps: from a client's message to its Reply. Aimed at (FO-106): p50 and p99 not more than a quarter above the
//! undisturbed case; printed, and not asserted, for it holds for a quiet machine only.
//! Environment: `LATENCY_ROUNDS` (3) and `LATENCY_WINDOW_SECS` (10).

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use leasehold_tests::failures::delay::SlowStore;
use leasehold_tests::failures::site::{Site, Work, now, setup};
use leasehold_tests::failures::wire::Wanted;
use leasehold_tests::interop::Setup;
use leasehold_tests::netns::{Node, Side, in_lab};
use nix::sys::signal::Signal;

const STORES: [Node; 3] = [Node::Store(1), Node::Store(2), Node::Store(3)];
/// One way: what is asked and answered takes twice as long.
const DELAY: Duration = Duration::from_millis(200);
/// What follows a disturbance, counted apart.
const SETTLING: Duration = Duration::from_secs(3);
const GOAL: f64 = 1.25;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Undisturbed,
    StoreStopped,
    AfterStop,
    SlowStore,
    AfterSlow,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Undisturbed => "undisturbed",
            Self::StoreStopped => "all store nodes stopped",
            Self::AfterStop => "the 3 s after the stop",
            Self::SlowStore => "200 ms each way to the store",
            Self::AfterSlow => "the 3 s after the delay",
        }
    }
}

/// One window: its kind, its beginning and its end.
type Window = (Kind, Duration, Duration);

#[test]
#[expect(clippy::unwrap_used, reason = "a bench that cannot go on fails there")]
fn fo_106_replies_with_the_store_stopped_and_slow() {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().map_or(Ok(default), |text| text.parse::<u64>()).unwrap()
    };
    let rounds = number("LATENCY_ROUNDS", 3);
    let window = Duration::from_secs(number("LATENCY_WINDOW_SECS", 10));
    let result = in_lab("fo_106_replies_with_the_store_stopped_and_slow", |lab| {
        let way = SlowStore::start(lab)?;
        // Renewed by the clients' own timers only, which a run does not reach: nothing but what is measured.
        let setup = Setup { preferred_secs: 3600, valid_secs: 7200, ..setup() };
        let longest = (window * 4 + SETTLING * 2) * u32::try_from(rounds)? + Duration::from_secs(60);
        let work = Work { regulars: 400, newcomers_per_second: 100, longest };
        let mut site = Site::start(lab, setup, work)?;
        site.calm()?;
        let mut windows = Vec::new();
        for _ in 0..rounds {
            round(&mut site, &way, window, &mut windows)?;
        }
        for outcome in site.end_loads()? {
            ensure!(outcome.report.passed, "wrong answers: {}", outcome.report);
        }
        ensure!(site.end_capture()? == 0, "frames were not read: nothing can be concluded");
        for (wanted, what) in [(Wanted::Renewal, "Renew"), (Wanted::Offered, "Request of a new client")] {
            report(&site, &windows, wanted, what)?;
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error:?}"));
}

fn round(site: &mut Site<'_>, way: &SlowStore, window: Duration, windows: &mut Vec<Window>) -> Result<()> {
    let mut measure = |site: &Site<'_>, kind: Kind, span: Duration| -> Result<()> {
        let began = now()?;
        site.go_on(span);
        windows.push((kind, began, now()?));
        Ok(())
    };
    measure(site, Kind::Undisturbed, window)?;
    for store in STORES {
        site.cluster.signal(store, Signal::SIGSTOP)?;
    }
    measure(site, Kind::StoreStopped, window)?;
    for store in STORES {
        site.cluster.signal(store, Signal::SIGCONT)?;
    }
    measure(site, Kind::AfterStop, SETTLING)?;
    site.cluster.wait_serving(&[Side::A, Side::B])?;

    measure(site, Kind::Undisturbed, window)?;
    let carried = way.carried();
    way.set(DELAY);
    measure(site, Kind::SlowStore, window)?;
    ensure!(way.carried() > carried, "the frontends do not speak to the store by the slow way");
    way.set(Duration::ZERO);
    measure(site, Kind::AfterSlow, SETTLING)?;
    site.cluster.wait_serving(&[Side::A, Side::B])
}

/// Prints p50 and p99 of one kind of Reply: the medians of the windows of each kind, and how they compare.
fn report(site: &Site<'_>, windows: &[Window], wanted: Wanted, what: &str) -> Result<()> {
    let first = windows.first().context("no window")?.1;
    let waits: Vec<_> =
        site.look(|wire| wire.waits_from(first).filter(|wait| wait.wanted == wanted).collect());
    let mut kinds: BTreeMap<Kind, Vec<(Duration, Duration)>> = BTreeMap::new();
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    for (kind, began, ended) in windows {
        let inside = waits.iter().filter(|wait| (*began..*ended).contains(&wait.since));
        let mut spans: Vec<Duration> =
            inside.map(|wait| wait.until.unwrap_or(Duration::MAX).saturating_sub(wait.since)).collect();
        spans.sort();
        let at = |percent: usize| spans.get(spans.len() * percent / 100).copied();
        let (p50, p99) = at(50).zip(at(99)).with_context(|| format!("no {what} while {}", kind.name()))?;
        kinds.entry(*kind).or_default().push((p50, p99));
        *counts.entry(*kind).or_default() += spans.len();
    }
    let median = |figures: Vec<Duration>| {
        let mut sorted = figures;
        sorted.sort();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1e6
    };
    let of = |kind: Kind| {
        let windows = kinds.get(&kind).cloned().unwrap_or_default();
        let (p50, p99): (Vec<_>, Vec<_>) = windows.into_iter().unzip();
        (median(p50), median(p99))
    };
    let (calm50, calm99) = of(Kind::Undisturbed);
    println!("{what}, medians of the windows of each kind:");
    for (kind, count) in &counts {
        let (p50, p99) = of(*kind);
        let (ratio50, ratio99) = (p50 / calm50, p99 / calm99);
        let goal = match kind {
            Kind::StoreStopped | Kind::SlowStore if ratio50.max(ratio99) <= GOAL => ", within 25 %",
            Kind::StoreStopped | Kind::SlowStore => ", NOT within 25 %",
            _ => "",
        };
        let each = kinds.get(kind).map(Vec::as_slice).unwrap_or_default();
        let each: Vec<_> = each.iter().map(|(_, p99)| p99.as_micros().to_string()).collect();
        println!(
            "  {:<30} {count:>6} Replies, p50 {p50:>6.0} us (x {ratio50:.2}), p99 {p99:>6.0} us (x {ratio99:.2}){goal}; p99 of each: {}",
            kind.name(),
            each.join(" ")
        );
    }
    Ok(())
}
