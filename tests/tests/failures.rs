//! The failure table: each failure on real processes in network namespaces, with real and generated clients at work.
//!
//! A test a line. Each prints its line; all lines are in `failures.table` beside the tests' logs. What is asserted of
//! each is in `failures::course`; the longest waits allowed are some five times what is aimed at, for slow machines.
//! Needs root; where namespaces are not to be had each test says `skipped`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use leasehold_proto::words::Prefix;
use leasehold_tests::debian;
use leasehold_tests::failures::course::{Failure, judge};
use leasehold_tests::failures::site::{Site, now, setup};
use leasehold_tests::interop::{Deployment, Setup};
use leasehold_tests::netns::{Lab, Node, Proc, Side, wait_until};
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::signal::Signal;

/// The frontend that serves: hot standby's primary.
const SERVING: Node = Node::Frontend(Side::A);
const PARTNER: Node = Node::Frontend(Side::B);
const FRONTENDS: [Node; 2] = [SERVING, PARTNER];
const STORES: [Node; 3] = [Node::Store(1), Node::Store(2), Node::Store(3)];

/// How long most failures last: longer than liveness, elections and a Solicit's first retransmissions take.
const LASTING: Duration = Duration::from_secs(5);
/// Longer than a Renew takes to be sent again (RFC 9915 §18.2.4).
const RENEWED_AGAIN: Duration = Duration::from_secs(12);
/// How long a store node may take to come back.
const PATIENCE: Duration = Duration::from_secs(30);

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A failure after which renewals and first leases may take so many seconds.
fn failure(test: &'static str, what: &'static str, renew_secs: u64, new_secs: u64) -> Failure {
    Failure { test, what, renew_max: secs(renew_secs), new_max: secs(new_secs) }
}

