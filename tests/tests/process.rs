//! Real processes on loopback: kill -9 of every kind of node under load, restarts, refusals.
//!
//! The judge of leases is the load generator's oracle (what Replies promised), and the store's own list in the end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::process::Command;
use std::time::Duration;

use leasehold::load::{Outcome, Run};
use leasehold::local::LocalCluster;
use leasehold_proto::words::Prefix;
use leasehold_tests::cluster::{
    active, binary, configure, expect_all_committed, lay_out, newcomers, pause, renewing, serving,
};

fn expect_clean(what: &str, outcome: &Outcome) {
    let report = &outcome.report;
    println!(
        "{what}: {} leases, {} renewals, longest wait new {} ms, renewal {} ms",
        report.leases_given,
        report.renewals_answered,
        report.longest_waits.new_lease_ms,
        report.longest_waits.renewal_ms
    );
    assert!(report.passed, "{report}");
    assert_eq!((report.leases_lost, report.leases_expired), (0, 0), "{report}");
    assert_eq!(report.clients_unanswered, 0, "{report}");
}

/// Runs renewing and new clients for 12 s, lets something happen after 4 s, and judges.
fn under_load(cluster: &mut LocalCluster, what: &str, event: impl FnOnce(&mut LocalCluster, &Run)) {
    let total = Duration::from_secs(12);
    let regulars = Run::start(renewing(cluster, 300, total)).unwrap();
    let arrivals = Run::start(newcomers(cluster, 50, total)).unwrap();
    pause(&arrivals, 4000);
    let before = active(cluster);
    assert!(before.len() >= 600, "{} leases are committed after 4 s", before.len());
    event(cluster, &arrivals);
    let (regulars, arrivals) = (regulars.join().unwrap(), arrivals.join().unwrap());
    expect_clean(what, &regulars);
    expect_clean(what, &arrivals);
    assert_eq!(regulars.report.clients_bound, 300);
    expect_all_committed(cluster, &[&regulars, &arrivals]);
    let after = active(cluster);
    let lost: Vec<_> = before.iter().filter(|(prefix, duid)| after.get(prefix) != Some(duid)).collect();
    assert!(lost.is_empty(), "committed leases lost: {lost:?}");
    let held: std::collections::BTreeSet<Prefix> =
        regulars.held.iter().chain(&arrivals.held).map(|h| h.prefix).collect();
    assert_eq!(held.len(), regulars.held.len() + arrivals.held.len(), "an address is held twice");
}

#[test]
fn fo_107_kill_9_of_the_serving_frontend_and_its_return() {
    let (mut cluster, _folder) = serving();
    under_load(&mut cluster, "serving frontend killed", |cluster, run| {
        cluster.kill("fe-a").unwrap();
        pause(run, 8000);
        cluster.start("fe-a").unwrap();
        cluster.wait_serving(&["fe-a", "fe-b"]).unwrap();
    });
    // R6: the newer session is current, the older one superseded, its ranges closed.
    let sessions: Vec<_> = cluster.frontends().unwrap().into_iter().filter(|f| f.name == "fe-a").collect();
    assert!(sessions.iter().any(|s| s.current && s.live && s.ranges_granted > 0), "{sessions:?}");
    assert!(sessions.iter().any(|s| !s.current && s.ranges_closed > 0), "{sessions:?}");
}

#[test]
fn fo_212_kill_9_of_the_store_leader() {
    let (mut cluster, _folder) = serving();
    under_load(&mut cluster, "store leader killed", |cluster, run| {
        let leader = cluster.leader().unwrap();
        cluster.kill(&leader).unwrap();
        pause(run, 8000);
        let now = cluster.leader().unwrap();
        assert_ne!(leader, now);
        cluster.start(&leader).unwrap();
    });
}

