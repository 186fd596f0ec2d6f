//! `leasehold bench avalanche`: a whole network comes back at once, with the priorities of an overload and without.
//!
//! Owns the runs, alternately at two frontends of one cluster that differ in that one switch, their medians, and the
//! check against the store that no client was given two leases, however often it had to ask. Refuses to judge which is
//! better. Each run takes new clients; the frontends do not share a pool.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use clap::Args;
use leasehold_proto::v1;

use super::{as_f64, cpu_times, median, start_cluster};
use crate::config::parse_span;
use crate::exit::{ExitKind, Failure};
use crate::load::message::ClientDuid;
use crate::load::{
    AVALANCHE_CLIENTS_DEFAULT, AVALANCHE_DURATION_DEFAULT, Avalanche, CLIENTS_MAX, Percentiles, Plan, Report,
    Run,
};
use crate::local::{LocalCluster, LocalError};

/// Frontends: with priorities, and without.
const VARIANTS: [Variant; 2] = [
    Variant { name: "fe-a", link: "with", link_address: Ipv6Addr::new(0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 1) },
    Variant { name: "fe-b", link: "without", link_address: Ipv6Addr::new(0x2001, 0xdb8, 0xb, 0, 0, 0, 0, 1) },
];

const NETWORK: &str = r#"
[[link]]
name = "with"
prefixes = ["2001:db8:a::/64"]

[[link]]
name = "without"
prefixes = ["2001:db8:b::/64"]

[[pool]]
name = "with"
link = "with"
addresses = "2001:db8:a::/64"
preferred_lifetime = "1h"
valid_lifetime = "2h"

[[pool]]
name = "without"
link = "without"
addresses = "2001:db8:b::/64"
preferred_lifetime = "1h"
valid_lifetime = "2h"

[[relationship]]
name = "with"
primary = "fe-a"
pools = ["with"]

[[relationship]]
name = "without"
primary = "fe-b"
pools = ["without"]
"#;

struct Variant {
    /// Of the frontend.
    name: &'static str,
    /// Its link, by which the variant is named in the report.
    link: &'static str,
    link_address: Ipv6Addr,
}

/// Arguments of `leasehold bench avalanche`.
#[derive(Args, Debug)]
pub(super) struct AvalancheCommand {
    /// Avalanches at each frontend, of whose figures the medians are printed.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    runs: u32,
    /// Clients of an avalanche.
    #[arg(long, default_value_t = AVALANCHE_CLIENTS_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(CLIENTS_MAX)))]
    clients: u32,
    /// All of them begin within this span.
    #[arg(long, default_value = "1s", value_parser = parse_span)]
    window: Duration,
    /// Clients of a hundred that return with leases.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=100))]
    returning: u32,
    /// Returning clients of a hundred that send Rebind; the others send Renew.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=100))]
    rebinding: u32,
}

/// One avalanche.
struct Fall {
    report: Report,
    frontend_cpu: Duration,
    /// Datagrams that the kernel dropped before the frontend could receive them.
    dropped_by_kernel: u64,
}

/// Runs the bench.
///
/// # Errors
/// What stood in the way; a wrong answer or a double promise seen; a client with two leases in the store.
pub(super) fn run(command: &AvalancheCommand) -> Result<(), Failure> {
    let folder = super::folder()?;
    let names = VARIANTS.map(|variant| variant.name);
    let mut cluster = start_cluster(folder.path(), &names, NETWORK, |layout| {
        let file = layout.config_file(VARIANTS[1].name);
        let text = std::fs::read_to_string(&file)
            .map_err(|e| Failure::new(ExitKind::Other, format!("{}: {e}", file.display())))?;
        let text = text + "\n[overload]\npriorities = false\n";
        layout.write(&file, &text).map_err(|e| LocalError::from(e).into())
    })?;
    let mut falls: [Vec<Fall>; 2] = [Vec::new(), Vec::new()];
    for number in 1..=command.runs {
        // Whoever goes second finds a fuller store: so the order alternates, too.
        let order = if number % 2 == 1 { [0, 1] } else { [1, 0] };
        for which in order {
            let variant = &VARIANTS[which];
            let plan = plan(command, &cluster, variant, u64::from(number));
            let fall = measure(&mut cluster, &plan, variant)?;
            println!("run {number}, {} priorities:", variant.link);
            println!("{}", fall.report);
            println!(
                "{}: {:.2} s of CPU, {} datagrams dropped by the kernel before it",
                variant.name,
                fall.frontend_cpu.as_secs_f64(),
                fall.dropped_by_kernel
            );
            println!();
            falls[which].push(fall);
        }
    }
    println!(
        "medians of {} avalanches each: {} clients, all begun within {} s, {} % with leases ({} % of these rebind)",
        command.runs,
        command.clients,
        command.window.as_secs_f64(),
        command.returning,
        command.rebinding
    );
    println!("{}", Comparison(&falls));
    Ok(())
}