fn run(failure: &Failure, happen: impl FnOnce(&mut Site<'_>) -> Result<String>) {
    judge(failure, |_| Ok(setup()), happen).unwrap_or_else(|error| panic!("{error:?}"));
}

fn nothing() -> Result<String> {
    Ok(String::new())
}

/// Any store node but these, or the last one.
fn other_than(nodes: &[Node]) -> Result<Node> {
    STORES.into_iter().find(|node| !nodes.contains(node)).context("no other store node")
}

#[test]
fn fo_107_kill_9_of_the_serving_frontend() {
    let failure = failure("fo_107_kill_9_of_the_serving_frontend", "frontend, kill -9", 2, 2);
    run(&failure, |site| {
        let killed = now()?;
        site.cluster.kill_node(SERVING)?;
        site.go_on(RENEWED_AGAIN);
        partner_answered(site, killed)
    });
}

/// How soon the partner answered somebody, from a moment on.
fn partner_answered(site: &Site<'_>, since: Duration) -> Result<String> {
    let address = site.lab.link_local(Side::B);
    let first =
        site.look(|wire| wire.first_reply_from(address, since)).context("the partner answered nobody")?;
    Ok(format!("the partner's first Reply after {} ms", first.saturating_sub(since).as_millis()))
}

#[test]
fn fo_913_clean_restart_of_the_serving_frontend() {
    let failure = failure("fo_913_clean_restart_of_the_serving_frontend", "frontend, clean restart", 3, 3);
    run(&failure, |site| {
        let status = site.cluster.stop_node(SERVING)?;
        ensure!(status.success(), "a clean stop ends with {status}");
        site.cluster.run(SERVING)?;
        site.cluster.wait_serving(&[Side::A, Side::B])?;
        site.go_on(LASTING);
        nothing()
    });
}

#[test]
fn fo_107_the_serving_frontend_crashes_again_and_again() {
    let failure =
        failure("fo_107_the_serving_frontend_crashes_again_and_again", "frontend, crash loop", 5, 5);
    run(&failure, |site| {
        for _ in 0..5 {
            site.cluster.kill_node(SERVING)?;
            site.cluster.run(SERVING)?;
            site.go_on(secs(2));
        }
        site.cluster.wait_serving(&[Side::A, Side::B])?;
        let sessions = site.cluster.admin(&["frontends"])?;
        let closed: u64 = sessions
            .as_array()
            .context("a list of frontends is expected")?
            .iter()
            .filter_map(|session| session["ranges_closed"].as_u64())
            .sum();
        Ok(format!("5 crashes in 10 s, {closed} ranges closed"))
    });
}

#[test]
fn fo_107_power_cut_of_the_serving_frontend() {
    let failure = failure("fo_107_power_cut_of_the_serving_frontend", "frontend, power cut", 10, 10);
    run(&failure, |site| {
        let cut = now()?;
        // Its peers hear nothing any more, not even that connections are over.
        site.lab.firewall(SERVING, "add rule inet lab in drop\nadd rule inet lab out drop\n")?;
        site.cluster.kill_node(SERVING)?;
        site.go_on(RENEWED_AGAIN);
        partner_answered(site, cut)
    });
}

#[test]
fn fo_104_the_serving_frontend_loses_the_carrier_of_its_client_network() {
    let test = "fo_104_the_serving_frontend_loses_the_carrier_of_its_client_network";
    run(&failure(test, "client network of a frontend, no carrier", 10, 10), |site| {
        let cut = now()?;
        site.lab.carrier(SERVING, "eth0", false)?;
        site.go_on(LASTING);
        site.lab.carrier(SERVING, "eth0", true)?;
        site.go_on(LASTING);
        partner_answered(site, cut)
    });
}

#[test]
fn fo_104_the_client_network_of_the_serving_frontend_is_cut_silently() {
    let test = "fo_104_the_client_network_of_the_serving_frontend_is_cut_silently";
    run(&failure(test, "client network of a frontend, silent cut", 10, 10), |site| {
        let cut = now()?;
        site.lab.cut(SERVING, "eth0")?;
        site.go_on(LASTING);
        site.lab.heal(SERVING)?;
        site.go_on(LASTING);
        partner_answered(site, cut)
    });
}

#[test]
fn fo_905_a_frontend_stopped_past_its_autonomy_promises_nothing_when_it_wakes() {
    let test = "fo_905_a_frontend_stopped_past_its_autonomy_promises_nothing_when_it_wakes";
    let failure = failure(test, "frontend, SIGSTOP past autonomy (6 s), SIGCONT", 10, 10);
    let short = |_: &Lab| Ok(Setup { autonomy: Some("6s"), ..setup() });
    let happen = |site: &mut Site<'_>| {
        site.cluster.signal(SERVING, Signal::SIGSTOP)?;
        site.go_on(secs(13));
        let old_ranges = ranges_of(site, "fe-a")?;
        ensure!(!old_ranges.is_empty(), "fe-a had no range");
        let woken = now()?;
        site.cluster.signal(SERVING, Signal::SIGCONT)?;
        site.go_on(secs(3));
        let address = site.lab.link_local(Side::A);
        let from_old: Vec<Prefix> = site.look(|wire| {
            let promises = wire.new_promises_from(woken).filter(|promise| promise.from == address);
            let in_old = |lease: &Prefix| {
                old_ranges.iter().any(|(first, last)| (*first..=*last).contains(&lease.ip()))
            };
            promises.map(|promise| promise.lease).filter(in_old).collect()
        });
        // One batch may have been built before it was stopped.
        ensure!(from_old.len() <= 64, "promised anew from ranges of before: {from_old:?}");
        Ok(format!("{} new promises on waking", from_old.len()))
    };
    judge(&failure, short, happen).unwrap_or_else(|error| panic!("{error:?}"));
}

