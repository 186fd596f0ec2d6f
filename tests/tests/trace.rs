//! `leasehold admin trace` through the real program: one client of many, live, from both frontends, over the leader's
//! death.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use leasehold::load::Run;
use leasehold::load::message::ClientDuid;
use leasehold_tests::cluster::{binary, renewing, serving};
use serde_json::Value;

/// Nothing here takes longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program at work, ended with this value.
struct Tracer {
    child: Child,
    lines: mpsc::Receiver<Value>,
}

impl Tracer {
    fn start(profile: &str, duid: &str) -> Self {
        let arguments = ["admin", "-c", profile, "trace", "--duid", duid, "--for", "5m", "--output", "json"];
        let mut child = Command::new(binary()).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).expect("a JSON object a line");
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The next line that fits, others passed over; but each event must be about this client.
    fn until(&self, what: &str, duid: &str, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("never came: {what}"));
            if line["line"] == "event" {
                assert_eq!(line["duid"], duid, "nobody else's messages are shown: {line}");
            }
            if fits(&line) {
                return line;
            }
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_client_is_traced_live_at_both_frontends_and_over_the_death_of_the_store_leader() {
    let (mut cluster, _folder) = serving();
    let plan = renewing(&cluster, 20, Duration::from_secs(20));
    let duid: String =
        ClientDuid::new(plan.run(), 7).as_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
    let profile = cluster.layout().profile_file().display().to_string();
    let tracer = Tracer::start(&profile, &duid);
    let mut listening = Vec::new();
    while listening.len() < 2 {
        let line = tracer.until("both frontends", &duid, |line| line["line"] == "listening");
        listening.push(line["frontend"].as_str().unwrap().to_owned());
    }
    listening.sort();
    assert_eq!(listening, ["fe-a", "fe-b"]);
    let run = Run::start(plan).unwrap();
    let is = |line: &Value, message: &str, frontend: &str| {
        line["message"] == message && line["frontend"] == frontend
    };
    let offered = tracer.until("the Advertise", &duid, |line| is(line, "solicit", "fe-a"));
    assert_eq!(
        (&offered["decision"], &offered["reason"]),
        (&"answered".into(), &"bucket".into()),
        "{offered}"
    );
    assert_eq!(offered["link"], "lan");
    assert!(offered["wall_ms"].as_u64().unwrap() > 1_500_000_000_000, "{offered}");
    let given = tracer.until("the Reply", &duid, |line| is(line, "request", "fe-a"));
    let lease = &given["answered"][0]["leases"][0]["answer"];
    assert_eq!((&lease["what"], &lease["pool"]), (&"new".into(), &"addresses".into()), "{given}");
    tracer.until("what the partner makes of it", &duid, |line| {
        line["frontend"] == "fe-b" && line["decision"] == "kept" && line["reason"] == "partner"
    });
    tracer.until("a renewal", &duid, |line| {
        is(line, "renew", "fe-a") && line["answered"][0]["leases"][0]["answer"]["what"] == "extended"
    });
    let leader = cluster.leader().unwrap();
    cluster.kill(&leader).unwrap();
    tracer.until("word of the interruption", &duid, |line| line["line"] == "interrupted");
    tracer
        .until("the next leader", &duid, |line| line["line"] == "started" && line["node"] != leader.as_str());
    tracer.until("a renewal after it", &duid, |line| is(line, "renew", "fe-a"));
    drop(tracer);
    let report = run.join().unwrap().report;
    assert!(report.passed, "{report}");
}
