//! The generator against servers in miniature on loopback: real datagrams, real batches.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::server::{Quirk, Server};
use crate::load::{Avalanche, Outcome, Plan, Run};

/// A server on a thread of its own, until it is dropped.
struct Responder {
    address: SocketAddrV6,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Responder {
    /// Answers all but each `deaf_to`-th datagram (0: all).
    fn start(server: Server, deaf_to: u64) -> Self {
        let socket = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let SocketAddr::V6(address) = socket.local_addr().unwrap() else { panic!("it was bound to IPv6") };
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            let mut heard = 0u64;
            while !stopped.load(Ordering::Relaxed) {
                let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
                heard += 1;
                if deaf_to > 0 && heard.is_multiple_of(deaf_to) {
                    continue;
                }
                if let Some(answer) = server.answer(&buffer[..len]) {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        Self { address, stop, thread: Some(thread) }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn plan(servers: &[&Responder], clients: u32) -> Plan {
    let servers = servers.iter().map(|server| server.address).collect();
    let mut plan = Plan::relayed(servers, "2001:db8::1".parse().unwrap(), clients);
    plan.behaviour.prefixes = true;
    plan.duration = Duration::from_secs(60);
    plan.grace = Duration::from_millis(100);
    plan
}

/// Runs until `enough` says so, then ends the run.
fn run(plan: Plan, enough: impl Fn(&crate::load::Snapshot) -> bool) -> Outcome {
    let run = Run::start(plan).unwrap();
    while !enough(&run.snapshot()) && !run.is_finished() {
        std::thread::sleep(Duration::from_millis(2));
    }
    run.finish_early();
    run.join().unwrap()
}

#[test]
fn every_client_gets_its_leases_and_gives_them_back() {
    let responder = Responder::start(Server::new(Quirk::None), 0);
    let outcome =
        run(Plan { release_at_end: true, grace: Duration::from_secs(30), ..plan(&[&responder], 500) }, |s| {
            s.clients_bound == 500
        });
    let report = outcome.report;
    assert!(report.passed, "{report}");
    assert_eq!(report.leases_given, 500);
    assert_eq!(report.latency["release_reply"].count, 500);
    assert_eq!((report.discards.len(), report.leases_lost), (0, 0), "{report}");
    assert!(outcome.held.is_empty());
}

#[test]
fn leases_held_at_the_end_are_told() {
    let responder = Responder::start(Server { rapid_commit: true, ..Server::new(Quirk::None) }, 0);
    let mut plan = plan(&[&responder], 20);
    plan.behaviour.rapid_commit = true;
    let outcome = run(plan, |s| s.clients_bound == 20);
    assert_eq!(outcome.report.latency["solicit_reply"].count, 20);
    assert_eq!(outcome.held.len(), 40);
    let json = serde_json::to_value(&outcome.report).unwrap();
    assert_eq!(json["leases_given"], 20);
}

#[test]
fn two_servers_both_answer_and_no_harm_is_done() {
    let servers =
        [Responder::start(Server::new(Quirk::None), 0), Responder::start(Server::new(Quirk::None), 0)];
    let plan = plan(&[&servers[0], &servers[1]], 50);
    let report = run(plan, |s| s.clients_bound == 50).report;
    assert!(report.passed, "{report}");
    assert!(report.late_answers > 0);
}

#[test]
fn answers_are_counted_for_the_server_that_gave_them() {
    let servers =
        [Responder::start(Server::new(Quirk::None), 0), Responder::start(Server::new(Quirk::None), 1)];
    let plan = plan(&[&servers[0], &servers[1]], 50);
    let report = run(plan, |s| s.clients_bound == 50).report;
    let of = |server: &Responder| report.answers_by_server[&server.address.to_string()];
    assert_eq!((of(&servers[0]), of(&servers[1])), (report.exchanges, 0), "{report}");
    assert!(report.exchanges >= 100, "{report}");
}

#[test]
fn renewals_go_on_and_lost_datagrams_are_sent_again() {
    let responder = Responder::start(Server::new(Quirk::None), 101);
    let mut plan = plan(&[&responder], 100);
    plan.behaviour.renew_after = Some(Duration::ZERO);
    plan.rate_per_sec = Some(2000.0);
    plan.in_flight = None;
    let report = run(plan, |s| s.renewals_answered > 500 && s.retransmissions > 0).report;
    assert!(report.passed, "{report}");
    assert!(!report.retransmissions.is_empty(), "{report}");
    assert_eq!(report.leases_expired, 0);
}

#[test]
fn one_address_for_two_clients_is_a_failure() {
    let responder = Responder::start(Server::new(Quirk::OneForAll), 0);
    let report = run(plan(&[&responder], 2), |s| s.double_promises > 0).report;
    assert!(!report.passed);
    assert!(report.double_examples[0].contains("while client"), "{report}");
    assert!(report.to_string().ends_with("0 wrong answers, 2 double promises"), "{report}");
}

#[test]
fn wrong_answers_are_a_failure() {
    let responder = Responder::start(Server::new(Quirk::Timers), 0);
    let report = run(plan(&[&responder], 1), |s| s.wrong_answers > 0).report;
    assert!(!report.passed);
    assert!(report.wrong_answers["T1 is above T2"] > 0, "{report}");
}

#[test]
fn a_cycle_gives_each_client_many_leases() {
    let responder = Responder::start(Server::new(Quirk::None), 0);
    let report = run(Plan { cycle: true, ..plan(&[&responder], 8) }, |s| s.leases_given > 100).report;
    assert!(report.passed, "{report}");
    assert!(report.latency["release_reply"].count > 90);
}

#[test]
fn an_avalanche_begins_with_those_that_hold_leases_and_ends_when_all_are_bound() {
    const CLIENTS: u32 = 400;
    let responder = Responder::start(Server::new(Quirk::None), 0);
    let shape =
        Avalanche { window: Duration::from_millis(100), returning_percent: 50, rebinding_percent: 50 };
    let report = run(Plan { avalanche: Some(shape), ..plan(&[&responder], CLIENTS) }, |_| false).report;
    assert!(report.passed, "{report}");
    let avalanche = report.avalanche.as_ref().unwrap();
    assert_eq!((avalanche.unbound, avalanche.bound_after.count), (0, CLIENTS.into()), "{report}");
    let counts: Vec<_> =
        avalanche.by_part.values().map(|part| (part.clients, part.bound_after.count)).collect();
    assert_eq!(counts, [(100, 100), (100, 100), (200, 200)], "by name: rebind, renew, solicit");
    // What went before is not in the report: the leases of those that return.
    assert_eq!((report.leases_given, report.renewals_answered), (200, 200), "{report}");
    assert_eq!(report.latency["rebind_reply"].count, 100);
    assert!(report.to_string().contains("avalanche: all clients had begun after"));
}

#[test]
fn in_an_avalanche_lost_messages_are_sent_again_until_all_are_bound() {
    let responder = Responder::start(Server::new(Quirk::None), 7);
    let shape = Avalanche { window: Duration::from_millis(100), returning_percent: 0, rebinding_percent: 0 };
    let report = run(Plan { avalanche: Some(shape), ..plan(&[&responder], 100) }, |_| false).report;
    let avalanche = report.avalanche.as_ref().unwrap();
    assert!(report.passed && avalanche.unbound == 0, "{report}");
    assert!(report.retransmissions["solicit"] > 0, "{report}");
    assert!(avalanche.bound_after.max_us >= 900_000, "a lost Solicit is sent again after a second: {report}");
    assert_eq!(report.double_promises, 0);
}
