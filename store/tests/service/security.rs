//! Certificates, roles, and nodes that are refused.

use crate::authority::Authority;
use crate::cluster::{Cluster, PATIENCE, addresses, network};
use crate::frontend::{Connection, Frontend};
use leasehold_proto::identity::Role;
use leasehold_proto::session::RefusalReason;
use leasehold_proto::v1;
use leasehold_proto::v1::admin_client::AdminClient;
use leasehold_store::service::{Running, StartError, StopReason, StoreProcess, StoreSecurity};
use tonic::Code;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fo_301_fo_305_everyone_does_only_what_the_certificate_allows() {
    let cluster = Cluster::start(Some(Authority::new())).await;
    cluster.apply_network(network()).await;
    let leader = cluster.leader().await;

    // A frontend acts only as itself.
    let mut connection = Connection::open(cluster.channel(&leader, Role::Frontend, "fe-b")).await.unwrap();
    connection.say(&Frontend::new("fe-a").hello()).await;
    let refused = connection.refused().await;
    assert_eq!(refused.reason, RefusalReason::Forbidden);
    assert!(
        refused.detail.contains("frontend/fe-b") && refused.detail.contains("fe-a"),
        "{}",
        refused.detail
    );
    // An administrator holds no session.
    let mut connection = Connection::open(cluster.channel(&leader, Role::Admin, "root")).await.unwrap();
    connection.say(&Frontend::new("fe-a").hello()).await;
    assert_eq!(connection.refused().await.reason, RefusalReason::Forbidden);

    let code = async |role: Role, change: bool| {
        let mut admin = AdminClient::new(cluster.channel(&leader, role, "somebody"));
        let result = if change {
            let request =
                v1::ApplyNetworkRequest { network: Some(network()), expected_version: 0, dry_run: true };
            admin.apply_network(request).await.map(drop)
        } else {
            admin.status(v1::StatusRequest { stale: true }).await.map(drop)
        };
        result.err().map(|status| status.code())
    };
    let denied = Some(Code::PermissionDenied);
    assert_eq!((code(Role::Admin, false).await, code(Role::Admin, true).await), (None, None));
    assert_eq!((code(Role::Viewer, false).await, code(Role::Viewer, true).await), (None, denied));
    assert_eq!((code(Role::Frontend, false).await, code(Role::Frontend, true).await), (denied, denied));
    assert_eq!(code(Role::Store, false).await, denied);
    cluster.stop().await;
}

async fn failure(node: &Running) -> String {
    match tokio::time::timeout(PATIENCE, node.wait()).await.expect("it goes on") {
        StopReason::Failed(reason) => reason,
        StopReason::Asked => panic!("nobody asked"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_do_not_belong_are_refused_with_the_reason() {
    let authority = Authority::new();
    let as_frontend = authority.issue("berlin", Role::Frontend, "s9");
    let as_other = authority.issue("hamburg", Role::Store, "s9");
    let cluster = Cluster::start(Some(authority)).await;

    let mut config = cluster.config("s1");
    config.security = StoreSecurity::Tls(as_frontend);
    let error = StoreProcess::start(config).await.unwrap_err();
    assert!(matches!(&error, StartError::WrongCertificate { .. }), "{error}");
    assert!(error.to_string().contains("berlin/frontend/s9"), "{error}");
    let mut config = cluster.config("s1");
    config.security = StoreSecurity::Tls(as_other);
    assert!(matches!(StoreProcess::start(config).await, Err(StartError::WrongCertificate { .. })));
    let error = StoreProcess::start(cluster.config("s1")).await.unwrap_err();
    assert!(matches!(error, StartError::Listen { .. }), "{error}");

    // A second node of a follower's name, elsewhere, with a certificate of its own.
    let leader = cluster.leader().await;
    let name = cluster.nodes.iter().find(|n| n.name != leader).unwrap().name.clone();
    let mut config = cluster.config(&name);
    let elsewhere = addresses(&["x"])[0].address.clone();
    config.listen = elsewhere.parse().unwrap();
    config.advertise = elsewhere;
    config.data_dir = cluster.folder.path().join("second");
    let node = StoreProcess::start(config).await.unwrap();
    let reason = failure(&node).await;
    assert!(reason.contains(&format!("`{name}` is in use by a live node")), "{reason}");
    node.shutdown().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_of_another_cluster_and_plain_text_off_loopback_are_refused() {
    let cluster = Cluster::start(None).await;
    let mut config = cluster.config("s1");
    let elsewhere = addresses(&["s1"])[0].address.clone();
    config.listen = elsewhere.parse().unwrap();
    config.advertise = elsewhere;
    config.cluster = "hamburg".into();
    config.data_dir = cluster.folder.path().join("hamburg");
    let node = StoreProcess::start(config).await.unwrap();
    let reason = failure(&node).await;
    assert!(reason.contains("belongs to cluster `berlin`"), "{reason}");
    node.shutdown().await;
    assert_eq!(node.wait().await, StopReason::Failed(reason));

    let mut config = cluster.config("s1");
    config.listen = "0.0.0.0:0".parse().unwrap();
    let error = StoreProcess::start(config).await.unwrap_err();
    assert!(matches!(error, StartError::Tls(_)), "{error}");
    cluster.stop().await;
}
