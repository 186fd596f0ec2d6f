//! Real DHCPv6 clients, directly and through a real relay, and load through failures, in network namespaces.
//!
//! Needs root; where namespaces are not to be had each test says `skipped`. Every test prints its rows.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use leasehold_tests::interop::{Deployment, load_report};
use leasehold_tests::netns::relay::{self, Upstream};
use leasehold_tests::netns::scenario::{
    Loss, Row, ServerUnderTest as _, Subject, lifecycle, rebind_after_outage, subjects,
};
use leasehold_tests::netns::{Lab, Node, Place, Side, in_lab, wait_until};
use serde_json::Value;

/// How long load begins exchanges: a Renew lost with its server is sent again after 10 s (RFC 9915 §18.2.4).
const LOAD: Duration = Duration::from_secs(18);
/// Clients with an address and a prefix each.
const REGULARS: u64 = 500;
/// How long a client may wait at most, whatever happens to one frontend.
const LONGEST_WAIT_MS: u64 = 20_000;

/// Both client programs, on the frontends' link and behind the relay, through a scenario.
fn with_clients(
    test: &str,
    upstream: impl FnOnce(&Lab) -> Upstream,
    scenario: impl FnOnce(&Lab, &mut Deployment<'_>, &mut [Subject<'_>]) -> Result<Vec<Row>>,
) {
    let result = in_lab(test, |lab| {
        let mut server = Deployment::start(lab)?;
        let _relay = relay::start(lab, &upstream(lab))?;
        let mut subjects = subjects(lab, &[Place::Direct, Place::Relayed])?;
        let rows = scenario(lab, &mut server, &mut subjects)?;
        println!("{test}:");
        rows.iter().for_each(|row| println!("  {row}"));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error:?}"));
}

#[test]
fn fo_104_renew_is_answered_by_the_partner_after_kill_9_direct_and_relayed() {
    with_clients(
        "fo_104_renew_is_answered_by_the_partner_after_kill_9_direct_and_relayed",
        |lab| Upstream::Unicast([Side::A, Side::B].map(|side| lab.near_address(side)).to_vec()),
        |lab, server, subjects| lifecycle(lab, server, subjects, Loss::Killed),
    );
}

#[test]
fn fo_104_renew_is_answered_by_the_partner_when_only_the_client_network_is_cut() {
    with_clients(
        "fo_104_renew_is_answered_by_the_partner_when_only_the_client_network_is_cut",
        // To a unicast address the relay's kernel would drop the first messages after the cut: it would still be finding
        // out in vain where that neighbour is.
        |_| Upstream::Servers,
        |lab, server, subjects| lifecycle(lab, server, subjects, Loss::Cut),
    );
}

#[test]
fn fo_104_rebind_after_an_outage_of_both_gives_the_same_leases() {
    with_clients(
        "fo_104_rebind_after_an_outage_of_both_gives_the_same_leases",
        |_| Upstream::RelayAgentsAndServers,
        |lab, server, subjects| rebind_after_outage(lab, server, subjects),
    );
}

#[test]
fn fo_205_load_through_kill_and_cut() {
    let killed = in_lab("fo_205_load_through_kill_and_cut (kill -9)", |lab| {
        through(lab, "kill -9 of the serving frontend", |server| {
            let side = server.serving()?;
            server.kill(side)
        })
    });
    killed.unwrap_or_else(|error| panic!("{error:?}"));
    let cut = in_lab("fo_205_load_through_kill_and_cut (cut)", |lab| {
        through(lab, "serving frontend cut off entirely", |server| {
            let node = Node::Frontend(server.serving()?);
            lab.firewall(node, "add rule inet lab in drop\nadd rule inet lab out drop\n")
        })
    });
    cut.unwrap_or_else(|error| panic!("{error:?}"));
}

/// Clients that renew every 2 s and 100 new ones each second, through `event` after some five seconds.
fn through(lab: &Lab, what: &str, event: impl FnOnce(&mut Deployment<'_>) -> Result<()>) -> Result<()> {
    let mut server = Deployment::start(lab)?;
    let seconds = LOAD.as_secs();
    let (duration, clients, arrivals) =
        (format!("{seconds}s"), REGULARS.to_string(), (100 * seconds).to_string());
    let common = ["--duration", &duration];
    let pace = ["--renew-interval", "2s", "--ia", "both", "--seed", "1", "--clients", &clients, "--rate"];
    let regulars = server.load(&[&common[..], &pace, &[&clients]].concat())?;
    let newcomers =
        server.load(&[&common[..], &["--seed", "2", "--clients", &arrivals, "--rate", "100"]].concat())?;
    // All regulars are there, have renewed, and the store has been told: the failure finds everything at work.
    let before = wait_until("the regular clients' leases in the store", LOAD / 2, || {
        let active = server.active()?;
        Ok((active.len() as u64 > 2 * REGULARS + 500).then_some(active))
    })?;
    event(&mut server)?;

    let patience = LOAD + Duration::from_secs(20);
    let reports = [load_report(regulars, patience)?, load_report(newcomers, patience)?];
    let each = |key: &str| reports.iter().map(|report| number(report, key)).collect::<Result<Vec<_>>>();
    // What was still waited for when the time was over counts too: no wait escapes.
    let longest = |what: &str| -> Result<u64> {
        let over = each(&format!("/longest_waits/{what}_ms"))?;
        let pending = each(&format!("/longest_waits/unanswered_{what}_ms"))?;
        Ok(over.into_iter().chain(pending).max().unwrap_or(0))
    };
    let (renewal, new_lease) = (longest("renewal")?, longest("new_lease")?);
    println!(
        "{what}: {} new leases, {} renewals; longest wait for a Renew {renewal} ms, for a new client {new_lease} ms",
        each("/leases_given")?.iter().sum::<u64>(),
        each("/renewals_answered")?.iter().sum::<u64>(),
    );
    for report in &reports {
        ensure!(report["passed"] == true, "wrong answers: {report:#}");
        for key in ["/double_promises", "/leases_expired", "/leases_lost"] {
            ensure!(number(report, key)? == 0, "{key}: {report:#}");
        }
    }
    ensure!(number(&reports[0], "/clients_bound")? == REGULARS, "{:#}", reports[0]);
    ensure!(renewal.max(new_lease) < LONGEST_WAIT_MS, "{what}: {reports:#?}");

    let held = 2 * REGULARS + number(&reports[1], "/clients_bound")?;
    let mut after = before.clone();
    wait_until(&format!("{held} active leases in the store"), LOAD, || {
        after = server.active()?;
        Ok((after.len() as u64 >= held).then_some(()))
    })
    .with_context(|| format!("{what}: {held} leases are held"))?;
    let lost: Vec<_> = before.iter().filter(|(lease, duid)| after.get(*lease) != Some(duid)).collect();
    ensure!(lost.is_empty(), "committed leases were lost: {lost:?}");
    Ok(())
}

fn number(report: &Value, pointer: &str) -> Result<u64> {
    let value = report.pointer(pointer).and_then(Value::as_u64);
    value.with_context(|| format!("no number at {pointer} in {report:#}"))
}
