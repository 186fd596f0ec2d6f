//! Leases through the death of a leader.

use crate::authority::Authority;
use crate::cluster::{Cluster, network, until};
use crate::frontend::{Connection, Frontend};
use leasehold_proto::identity::Role;
use leasehold_proto::session::{PROTOCOL_VERSION, RefusalReason, ToStore};
use leasehold_proto::v1;
use std::collections::BTreeSet;

/// What both kinds of connections must show.
async fn nothing_acknowledged_is_lost_when_leaders_die(authority: Option<Authority>) {
    let mut cluster = Cluster::start(authority).await;
    assert_eq!(cluster.apply_network(network()).await, 1);
    let (mut a, mut b) = (Frontend::new("fe-a"), Frontend::new("fe-b"));
    a.ready(&cluster).await;
    b.ready(&cluster).await;
    assert_ne!(a.ranges, b.ranges, "a range has one owner");
    let duid = |f: &Frontend| f.network.as_ref().unwrap().relationships[0].server_duid.clone();
    assert_eq!(duid(&a), duid(&b), "FO-908");

    let mut promised = BTreeSet::new();
    for round in 0..3 {
        for batch in 0..10 {
            let updates: Vec<_> = (0..5).map(|n| a.promise(round * 50 + batch * 5 + n)).collect();
            promised.extend(updates.iter().map(|u| u.prefix));
            a.send(|b| b.updates = updates).await;
        }
        if round < 2 {
            // The leader dies with these under way.
            let leader = cluster.leader().await;
            cluster.kill(&leader).await;
            a.until(&cluster, "all is acknowledged by the next leader", Frontend::is_acknowledged).await;
            cluster.launch(&leader).await;
        }
    }
    a.until(&cluster, "all is acknowledged", Frontend::is_acknowledged).await;
    assert!(a.connects >= 3, "{} connections", a.connects);
    let mut numbers: Vec<u64> = a.outcomes.iter().map(|o| o.sequence.0).collect();
    let answers = numbers.len();
    numbers.dedup();
    assert_eq!(numbers.len(), answers, "each batch is answered once");
    assert!(a.outcomes.iter().all(|o| o.refused.is_empty() && o.extended));
    b.until(&cluster, "the partner knows them all", |f| promised.iter().all(|p| f.told.contains_key(p)))
        .await;
    let listed = cluster.leases(v1::ListLeasesRequest::default()).await;
    assert_eq!(listed.len(), promised.len());

    // FO-909: sent again, it changes nothing.
    let version = listed[0].lease.as_ref().unwrap().version;
    let update = a.promise(0);
    let batch = a.send(|b| b.updates.push(update)).await;
    a.until(&cluster, "it is acknowledged", Frontend::is_acknowledged).await;
    let first = cluster.leases(v1::ListLeasesRequest { limit: 1, ..Default::default() }).await;
    let changed = first[0].lease.as_ref().unwrap().version;
    assert!(changed > version);
    a.say(&ToStore::Batch(batch)).await;
    let update = a.promise(1);
    a.send(|b| b.updates.push(update)).await;
    a.until(&cluster, "the next is acknowledged", Frontend::is_acknowledged).await;
    let again = cluster.leases(v1::ListLeasesRequest { limit: 1, ..Default::default() }).await;
    assert_eq!(again[0].lease.as_ref().unwrap().version, changed);

    // A node that was dead meanwhile has it all too.
    let leader = cluster.leader().await;
    let other = cluster.nodes.iter().find(|n| n.name != leader).unwrap().name.clone();
    let applied = cluster.running[&leader].metrics().borrow().applied;
    until("the others have applied it", || cluster.running[&other].metrics().borrow().applied >= applied)
        .await;
    let mut admin = cluster.admin_at(&other);
    let request = v1::StatusRequest { stale: true };
    let status = admin.status(request).await.unwrap().into_inner();
    let active = status.leases.iter().find(|c| c.state == i32::from(v1::LeaseState::Active)).unwrap();
    assert_eq!(active.count, promised.len() as u64);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fo_902_fo_909_nothing_acknowledged_is_lost_when_leaders_die() {
    nothing_acknowledged_is_lost_when_leaders_die(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fo_902_fo_302_the_same_over_mutual_tls() {
    nothing_acknowledged_is_lost_when_leaders_die(Some(Authority::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fo_905_a_leader_that_lost_its_quorum_sends_its_frontends_away() {
    let mut cluster = Cluster::start(None).await;
    cluster.apply_network(network()).await;
    let mut a = Frontend::new("fe-a");
    a.ready(&cluster).await;
    let leader = cluster.leader().await;
    let others: Vec<String> = cluster.running.keys().filter(|n| **n != leader).cloned().collect();
    for other in &others {
        cluster.kill(other).await;
    }
    let update = a.promise(0);
    a.send(|b| b.updates.push(update)).await;
    a.until_sent_away().await;
    assert!(!a.is_acknowledged(), "what no quorum has is not acknowledged");
    for other in &others {
        cluster.launch(other).await;
    }
    a.until(&cluster, "it is acknowledged by a quorum", Frontend::is_acknowledged).await;
    assert_eq!(cluster.leases(v1::ListLeasesRequest::default()).await.len(), 1);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r6_the_newer_session_of_a_frontend_serves_and_the_older_is_told() {
    let cluster = Cluster::start(None).await;
    cluster.apply_network(network()).await;
    let mut old = Frontend::new("fe-a");
    old.ready(&cluster).await;
    let mut new = Frontend::new("fe-a");
    new.ready(&cluster).await;
    assert!(new.epoch > old.epoch);
    old.until(&cluster, "its range is closed", |f| f.ranges.is_empty()).await;
    let frontends = cluster
        .admin(async |mut admin| admin.list_frontends(v1::ListFrontendsRequest { stale: false }).await)
        .await
        .frontends;
    let of_old = frontends.iter().find(|f| f.epoch == old.epoch.0).unwrap();
    assert!(!of_old.current && of_old.ranges_closed == 1);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_partner_that_vanishes_is_told_of_at_once_and_a_clean_stop_leaves_nothing_behind() {
    let cluster = Cluster::start(None).await;
    cluster.apply_network(network()).await;
    let (mut a, mut b) = (Frontend::new("fe-a"), Frontend::new("fe-b"));
    a.ready(&cluster).await;
    b.ready(&cluster).await;
    // Nobody sends heartbeats here, so the judgement may flip; what is shown is that it ends right.
    a.heartbeat().await;
    b.until(&cluster, "the partner is live", |f| f.live.get("fe-a") == Some(&true)).await;
    a.disconnect();
    b.until(&cluster, "the partner is gone", |f| f.live.get("fe-a") == Some(&false)).await;

    let ranges: Vec<_> = b.ranges.iter().copied().collect();
    b.send(|batch| {
        batch.returned = ranges;
        batch.closing = true;
    })
    .await;
    b.until(&cluster, "the last batch is acknowledged", Frontend::is_acknowledged).await;
    let answer = cluster
        .admin(async |mut admin| admin.list_frontends(v1::ListFrontendsRequest { stale: false }).await)
        .await;
    let stopped = answer.frontends.iter().find(|f| f.name == "fe-b").unwrap();
    assert!(stopped.closed && !stopped.live && stopped.ranges_granted == 0 && stopped.ranges_closed == 0);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_speaks_another_protocol_or_does_not_ask_the_leader_is_told_why() {
    let cluster = Cluster::start(None).await;
    let leader = cluster.leader().await;
    let open =
        async |node: &str| Connection::open(cluster.channel(node, Role::Frontend, "fe-a")).await.unwrap();
    for version in [PROTOCOL_VERSION - 1, 99] {
        let mut hello = v1::FrontendMessage::from(&Frontend::new("fe-a").hello());
        if let Some(v1::frontend_message::Body::Hello(hello)) = &mut hello.body {
            hello.protocol_version = version;
        }
        let mut connection = open(&leader).await;
        connection.sender.send(hello).await.unwrap();
        let refused = connection.refused().await;
        assert_eq!(refused.reason, RefusalReason::Protocol);
        let said = format!("session protocol {version} is not spoken here, but {PROTOCOL_VERSION}");
        assert!(refused.detail.contains(&said), "{}", refused.detail);
        assert!(connection.next().await.is_none(), "and the connection ends");
    }

    let mut connection = open(&leader).await;
    connection.sender.send(v1::FrontendMessage { body: None }).await.unwrap();
    assert_eq!(connection.refused().await.reason, RefusalReason::Protocol);

    let other = cluster.nodes.iter().find(|n| n.name != leader).unwrap().name.clone();
    until("the others know the leader", || {
        cluster.running[&other].metrics().borrow().leader.as_ref().is_some_and(|l| l.name == leader)
    })
    .await;
    let mut named = None;
    for _ in 0..100 {
        let mut connection = open(&other).await;
        connection.say(&Frontend::new("fe-a").hello()).await;
        let refused = connection.refused().await;
        assert_eq!(refused.reason, RefusalReason::NotLeader);
        named = refused.leader_address;
        if named.is_some() {
            break;
        }
    }
    assert_eq!(named, Some(cluster.address(&leader)));
    cluster.stop().await;
}
