//! Relationships left to the store: the leader takes the steps by itself, one a second at most.

use crate::cluster::{Cluster, PATIENCE, network};
use crate::frontend::Frontend;
use leasehold_proto::network::Network;
use leasehold_proto::v1;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

fn left_to_store(frontends: &[&str]) -> v1::Network {
    let auto = v1::Auto {
        frontends: frontends.iter().map(|f| (*f).to_owned()).collect(),
        shards: 4,
        ..Default::default()
    };
    v1::Network { relationships: Vec::new(), auto: Some(auto), ..network() }
}

fn all_partners(network: &Network) -> BTreeSet<String> {
    let partners = network.relationships.iter().flat_map(|r| std::iter::once(&r.primary).chain(&r.secondary));
    partners.map(ToString::to_string).collect()
}

/// Lets all frontends read and acknowledge until the network that the first one reads is as it should be.
async fn until_spread(
    cluster: &Cluster,
    frontends: &mut [Frontend],
    what: &str,
    condition: impl Fn(&Network) -> bool,
) -> u64 {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        for frontend in frontends.iter_mut() {
            frontend.send(|_| {}).await;
            frontend.until(cluster, what, |f| f.loaded && f.is_acknowledged()).await;
        }
        let network = frontends[0].network.clone().unwrap();
        if condition(&network) {
            return network.version;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never came about: {what}: {:?}", frontends[0].network);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_leader_goes_on_by_itself_until_both_partners_are_replaced() {
    let cluster = Cluster::start(None).await;
    cluster.apply_network(left_to_store(&["fe-a", "fe-b"])).await;
    let mut frontends = ["fe-c", "fe-d", "fe-a", "fe-b"].map(Frontend::new);
    for frontend in &mut frontends {
        frontend.until(&cluster, "the load", |f| f.loaded && f.network.is_some()).await;
    }
    let old = until_spread(&cluster, &mut frontends, "the first spread", |_| true).await;
    // One of the old partners stays until a new one knows all: this takes two steps, and nobody asks for the second.
    let applied = cluster.apply_network(left_to_store(&["fe-c", "fe-d"])).await;
    assert!(applied > old);
    let is_replaced = |network: &Network| {
        let primaries =
            |name: &str| network.relationships.iter().filter(|r| r.primary.as_str() == name).count();
        all_partners(network) == ["fe-c", "fe-d"].map(str::to_owned).into()
            && (primaries("fe-c"), primaries("fe-d")) == (2, 2)
    };
    let replaced = until_spread(&cluster, &mut frontends, "both are replaced", is_replaced).await;
    assert!(replaced > applied, "the leader took a step");
    // Draining is the same in the other direction, and then the store is content.
    let leader = cluster.leader().await;
    let drain = v1::DrainFrontendRequest { frontend: "fe-c".into(), on: true };
    cluster.admin_at(&leader).drain_frontend(drain).await.unwrap();
    let drained = until_spread(&cluster, &mut frontends, "nothing is left to the drained one", |network| {
        all_partners(network) == ["fe-d".to_owned()].into()
    })
    .await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(until_spread(&cluster, &mut frontends, "no change", |_| true).await, drained);
    }
    cluster.stop().await;
}
