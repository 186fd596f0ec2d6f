//! Frontends by the number, on real processes: five carry one link and five links together, a fifth is added and one is
//! drained while clients renew, one standby serves three primaries.
//!
//! Clients are behind a relay that sends every message to every frontend. Judges: the load generator (what Replies
//! promised, who answered, what had to be sent again) and the store's own list in the end. A renewal that nobody
//! answers is sent again, so "no renewal lost" is: no Renew was sent twice, and every lease is its client's still.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::Ipv6Addr;
use std::process::Command;
use std::time::Duration;

use leasehold::load::client::Behaviour;
use leasehold::load::{Outcome, Plan, Run};
use leasehold::local::LocalCluster;
use leasehold_tests::cluster::{binary, expect_all_committed, lay_out, pause, servers};

const FIVE: [&str; 5] = ["fe-1", "fe-2", "fe-3", "fe-4", "fe-5"];
/// Address and prefix pool of each link.
const POOLS_PER_LINK: usize = 2;
const PATIENCE: Duration = Duration::from_secs(60);

/// Answers by frontend.
type Shares = BTreeMap<String, u64>;

/// Links with an address pool and a prefix pool each, called `addresses-N` and `prefixes-N`.
fn links(links: &[u16]) -> String {
    let mut text = String::new();
    for link in links {
        let prefixes = 0x8000 + (link << 12);
        write!(
            text,
            r#"
[[link]]
name = "lan-{link}"
prefixes = ["2001:db8:{link:x}::/64"]

[[pool]]
name = "addresses-{link}"
link = "lan-{link}"
addresses = "2001:db8:{link:x}::/64"
preferred_lifetime = "30m"
valid_lifetime = "1h"

[[pool]]
name = "prefixes-{link}"
link = "lan-{link}"
prefixes = "2001:db8:{prefixes:x}::/36"
delegated_length = 56
preferred_lifetime = "30m"
valid_lifetime = "1h"
"#
        )
        .unwrap();
    }
    text
}

fn left_to_store(on: &[u16], frontends: &[&str]) -> String {
    format!("{}\n[auto]\nfrontends = {frontends:?}\n", links(on))
}

fn apply(cluster: &mut LocalCluster, text: &str) {
    let file = cluster.layout().folder().join("network.toml");
    cluster.layout().write(&file, text).unwrap();
    cluster.apply_network(&file).unwrap();
}

/// Starts all but the frontends that are to come later.
fn start(frontends: &[&str], later: &[&str], network: &str) -> (LocalCluster, tempfile::TempDir) {
    let (mut cluster, folder) = lay_out(3, frontends);
    for name in ["store-1", "store-2", "store-3"].iter().chain(frontends) {
        if !later.contains(name) {
            cluster.start(name).unwrap();
        }
    }
    apply(&mut cluster, network);
    (cluster, folder)
}

/// Waits until the relationships are spread evenly over exactly these frontends, and each is up and owns a range of
/// every pool of its relationships.
fn wait_spread(cluster: &mut LocalCluster, frontends: &[&str], links: usize) {
    let wanted: BTreeSet<String> = frontends.iter().map(|name| (*name).to_owned()).collect();
    cluster
        .wait_until("relationships spread over all frontends", PATIENCE, |cluster| {
            let status = cluster.status().map_err(|e| e.to_string())?;
            let mut primaries: BTreeMap<&String, usize> = wanted.iter().map(|name| (name, 0)).collect();
            let mut memberships: BTreeMap<&String, usize> = BTreeMap::new();
            for r in &status.relationships {
                if r.state != "NORMAL" || !r.primary_live || !r.secondary_live {
                    return Err(format!("{}: {} ({})", r.name, r.state, r.reason));
                }
                *primaries.entry(&r.primary).or_default() += 1;
                *memberships.entry(&r.primary).or_default() += 1;
                *memberships.entry(&r.secondary).or_default() += 1;
            }
            let (least, most) = (primaries.values().min(), primaries.values().max());
            if status.relationships.is_empty()
                || primaries.len() != wanted.len()
                || most > least.map(|n| n + 1).as_ref()
            {
                return Err(format!("primaries: {primaries:?}"));
            }
            let known = cluster.frontends().map_err(|e| e.to_string())?;
            for (name, relationships) in memberships {
                let ranges =
                    known.iter().find(|f| f.name == *name && f.current).map_or(0, |f| f.ranges_granted);
                let pools = u64::try_from(relationships * links * POOLS_PER_LINK).unwrap();
                if ranges < pools {
                    return Err(format!("{name} owns {ranges} ranges of {pools} pools"));
                }
            }
            println!("primaries: {primaries:?}");
            Ok(Some(()))
        })
        .unwrap();
}

