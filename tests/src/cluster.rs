//! A cluster of real processes on loopback, as the process tests use it: ordinary network, clients behind a relay.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::path::PathBuf;
use std::time::Duration;

use leasehold::load::client::Behaviour;
use leasehold::load::{Outcome, Plan, Run};
use leasehold::local::{LocalCluster, Options};
use leasehold_proto::lease::{Lease, LeaseState};
use leasehold_proto::words::Prefix;

/// The relay's address on the clients' link.
pub const LINK_ADDRESS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);

/// One link with addresses and prefixes, `fe-a` and `fe-b` as partners, hot standby.
pub const NETWORK: &str = r#"
[options]
dns_servers = ["2001:db8:1::53"]
domain_search = ["example.org"]

[[link]]
name = "lan"
prefixes = ["2001:db8:1::/64"]
rapid_commit = true

[[pool]]
name = "addresses"
link = "lan"
addresses = "2001:db8:1::/64"
preferred_lifetime = "30m"
valid_lifetime = "1h"

[[pool]]
name = "prefixes"
link = "lan"
prefixes = "2001:db8:f000::/36"
delegated_length = 56
preferred_lifetime = "30m"
valid_lifetime = "1h"

[[relationship]]
name = "pair"
primary = "fe-a"
secondary = "fe-b"
pools = ["addresses", "prefixes"]
buckets = "hot-standby"
"#;

/// The `leasehold` program, built beside this test by the same cargo.
///
/// # Panics
/// When it is not there: `cargo build --release --bins` makes it.
#[must_use]
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it lies");
    let folder = test.parent().and_then(std::path::Path::parent).expect("tests lie two folders deep");
    let binary = folder.join("leasehold");
    assert!(binary.is_file(), "{} is missing: run `make build`", binary.display());
    binary
}

/// A cluster that is laid out and not started, with its folder, which must outlive it.
///
/// # Panics
/// When it cannot be laid out.
#[must_use]
pub fn lay_out(stores: usize, frontends: &[&str]) -> (LocalCluster, tempfile::TempDir) {
    let folder = tempfile::Builder::new().prefix("leasehold-test-").tempdir().expect("a temporary folder");
    let options = Options {
        folder: folder.path().to_owned(),
        binary: binary(),
        stores,
        frontends: frontends.iter().map(|name| (*name).to_owned()).collect(),
    };
    (LocalCluster::lay_out(options).expect("the layout"), folder)
}

/// Three store nodes and two frontends, configured and serving.
///
/// # Panics
/// When they do not come up.
#[must_use]
pub fn serving() -> (LocalCluster, tempfile::TempDir) {
    let (mut cluster, folder) = lay_out(3, &["fe-a", "fe-b"]);
    cluster.start_all().expect("processes");
    configure(&mut cluster);
    (cluster, folder)
}

/// Applies [`NETWORK`] and waits for service.
///
/// # Panics
/// When that does not come to pass.
pub fn configure(cluster: &mut LocalCluster) {
    let file = cluster.layout().folder().join("network.toml");
    cluster.layout().write(&file, NETWORK).expect("the network file");
    cluster.apply_network(&file).expect("the network");
    cluster.wait_serving(&["fe-a", "fe-b"]).expect("service");
}

/// Where the frontends hear relays.
#[must_use]
pub fn servers(cluster: &LocalCluster) -> Vec<SocketAddrV6> {
    cluster.layout().frontends().iter().map(|(_, address)| *address).collect()
}

/// Clients with an address and a prefix each that renew every second, all bound after about a second.
#[must_use]
pub fn renewing(cluster: &LocalCluster, clients: u32, duration: Duration) -> Plan {
    Plan {
        behaviour: Behaviour {
            addresses: true,
            prefixes: true,
            rapid_commit: false,
            renew_after: Some(Duration::from_secs(1)),
        },
        in_flight: None,
        rate_per_sec: Some(f64::from(clients)),
        duration,
        seed: 1,
        ..Plan::relayed(servers(cluster), LINK_ADDRESS, clients)
    }
}

/// New clients at an even pace, each with an address.
#[must_use]
pub fn newcomers(cluster: &LocalCluster, per_second: u32, duration: Duration) -> Plan {
    let seconds = u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    Plan {
        in_flight: None,
        rate_per_sec: Some(f64::from(per_second)),
        duration,
        seed: 2,
        ..Plan::relayed(servers(cluster), LINK_ADDRESS, per_second.saturating_mul(seconds))
    }
}

/// The active leases that are committed, with the octets of their clients' DUIDs.
///
/// # Panics
/// When the store does not list them, or lists what cannot be read.
#[must_use]
pub fn active(cluster: &mut LocalCluster) -> BTreeMap<Prefix, Vec<u8>> {
    let listing = cluster.leases().expect("a list of leases");
    listing
        .iter()
        .map(|info| Lease::try_from(info.lease.as_ref().expect("a lease")).expect("a lease of this release"))
        .filter(|lease| lease.state == LeaseState::Active)
        .map(|lease| (lease.prefix, lease.binding.duid.as_bytes().to_vec()))
        .collect()
}

/// Waits until a run has gone on for so many milliseconds, or is over.
pub fn pause(run: &Run, until_ms: u64) {
    while run.snapshot().elapsed_ms < until_ms && !run.is_finished() {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Everything that clients hold must be theirs in the store, once its lazy updates have arrived.
///
/// # Panics
/// When it is not within 20 s.
pub fn expect_all_committed(cluster: &mut LocalCluster, outcomes: &[&Outcome]) {
    cluster
        .wait_until("all promises in the store", Duration::from_secs(20), |cluster| {
            let active = active(cluster);
            let missing = outcomes
                .iter()
                .flat_map(|o| &o.held)
                .filter(|held| active.get(&held.prefix) != Some(&held.duid))
                .count();
            if missing == 0 { Ok(Some(())) } else { Err(format!("{missing} leases are missing")) }
        })
        .expect("all promises in the store");
}
