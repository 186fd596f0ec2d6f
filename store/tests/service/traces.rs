//! `Admin.Trace` over the wire: from a caller to the frontends and back, and its end.

use crate::authority::Authority;
use crate::cluster::{Cluster, leader_named_by, network};
use crate::frontend::Frontend;
use leasehold_proto::identity::Role;
use leasehold_proto::session::ToStore;
use leasehold_proto::trace::TraceReport;
use leasehold_proto::v1;
use leasehold_proto::v1::admin_client::AdminClient;
use leasehold_proto::v1::trace_answer::Body;
use leasehold_proto::v1::traced_client::Client;
use tonic::{Code, Streaming};

fn request(client: Client, span_ms: u64) -> v1::TraceRequest {
    v1::TraceRequest { client: Some(v1::TracedClient { client: Some(client) }), span_ms }
}

fn minutes(client: u8) -> v1::TraceRequest {
    request(Client::Duid(vec![0, 1, client]), 600_000)
}

async fn begin(cluster: &Cluster, client: u8) -> Streaming<v1::TraceAnswer> {
    cluster.admin(async |mut admin| admin.trace(minutes(client)).await).await
}

async fn next(stream: &mut Streaming<v1::TraceAnswer>) -> Body {
    stream.message().await.unwrap().expect("the trace goes on").body.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_trace_reaches_frontends_their_events_the_caller_and_hanging_up_withdraws_it() {
    let cluster = Cluster::start(None).await;
    cluster.apply_network(network()).await;
    let (mut a, mut b) = (Frontend::new("fe-a"), Frontend::new("fe-b"));
    a.ready(&cluster).await;
    let mut caller = begin(&cluster, 7).await;
    let Body::Started(started) = next(&mut caller).await else { panic!("not begun") };
    assert_eq!((started.node, started.frontends), (cluster.leader().await, vec!["fe-a".to_owned()]));
    a.until(&cluster, "the trace", |f| f.traces.len() == 1).await;
    b.until(&cluster, "the trace, connecting later", |f| f.traces.len() == 1).await;
    let id = a.traces[0].id;
    let seen = v1::TraceEvent { traces: vec![id], number: 3, text: "why".into(), ..Default::default() };
    let report = TraceReport { in_force: vec![id], dropped: 2, events: vec![seen.clone()] };
    b.say(&ToStore::Trace(report)).await;
    assert!(matches!(next(&mut caller).await, Body::Listening(l) if l.frontend == "fe-b"));
    assert_eq!(next(&mut caller).await, Body::Event(v1::TraceEvent { frontend: "fe-b".into(), ..seen }));
    assert!(matches!(next(&mut caller).await, Body::Dropped(d) if (d.by.as_str(), d.events) == ("fe-b", 2)));
    drop(caller);
    a.until(&cluster, "the withdrawal", |f| f.traces.is_empty()).await;
    b.until(&cluster, "the withdrawal", |f| f.traces.is_empty()).await;
    // A trace whose time is over ends by itself.
    let short = request(Client::Peer(vec![0; 16]), 1);
    let mut caller = cluster.admin(async |mut admin| admin.trace(short.clone()).await).await;
    while caller.message().await.unwrap().is_some() {}
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sec_a_trace_is_for_administrators_and_viewers_bounded_and_asked_of_the_leader() {
    let cluster = Cluster::start(Some(Authority::new())).await;
    let leader = cluster.leader().await;
    let mut strangers = AdminClient::new(cluster.channel(&leader, Role::Frontend, "fe-a"));
    assert_eq!(strangers.trace(minutes(1)).await.unwrap_err().code(), Code::PermissionDenied);
    let mut admin = cluster.admin_at(&leader);
    for wrong in [
        v1::TraceRequest { client: None, span_ms: 1 },
        request(Client::Duid(vec![1]), 1000),
        request(Client::Duid(vec![0, 1, 2]), 0),
        request(Client::Duid(vec![0, 1, 2]), 25 * 3_600_000),
    ] {
        assert_eq!(admin.trace(wrong).await.unwrap_err().code(), Code::InvalidArgument);
    }
    let follower = cluster.nodes.iter().find(|n| n.name != leader).unwrap().name.clone();
    let refused = cluster.admin_at(&follower).trace(minutes(1)).await.unwrap_err();
    assert_eq!(leader_named_by(&refused), Some(cluster.address(&leader)));
    let mut callers = Vec::new();
    let mut viewer = AdminClient::new(cluster.channel(&leader, Role::Viewer, "eve"));
    for client in 0..8 {
        callers.push(viewer.trace(minutes(client)).await.unwrap().into_inner());
    }
    assert_eq!(admin.trace(minutes(9)).await.unwrap_err().code(), Code::ResourceExhausted);
    callers.pop();
    // Its stream ends when the node notices, which is soon.
    let again = loop {
        match admin.trace(minutes(9)).await {
            Ok(stream) => break stream.into_inner(),
            Err(status) => assert_eq!(status.code(), Code::ResourceExhausted),
        }
        tokio::task::yield_now().await;
    };
    callers.push(again);
    // And all of them with the leader's term.
    let mut cluster = cluster;
    cluster.kill(&leader).await;
    for mut caller in callers {
        let ended = loop {
            match caller.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended as if its time were over"),
                Err(status) => break status,
            }
        };
        assert!(matches!(ended.code(), Code::Unavailable | Code::Unknown | Code::Cancelled), "{ended}");
    }
    cluster.stop().await;
}
