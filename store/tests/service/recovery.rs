//! A cluster whose quorum is lost for good, founded anew from the disk of the node that is left.

use crate::cluster::{Cluster, network};
use crate::frontend::{Connection, Frontend};
use leasehold_proto::identity::Role;
use leasehold_proto::session::{RangeRequest, RefusalReason};
use leasehold_proto::v1;
use leasehold_store::rocks::DiskLimits;
use leasehold_store::service::{RestoreFrom, export};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fo_111_fo_907_fo_914_lost_quorum_has_a_command_and_what_was_known_survives() {
    let mut old = Cluster::start(None).await;
    old.apply_network(network()).await;
    let mut a = Frontend::new("fe-a");
    a.ready(&old).await;
    let updates: Vec<_> = (0..100).map(|n| a.promise(n)).collect();
    let known = updates[7].prefix;
    a.send(|batch| batch.updates = updates).await;
    a.until(&old, "acknowledged", Frontend::is_acknowledged).await;
    let duid =
        old.admin(async |mut admin| admin.show_network(v1::ShowNetworkRequest { stale: false }).await).await;
    let duid = duid.relationships[0].server_duid.clone();
    a.disconnect();
    for name in ["s1", "s2", "s3"] {
        old.kill(name).await;
    }
    // Only the disk of s2 is left.
    let file = old.folder.path().join("export");
    let report = export::export(&old.folder.path().join("s2"), &DiskLimits::default(), &file).unwrap();
    assert_eq!((report.cluster.as_str(), report.incarnation, report.left_out), ("berlin", 1, None));
    assert!(report.leases <= 100);

    let from = RestoreFrom { file: file.clone(), without_waiting: false };
    let new = Cluster::start_from(None, Some(from)).await;
    let leases = new.leases(v1::ListLeasesRequest::default()).await;
    assert_eq!(u64::try_from(leases.len()).unwrap(), report.leases);
    let network =
        new.admin(async |mut admin| admin.show_network(v1::ShowNetworkRequest { stale: false }).await).await;
    assert_eq!(network.relationships[0].server_duid, duid, "clients go on speaking to the same server");
    let status = new.admin(async |mut admin| admin.status(v1::StatusRequest { stale: false }).await).await;
    assert_eq!(status.incarnation, 2);
    assert!(status.grants_held_until_ms > status.cluster_time_ms, "shown, and until when");

    // The old session is of the cluster before: its frontend opens a new one.
    let leader = new.leader().await;
    let mut connection = Connection::open(new.channel(&leader, Role::Frontend, "fe-a")).await.unwrap();
    connection.say(&a.hello()).await;
    assert_eq!(connection.refused().await.reason, RefusalReason::UnknownSession);
    drop(connection);
    let mut again = Frontend::new("fe-a");
    again.until(&new, "the load", |f| f.loaded && f.network.is_some()).await;
    assert!(again.epoch > a.epoch);
    assert_eq!(again.told.contains_key(&known), leases.len() == 100);
    let pool = again.network.as_ref().unwrap().pools[0].id;
    again.send(|b| b.requests.push(RangeRequest { pool, ranges: 1 })).await;
    again.until(&new, "an answer", Frontend::is_acknowledged).await;
    assert!(again.ranges.is_empty(), "nothing is granted yet");
    new.stop().await;

    let over = Cluster::start_from(None, Some(RestoreFrom { file, without_waiting: true })).await;
    let mut third = Frontend::new("fe-a");
    third.ready(&over).await;
    assert!(!third.ranges.is_empty(), "an operator's override");
    over.stop().await;
}
