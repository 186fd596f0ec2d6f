//! The contract of one node's disk: restarts, crashes, damage, a full disk.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::{Running, addresses, config, payload, start, until};
use leasehold_store::raft::{NodeAddress, ProposeError, StartError};
use leasehold_store::rocks::{DiskLimits, LogBatch, LogDb};

/// Set for the child processes of these tests.
const CHILD: &str = "LEASEHOLD_CONTRACT_CHILD";

fn alone() -> Vec<NodeAddress> {
    addresses(&["a"])
}

async fn leading(running: &Running) {
    running.until("it leads", |node| node.now().leader_id.is_some() && node.now().is_voter()).await;
}

async fn propose(running: &Running, numbers: std::ops::Range<u64>) {
    for n in numbers {
        assert_eq!(running.node.propose(payload(n)).await, Ok(n + 1));
    }
}

async fn stopped_with(data: &Path, entries: u64) {
    let running = start(config("a", &alone(), data)).await.unwrap();
    leading(&running).await;
    propose(&running, 0..entries).await;
    running.stop().await;
    until("the log can be opened", || LogDb::open(&data.join("log"), &DiskLimits::default()).is_ok()).await;
}

fn change_log(data: &Path, change: impl FnOnce(&LogDb, &mut LogBatch)) {
    let db = LogDb::open(&data.join("log"), &DiskLimits::default()).unwrap();
    let mut batch = LogBatch::default();
    change(&db, &mut batch);
    db.write(batch).unwrap();
}

