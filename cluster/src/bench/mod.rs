//! `leasehold bench`: one frontend with a three-node store behind it, all on this machine, under the load generator.
//!
//! Owns the runs and their medians. Refuses to compare with anything: the figures hold for this machine at this hour.
//! Each run takes new clients; the first part is four-message exchanges, the second renewals without a pause by the
//! clients of the first. [`avalanche`] is another bench, with clients that all come at once. CPU time is what the
//! kernel charged to each process (user and system, all threads).

mod avalanche;

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::config::parse_span;
use crate::exit::{ExitKind, Failure};
use crate::load::client::Behaviour;
use crate::load::cpu::{CpuTime, cpu_time};
use crate::load::{Plan, Report, Run};
use crate::local::{Layout, LocalCluster, LocalError, Options};

const LINK_ADDRESS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xbe, 0, 0, 0, 0, 1);

const NETWORK: &str = r#"
# The same clients renew as fast as they are answered.
[limits]
messages_per_client = "unlimited"

[[link]]
name = "bench"
prefixes = ["2001:db8:be::/64"]

[[pool]]
name = "addresses"
link = "bench"
addresses = "2001:db8:be::/64"
preferred_lifetime = "1h"
valid_lifetime = "2h"

[[relationship]]
name = "bench"
primary = "fe-a"
pools = ["addresses"]
"#;

/// Arguments of `leasehold bench`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchCommand {
    #[command(subcommand)]
    other: Option<Other>,
    /// Runs, of whose figures the medians are printed.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// How long each part of a run takes.
    #[arg(long, default_value = "5s", value_parser = parse_span)]
    duration: Duration,
    /// Clients that wait for answers at once.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    in_flight: u32,
    /// Clients of the renewals.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    renewing_clients: u32,
}

/// What is measured instead.
#[derive(Debug, Subcommand)]
enum Other {
    /// A whole network comes back at once, with the priorities of an overload and without.
    Avalanche(avalanche::AvalancheCommand),
}

/// One part of one run.
struct Part {
    per_second: f64,
    p50_us: u64,
    p99_us: u64,
    /// By process, microseconds for each completed exchange or renewal.
    cpu_us: BTreeMap<String, f64>,
}

/// Runs the bench.
///
/// # Errors
/// What stood in the way, or a wrong answer seen.
pub fn run(command: &BenchCommand) -> Result<(), Failure> {
    if let Some(Other::Avalanche(command)) = &command.other {
        return avalanche::run(command);
    }
    let folder = folder()?;
    let mut cluster = start_cluster(folder.path(), &["fe-a"], NETWORK, |_| Ok(()))?;
    let mut new_leases = Vec::new();
    let mut renewals = Vec::new();
    for number in 1..=command.runs {
        let seed = u64::from(number);
        let plan = exchanges(command, &cluster, seed);
        let part =
            measure(&mut cluster, &plan, |r| (r.leases_given, r.new_lease.p50_us, r.new_lease.p99_us))?;
        println!("run {number}: {:>8.0} four-message exchanges/s", part.per_second);
        new_leases.push(part);
        let plan = renewing(command, &cluster, seed + 1_000_000);
        let part =
            measure(&mut cluster, &plan, |r| (r.renewals_answered, r.renewal.p50_us, r.renewal.p99_us))?;
        println!("run {number}: {:>8.0} renewals/s", part.per_second);
        renewals.push(part);
    }
    println!();
    println!(
        "medians of {} runs of {} s, {} in flight:",
        command.runs,
        command.duration.as_secs_f64(),
        command.in_flight
    );
    println!("{}", Medians { what: "four-message exchanges", parts: &new_leases });
    println!("{}", Medians { what: "renewals", parts: &renewals });
    Ok(())
}

fn folder() -> Result<tempfile::TempDir, Failure> {
    tempfile::Builder::new()
        .prefix("leasehold-bench-")
        .tempdir()
        .map_err(|e| Failure::new(ExitKind::Other, format!("a temporary folder: {e}")))
}

/// A cluster that serves; `change` may change its files before anything is started.
fn start_cluster(
    folder: &std::path::Path,
    frontends: &[&str],
    network_text: &str,
    change: impl FnOnce(&Layout) -> Result<(), Failure>,
) -> Result<LocalCluster, Failure> {
    let binary = std::env::current_exe()
        .map_err(|e| Failure::new(ExitKind::Other, format!("where this program lies is unknown: {e}")))?;
    let names = frontends.iter().map(|name| (*name).to_owned()).collect();
    let options = Options { folder: folder.to_owned(), binary, stores: 3, frontends: names };
    let mut cluster = LocalCluster::lay_out(options)?;
    change(cluster.layout())?;
    cluster.start_all()?;
    let network = folder.join("network.toml");
    cluster.layout().write(&network, network_text).map_err(LocalError::from)?;
    cluster.apply_network(&network)?;
    cluster.wait_serving(frontends)?;
    Ok(cluster)
}

