//! What administrators see and change.

use crate::cluster::{Cluster, leader_named_by, network, octets, until};
use crate::frontend::Frontend;
use leasehold_proto::v1;
use tonic::Code;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_configuration_is_checked_numbered_and_versioned() {
    let cluster = Cluster::start(None).await;
    let leader = cluster.leader().await;
    let mut admin = cluster.admin_at(&leader);
    let nothing = admin.show_network(v1::ShowNetworkRequest { stale: false }).await.unwrap_err();
    assert_eq!(nothing.code(), Code::NotFound);

    let apply = |network: v1::Network, expected_version: u64, dry_run: bool| v1::ApplyNetworkRequest {
        network: Some(network),
        expected_version,
        dry_run,
    };
    let answer = admin.apply_network(apply(network(), 0, true)).await.unwrap().into_inner();
    assert_eq!(answer.version, 1);
    assert!(admin.show_network(v1::ShowNetworkRequest { stale: false }).await.is_err(), "only looked at");

    let mut wrong = network();
    wrong.pools[0].link = "wan".into();
    wrong.relationships[0].secondary = "fe-a".into();
    for dry_run in [true, false] {
        let refused = admin.apply_network(apply(wrong.clone(), 0, dry_run)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let lines: Vec<&str> = refused.message().lines().collect();
        assert!(lines.len() >= 3, "a line for each: {lines:?}");
        assert!(lines.iter().any(|l| l.contains("Pool(0)") && l.contains("`wan`")), "{lines:?}");
    }

    // More than fits into an answer's headers.
    let mut all_wrong = network();
    all_wrong.hosts = (0..5000).map(|n| v1::Host { name: format!("{n} ä"), ..Default::default() }).collect();
    all_wrong.hosts[0].name = "ä".repeat(100_000);
    let refused = admin.apply_network(apply(all_wrong, 0, true)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    let lines: Vec<&str> = refused.message().lines().collect();
    assert!(lines.len() > 5 && lines[1].contains("Host(0)"), "{lines:?}");
    assert!(
        lines.last().unwrap().starts_with("and ") && lines.last().unwrap().ends_with(" more"),
        "{lines:?}"
    );

    assert_eq!(admin.apply_network(apply(network(), 0, false)).await.unwrap().into_inner().version, 1);
    let shown = admin.show_network(v1::ShowNetworkRequest { stale: false }).await.unwrap().into_inner();
    assert_eq!(shown.version, 1);
    assert!(shown.pools[0].id != 0 && !shown.relationships[0].server_duid.is_empty());
    assert_eq!(admin.apply_network(apply(shown, 1, false)).await.unwrap().into_inner().version, 2);
    let refused = admin.apply_network(apply(network(), 1, false)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted);
    assert!(refused.message().contains("version 2, not 1"), "{}", refused.message());
    let empty = v1::ApplyNetworkRequest { network: None, expected_version: 0, dry_run: false };
    assert_eq!(admin.apply_network(empty).await.unwrap_err().code(), Code::InvalidArgument);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn leases_ranges_frontends_and_nodes_are_shown() {
    let cluster = Cluster::start(None).await;
    cluster.apply_network(network()).await;
    let (mut a, mut b) = (Frontend::new("fe-a"), Frontend::new("fe-b"));
    a.ready(&cluster).await;
    b.ready(&cluster).await;
    let updates: Vec<_> = (0..200).map(|n| a.promise(n)).collect();
    let duid = updates[7].binding.duid.as_bytes().to_vec();
    a.send(|batch| batch.updates = updates).await;
    let update = b.promise(0);
    b.send(|batch| batch.updates.push(update)).await;
    a.until(&cluster, "acknowledged", Frontend::is_acknowledged).await;
    b.until(&cluster, "acknowledged", Frontend::is_acknowledged).await;
    a.heartbeat().await;
    b.heartbeat().await;
    a.until(&cluster, "the partner is live", |f| f.live.get("fe-b") == Some(&true)).await;

    let all = cluster.leases(v1::ListLeasesRequest::default()).await;
    assert_eq!(all.len(), 201);
    let addresses: Vec<_> = all.iter().map(|l| l.lease.clone().unwrap().prefix.unwrap().address).collect();
    assert!(addresses.windows(2).all(|w| w[0] < w[1]), "in the order of addresses");
    let of_client =
        v1::ListLeasesRequest { duid, link: "lan".into(), pool: "pool".into(), ..Default::default() };
    let of_client = cluster.leases(of_client).await;
    assert_eq!(of_client.len(), 1);
    let lease = &of_client[0];
    assert_eq!((lease.link_name.as_str(), lease.pool_name.as_str()), ("lan", "pool"));
    assert_eq!(lease.frontend, "fe-a");
    assert_eq!(
        lease.lease.as_ref().unwrap().prefix.as_ref().unwrap().address,
        a.address(7).bits().to_be_bytes()
    );
    let released = v1::ListLeasesRequest { state: v1::LeaseState::Released.into(), ..Default::default() };
    assert!(cluster.leases(released).await.is_empty());
    assert_eq!(cluster.leases(v1::ListLeasesRequest { limit: 3, ..Default::default() }).await.len(), 3);

    let leader = cluster.leader().await;
    let mut admin = cluster.admin_at(&leader);
    let unknown = v1::ListLeasesRequest { pool: "none".into(), ..Default::default() };
    assert_eq!(admin.list_leases(unknown).await.unwrap_err().code(), Code::NotFound);
    let address = b.address(0).bits().to_be_bytes().to_vec();
    let found = admin.find_lease(v1::FindLeaseRequest { stale: false, address }).await.unwrap().into_inner();
    assert_eq!(found.frontend, "fe-b");
    let other = v1::FindLeaseRequest { stale: false, address: octets("2001:db8::fff") };
    assert_eq!(admin.find_lease(other).await.unwrap_err().code(), Code::NotFound);
    let nonsense = v1::FindLeaseRequest { stale: false, address: vec![1] };
    assert_eq!(admin.find_lease(nonsense).await.unwrap_err().code(), Code::InvalidArgument);

    let request = v1::ListRangesRequest { stale: false, pool: "pool".into() };
    let ranges = admin.list_ranges(request).await.unwrap().into_inner().ranges;
    let leased: Vec<_> = ranges.iter().map(|r| (r.frontend.as_str(), r.state.as_str(), r.leases)).collect();
    assert_eq!(leased, [("fe-a", "granted", 200), ("fe-b", "granted", 1)]);
    assert_eq!(ranges[0].first, octets("2001:db8::"));
    assert_eq!(ranges[0].last, octets("2001:db8::ff"));
    let pools = admin.list_pools(v1::ListPoolsRequest { stale: false }).await.unwrap().into_inner().pools;
    let [pool] = &pools[..] else { panic!("{pools:?}") };
    let count = |octets: &[u8]| u128::from_be_bytes(octets.try_into().unwrap());
    let counts = [&pool.slots, &pool.granted, &pool.closed, &pool.free].map(|octets| count(octets));
    assert_eq!((pool.name.as_str(), counts), ("pool", [4096, 512, 0, 3584]));
    assert_eq!(pool.leases.iter().map(|l| l.count).sum::<u64>(), 201);
    let request = v1::ListRangesRequest { stale: false, pool: "none".into() };
    assert_eq!(admin.list_ranges(request).await.unwrap_err().code(), Code::NotFound);

    a.heartbeat().await;
    b.heartbeat().await;
    let request = v1::ListFrontendsRequest { stale: false };
    let frontends = admin.list_frontends(request).await.unwrap().into_inner().frontends;
    let of_a = frontends.iter().find(|f| f.name == "fe-a").unwrap();
    assert!(of_a.current && of_a.ranges_granted == 1 && of_a.dirty_leases == 7 && of_a.network_version == 1);
    assert_eq!(of_a.epoch, a.epoch.0);

    let status = admin.status(v1::StatusRequest { stale: false }).await.unwrap().into_inner();
    assert_eq!((status.cluster.as_str(), status.incarnation), ("berlin", 1));
    assert_eq!((&status.node, &status.leader), (&leader, &leader));
    assert!(status.cluster_time_ms > 0 && status.term > 0 && status.applied_index > 0);
    let pair = &status.relationships[0];
    assert_eq!(
        (pair.name.as_str(), pair.primary.as_str(), pair.secondary.as_str()),
        ("pair", "fe-a", "fe-b")
    );
    let expected =
        if pair.primary_live && pair.secondary_live { "NORMAL" } else { "COMMUNICATIONS-INTERRUPTED" };
    assert_eq!(pair.state, expected);
    b.disconnect();
    let gone = async || {
        let status = cluster.admin_at(&leader).status(v1::StatusRequest { stale: false }).await.unwrap();
        status.into_inner().relationships[0].state.clone()
    };
    let mut state = gone().await;
    for _ in 0..1000 {
        if state == "COMMUNICATIONS-INTERRUPTED" {
            break;
        }
        state = gone().await;
    }
    assert_eq!(state, "COMMUNICATIONS-INTERRUPTED");

    let nodes = admin.list_store_nodes(v1::ListStoreNodesRequest {}).await.unwrap().into_inner().nodes;
    let names: Vec<_> = nodes.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["s1", "s2", "s3"]);
    assert!(nodes.iter().all(|n| (n.role == "leader") == (n.name == leader)));
    assert!(nodes.iter().all(|n| n.address == cluster.address(&n.name) && n.matched_index > 0));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fo_905_a_follower_names_the_leader_unless_a_stale_read_will_do() {
    let cluster = Cluster::start(None).await;
    cluster.apply_network(network()).await;
    let leader = cluster.leader().await;
    let follower = cluster.nodes.iter().find(|n| n.name != leader).unwrap().name.clone();
    until("the follower knows the leader", || {
        cluster.running[&follower].metrics().borrow().leader.as_ref().is_some_and(|l| l.name == leader)
    })
    .await;
    let mut admin = cluster.admin_at(&follower);
    let address = Some(cluster.address(&leader));
    let refused = admin.status(v1::StatusRequest { stale: false }).await.unwrap_err();
    assert_eq!((refused.code(), leader_named_by(&refused)), (Code::FailedPrecondition, address.clone()));
    let refused = admin.list_store_nodes(v1::ListStoreNodesRequest {}).await.unwrap_err();
    assert_eq!(leader_named_by(&refused), address);
    let request = v1::ApplyNetworkRequest { network: Some(network()), expected_version: 0, dry_run: false };
    let refused = admin.apply_network(request).await.unwrap_err();
    assert_eq!(leader_named_by(&refused), address);
    let status = admin.status(v1::StatusRequest { stale: true }).await.unwrap().into_inner();
    assert_eq!((&status.node, &status.leader), (&follower, &leader));
    assert!(status.relationships.iter().all(|r| r.state == "UNKNOWN"));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_a_quorum_nothing_is_read_and_stale_reads_go_on() {
    let mut cluster = Cluster::start(None).await;
    cluster.apply_network(network()).await;
    let leader = cluster.leader().await;
    let others: Vec<String> = cluster.running.keys().filter(|n| **n != leader).cloned().collect();
    for other in others {
        cluster.kill(&other).await;
    }
    let mut admin = cluster.admin_at(&leader);
    let refused = admin.status(v1::StatusRequest { stale: false }).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    let stale = admin.status(v1::StatusRequest { stale: true }).await.unwrap().into_inner();
    assert_eq!(stale.network_version, 1);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fo_704_sec_12_a_frontend_that_is_heard_is_not_declared_down_and_one_that_is_gone_is() {
    let cluster = Cluster::start(None).await;
    cluster.apply_network(network()).await;
    let (mut a, mut b) = (Frontend::new("fe-a"), Frontend::new("fe-b"));
    a.ready(&cluster).await;
    b.ready(&cluster).await;
    a.heartbeat().await;
    b.heartbeat().await;
    a.until(&cluster, "the partner is live", |f| f.live.get("fe-b") == Some(&true)).await;
    let leader = cluster.leader().await;
    let mut admin = cluster.admin_at(&leader);
    let declare =
        |frontend: &str, withdraw| v1::DeclareFrontendDownRequest { frontend: frontend.to_owned(), withdraw };
    let refused = admin.declare_frontend_down(declare("fe-b", false)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("being heard"), "{refused}");
    let refused = admin.declare_frontend_down(declare("fe-b", true)).await.unwrap_err();
    assert!(refused.message().contains("not declared down"), "{refused}");

    let epoch = b.epoch.0;
    b.disconnect();
    let mut declared = admin.declare_frontend_down(declare("fe-b", false)).await;
    for _ in 0..1000 {
        if declared.is_ok() {
            break;
        }
        declared = admin.declare_frontend_down(declare("fe-b", false)).await;
    }
    assert_eq!(declared.unwrap().into_inner().epochs, [epoch]);
    let states = |events: &[v1::EventInfo]| events.iter().map(|e| e.what.clone()).collect::<Vec<_>>();
    let events = admin.list_events(v1::ListEventsRequest { after: 0 }).await.unwrap().into_inner().events;
    let told = states(&events);
    for state in ["NORMAL", "COMMUNICATIONS-INTERRUPTED", "declared down", "PARTNER-DOWN"] {
        assert!(told.iter().any(|what| what == state), "{state} in {told:?}");
    }
    assert!(events.iter().all(|e| !e.reason.is_empty()), "each with its reason");
    let status = admin.status(v1::StatusRequest { stale: false }).await.unwrap().into_inner();
    assert_eq!(status.relationships[0].state, "PARTNER-DOWN");
    assert!(status.relationships[0].reason.contains("declared down"));
    let withdrawn = admin.declare_frontend_down(declare("fe-b", true)).await.unwrap().into_inner();
    assert_eq!(withdrawn.epochs, [epoch]);
    let conflicts = admin.list_conflicts(v1::ListConflictsRequest { stale: false, after: 0 }).await.unwrap();
    assert!(conflicts.into_inner().conflicts.is_empty());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_drained_frontend_is_told_and_shown_until_it_serves_again() {
    let cluster = Cluster::start(None).await;
    cluster.apply_network(network()).await;
    let mut a = Frontend::new("fe-a");
    a.ready(&cluster).await;
    let leader = cluster.leader().await;
    let mut admin = cluster.admin_at(&leader);
    let drain = |frontend: &str, on| v1::DrainFrontendRequest { frontend: frontend.to_owned(), on };
    assert_eq!(admin.drain_frontend(drain("fe-x", true)).await.unwrap_err().code(), Code::NotFound);
    assert!(admin.drain_frontend(drain("fe-a", true)).await.unwrap().into_inner().changed);
    assert!(!admin.drain_frontend(drain("fe-a", true)).await.unwrap().into_inner().changed);
    a.until(&cluster, "it is told", |f| f.draining).await;
    let status = admin.status(v1::StatusRequest { stale: false }).await.unwrap().into_inner();
    assert!(status.relationships[0].reason.contains("fe-a is being drained"), "{status:?}");
    assert!(admin.drain_frontend(drain("fe-a", false)).await.unwrap().into_inner().changed);
    a.until(&cluster, "it is told", |f| !f.draining).await;
    cluster.stop().await;
}