/// Clients with an address and a prefix that renew every second, on one link.
fn renewing(cluster: &LocalCluster, link: u16, clients: u32, duration: Duration) -> Plan {
    let behaviour = Behaviour {
        addresses: true,
        prefixes: true,
        rapid_commit: false,
        renew_after: Some(Duration::from_secs(1)),
    };
    let link_address = Ipv6Addr::new(0x2001, 0xdb8, link, 0, 0, 0, 0, 1);
    Plan {
        behaviour,
        in_flight: None,
        rate_per_sec: Some(f64::from(clients)),
        duration,
        seed: u64::from(link),
        ..Plan::relayed(servers(cluster), link_address, clients)
    }
}

fn shares(cluster: &LocalCluster, run: &Run) -> Shares {
    let answers = run.answers_by_server();
    let of = |(name, address): &(String, _)| (name.clone(), answers.get(address).copied().unwrap_or(0));
    cluster.layout().frontends().iter().map(of).collect()
}

/// Who answers from now on, for so long.
fn shares_during(cluster: &LocalCluster, run: &Run, span: Duration) -> Shares {
    let before = shares(cluster, run);
    pause(run, run.snapshot().elapsed_ms + u64::try_from(span.as_millis()).unwrap());
    let after = shares(cluster, run);
    after
        .into_iter()
        .map(|(name, answers)| {
            let before = before[&name];
            (name, answers - before)
        })
        .collect()
}

/// Each of five frontends carries between half and double of a fifth.
fn expect_fair(what: &str, shares: &Shares) {
    let total: u64 = shares.values().sum();
    let percent: Vec<String> =
        shares.iter().map(|(name, n)| format!("{name} {n} ({} %)", n * 100 / total.max(1))).collect();
    println!("{what}: {total} answers: {}", percent.join(", "));
    assert!(total > 0);
    for (name, answers) in shares {
        assert!((total..=4 * total).contains(&(answers * 10)), "{name} has {answers} of {total} answers");
    }
}

/// Every client has its leases, nothing was answered wrongly, and no renewal went unanswered.
fn expect_kept(what: &str, outcome: &Outcome, clients: u64) {
    let report = &outcome.report;
    println!(
        "{what}: {} leases, {} renewals, longest wait new {} ms, renewal {} ms, sent again {:?}, late answers {}",
        report.leases_given,
        report.renewals_answered,
        report.longest_waits.new_lease_ms,
        report.longest_waits.renewal_ms,
        report.retransmissions,
        report.late_answers
    );
    assert!(report.passed, "{report}");
    assert_eq!((report.clients_bound, report.clients_unanswered), (clients, 0), "{report}");
    assert_eq!((report.leases_lost, report.leases_expired), (0, 0), "{report}");
    let again = |kind| report.retransmissions.get(kind).copied().unwrap_or(0);
    assert_eq!((again("renew"), again("rebind")), (0, 0), "{report}");
}

/// In the normal case there is one answer to each message: a second one needs that it was sent twice.
fn expect_one_answer_each(outcome: &Outcome) {
    let report = &outcome.report;
    let again: u64 = report.retransmissions.values().sum();
    let unasked = report.discards.get("transaction").copied().unwrap_or(0);
    assert!(report.late_answers + unasked <= again, "{report}");
}