/// New clients, as many as come to their turn.
fn exchanges(command: &BenchCommand, cluster: &LocalCluster, seed: u64) -> Plan {
    const CLIENTS_PER_SECOND_MAX: u64 = 60_000;
    let clients = (command.duration.as_secs() + 1) * CLIENTS_PER_SECOND_MAX;
    Plan {
        in_flight: Some(command.in_flight),
        duration: command.duration,
        seed,
        ..Plan::relayed(servers(cluster), LINK_ADDRESS, u32::try_from(clients).unwrap_or(u32::MAX))
    }
}

fn renewing(command: &BenchCommand, cluster: &LocalCluster, seed: u64) -> Plan {
    Plan {
        behaviour: Behaviour {
            addresses: true,
            prefixes: false,
            rapid_commit: false,
            renew_after: Some(Duration::ZERO),
        },
        in_flight: Some(command.in_flight),
        duration: command.duration,
        seed,
        ..Plan::relayed(servers(cluster), LINK_ADDRESS, command.renewing_clients)
    }
}

fn servers(cluster: &LocalCluster) -> Vec<std::net::SocketAddrV6> {
    cluster.layout().frontends().iter().map(|(_, address)| *address).collect()
}

fn measure(
    cluster: &mut LocalCluster,
    plan: &Plan,
    figures: impl Fn(&Report) -> (u64, u64, u64),
) -> Result<Part, Failure> {
    let before = cpu_times(cluster)?;
    let report = Run::start(plan.clone())?.join()?.report;
    // What the store has not taken yet belongs to these exchanges, too.
    wait_clean(cluster)?;
    let after = cpu_times(cluster)?;
    if !report.passed {
        return Err(Failure::new(ExitKind::Judged, report));
    }
    let (count, p50_us, p99_us) = figures(&report);
    let cpu_us = before
        .iter()
        .zip(&after)
        .map(|((name, a), (_, b))| {
            let used = b.used.saturating_sub(a.used);
            (name.clone(), used.as_secs_f64() * 1e6 / as_f64(count.max(1)))
        })
        .collect();
    Ok(Part { per_second: as_f64(count) / report.seconds, p50_us, p99_us, cpu_us })
}

/// Waits until the store has taken everything.
fn wait_clean(cluster: &mut LocalCluster) -> Result<(), LocalError> {
    cluster.wait_until("an idle frontend", Duration::from_secs(60), |cluster| {
        let dirty: u64 = cluster.frontends().map_err(|e| e.to_string())?.iter().map(|f| f.dirty_leases).sum();
        if dirty == 0 { Ok(Some(())) } else { Err(format!("{dirty} leases are dirty")) }
    })
}

fn cpu_times(cluster: &LocalCluster) -> Result<Vec<(String, CpuTime)>, Failure> {
    cluster
        .pids()
        .into_iter()
        .map(|(name, pid)| Ok((name, cpu_time(pid).map_err(|e| Failure::new(ExitKind::Other, e))?)))
        .collect()
}

struct Medians<'a> {
    what: &'a str,
    parts: &'a [Part],
}

impl fmt::Display for Medians<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |figure: &dyn Fn(&Part) -> f64| median(self.parts.iter().map(figure).collect());
        let millis = |us: f64| us / 1000.0;
        writeln!(
            f,
            "  {}: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms",
            self.what,
            all(&|p| p.per_second),
            millis(all(&|p| as_f64(p.p50_us))),
            millis(all(&|p| as_f64(p.p99_us))),
        )?;
        let names: Vec<&String> = self.parts.first().map(|p| p.cpu_us.keys().collect()).unwrap_or_default();
        let mut sum = 0.0;
        write!(f, "    CPU for each:")?;
        for name in names {
            let us = all(&|p| p.cpu_us.get(name).copied().unwrap_or(0.0));
            sum += us;
            write!(f, " {name} {us:.1} us,")?;
        }
        write!(f, " all {sum:.1} us")
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    #[test]
    fn median_is_the_middle_one() {
        assert!((super::median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!(super::median(Vec::new()).abs() < f64::EPSILON);
    }
}