/// First and last address of every range that belongs, or belonged, to a frontend.
fn ranges_of(site: &Site<'_>, frontend: &str) -> Result<Vec<(Ipv6Addr, Ipv6Addr)>> {
    let listed = site.cluster.admin(&["ranges"])?;
    let ranges = listed.as_array().context("a list of ranges is expected")?;
    let own = ranges.iter().filter(|range| range["frontend"] == frontend);
    let end = |range: &serde_json::Value, key: &str| -> Result<Ipv6Addr> {
        Ok(range[key].as_str().with_context(|| format!("no `{key}` in {range}"))?.parse()?)
    };
    own.map(|range| Ok((end(range, "first")?, end(range, "last")?))).collect()
}

#[test]
fn fo_904_the_serving_frontend_is_cut_off_from_the_store() {
    let test = "fo_904_the_serving_frontend_is_cut_off_from_the_store";
    run(&failure(test, "one frontend cut off from the store", 5, 6), |site| {
        site.lab.cut(SERVING, "eth1")?;
        site.go_on(LASTING);
        site.lab.heal(SERVING)?;
        site.cluster.wait_serving(&[Side::A, Side::B])?;
        nothing()
    });
}

#[test]
fn fo_904_both_frontends_are_cut_off_from_the_store() {
    let test = "fo_904_both_frontends_are_cut_off_from_the_store";
    run(&failure(test, "both frontends cut off from the store", 2, 6), |site| {
        for frontend in FRONTENDS {
            site.lab.cut(frontend, "eth1")?;
        }
        let meanwhile = new_leases_during(site, LASTING)?;
        for frontend in FRONTENDS {
            site.lab.heal(frontend)?;
        }
        site.cluster.wait_serving(&[Side::A, Side::B])?;
        Ok(meanwhile)
    });
}

/// Goes on for a while, in which clients must get first leases, and says how many.
fn new_leases_during(site: &Site<'_>, span: Duration) -> Result<String> {
    let began = now()?;
    site.go_on(span);
    let count = site.look(|wire| wire.new_promises_from(began).count());
    ensure!(count > 0, "no new lease within {span:?}");
    Ok(format!("{count} new leases meanwhile"))
}

#[test]
fn fo_108_a_mixed_partition_splits_frontends_store_and_clients() {
    let test = "fo_108_a_mixed_partition_splits_frontends_store_and_clients";
    run(&failure(test, "mixed partition: a frontend with a store minority, clients split", 5, 6), |site| {
        let leader = site.cluster.leader()?;
        let visible = other_than(&[leader])?;
        let mut hidden = Vec::new();
        for store in STORES.into_iter().filter(|store| *store != visible) {
            hidden.push(site.lab.store_address(store)?);
        }
        // Those that renew and dhclient see fe-a only, those that come anew and dhcpcd see fe-b only.
        let sides = [[site.load_nodes[0], site.clients[0].0], [site.load_nodes[1], site.clients[1].0]];
        let mut unheard = Vec::new();
        for nodes in sides {
            unheard.push([link_local(site.lab, nodes[0])?, link_local(site.lab, nodes[1])?]);
        }
        let drop_all = |addresses: &[Ipv6Addr]| -> String {
            let rules = addresses.iter().map(|address| {
                format!("add rule inet lab in ip6 saddr {address} drop\nadd rule inet lab out ip6 daddr {address} drop\n")
            });
            rules.collect()
        };
        site.lab.firewall(SERVING, &(drop_all(&hidden) + &drop_all(&unheard[1])))?;
        site.lab.firewall(PARTNER, &drop_all(&unheard[0]))?;
        let meanwhile = new_leases_during(site, secs(8))?;
        for frontend in FRONTENDS {
            site.lab.heal(frontend)?;
        }
        site.cluster.wait_serving(&[Side::A, Side::B])?;
        site.go_on(LASTING);
        Ok(meanwhile)
    });
}

/// The link-local address of a client's `eth0`.
fn link_local(lab: &Lab, node: Node) -> Result<Ipv6Addr> {
    let mut words = debian::tool("ip")?.words();
    words.extend(["-6", "-o", "addr", "show", "dev", "eth0", "scope", "link"].map(OsString::from));
    let shown = lab.run(node, &words)?;
    let address =
        shown.split_whitespace().find_map(|word| word.split_once("/64")).map(|(address, _)| address);
    Ok(address.with_context(|| format!("no address in {shown:?}"))?.parse()?)
}