fn plan(command: &AvalancheCommand, cluster: &LocalCluster, variant: &Variant, seed: u64) -> Plan {
    let frontends = cluster.layout().frontends().iter();
    let servers: Vec<SocketAddrV6> =
        frontends.filter(|(name, _)| name == variant.name).map(|(_, address)| *address).collect();
    Plan {
        duration: AVALANCHE_DURATION_DEFAULT,
        avalanche: Some(Avalanche {
            window: command.window,
            returning_percent: command.returning,
            rebinding_percent: command.rebinding,
        }),
        seed,
        ..Plan::relayed(servers, variant.link_address, command.clients)
    }
}

fn measure(cluster: &mut LocalCluster, plan: &Plan, variant: &Variant) -> Result<Fall, Failure> {
    let before = cpu_times(cluster)?;
    let dropped_before = dropped_by_kernel(cluster, variant)?;
    let report = Run::start(plan.clone())?.join()?.report;
    super::wait_clean(cluster)?;
    let after = cpu_times(cluster)?;
    if !report.passed {
        return Err(Failure::new(ExitKind::Judged, report));
    }
    check_store(cluster, plan, variant, &report)?;
    let used = before.iter().zip(&after).filter(|((name, _), _)| name == variant.name);
    let frontend_cpu = used.map(|((_, a), (_, b))| b.used.saturating_sub(a.used)).sum();
    let dropped_by_kernel = dropped_by_kernel(cluster, variant)?.saturating_sub(dropped_before);
    Ok(Fall { report, frontend_cpu, dropped_by_kernel })
}

/// What the kernel has dropped so far of what was sent to a frontend, for want of room in its receive buffer.
fn dropped_by_kernel(cluster: &LocalCluster, variant: &Variant) -> Result<u64, Failure> {
    const TABLE: &str = "/proc/net/udp6";
    let text =
        std::fs::read_to_string(TABLE).map_err(|e| Failure::new(ExitKind::Other, format!("{TABLE}: {e}")))?;
    let frontends = cluster.layout().frontends();
    let address = frontends.iter().find(|(name, _)| name == variant.name).map(|(_, address)| *address);
    let ending = address.map(|address| format!(":{:04X}", address.port())).unwrap_or_default();
    // Second column: local address and port in hexadecimal; the last one: drops.
    let row =
        text.lines().find(|line| line.split_whitespace().nth(1).is_some_and(|at| at.ends_with(&ending)));
    let drops = row.and_then(|row| row.split_whitespace().last()?.parse().ok());
    drops.ok_or_else(|| {
        Failure::new(ExitKind::Other, format!("{TABLE} does not show the socket of {}", variant.name))
    })
}

