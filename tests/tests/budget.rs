//! The survival budget of real frontends: asked for by the command, while all store nodes are dead.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use leasehold::load::Run;
use leasehold::local::LocalCluster;
use leasehold_frontend::process::status_socket::BudgetView;
use leasehold_tests::cluster::{binary, newcomers, serving};

const STORES: [&str; 3] = ["store-1", "store-2", "store-3"];
const FRONTENDS: [&str; 2] = ["fe-a", "fe-b"];
const PATIENCE: Duration = Duration::from_secs(30);

/// What the command says: its exit code, and what it prints.
fn frontend_status(socket: &Path, more: &[&str]) -> (Option<i32>, String) {
    let asked = Command::new(binary()).arg("frontend-status").arg("--socket").arg(socket).args(more).output();
    let asked = asked.unwrap();
    let said = if asked.status.success() { asked.stdout } else { asked.stderr };
    (asked.status.code(), String::from_utf8(said).unwrap())
}

fn budget(cluster: &LocalCluster, frontend: &str) -> Result<BudgetView, String> {
    let (code, said) = frontend_status(&cluster.layout().status_socket(frontend), &["--json"]);
    if code != Some(0) {
        return Err(said);
    }
    serde_json::from_str(&said).map_err(|error| format!("{error}: {said}"))
}

/// Waits until the budgets of both frontends are as wanted.
fn budgets(cluster: &mut LocalCluster, what: &str, fits: impl Fn(&[BudgetView]) -> bool) -> Vec<BudgetView> {
    cluster
        .wait_until(what, PATIENCE, |cluster| {
            let all =
                FRONTENDS.map(|name| budget(cluster, name)).into_iter().collect::<Result<Vec<_>, _>>()?;
            if fits(&all) { Ok(Some(all)) } else { Err(format!("{all:?}")) }
        })
        .unwrap()
}

/// New clients that both can serve without the store.
fn addresses_left(budgets: &[BudgetView]) -> u64 {
    let pools = budgets.iter().flat_map(|budget| &budget.pools).filter(|pool| pool.kind == "addresses");
    pools.map(|pool| pool.new_leases).sum()
}

fn untold(budgets: &[BudgetView]) -> u64 {
    budgets.iter().map(|budget| budget.untold_leases).sum()
}

#[test]
fn fo_904_fo_911_with_all_stores_dead_the_budget_falls_by_each_client_served_and_recovers_when_they_return() {
    let (mut cluster, _folder) = serving();
    budgets(&mut cluster, "budgets with the store in reach", |all| {
        let whole = |budget: &BudgetView| {
            budget.pools.len() == 2
                && budget.pools.iter().all(|pool| pool.new_leases > 0 && pool.autonomy_left_ms > Some(0))
        };
        all.iter().all(|budget| budget.store.in_reach && whole(budget))
    });
    for name in STORES {
        cluster.kill(name).unwrap();
    }
    let before = budgets(&mut cluster, "word of the loss", |all| all.iter().all(|b| !b.store.in_reach));
    let outcome = Run::start(newcomers(&cluster, 50, Duration::from_secs(3))).unwrap().join().unwrap();
    assert!(outcome.report.passed && outcome.report.clients_unanswered == 0, "{}", outcome.report);
    let given = outcome.held.len() as u64;
    assert!(given >= 100, "{}", outcome.report);
    // Each lease costs one free address of its frontend, and waits to be told.
    let spent = budgets(&mut cluster, "the leases given in the budget", |all| untold(all) >= given);
    assert_eq!(addresses_left(&before) - addresses_left(&spent), untold(&spent));
    for (before, spent) in before.iter().zip(&spent) {
        assert!(spent.store.out_of_reach_ms > before.store.out_of_reach_ms);
        for (before, spent) in before.pools.iter().zip(&spent.pools) {
            assert!(spent.autonomy_left_ms < before.autonomy_left_ms, "{spent:?}");
        }
    }
    let (code, said) = frontend_status(&cluster.layout().status_socket("fe-a"), &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("fe-a: The store has been out of reach for "), "{said}");
    assert!(said.contains("/56 prefixes") && said.contains("autonomy left"), "{said}");
    println!("{said}");
    for frontend in FRONTENDS {
        let log = std::fs::read_to_string(cluster.layout().log_file(frontend)).unwrap();
        let told = |line: &str| {
            line.contains("WARN")
                && line.contains("The store has been out of reach")
                && line.contains("addresses:")
        };
        assert!(log.lines().any(told), "{log}");
    }

    cluster.start_all().unwrap();
    let after = budgets(&mut cluster, "the store in reach again, and told of everything", |all| {
        all.iter().all(|budget| budget.store.in_reach) && untold(all) == 0
    });
    assert!(after.iter().all(|budget| budget.store.out_of_reach_ms.is_none()));
    cluster
        .wait_until("word of the return", PATIENCE, |cluster| {
            let said = |frontend: &&str| {
                let log = std::fs::read_to_string(cluster.layout().log_file(frontend)).unwrap_or_default();
                log.contains("the store is in reach again")
            };
            Ok(FRONTENDS.iter().all(said).then_some(()))
        })
        .unwrap();

    // A killed frontend leaves its socket behind: nobody answers there, and the next one takes its place.
    cluster.kill("fe-b").unwrap();
    let socket = cluster.layout().status_socket("fe-b");
    assert!(socket.exists());
    let (code, said) = frontend_status(&socket, &["--json"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("no frontend can be reached at"), "{said}");
    cluster.start("fe-b").unwrap();
    budgets(&mut cluster, "the restarted frontend's budget", |all| all.iter().all(|b| b.store.in_reach));
    cluster.stop("fe-b", Duration::from_secs(10)).unwrap();
    assert!(!socket.exists(), "a clean stop takes its socket away");
}
