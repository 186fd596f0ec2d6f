//! Registered addresses (RFC 9686): through the session's stream and load, listed, and kept through restarts.

use crate::cluster::{Cluster, network};
use crate::frontend::Frontend;
use leasehold_proto::registration::RegistrationUpdate;
use leasehold_proto::time::ClusterTime;
use leasehold_proto::v1;
use leasehold_proto::words::Duid;
use std::time::Duration;

fn update(frontend: &Frontend, last: u16, client: u8) -> RegistrationUpdate {
    let now = frontend.outcomes.last().map_or(ClusterTime::ZERO, |o| o.stamp);
    let network = frontend.network.as_ref().unwrap();
    RegistrationUpdate {
        address: network.links[0].prefixes[0].bits() + 0x1_0000 + u128::from(last),
        link: network.links[0].id,
        duid: Duid::new(&[0, 3, 0, 1, client]).unwrap(),
        valid_until: now + Duration::from_secs(3600),
    }
}

async fn listed(cluster: &Cluster, request: v1::ListRegistrationsRequest) -> Vec<v1::RegistrationInfo> {
    cluster.admin(async |mut admin| admin.list_registrations(request.clone()).await).await.registrations
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sv_381_registrations_are_streamed_loaded_listed_and_outlive_the_nodes() {
    let mut cluster = Cluster::start(None).await;
    let mut wire = network();
    wire.links[0].register_addresses = true;
    cluster.apply_network(wire).await;
    let (mut a, mut b) = (Frontend::new("fe-a"), Frontend::new("fe-b"));
    a.ready(&cluster).await;
    b.ready(&cluster).await;
    let updates: Vec<_> = (0..300u16).map(|n| update(&a, n, u8::from(n >= 100))).collect();
    let known = updates[7].address;
    a.send(|batch| batch.registrations = updates).await;
    a.until(&cluster, "told to who told it", |f| f.registered.len() == 300).await;
    b.until(&cluster, "told to the partner", |f| f.registered.len() == 300).await;
    let mut over = update(&b, 299, 1);
    over.valid_until = ClusterTime::ZERO;
    b.send(|batch| batch.registrations.push(over)).await;
    a.until(&cluster, "ended by its client", |f| f.registered.len() == 299).await;

    let all = listed(&cluster, v1::ListRegistrationsRequest::default()).await;
    assert_eq!(all.len(), 299);
    assert_eq!((all[7].link_name.as_str(), all[7].frontend.as_str()), ("lan", "fe-a"));
    assert_eq!(all[7].registration.as_ref().unwrap().address, known.to_be_bytes());
    let of_one =
        v1::ListRegistrationsRequest { duid: vec![0, 3, 0, 1, 0], link: "lan".into(), ..Default::default() };
    assert_eq!(listed(&cluster, of_one).await.len(), 100);
    let after = v1::ListRegistrationsRequest { after: known.to_be_bytes().to_vec(), ..Default::default() };
    assert_eq!(listed(&cluster, after).await.len(), 291);
    let leader = cluster.leader().await;
    let elsewhere = v1::ListRegistrationsRequest { link: "wan".into(), ..Default::default() };
    let refused = cluster.admin_at(&leader).list_registrations(elsewhere).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::NotFound);

    a.disconnect();
    b.disconnect();
    for name in ["s1", "s2", "s3"] {
        cluster.kill(name).await;
    }
    for name in ["s1", "s2", "s3"] {
        cluster.launch(name).await;
    }
    let mut again = Frontend::new("fe-b");
    again.until(&cluster, "the load", |f| f.loaded).await;
    assert_eq!(again.registered.len(), 299);
    assert_eq!(again.registered[&known].duid.as_bytes(), [0, 3, 0, 1, 0]);
    cluster.stop().await;
}
