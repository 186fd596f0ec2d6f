//! The demo's story: bring a cluster up, let clients come, kill what serves, look.

use std::io::IsTerminal as _;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::DemoCommand;
use super::verdict::{Committed, Verdict, active};
use crate::exit::{ExitKind, Failure};
use crate::load::client::Behaviour;
use crate::load::{LoadError, Outcome, Plan, Run};
use crate::local::{LocalCluster, LocalError, Options};

/// The link's relay: every client's messages come with this link-address.
const LINK_ADDRESS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xde, 0, 0, 0, 0, 1);

const NETWORK: &str = r#"# The network of the demo: one link, addresses and prefixes, two partners.
[options]
dns_servers = ["2001:db8:de::53"]
domain_search = ["demo.example"]

[[link]]
name = "demo"
prefixes = ["2001:db8:de::/64"]

[[pool]]
name = "addresses"
link = "demo"
addresses = "2001:db8:de::/64"
preferred_lifetime = "30m"
valid_lifetime = "1h"

[[pool]]
name = "prefixes"
link = "demo"
prefixes = "2001:db8:f000::/36"
delegated_length = 56
preferred_lifetime = "30m"
valid_lifetime = "1h"

[[relationship]]
name = "demo"
primary = "fe-a"
secondary = "fe-b"
pools = ["addresses", "prefixes"]
buckets = "hot-standby"
"#;

/// What happens when, from the first client on.
const SCENES: [(Duration, Scene); 5] = [
    (Duration::from_secs(6), Scene::KillFrontend),
    (Duration::from_secs(11), Scene::RestartFrontend),
    (Duration::from_secs(15), Scene::KillLeader),
    (Duration::from_secs(20), Scene::RestartLeader),
    (Duration::from_secs(24), Scene::End),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    KillFrontend,
    RestartFrontend,
    KillLeader,
    RestartLeader,
    End,
}

/// Each client renews so often, not at T1, so that every second shows renewals.
const RENEW_AFTER: Duration = Duration::from_secs(2);
/// So do newcomers: of a lease that was given in the last instant before a frontend was killed only its client knows, until
/// it comes again and the store adopts it (R7).
const NEWCOMERS_RENEW_AFTER: Duration = Duration::from_secs(6);
/// How long the store may take to have everything that was promised.
const SETTLE: Duration = Duration::from_secs(20);

impl From<LocalError> for Failure {
    fn from(error: LocalError) -> Self {
        Self::new(ExitKind::Other, error)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::new(ExitKind::Other, error)
    }
}

pub(super) fn tell(command: &DemoCommand) -> Result<Verdict, Failure> {
    let began = Instant::now();
    let folder = Folder::make(command)?;
    let mut cluster = bring_up(folder.path.clone())?;
    let servers: Vec<_> = cluster.layout().frontends().iter().map(|(_, address)| *address).collect();
    say(
        "clients",
        &format!(
            "{} that renew every {} s, and {} new ones each second, through a relay that hears both frontends",
            command.clients,
            RENEW_AFTER.as_secs(),
            command.newcomers
        ),
    );
    let total = SCENES[SCENES.len() - 1].0;
    let runs =
        [Run::start(regulars(command, &servers, total))?, Run::start(newcomers(command, &servers, total))?];
    let before = play(&mut cluster, &runs, total)?;
    let outcomes = runs.into_iter().map(Run::join).collect::<Result<Vec<_>, _>>()?;
    let after = settle(&mut cluster, &outcomes)?;
    let verdict = Verdict::reach(&outcomes, &before, &after, began.elapsed());
    if command.keep {
        cluster.keep_running();
        explain(&cluster);
        folder.keep();
    }
    Ok(verdict)
}

/// The demo's folder: a temporary one goes away at the end, unless it is kept.
struct Folder {
    path: PathBuf,
    temporary: Option<tempfile::TempDir>,
}

impl Folder {
    fn make(command: &DemoCommand) -> Result<Self, Failure> {
        let failed = |what: String, e: std::io::Error| Failure::new(ExitKind::Other, format!("{what}: {e}"));
        if let Some(path) = &command.folder {
            std::fs::create_dir(path).map_err(|e| failed(path.display().to_string(), e))?;
            return Ok(Self { path: path.clone(), temporary: None });
        }
        let temporary = tempfile::Builder::new()
            .prefix("leasehold-demo-")
            .tempdir()
            .map_err(|e| failed("a temporary folder".to_owned(), e))?;
        Ok(Self { path: temporary.path().to_owned(), temporary: Some(temporary) })
    }

    fn keep(self) {
        if let Some(temporary) = self.temporary {
            let _ = temporary.keep();
        }
    }
}

fn bring_up(folder: PathBuf) -> Result<LocalCluster, Failure> {
    let binary = std::env::current_exe()
        .map_err(|e| Failure::new(ExitKind::Other, format!("where this program lies is unknown: {e}")))?;
    let options =
        Options { folder, binary, stores: 3, frontends: vec!["fe-a".to_owned(), "fe-b".to_owned()] };
    let mut cluster = LocalCluster::lay_out(options)?;
    say("files", &format!("certificates and configurations in {}", cluster.layout().folder().display()));
    cluster.start_all()?;
    let leader = cluster.leader()?;
    say("store", &format!("three nodes, mutual TLS, {leader} leads"));
    let network = cluster.layout().folder().join("network.toml");
    cluster.layout().write(&network, NETWORK).map_err(LocalError::from)?;
    let version = cluster.apply_network(&network)?;
    cluster.wait_serving(&["fe-a", "fe-b"])?;
    say("frontends", &format!("fe-a and fe-b serve network version {version}; fe-a answers, fe-b stands by"));
    Ok(cluster)
}

