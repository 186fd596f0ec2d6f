//! Reconfigure, from the administrator's call to the frontends' streams.

use crate::cluster::{Cluster, network};
use crate::frontend::Frontend;
use leasehold_proto::reconfigure::{ReconfigureMessage, ReconfigureWhom};
use leasehold_proto::v1;
use leasehold_proto::v1::reconfigure_request::Whom;
use tonic::Code;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sv_401_sv_405_sec_07_an_order_travels_to_the_frontends_and_the_secret_nowhere_else() {
    let cluster = Cluster::start(None).await;
    let leader = cluster.leader().await;
    let mut admin = cluster.admin_at(&leader);
    let ask = |whom: Whom, message: v1::ReconfigureMessage| v1::ReconfigureRequest {
        whom: Some(whom),
        message: message.into(),
    };
    cluster.apply_network(network()).await;
    let refused =
        admin.reconfigure(ask(Whom::Everyone(true), v1::ReconfigureMessage::Renew)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "no client has a key: {}", refused.message());

    let mut a = Frontend::new("fe-a");
    a.ready(&cluster).await;
    assert!(a.secret.is_none());
    let mut willing = network();
    willing.links[0].reconfigure = true;
    cluster.apply_network(willing.clone()).await;
    a.until(&cluster, "the secret comes by the stream", |f| f.secret.is_some()).await;
    // Once and for all.
    cluster.apply_network(willing).await;
    let mut b = Frontend::new("fe-b");
    b.ready(&cluster).await;
    assert_eq!(b.secret, a.secret, "the Welcome brings it");

    let first =
        admin.reconfigure(ask(Whom::Link("lan".into()), v1::ReconfigureMessage::InformationRequest)).await;
    assert_eq!(first.unwrap().into_inner(), v1::ReconfigureAnswer { number: 1, leases: 0 });
    let second = admin.reconfigure(ask(Whom::Duid(vec![0, 1, 2]), v1::ReconfigureMessage::Rebind)).await;
    assert_eq!(second.unwrap().into_inner().number, 2);
    for frontend in [&mut a, &mut b] {
        frontend.until(&cluster, "both orders", |f| f.orders.len() == 2).await;
        let [first, second] = &frontend.orders[..] else { panic!("{:?}", frontend.orders) };
        assert_eq!(first.message, ReconfigureMessage::InformationRequest);
        assert!(matches!(first.whom, ReconfigureWhom::Link(_)), "{first:?}");
        assert!(matches!(&second.whom, ReconfigureWhom::Client(duid) if duid.as_bytes() == [0, 1, 2]));
        assert!(second.replay > first.replay && first.replay > 1 << 48, "incarnation 1: {first:?}");
    }

    for (wrong, code) in [
        (ask(Whom::Link("none".into()), v1::ReconfigureMessage::Renew), Code::NotFound),
        (ask(Whom::Pool("none".into()), v1::ReconfigureMessage::Renew), Code::NotFound),
        (ask(Whom::Duid(vec![0]), v1::ReconfigureMessage::Renew), Code::InvalidArgument),
        (ask(Whom::Everyone(true), v1::ReconfigureMessage::Unspecified), Code::InvalidArgument),
        (v1::ReconfigureRequest { whom: None, message: 5 }, Code::InvalidArgument),
    ] {
        let refused = admin.reconfigure(wrong.clone()).await.unwrap_err();
        assert_eq!(refused.code(), code, "{wrong:?}: {}", refused.message());
    }

    // All that administrators can read, as octets: the secret is in none of it.
    let mut readable: Vec<u8> = Vec::new();
    let mut read = |octets: Vec<u8>| readable.extend(octets);
    use prost::Message;
    read(admin.status(v1::StatusRequest::default()).await.unwrap().into_inner().encode_to_vec());
    read(admin.show_network(v1::ShowNetworkRequest::default()).await.unwrap().into_inner().encode_to_vec());
    read(admin.list_events(v1::ListEventsRequest::default()).await.unwrap().into_inner().encode_to_vec());
    read(
        admin.list_frontends(v1::ListFrontendsRequest::default()).await.unwrap().into_inner().encode_to_vec(),
    );
    read(admin.list_pools(v1::ListPoolsRequest::default()).await.unwrap().into_inner().encode_to_vec());
    let secret = a.secret.clone().expect("it came");
    assert!(readable.len() > 100 && !readable.windows(8).any(|octets| octets == &secret.expose()[..8]));
    cluster.stop().await;
}
