//! The contract of the replicated store: three nodes in one process over loopback.

use std::time::Instant;

use crate::support::{Cluster, config, payload, start, until};
use leasehold_store::raft::{NodeRole, OnDamage, ProposeError};
use leasehold_store::rocks::{DiskLimits, LogBatch, LogDb};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_committed_survives_the_leader() {
    let mut cluster = Cluster::start(&["a", "b", "c"]).await;
    for n in 0..50 {
        cluster.propose(n).await;
    }
    let leader = cluster.leader().await;
    cluster.nodes[&leader].node.linearizable().await.unwrap();
    let follower = cluster.follower(&leader);
    let refused = cluster.nodes[&follower].node.propose(payload(0)).await;
    let address = cluster.config(&leader).own_address().cloned();
    assert_eq!(refused, Err(ProposeError::NotLeader { leader: address }), "a follower names the leader");

    cluster.halt(&leader).await;
    let since = Instant::now();
    for n in 50..100 {
        cluster.propose(n).await;
        if n == 50 {
            println!("first commit {} ms after the leader was gone", since.elapsed().as_millis());
        }
    }
    cluster.launch(&leader).await;
    cluster.converged(100).await;

    let (old, new) = (cluster.leader().await, leader);
    let transfer = &cluster.nodes[&old].node;
    until("the learner of the new term is a follower", || {
        cluster.nodes[&new].now().role == NodeRole::Follower
    })
    .await;
    transfer.transfer_leader(&new).await.unwrap();
    until("the leadership is handed over", || cluster.nodes[&new].now().role == NodeRole::Leader).await;
    cluster.propose(100).await;
    cluster.converged(101).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_wiped_node_rejoins_under_a_new_id_and_the_old_one_is_gone() {
    let mut cluster = Cluster::start(&["a", "b", "c"]).await;
    for n in 0..300 {
        cluster.propose(n).await;
    }
    let leader = cluster.leader().await;
    let wiped = cluster.follower(&leader);
    let old_id = cluster.nodes[&wiped].node.raft_id();
    cluster.halt(&wiped).await;
    std::fs::remove_dir_all(cluster.data_dir(&wiped)).unwrap();
    cluster.launch(&wiped).await;
    let new_id = cluster.nodes[&wiped].node.raft_id();
    assert_ne!(old_id, new_id);
    cluster.nodes[&wiped].until("it votes again", |node| node.now().is_voter()).await;
    cluster.propose(300).await;
    cluster.converged(301).await;
    let leader = cluster.leader().await;
    until("three members, the old id gone", || {
        let members = cluster.nodes[&leader].now().members;
        members.len() == 3 && members.iter().all(|member| member.raft_id != old_id && member.voter)
    })
    .await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_first_listed_node_wiped_does_not_found_a_second_cluster() {
    let mut cluster = Cluster::start(&["a", "b", "c"]).await;
    for n in 0..20 {
        cluster.propose(n).await;
    }
    cluster.halt("a").await;
    std::fs::remove_dir_all(cluster.data_dir("a")).unwrap();
    cluster.launch("a").await;
    cluster.nodes["a"].until("it votes again", |node| node.now().is_voter()).await;
    cluster.converged(20).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_lags_behind_the_purged_log_gets_a_snapshot() {
    let mut cluster = Cluster::start(&["a", "b", "c"]).await;
    cluster.propose(0).await;
    let leader = cluster.leader().await;
    let lagging = cluster.follower(&leader);
    cluster.halt(&lagging).await;
    for n in 1..1_000 {
        cluster.propose(n).await;
    }
    for node in cluster.nodes.values() {
        node.until("the log is purged", |node| node.now().purged > Some(500)).await;
    }
    cluster.launch(&lagging).await;
    cluster.converged(1_000).await;
    let holder = cluster.nodes[&lagging].holder.lock().unwrap().restores;
    assert_eq!(holder, 2, "once at the start, once by the snapshot");
    // What the snapshot brought is on disk too.
    cluster.halt(&lagging).await;
    cluster.launch(&lagging).await;
    assert!(cluster.nodes[&lagging].holder.lock().unwrap().restored > 500);
    cluster.converged(1_000).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_damaged_node_does_not_vote_and_rejoins_when_told_to() {
    let mut cluster = Cluster::start(&["a", "b", "c"]).await;
    for n in 0..40 {
        cluster.propose(n).await;
    }
    let leader = cluster.leader().await;
    let damaged = cluster.follower(&leader);
    let old_id = cluster.nodes[&damaged].node.raft_id();
    cluster.halt(&damaged).await;
    let log = cluster.data_dir(&damaged).join("log");
    until("the log can be opened", || LogDb::open(&log, &DiskLimits::default()).is_ok()).await;
    {
        let db = LogDb::open(&log, &DiskLimits::default()).unwrap();
        let mut batch = LogBatch::default();
        batch.put(9, b"not an entry".to_vec());
        db.write(batch).unwrap();
    }
    let mut config = cluster.config(&damaged);
    let error = start(config.clone()).await.err().expect("it must not start").to_string();
    assert!(error.contains("entries/9") && error.contains("does not vote"), "{error}");
    config.on_damage = OnDamage::Rejoin;
    let running = start(config).await.unwrap();
    assert_ne!(running.node.raft_id(), old_id);
    cluster.nodes.insert(damaged.clone(), running);
    cluster.nodes[&damaged].until("it votes again", |node| node.now().is_voter()).await;
    cluster.converged(40).await;
    assert!(cluster.data_dir(&damaged).join("damaged-1").join("log").is_dir());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_name_in_use_and_a_wrong_cluster_and_an_unlisted_name_are_refused_with_the_reason() {
    let cluster = Cluster::start(&["a", "b", "c"]).await;
    cluster.propose(0).await;
    let spare = crate::support::addresses(&["x"])[0].address.clone();

    // A second `c`, elsewhere.
    let mut members = cluster.members.clone();
    members[2].address.clone_from(&spare);
    let second = start(config("c", &members, &cluster.folder.path().join("second"))).await.unwrap();
    let stopped = second.node.stopped();
    until("the second `c` is refused", || stopped.borrow().is_some()).await;
    let reason = stopped.borrow().clone().unwrap();
    assert!(reason.contains("`c` is in use by a live node"), "{reason}");
    second.stop().await;

    let mut wrong = config("c", &members, &cluster.folder.path().join("wrong"));
    wrong.cluster = "hamburg".into();
    let wrong = start(wrong).await.unwrap();
    let stopped = wrong.node.stopped();
    until("the other cluster's node is refused", || stopped.borrow().is_some()).await;
    let reason = stopped.borrow().clone().unwrap();
    assert!(reason.contains("belongs to cluster `berlin`"), "{reason}");
    wrong.stop().await;

    members[2].name = "d".into();
    let unlisted = start(config("d", &members, &cluster.folder.path().join("unlisted"))).await.unwrap();
    let stopped = unlisted.node.stopped();
    until("the unlisted node is refused", || stopped.borrow().is_some()).await;
    let reason = stopped.borrow().clone().unwrap();
    assert!(reason.contains("`d` is not among the store nodes"), "{reason}");
    unlisted.stop().await;
    cluster.propose(1).await;
    cluster.converged(2).await;
    cluster.stop().await;
}