async fn damage_of(data: &Path) -> String {
    match start(config("a", &alone(), data)).await.err() {
        Some(StartError::Damaged(damage)) => damage.what,
        other => panic!("it must not start: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_everything() {
    let data = tempfile::tempdir().unwrap();
    let mut id = None;
    // Over several snapshots and purges.
    for round in 0..3 {
        let running = start(config("a", &alone(), data.path())).await.unwrap();
        assert!(id.is_none_or(|id| id == running.node.raft_id()), "the incarnation stays");
        id = Some(running.node.raft_id());
        leading(&running).await;
        running.until("everything is applied again", |node| node.total() == round * 300).await;
        running.holder.lock().unwrap().check();
        propose(&running, round * 300..(round + 1) * 300).await;
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_proposals_at_once_are_applied_in_order() {
    let data = tempfile::tempdir().unwrap();
    let running = start(config("a", &alone(), data.path())).await.unwrap();
    leading(&running).await;
    let results = running.node.propose_many((0..500).map(payload).collect()).await;
    assert_eq!(results, (1..=500).map(Ok).collect::<Vec<_>>());
    running.holder.lock().unwrap().check();
    let huge = vec![0; 40 << 20].into();
    assert!(matches!(running.node.propose(huge).await, Err(ProposeError::TooLarge { .. })));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_bit_in_an_entry_is_found_at_the_start() {
    let data = tempfile::tempdir().unwrap();
    stopped_with(data.path(), 30).await;
    change_log(data.path(), |db, batch| {
        db.scan(12, 13, |index, bytes| {
            let mut bytes = bytes.to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            batch.put(index, bytes);
            Ok(true)
        })
        .unwrap();
    });
    let what = damage_of(data.path()).await;
    assert!(what.contains("entries/12") && what.contains("checksum"), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_is_found_at_the_start() {
    let data = tempfile::tempdir().unwrap();
    stopped_with(data.path(), 30).await;
    change_log(data.path(), |db, batch| {
        let mut tail = Vec::new();
        db.scan(16, u64::MAX, |index, bytes| {
            tail.push((index, bytes.to_vec()));
            Ok(true)
        })
        .unwrap();
        batch.remove_from(15);
        for (index, bytes) in tail {
            batch.put(index, bytes);
        }
    });
    let what = damage_of(data.path()).await;
    assert!(what.contains("entry 15 is missing"), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_lost_its_acknowledged_end_is_found_at_the_start() {
    let data = tempfile::tempdir().unwrap();
    stopped_with(data.path(), 30).await;
    change_log(data.path(), |_, batch| batch.remove_from(25));
    let what = damage_of(data.path()).await;
    assert!(what.contains("ends before entry 25") && what.contains("are lost"), "{what}");
    // Without the tide mark the copy of the state still tells.
    fs::remove_file(data.path().join("tide")).unwrap();
    let what = damage_of(data.path()).await;
    assert!(what.contains("the copy of the state has applied"), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_another_node_is_refused() {
    let data = tempfile::tempdir().unwrap();
    stopped_with(data.path(), 1).await;
    let members = addresses(&["a", "b"]);
    let error = start(config("b", &members, data.path())).await.err().expect("it must not start").to_string();
    assert!(error.contains("belongs to node `a` of cluster `berlin`"), "{error}");
}

/// Run by the tests below as a process of its own: proposes until it is killed or the node stops, and prints each
/// number when it is acknowledged, the reason when it stops.
#[test]
fn child() {
    let Ok(data) = std::env::var(CHILD) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let filler = std::env::var("LEASEHOLD_CONTRACT_FILLER").is_ok();
        let mut config = config("a", &alone(), Path::new(&data));
        if filler {
            // Nothing is purged, so the log grows.
            config.snapshot_every_entries = 1_000_000;
        }
        let running = start(config).await.unwrap();
        leading(&running).await;
        running.node.linearizable().await.unwrap();
        let mut n = running.total();
        // Bounded: the parent kills it, or the disk fills.
        loop {
            let result = match filler {
                true => running.node.propose(incompressible(n).into()).await,
                false => running.node.propose(payload(n)).await,
            };
            match result {
                Ok(total) => println!("acknowledged {total}"),
                Err(error) => {
                    let stopped = running.node.stopped();
                    until("the reason", || stopped.borrow().is_some()).await;
                    println!("stopped {}", stopped.borrow().clone().unwrap());
                    println!("proposer was told {error}");
                    return;
                }
            }
            n += 1;
        }
    });
}

fn incompressible(n: u64) -> Vec<u8> {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..1 << 20)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

fn child_command(data: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["disk::child", "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, data);
    command
}

/// Lets a child run until it has acknowledged `count`, kills it with SIGKILL and returns the last number seen.
fn run_and_kill(data: &Path, count: u64) -> u64 {
    let mut child: Child = child_command(data).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut last = 0;
    for line in lines {
        let line = line.unwrap();
        if let Some(number) = line.split("acknowledged ").nth(1) {
            last = number.trim().parse().unwrap();
            if last >= count {
                break;
            }
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(last >= count, "the child ended early");
    last
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The write-ahead logs of the state copy, youngest last.
fn state_logs(data: &Path) -> Vec<PathBuf> {
    let mut logs: Vec<PathBuf> = fs::read_dir(data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("state-"))
        .flat_map(|state| fs::read_dir(state).unwrap().map(|entry| entry.unwrap().path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    logs.sort();
    logs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_crash_leaves_of_the_state_copy_is_one_prefix_and_the_log_has_the_rest() {
    let data = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for round in 1..=3_u64 {
        let source = data.path().to_owned();
        let acknowledged =
            tokio::task::spawn_blocking(move || run_and_kill(&source, round * 350)).await.unwrap();
        // A power cut takes an arbitrary end of what was not synced: cut the state's log at several places.
        for cut in 0..6_u64 {
            let copy = tempfile::tempdir().unwrap();
            copy_folder(data.path(), copy.path());
            if let Some(log) = state_logs(copy.path()).last() {
                let length = fs::metadata(log).unwrap().len();
                let keep = length * cut / 5;
                fs::OpenOptions::new().write(true).open(log).unwrap().set_len(keep).unwrap();
            }
            // `Counter::restore` checks that the rows are those of one prefix.
            let running = start(config("a", &alone(), copy.path())).await.unwrap();
            let restored = running.holder.lock().unwrap().restored;
            leading(&running).await;
            running.until("the log brings the rest", |node| node.total() >= acknowledged).await;
            running.holder.lock().unwrap().check();
            seen.push((acknowledged, restored));
            running.stop().await;
        }
    }
    println!("(acknowledged, restored from the copy): {seen:?}");
    assert!(seen.iter().any(|(acknowledged, restored)| restored < acknowledged), "some cut lost something");
}

#[test]
fn a_full_disk_stops_the_node_with_a_message_and_loses_nothing_committed() {
    let folder = tempfile::tempdir().unwrap();
    let mount = folder.path().join("small");
    fs::create_dir(&mount).unwrap();
    let exe = std::env::current_exe().unwrap();
    // The small file system exists in this process tree's own mount namespace only. The child fills it, then the
    // filler is removed by growing the file system, and a second child goes on where the first one stopped.
    let script = format!(
        "mount -t tmpfs -o size=48m none '{mount}' || exit 77\n\
         {CHILD}='{mount}/data' LEASEHOLD_CONTRACT_FILLER=1 '{exe}' disk::child --exact --nocapture --test-threads=1\n\
         mount -o remount,size=400m '{mount}' || exit 78\n\
         {CHILD}='{mount}/data' LEASEHOLD_CONTRACT_RECOVER=1 '{exe}' disk::recovered --exact --nocapture --test-threads=1\n",
        mount = mount.display(),
        exe = exe.display(),
    );
    let run = |arguments: &[&str]| {
        Command::new("unshare").args(arguments).args(["--", "sh", "-c", &script]).output()
    };
    let mut output = run(&["--mount"]);
    if !matches!(&output, Ok(output) if output.status.success()) {
        output = run(&["--mount", "--map-root-user"]);
    }
    let output = match output {
        Ok(output) if output.status.code() != Some(77) && output.status.code() != Some(1) => output,
        other => {
            println!("skipped: no private mount namespace can be made here ({other:?})");
            return;
        }
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let number = |word: &str| -> Option<u64> {
        let line = text.lines().rev().find_map(|line| line.split(word).nth(1))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let stopped = text.lines().find_map(|line| line.split("stopped ").nth(1)).unwrap_or_default();
    println!("the node said: {stopped}");
    assert!(stopped.starts_with("disk full: "), "{text}{errors}");
    let acknowledged = number("acknowledged ").unwrap();
    let recovered = number("there are ").unwrap_or_else(|| panic!("{text}{errors}"));
    println!("{acknowledged} acknowledged before, {recovered} there after");
    assert!(recovered >= acknowledged, "nothing acknowledged is lost");
}

/// Run by the test above: how much is there after the disk was full.
#[test]
fn recovered() {
    let (Ok(data), Ok(_)) = (std::env::var(CHILD), std::env::var("LEASEHOLD_CONTRACT_RECOVER")) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let running = start(config("a", &alone(), Path::new(&data))).await.unwrap();
        leading(&running).await;
        running.node.linearizable().await.unwrap();
        println!("there are {}", running.total());
    });
}