#[test]
fn fo_212_kill_9_of_the_store_leader() {
    run(&failure("fo_212_kill_9_of_the_store_leader", "store leader, kill -9", 2, 6), |site| {
        let leader = site.cluster.leader()?;
        site.cluster.kill_node(leader)?;
        site.go_on(LASTING);
        site.cluster.run(leader)?;
        caught_up(site, leader)?;
        nothing()
    });
}

#[test]
fn fo_905_a_deposed_store_leader_answers_nothing_stale_when_it_wakes() {
    let test = "fo_905_a_deposed_store_leader_answers_nothing_stale_when_it_wakes";
    run(&failure(test, "store leader, SIGSTOP past an election, SIGCONT", 2, 6), |site| {
        let leader = site.cluster.leader()?;
        site.cluster.signal(leader, Signal::SIGSTOP)?;
        let meanwhile = new_leases_during(site, secs(8))?;
        let committed = site.committed_at(other_than(&[leader])?)?;
        site.cluster.signal(leader, Signal::SIGCONT)?;
        // It may refuse, or ask the new leader; it may not answer from what it knew.
        let answer = site.committed_at(leader);
        let said = match &answer {
            Ok(told) => {
                nothing_missing(&committed, told)?;
                "it answers in full"
            }
            Err(_) => "it refuses to answer",
        };
        caught_up(site, leader)?;
        Ok(format!("{meanwhile}; on waking {said}"))
    });
}

fn nothing_missing(committed: &BTreeMap<Prefix, String>, told: &BTreeMap<Prefix, String>) -> Result<()> {
    match committed.iter().find(|(lease, duid)| told.get(*lease) != Some(duid)) {
        Some((lease, duid)) => bail!("{lease} of {duid} is committed and was not told"),
        None => Ok(()),
    }
}

/// Waits until a store node has applied what the leader had applied when this was called, and leads or follows.
fn caught_up(site: &Site<'_>, node: Node) -> Result<()> {
    let applied = |status: &serde_json::Value| status["applied_index"].as_u64();
    let leaders = wait_until("the leader's status", PATIENCE, || Ok(site.cluster.admin(&["status"]).ok()))?;
    let goal = applied(&leaders).with_context(|| format!("no index in {leaders}"))?;
    wait_until(&format!("{node} to catch up"), PATIENCE, || {
        // Not reachable yet: not caught up yet.
        let own = site.cluster.admin_at(node, &["--stale", "status"]).ok();
        Ok(own.filter(|status| applied(status) >= Some(goal)).map(drop))
    })
}

#[test]
fn fo_911_the_store_loses_its_quorum_and_gets_it_back() {
    let test = "fo_911_the_store_loses_its_quorum_and_gets_it_back";
    run(&failure(test, "store without quorum, and back", 2, 6), |site| {
        let leader = site.cluster.leader()?;
        let gone = [leader, other_than(&[leader])?];
        for node in gone {
            site.cluster.kill_node(node)?;
        }
        let meanwhile = new_leases_during(site, LASTING)?;
        for node in gone {
            site.cluster.run(node)?;
        }
        for node in gone {
            caught_up(site, node)?;
        }
        Ok(meanwhile)
    });
}

#[test]
fn fo_214_the_whole_site_loses_power() {
    run(
        &failure("fo_214_the_whole_site_loses_power", "whole site, kill -9 of all at once", 20, 20),
        |site| {
            for node in Deployment::nodes() {
                site.cluster.signal(node, Signal::SIGSTOP)?;
            }
            // Stopped first, so that none hears of another's end.
            for node in Deployment::nodes() {
                site.cluster.kill_node(node)?;
            }
            let down = Instant::now();
            for node in Deployment::nodes() {
                site.cluster.run(node)?;
            }
            site.cluster.wait_serving(&[Side::A, Side::B])?;
            let back = down.elapsed();
            site.go_on(RENEWED_AGAIN);
            Ok(format!("served again after {:.1} s", back.as_secs_f64()))
        },
    );
}