fn regulars(command: &DemoCommand, servers: &[std::net::SocketAddrV6], total: Duration) -> Plan {
    Plan {
        behaviour: Behaviour {
            addresses: true,
            prefixes: true,
            rapid_commit: false,
            renew_after: Some(RENEW_AFTER),
        },
        duration: total,
        seed: 1,
        in_flight: None,
        // All are there after two seconds, and their renewals are spread as they came.
        rate_per_sec: Some(f64::from(command.clients)),
        ..Plan::relayed(servers.to_vec(), LINK_ADDRESS, command.clients)
    }
}

fn newcomers(command: &DemoCommand, servers: &[std::net::SocketAddrV6], total: Duration) -> Plan {
    let seconds = u32::try_from(total.as_secs()).unwrap_or(u32::MAX);
    Plan {
        behaviour: Behaviour {
            addresses: true,
            prefixes: false,
            rapid_commit: false,
            renew_after: Some(NEWCOMERS_RENEW_AFTER),
        },
        duration: total,
        seed: 2,
        in_flight: None,
        rate_per_sec: Some(f64::from(command.newcomers)),
        ..Plan::relayed(servers.to_vec(), LINK_ADDRESS, command.newcomers.saturating_mul(seconds))
    }
}

/// Plays the scenes while the clients run; returns what was committed just before each failure.
fn play(cluster: &mut LocalCluster, runs: &[Run], total: Duration) -> Result<Committed, Failure> {
    let bar = progress_bar(total);
    let began = Instant::now();
    let mut committed = Committed::new();
    let mut leader = String::new();
    for (moment, scene) in SCENES {
        while began.elapsed() < moment {
            show(&bar, runs, began.elapsed());
            cluster.check_alive()?;
            std::thread::sleep(Duration::from_millis(100));
        }
        let line = match scene {
            Scene::KillFrontend => {
                committed.extend(active(&cluster.leases()?));
                cluster.kill("fe-a")?;
                format!("SIGKILL to fe-a, which serves; {} leases are committed", committed.len())
            }
            Scene::RestartFrontend => {
                cluster.start("fe-a")?;
                "fe-a starts again: a new session, new ranges; fe-b never paused".to_owned()
            }
            Scene::KillLeader => {
                committed.extend(active(&cluster.leases()?));
                leader = cluster.leader()?;
                cluster.kill(&leader)?;
                format!(
                    "SIGKILL to {leader}, which leads the store; {} leases are committed",
                    committed.len()
                )
            }
            Scene::RestartLeader => {
                let now = cluster.leader()?;
                cluster.start(&leader)?;
                format!("{now} leads; {leader} starts again from its disk")
            }
            Scene::End => "no more clients begin; answers are awaited".to_owned(),
        };
        bar.suspend(|| say(&format!("{:>4.1} s", began.elapsed().as_secs_f64()), &line));
    }
    bar.finish_and_clear();
    Ok(committed)
}

/// Waits until the store has what clients hold: updates are lazy. What is still missing then is in the verdict.
fn settle(cluster: &mut LocalCluster, outcomes: &[Outcome]) -> Result<Committed, Failure> {
    let mut latest = Committed::new();
    let result = cluster.wait_until("all promises in the store", SETTLE, |cluster| {
        latest = active(&cluster.leases().map_err(|e| e.to_string())?);
        let all =
            outcomes.iter().flat_map(|o| &o.held).all(|held| latest.get(&held.prefix) == Some(&held.duid));
        Ok(all.then_some(()))
    });
    match result {
        Ok(()) | Err(LocalError::Late { .. }) => Ok(latest),
        Err(error) => Err(error.into()),
    }
}

fn progress_bar(total: Duration) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(total.as_millis()).unwrap_or(u64::MAX));
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {msg}") {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, runs: &[Run], elapsed: Duration) {
    let snapshots: Vec<_> = runs.iter().map(Run::snapshot).collect();
    let sum = |field: fn(&crate::load::Snapshot) -> u64| snapshots.iter().map(field).sum::<u64>();
    let max = |field: fn(&crate::load::Snapshot) -> u64| snapshots.iter().map(field).max().unwrap_or(0);
    bar.set_position(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
    bar.set_message(format!(
        "{} leases, {} renewals; waiting now: new {} ms, renewal {} ms; longest: new {} ms, renewal {} ms",
        sum(|s| s.leases_given),
        sum(|s| s.renewals_answered),
        max(|s| s.waiting_new_lease_ms),
        max(|s| s.waiting_renewal_ms),
        max(|s| s.longest_new_lease_ms),
        max(|s| s.longest_renewal_ms),
    ));
}

fn say(who: &str, what: &str) {
    println!("{who:>10}  {what}");
}

fn explain(cluster: &LocalCluster) {
    let layout = cluster.layout();
    let program = layout.binary().display();
    let profile = layout.profile_file();
    let admin = format!("{program} admin -c {}", profile.display());
    println!("\nThe cluster goes on running. Look around with");
    for action in ["status", "leases --limit 10", "ranges", "frontends", "nodes", "network show"] {
        println!("    {admin} {action}");
    }
    for (name, _) in layout.frontends() {
        println!("    {program} frontend-status --socket {}", layout.status_socket(name).display());
    }
    let servers: Vec<String> = layout.frontends().iter().map(|(_, a)| format!("--server {a}")).collect();
    println!("    {program} load --relay --link-address {LINK_ADDRESS} {} --clients 1000", servers.join(" "));
    println!("Logs: {}/*.log. End it with", layout.folder().display());
    let pids: Vec<String> = cluster.pids().iter().map(|(_, pid)| pid.to_string()).collect();
    println!("    kill {}; rm -r {}", pids.join(" "), layout.folder().display());
}