/// Every client that is bound has one lease in the store, and nobody has two.
fn check_store(
    cluster: &mut LocalCluster,
    plan: &Plan,
    variant: &Variant,
    report: &Report,
) -> Result<(), Failure> {
    let request = v1::ListLeasesRequest { link: variant.link.to_owned(), ..v1::ListLeasesRequest::default() };
    let leases = cluster.leases_of(&request)?;
    let mut held: BTreeMap<u32, u32> = BTreeMap::new();
    for lease in leases.iter().filter_map(|info| info.lease.as_ref()) {
        let duid = lease.binding.as_ref().map(|binding| binding.duid.as_slice());
        if let Some(client) = duid.and_then(|duid| ClientDuid::client_of(plan.run(), duid)) {
            *held.entry(client).or_default() += 1;
        }
    }
    let twice = held.values().filter(|leases| **leases > 1).count();
    if twice > 0 {
        let message =
            format!("{twice} clients have more than one lease in the store: retransmissions allocated");
        return Err(Failure::new(ExitKind::Judged, message));
    }
    if (held.len() as u64) < report.clients_bound {
        let message =
            format!("{} clients are bound, {} have a lease in the store", report.clients_bound, held.len());
        return Err(Failure::new(ExitKind::Judged, message));
    }
    Ok(())
}

/// Both columns of medians.
struct Comparison<'a>(&'a [Vec<Fall>; 2]);

impl fmt::Display for Comparison<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {:<34}", "priorities")?;
        for variant in &VARIANTS {
            write!(f, "{:>12}", variant.link)?;
        }
        writeln!(f)?;
        let bound = |figure: fn(&Percentiles) -> u64| {
            move |fall: &Fall| {
                fall.report.avalanche.as_ref().map_or(0.0, |a| as_f64(figure(&a.bound_after)) / 1e6)
            }
        };
        self.line(f, "all clients bound, s", 3, &bound(|p| p.max_us))?;
        self.line(f, "  50 %", 3, &bound(|p| p.p50_us))?;
        self.line(f, "  90 %", 3, &bound(|p| p.p90_us))?;
        self.line(f, "  99 %", 3, &bound(|p| p.p99_us))?;
        for (part, words) in [
            ("renew", "all Renews answered, s"),
            ("rebind", "all Rebinds answered, s"),
            ("solicit", "all new clients bound, s"),
        ] {
            let of_part = |figure: fn(&Percentiles) -> u64| {
                move |fall: &Fall| {
                    let part = fall.report.avalanche.as_ref().and_then(|a| a.by_part.get(part));
                    part.map_or(0.0, |part| as_f64(figure(&part.bound_after)) / 1e6)
                }
            };
            self.line(f, words, 3, &of_part(|p| p.max_us))?;
            self.line(f, "  50 %", 3, &of_part(|p| p.p50_us))?;
            self.line(f, "  99 %", 3, &of_part(|p| p.p99_us))?;
        }
        self.line(f, "clients not bound", 0, &|fall| {
            fall.report.avalanche.as_ref().map_or(0.0, |a| f64::from(a.unbound))
        })?;
        self.line(f, "messages sent", 0, &|fall| as_f64(fall.report.datagrams_sent))?;
        self.line(f, "  of these sent again", 0, &|fall| as_f64(fall.report.retransmissions.values().sum()))?;
        self.line(f, "dropped before the frontend", 0, &|fall| as_f64(fall.dropped_by_kernel))?;
        self.line(f, "answers to what was answered", 0, &|fall| as_f64(fall.report.late_answers))?;
        self.line(f, "addresses given twice", 0, &|fall| as_f64(fall.report.double_promises))?;
        self.line(f, "first messages sent within, s", 3, &|fall| {
            fall.report.avalanche.as_ref().map_or(0.0, |a| as_f64(a.begun_within_ms) / 1e3)
        })?;
        self.line(f, "answers lost by the generator", 0, &|fall| as_f64(fall.report.datagrams_dropped_here))?;
        self.line(f, "CPU of the frontend, s", 2, &|fall| fall.frontend_cpu.as_secs_f64())
    }
}

impl Comparison<'_> {
    fn line(
        &self,
        f: &mut fmt::Formatter<'_>,
        what: &str,
        digits: usize,
        figure: &dyn Fn(&Fall) -> f64,
    ) -> fmt::Result {
        write!(f, "  {what:<34}")?;
        for falls in self.0 {
            write!(f, "{:>12.digits$}", median(falls.iter().map(figure).collect()))?;
        }
        writeln!(f)
    }
}