#[test]
fn fo_912_five_percent_of_all_packets_are_lost() {
    run(
        &failure("fo_912_five_percent_of_all_packets_are_lost", "5 % packet loss on all links", 25, 10),
        |site| {
            for frontend in FRONTENDS {
                site.lab.lose(frontend, "eth0", 5)?;
                site.lab.lose(frontend, "eth1", 5)?;
            }
            for store in STORES {
                site.lab.lose(store, "eth1", 5)?;
            }
            site.go_on(RENEWED_AGAIN);
            for node in Deployment::nodes() {
                site.lab.heal(node)?;
            }
            // What was lost last is sent again.
            site.go_on(LASTING);
            nothing()
        },
    );
}

/// A private mount namespace in which a store node's data folder is a file system of its own, kept by a process.
fn small_disk(lab: &Lab, node: Node, size: &str) -> Result<(Proc, Vec<OsString>)> {
    let folder = Deployment::data_folder(lab, node)?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let script =
        format!("mount -t tmpfs -o size={size} lab {} && echo mounted && exec sleep 600", folder.display());
    let mut keeper = lab.spawn(node, &["sh", "-c", &script])?;
    keeper.wait_output("mounted", PATIENCE)?;
    let words = ["nsenter", "--target", &keeper.pid().to_string(), "--mount"].map(OsString::from);
    Ok((keeper, words.to_vec()))
}

#[test]
fn fo_913_the_disk_of_one_store_node_is_full() {
    let victim = Node::Store(3);
    // Held so that the disk outlives the node's process.
    let mut keeper = None;
    let failure =
        failure("fo_913_the_disk_of_one_store_node_is_full", "store node, disk full, and free again", 2, 6);
    let pid = std::cell::Cell::new(0);
    let small = |lab: &Lab| {
        // Room for what RocksDB sets aside, of the log files before a restart and of those after it too.
        let (process, words) = small_disk(lab, victim, "192m")?;
        pid.set(process.pid());
        keeper = Some(process);
        Ok(Setup { wrapped: vec![(victim, words)], ..setup() })
    };
    let happen = |site: &mut Site<'_>| {
        // Seen from outside, in the keeper's mount namespace.
        let folder = Deployment::data_folder(site.lab, victim)?;
        let root = PathBuf::from(format!("/proc/{}/root", pid.get()));
        let folder = root.join(folder.strip_prefix("/")?);
        let filler = folder.join("filler");
        fill(&filler)?;
        // What its files have set aside would last for long.
        take_reserves(&folder)?;
        fill(&filler)?;
        site.go_on(LASTING);
        // What it holds back for its last words it may use up now.
        fill(&filler)?;
        site.go_on(secs(2));
        let ended = site.cluster.ended(victim)?;
        fs::remove_file(&filler).context("cannot free the disk")?;
        let said = match ended {
            None => "it stayed",
            Some(_) => {
                site.cluster.run(victim)?;
                "it ended itself and was started again"
            }
        };
        caught_up(site, victim)?;
        Ok(said.to_owned())
    };
    judge(&failure, small, happen).unwrap_or_else(|error| panic!("{error:?}"));
    drop(keeper);
}

/// Gives back to the disk what is set aside behind the ends of all files of a data folder.
fn take_reserves(folder: &Path) -> Result<()> {
    const MARGIN: i64 = 256 * 1024;
    for entry in fs::read_dir(folder)?.filter_map(Result::ok) {
        if entry.path().is_dir() {
            take_reserves(&entry.path())?;
            continue;
        }
        // A file may go meanwhile.
        let Ok(file) = fs::File::options().write(true).open(entry.path()) else { continue };
        // Not what the node may write between the look and the taking.
        let behind = i64::try_from(file.metadata()?.len())? + MARGIN;
        let how = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        fallocate(&file, how, behind, 1 << 40).context("cannot give back what is set aside")?;
    }
    Ok(())
}