#[test]
fn fo_214_kill_9_of_the_whole_store_loses_nothing_committed() {
    let (mut cluster, _folder) = serving();
    under_load(&mut cluster, "all store nodes killed", |cluster, run| {
        for name in ["store-1", "store-2", "store-3"] {
            cluster.kill(name).unwrap();
        }
        // FO-911: service goes on meanwhile.
        let renewals = run.snapshot().leases_given;
        pause(run, 7000);
        assert!(run.snapshot().leases_given > renewals, "no new lease while the store was away");
        cluster.start_all().unwrap();
    });
}

#[test]
fn fo_913_kill_9_of_a_store_follower() {
    let (mut cluster, _folder) = serving();
    under_load(&mut cluster, "store follower killed", |cluster, run| {
        let leader = cluster.leader().unwrap();
        let follower = ["store-1", "store-2", "store-3"].into_iter().find(|n| *n != leader).unwrap();
        cluster.kill(follower).unwrap();
        pause(run, 8000);
        cluster.start(follower).unwrap();
    });
}

#[test]
fn r4_a_clean_stop_hands_everything_back() {
    let (mut cluster, _folder) = serving();
    let run = Run::start(renewing(&cluster, 100, Duration::from_secs(8))).unwrap();
    pause(&run, 3000);
    assert!(cluster.stop("fe-a", Duration::from_secs(10)).unwrap().success());
    let outcome = run.join().unwrap();
    expect_clean("clean stop", &outcome);
    let stopped: Vec<_> = cluster.frontends().unwrap().into_iter().filter(|f| f.name == "fe-a").collect();
    assert!(stopped.iter().all(|s| s.closed && s.ranges_granted == 0 && s.ranges_closed == 0), "{stopped:?}");
    expect_all_committed(&mut cluster, &[&outcome]);
}

#[test]
fn a_frontend_without_a_store_says_so_and_serves_as_soon_as_it_can() {
    let (mut cluster, _folder) = lay_out(3, &["fe-a", "fe-b"]);
    cluster.start("fe-a").unwrap();
    let log = cluster.layout().log_file("fe-a");
    cluster
        .wait_until("word of the missing store", Duration::from_secs(10), |_| {
            Ok(std::fs::read_to_string(&log).unwrap_or_default().contains("store").then_some(()))
        })
        .unwrap();
    cluster.start_all().unwrap();
    configure(&mut cluster);
    let outcome = Run::start(newcomers(&cluster, 50, Duration::from_secs(2))).unwrap().join().unwrap();
    expect_clean("after the store came", &outcome);
}

#[test]
fn r6_a_second_frontend_with_the_same_id_supersedes_the_first_and_both_say_so() {
    let (mut cluster, folder) = serving();
    // The same configuration but for the port.
    let text = std::fs::read_to_string(cluster.layout().config_file("fe-a")).unwrap();
    let (_, address) = cluster.layout().frontends()[0].clone();
    let second = text
        .replace(&format!("listen_port = {}", address.port()), &format!("listen_port = {}", free_udp_port()))
        .replace("fe-a.sock", "second.sock");
    assert_ne!(text, second);
    let file = folder.path().join("second.toml");
    std::fs::write(&file, second).unwrap();
    let log = folder.path().join("second.log");
    let out = std::fs::File::create(&log).unwrap();
    let mut child = Command::new(binary())
        .args(["frontend", "-c"])
        .arg(&file)
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .spawn()
        .unwrap();
    let first_log = cluster.layout().log_file("fe-a");
    let said = cluster.wait_until("word of superseding", Duration::from_secs(15), |_| {
        let first = std::fs::read_to_string(&first_log).unwrap_or_default();
        let second = std::fs::read_to_string(&log).unwrap_or_default();
        let both = first.contains("a newer session of this frontend exists")
            && second.contains("this session supersedes one of the same frontend");
        Ok(both.then_some(()))
    });
    let _ = child.kill();
    let _ = child.wait();
    said.unwrap();
}

fn free_udp_port() -> u16 {
    std::net::UdpSocket::bind("[::1]:0").unwrap().local_addr().unwrap().port()
}