fn expect_no_lease_twice(outcomes: &[&Outcome]) {
    let held: BTreeSet<_> = outcomes.iter().flat_map(|o| &o.held).map(|held| held.prefix).collect();
    assert_eq!(held.len(), outcomes.iter().map(|o| o.held.len()).sum::<usize>(), "held twice");
}

/// `leasehold admin frontend drain|undrain NAME`.
fn drain(cluster: &LocalCluster, action: &str, frontend: &str) {
    let profile = cluster.layout().profile_file();
    let output = Command::new(binary())
        .args(["admin", "-c"])
        .arg(profile)
        .args(["frontend", action, frontend])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn fo_901_five_frontends_on_one_link_carry_a_share_each() {
    let (mut cluster, _folder) = start(&FIVE, &[], &left_to_store(&[1], &FIVE));
    wait_spread(&mut cluster, &FIVE, 1);
    let run = Run::start(renewing(&cluster, 1, 300, Duration::from_secs(6))).unwrap();
    let progress = run.progress();
    pause(&run, 6000);
    expect_fair("five frontends on one link", &shares(&cluster, &run));
    assert!(progress.snapshot().renewals_answered > 300, "{:?}", progress.snapshot());
    let outcome = run.join().unwrap();
    expect_kept("five frontends on one link", &outcome, 300);
    expect_one_answer_each(&outcome);
    expect_no_lease_twice(&[&outcome]);
    expect_all_committed(&mut cluster, &[&outcome]);
}

#[test]
fn fo_901_five_frontends_on_five_links_carry_a_share_each() {
    let on = [1, 2, 3, 4, 5];
    let (mut cluster, _folder) = start(&FIVE, &[], &left_to_store(&on, &FIVE));
    wait_spread(&mut cluster, &FIVE, on.len());
    let runs: Vec<Run> = on
        .iter()
        .map(|link| Run::start(renewing(&cluster, *link, 60, Duration::from_secs(6))).unwrap())
        .collect();
    runs.iter().for_each(|run| pause(run, 6000));
    let mut all = Shares::new();
    for (name, answers) in runs.iter().flat_map(|run| shares(&cluster, run)) {
        *all.entry(name).or_default() += answers;
    }
    expect_fair("five frontends on five links", &all);
    let outcomes: Vec<Outcome> = runs.into_iter().map(|run| run.join().unwrap()).collect();
    for (outcome, link) in outcomes.iter().zip(on) {
        expect_kept(&format!("link {link}"), outcome, 60);
        expect_one_answer_each(outcome);
    }
    let outcomes: Vec<&Outcome> = outcomes.iter().collect();
    expect_no_lease_twice(&outcomes);
    expect_all_committed(&mut cluster, &outcomes);
}

#[test]
fn fo_913_a_fifth_frontend_is_added_and_another_drained_without_a_lost_renewal() {
    let (mut cluster, _folder) = start(&FIVE, &["fe-5"], &left_to_store(&[1], &FIVE[..4]));
    wait_spread(&mut cluster, &FIVE[..4], 1);
    let run = Run::start(renewing(&cluster, 1, 300, Duration::from_secs(300))).unwrap();
    pause(&run, 3000);
    let before = shares(&cluster, &run);
    println!("four frontends: {before:?}");
    assert!(before["fe-5"] == 0 && FIVE[..4].iter().all(|name| before[*name] > 0), "{before:?}");
    cluster.start("fe-5").unwrap();
    apply(&mut cluster, &left_to_store(&[1], &FIVE));
    wait_spread(&mut cluster, &FIVE, 1);
    println!("spread anew after {} ms", run.snapshot().elapsed_ms - 3000);
    expect_fair("the fifth has its share", &shares_during(&cluster, &run, Duration::from_secs(3)));
    drain(&cluster, "drain", "fe-1");
    cluster
        .wait_until("fe-1 to have nothing left", PATIENCE, |cluster| {
            let status = cluster.status().map_err(|e| e.to_string())?;
            let is_partner =
                status.relationships.iter().any(|r| r.primary == "fe-1" || r.secondary == "fe-1");
            let known = cluster.frontends().map_err(|e| e.to_string())?;
            let left = known.iter().find(|f| f.name == "fe-1" && f.current).ok_or("fe-1 is gone")?;
            let ranges = left.ranges_granted + left.ranges_closed;
            if !left.draining || is_partner || ranges > 0 {
                return Err(format!("fe-1: {ranges} ranges, partner of somebody: {is_partner}"));
            }
            Ok(Some(()))
        })
        .unwrap();
    let drained = shares_during(&cluster, &run, Duration::from_secs(2));
    println!("fe-1 is drained: {drained:?}");
    assert!(drained["fe-1"] == 0 && FIVE[1..].iter().all(|name| drained[*name] > 0), "{drained:?}");
    drain(&cluster, "undrain", "fe-1");
    wait_spread(&mut cluster, &FIVE, 1);
    expect_fair("fe-1 serves again", &shares_during(&cluster, &run, Duration::from_secs(3)));
    run.finish_early();
    let outcome = run.join().unwrap();
    expect_kept("added, drained, serving again", &outcome, 300);
    assert_eq!(outcome.report.leases_given, 300, "nobody had to begin anew: {}", outcome.report);
    expect_no_lease_twice(&[&outcome]);
    expect_all_committed(&mut cluster, &[&outcome]);
}

/// m-to-1: `standby` is the secondary of three primaries, each on its own link.
#[test]
fn fo_103_fo_203_a_shared_standby_takes_the_clients_of_a_dead_primary_and_nobody_elses() {
    let frontends = ["fe-1", "fe-2", "fe-3", "standby"];
    let on = [1, 2, 3];
    let mut network = links(&on);
    for n in on {
        write!(
            network,
            "\n[[relationship]]\nname = \"pair-{n}\"\nprimary = \"fe-{n}\"\nsecondary = \"standby\"\n\
             pools = [\"addresses-{n}\", \"prefixes-{n}\"]\nbuckets = \"hot-standby\"\n"
        )
        .unwrap();
    }
    let (mut cluster, _folder) = start(&frontends, &[], &network);
    cluster.wait_serving(&frontends).unwrap();
    let total = Duration::from_secs(9);
    let runs: Vec<Run> =
        on.iter().map(|link| Run::start(renewing(&cluster, *link, 100, total)).unwrap()).collect();
    pause(&runs[1], 4000);
    let before = shares(&cluster, &runs[1]);
    assert!(before["fe-2"] > 0 && before["standby"] == 0, "{before:?}");
    cluster.kill("fe-2").unwrap();
    let killed_at = shares(&cluster, &runs[1]);
    runs.iter().for_each(|run| pause(run, 9000));
    for (run, link) in runs.iter().zip(on) {
        let own = format!("fe-{link}");
        let answers = shares(&cluster, run);
        println!("link {link}: {answers:?}");
        let strangers: u64 =
            answers.iter().filter(|(name, _)| **name != own && *name != "standby").map(|(_, n)| n).sum();
        assert_eq!(strangers, 0, "{answers:?}");
        if link == 2 {
            assert_eq!(answers["fe-2"], killed_at["fe-2"], "the dead do not answer");
            assert!(answers["standby"] >= 200, "a hundred clients, about five renewals each: {answers:?}");
        } else {
            assert_eq!(answers["standby"], 0, "{answers:?}");
        }
    }
    let outcomes: Vec<Outcome> = runs.into_iter().map(|run| run.join().unwrap()).collect();
    for (outcome, link) in outcomes.iter().zip(on) {
        expect_kept(&format!("link {link}"), outcome, 100);
        expect_one_answer_each(outcome);
    }
    let outcomes: Vec<&Outcome> = outcomes.iter().collect();
    expect_no_lease_twice(&outcomes);
    expect_all_committed(&mut cluster, &outcomes);
}