/// Writes into a file until the disk is full.
fn fill(path: &Path) -> Result<()> {
    use std::io::Write as _;
    let mut file =
        fs::File::options().create(true).append(true).open(path).context("cannot fill the disk")?;
    let mut piece: &[u8] = &[0; 64 * 1024];
    while !piece.is_empty() {
        match file.write(piece) {
            Ok(0) => bail!("nothing was written"),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                piece = &piece[..piece.len() / 2]
            }
            Err(error) => return Err(error).context("cannot fill the disk"),
        }
    }
    Ok(())
}

#[test]
fn fo_214_the_last_record_of_a_store_nodes_log_is_torn() {
    let test = "fo_214_the_last_record_of_a_store_nodes_log_is_torn";
    run(&failure(test, "store leader, kill -9 and a torn last log record", 2, 6), |site| {
        let victim = site.cluster.leader()?;
        site.cluster.kill_node(victim)?;
        let torn = tear(&Deployment::data_folder(site.lab, victim)?.join("log"))?;
        site.cluster.run(victim)?;
        site.go_on(LASTING);
        let said = match site.cluster.ended(victim)? {
            None => "it took up its log".to_owned(),
            Some(output) => {
                ensure!(output.contains("does not vote with such a log"), "it ended with:\n{output}");
                site.cluster.run_with(victim, &["--rejoin"])?;
                "it refused to vote, and rejoined when told to".to_owned()
            }
        };
        caught_up(site, victim)?;
        Ok(format!("{torn} octets torn off; {said}"))
    });
}

/// Cuts some octets off the newest write-ahead log in a folder; returns how many.
fn tear(folder: &Path) -> Result<u64> {
    const TORN: u64 = 7;
    let mut newest: Option<PathBuf> = None;
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") && newest.as_ref() < Some(&path) {
            newest = Some(path);
        }
    }
    let path = newest.with_context(|| format!("no log in {}", folder.display()))?;
    let file = fs::File::options().write(true).open(&path).context("cannot open the log")?;
    let length = file.metadata().context("no length")?.len();
    file.set_len(length.checked_sub(TORN).context("an empty log")?).context("cannot tear the log")?;
    Ok(TORN)
}

#[test]
fn fo_906_the_wall_clock_of_one_store_node_is_a_day_ahead() {
    let victim = Node::Store(3);
    let failure = failure(
        "fo_906_the_wall_clock_of_one_store_node_is_a_day_ahead",
        "store node, wall clock a day ahead; it leads, and leads no more",
        2,
        6,
    );
    let ahead = |_: &Lab| {
        let library = debian::program("libfaketimeMT.so.1")?;
        let words = [
            "env".into(),
            format!("LD_PRELOAD={}", library.path().display()),
            "FAKETIME=+1d".into(),
            "DONT_FAKE_MONOTONIC=1".into(),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".into(),
        ];
        Ok(Setup { wrapped: vec![(victim, words.map(|word: String| word.into()).to_vec())], ..setup() })
    };
    let happen = |site: &mut Site<'_>| {
        // Whoever leads is stopped until the node leads: its clock becomes the cluster's, and then another's does.
        let mut elections = 0;
        while site.cluster.leader()? != victim {
            ensure!(elections < 12, "{victim} is not elected");
            let leader = site.cluster.leader()?;
            site.cluster.kill_node(leader)?;
            wait_until("another leader", PATIENCE, || Ok((site.cluster.leader()? != leader).then_some(())))?;
            site.cluster.run(leader)?;
            caught_up(site, leader)?;
            elections += 1;
        }
        site.go_on(LASTING);
        site.cluster.kill_node(victim)?;
        site.go_on(LASTING);
        site.cluster.run(victim)?;
        caught_up(site, victim)?;
        Ok(format!("{elections} elections until it led"))
    };
    judge(&failure, ahead, happen).unwrap_or_else(|error| panic!("{error:?}"));
}