/// Starts a node that must end by itself, and returns what it said.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let out = tempfile::NamedTempFile::new().unwrap();
    let mut child = Command::new(binary())
        .args(arguments)
        .stdout(out.reopen().unwrap())
        .stderr(out.reopen().unwrap())
        .spawn()
        .unwrap();
    for _ in 0..1500 {
        if let Some(status) = child.try_wait().unwrap() {
            return (status.code(), std::fs::read_to_string(out.path()).unwrap());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
    panic!("it did not end by itself: {}", std::fs::read_to_string(out.path()).unwrap());
}

#[test]
fn sec_a_certificate_of_the_wrong_role_is_refused_with_the_reason() {
    let (cluster, folder) = lay_out(3, &["fe-a", "fe-b"]);
    for (name, kind, other) in [("store-1", "store", "frontend-fe-a"), ("fe-a", "frontend", "store-store-1")]
    {
        let text = std::fs::read_to_string(cluster.layout().config_file(name)).unwrap();
        let wrong = text.replace(&format!("certs/{kind}-{name}"), &format!("certs/{other}"));
        assert_ne!(text, wrong);
        let file = folder.path().join(format!("wrong-{name}.toml"));
        std::fs::write(&file, wrong).unwrap();
        let (code, said) = refused(&[kind, "-c", &file.display().to_string()]);
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("certificate"), "{said}");
    }
}

#[test]
fn a_second_store_node_with_a_name_in_use_is_refused_with_the_reason() {
    let (mut cluster, folder) = serving();
    let text = std::fs::read_to_string(cluster.layout().config_file("store-3")).unwrap();
    let (_, address) = cluster.layout().stores()[2].clone();
    // A third party with the same name, its own disk, another port.
    let listener = std::net::TcpListener::bind("[::1]:0").unwrap();
    let port = listener.local_addr().unwrap();
    drop(listener);
    let second = text.replace("store-3.data", "second.data").replacen(
        &format!("listen = \"{address}\""),
        &format!("listen = \"{port}\""),
        1,
    );
    let file = folder.path().join("second.toml");
    std::fs::write(&file, second).unwrap();
    let (code, said) = refused(&["store", "-c", &file.display().to_string()]);
    assert_ne!(code, Some(0));
    assert!(said.contains("in use"), "{said}");
    cluster.check_alive().unwrap();
}

#[test]
fn sec_08_no_log_names_a_client_or_its_lease_whatever_its_level() {
    let (mut cluster, _folder) = lay_out(3, &["fe-a", "fe-b"]);
    let names = ["store-1", "store-2", "store-3", "fe-a", "fe-b"];
    for name in names {
        let file = cluster.layout().config_file(name);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains("[log]"));
        std::fs::write(&file, format!("{text}\n[log]\nlevel = \"trace\"\n")).unwrap();
    }
    cluster.start_all().unwrap();
    configure(&mut cluster);
    let outcome = Run::start(newcomers(&cluster, 50, Duration::from_secs(2))).unwrap().join().unwrap();
    expect_clean("with all that can be logged", &outcome);
    expect_all_committed(&mut cluster, &[&outcome]);
    let logs = names.map(|name| std::fs::read_to_string(cluster.layout().log_file(name)).unwrap());
    assert!(logs.iter().any(|log| log.contains("DEBUG")), "the level took effect");
    let hex = |octets: &[u8], between: &str| {
        octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(between)
    };
    for held in &outcome.held {
        let (address, duid) = (held.prefix.ip().to_string(), &held.duid);
        for said in [address, hex(duid, ""), hex(duid, ":"), format!("{duid:?}")] {
            assert!(logs.iter().all(|log| !log.contains(&said)), "a log names {said}");
        }
    }
}

#[test]
fn configuration_errors_name_file_line_and_field() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    std::fs::write(
        &file,
        "[store]\nname = \"store-1\"\ncluster = \"c\"\ndata = \"d\"\nlisten = \"nonsense\"\n",
    )
    .unwrap();
    let (code, said) = refused(&["store", "-c", &file.display().to_string()]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("bad.toml:5") && said.contains("listen"), "{said}");
}
