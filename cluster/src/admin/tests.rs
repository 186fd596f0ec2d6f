//! The admin command against a store in miniature: plain text on loopback, answers made by hand.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use clap::Parser;
use leasehold_proto::tls::Security;
use leasehold_proto::v1;
use leasehold_proto::v1::admin_server::{Admin, AdminServer};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Iter, Stream};
use tonic::{Request, Response, Status};

use super::connect::{AdminError, LEADER_METADATA, StoreAccess};
use super::{AdminCommand, access, act, table, view};
use crate::config::NetworkConfig;
use crate::exit::{ExitKind, Failure};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    admin: AdminCommand,
}

/// A node that takes writes, or names who does.
#[derive(Default)]
struct Node {
    leader: Option<String>,
    applied: Arc<Mutex<Vec<v1::ApplyNetworkRequest>>>,
}

impl Node {
    fn lead(&self) -> Result<(), Status> {
        match &self.leader {
            None => Ok(()),
            Some(leader) => {
                let mut status = Status::failed_precondition("not the leader");
                status.metadata_mut().insert(LEADER_METADATA, leader.parse().unwrap());
                Err(status)
            }
        }
    }
}

fn info() -> v1::LeaseInfo {
    v1::LeaseInfo {
        lease: Some(v1::Lease {
            prefix: Some(v1::Prefix { address: vec![0x20; 16], length_bits: 128 }),
            binding: Some(v1::BindingKey { link: 1, duid: vec![0, 1, 0x1b, 0x5b], kind: 1, iaid: 7 }),
            state: 1,
            state_since_ms: 940_000,
            valid_until_ms: 1_000_000 + 3_780_000,
            acked_until_ms: u64::MAX,
            valid_lifetime_secs: u32::MAX,
            preferred_lifetime_secs: 90,
            reconfigure_key: vec![0xee; 16],
            name: Some(v1::NameState { fqdn: "\u{1b}[31mevil\u{9b}".to_owned(), flags: 0, dns_state: 0 }),
            ..v1::Lease::default()
        }),
        link_name: "lan".to_owned(),
        pool_name: "lan-na".to_owned(),
        frontend: "fe-a".to_owned(),
        cluster_time_ms: 1_000_000,
    }
}

#[tonic::async_trait]
impl Admin for Node {
    type ListLeasesStream = Pin<Box<dyn Stream<Item = Result<v1::LeaseInfo, Status>> + Send>>;

    async fn status(&self, _: Request<v1::StatusRequest>) -> Result<Response<v1::StatusAnswer>, Status> {
        Ok(Response::new(v1::StatusAnswer { cluster: "demo".to_owned(), ..v1::StatusAnswer::default() }))
    }

    async fn list_leases(
        &self,
        request: Request<v1::ListLeasesRequest>,
    ) -> Result<Response<Self::ListLeasesStream>, Status> {
        let count = request.into_inner().limit as usize;
        let leases: Iter<_> = tokio_stream::iter(vec![Ok(info()); count]);
        Ok(Response::new(Box::pin(leases)))
    }

    async fn find_lease(&self, _: Request<v1::FindLeaseRequest>) -> Result<Response<v1::LeaseInfo>, Status> {
        Err(Status::not_found("no lease covers 2001:db8::1"))
    }

    async fn list_frontends(
        &self,
        _: Request<v1::ListFrontendsRequest>,
    ) -> Result<Response<v1::ListFrontendsAnswer>, Status> {
        Err(Status::permission_denied("role frontend may not do this"))
    }

    async fn list_ranges(
        &self,
        _: Request<v1::ListRangesRequest>,
    ) -> Result<Response<v1::ListRangesAnswer>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn list_store_nodes(
        &self,
        _: Request<v1::ListStoreNodesRequest>,
    ) -> Result<Response<v1::ListStoreNodesAnswer>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn show_network(
        &self,
        _: Request<v1::ShowNetworkRequest>,
    ) -> Result<Response<v1::Network>, Status> {
        let applied = self.applied.lock().unwrap();
        let network = applied.last().and_then(|request| request.network.clone());
        Ok(Response::new(network.unwrap_or_default()))
    }

    async fn apply_network(
        &self,
        request: Request<v1::ApplyNetworkRequest>,
    ) -> Result<Response<v1::ApplyNetworkAnswer>, Status> {
        self.lead()?;
        self.applied.lock().unwrap().push(request.into_inner());
        Ok(Response::new(v1::ApplyNetworkAnswer { version: 3 }))
    }

    async fn declare_frontend_down(
        &self,
        request: Request<v1::DeclareFrontendDownRequest>,
    ) -> Result<Response<v1::DeclareFrontendDownAnswer>, Status> {
        match request.into_inner() {
            v1::DeclareFrontendDownRequest { frontend, withdraw: false } if frontend == "fe-a" => {
                Err(Status::failed_precondition("`fe-a` is being heard"))
            }
            _ => Ok(Response::new(v1::DeclareFrontendDownAnswer { epochs: vec![7, 9] })),
        }
    }

    async fn drain_frontend(
        &self,
        request: Request<v1::DrainFrontendRequest>,
    ) -> Result<Response<v1::DrainFrontendAnswer>, Status> {
        Ok(Response::new(v1::DrainFrontendAnswer { changed: request.into_inner().on }))
    }

    async fn list_conflicts(
        &self,
        request: Request<v1::ListConflictsRequest>,
    ) -> Result<Response<v1::ListConflictsAnswer>, Status> {
        let prefix = |last| {
            Some(v1::Prefix {
                address: vec![0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last],
                length_bits: 128,
            })
        };
        let all = [
            v1::ConflictInfo {
                number: 4,
                at_ms: 940_000,
                kind: "two-clients".into(),
                prefix: prefix(1),
                kept_duid: vec![0, 1],
                lost_duid: vec![0, 2],
                frontend: "fe-a".into(),
                lost_valid_until_ms: 2_000_000,
                ..Default::default()
            },
            v1::ConflictInfo {
                number: 5,
                at_ms: 1_000_000,
                kind: "two-addresses".into(),
                prefix: prefix(2),
                other_prefix: prefix(3),
                kept_duid: vec![0, 1],
                frontend: "fe-b".into(),
                ..Default::default()
            },
        ];
        let after = request.into_inner().after;
        let conflicts = all.into_iter().filter(|c| c.number > after).collect();
        Ok(Response::new(v1::ListConflictsAnswer { conflicts, cluster_time_ms: 1_000_000 }))
    }

    async fn list_pools(
        &self,
        _: Request<v1::ListPoolsRequest>,
    ) -> Result<Response<v1::ListPoolsAnswer>, Status> {
        let octets = |count: u128| count.to_be_bytes().to_vec();
        let pool = v1::PoolInfo {
            name: "lan-na".into(),
            id: 7,
            relationship: "main".into(),
            slots: octets(1 << 64),
            granted: octets(512),
            closed: octets(256),
            free: octets((1 << 64) - 768),
            closed_first_ms: 3_601_000,
            closed_last_ms: u64::MAX,
            shrinking: true,
            leases: vec![v1::StateCount { state: 1, count: 40 }],
            ..Default::default()
        };
        Ok(Response::new(v1::ListPoolsAnswer { pools: vec![pool], cluster_time_ms: 1_000 }))
    }

    async fn list_events(
        &self,
        _: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsAnswer>, Status> {
        let event = v1::EventInfo {
            number: 1,
            at_ms: 1_000,
            subject: "pair".into(),
            what: "COMMUNICATIONS-INTERRUPTED".into(),
            reason: "fe-b is not heard".into(),
        };
        Ok(Response::new(v1::ListEventsAnswer { events: vec![event], cluster_time_ms: 62_000 }))
    }
}

async fn serve(node: Node) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tonic::transport::Server::builder().add_service(AdminServer::new(node));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

/// An address that nobody listens on.
async fn deserted() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn admin(line: &[&str], file: Option<&NetworkConfig>) -> Result<String, Failure> {
    let command = Line::try_parse_from([&["admin", "--insecure-loopback"], line].concat()).unwrap().admin;
    act(&command, &access(&command)?, file).await
}

const NETWORK: &str = r#"
[[link]]
name = "lan"
prefixes = ["2001:db8:1::/64"]
[[pool]]
name = "lan-na"
link = "lan"
addresses = "2001:db8:1::/64"
[[relationship]]
name = "main"
primary = "fe-a"
pools = ["lan-na"]
"#;

#[tokio::test]
async fn apply_finds_the_leader_past_a_dead_node_and_show_prints_the_file() {
    let applied = Arc::new(Mutex::new(Vec::new()));
    let leader = serve(Node { applied: Arc::clone(&applied), leader: None }).await.to_string();
    let follower =
        serve(Node { leader: Some(leader.clone()), applied: Arc::clone(&applied) }).await.to_string();
    let dead = deserted().await.to_string();
    let file = NetworkConfig::from_text("n.toml".as_ref(), NETWORK).unwrap();
    let line =
        ["--store", &dead, "--store", &follower, "network", "apply", "n.toml", "--expected-version", "2"];
    let said = admin(&line, Some(&file)).await.unwrap();
    assert_eq!(said, "Network version 3 is in force.");
    let request = applied.lock().unwrap()[0].clone();
    assert_eq!((request.expected_version, request.dry_run), (2, false));
    assert_eq!(request.network.as_ref(), Some(&file.to_wire()));
    let shown = admin(&["--store", &leader, "network", "show"], None).await.unwrap();
    assert_eq!(shown, crate::config::network_toml(&file.network).unwrap());
    let json = admin(&["--store", &leader, "--output", "json", "network", "show"], None).await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["pool"][0]["addresses"], "2001:db8:1::/64");
}

#[tokio::test]
async fn leaders_that_point_in_circles_are_not_followed_for_ever() {
    let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = first.local_addr().unwrap();
    let node = Node { leader: Some(address.to_string()), ..Node::default() };
    let server = tonic::transport::Server::builder().add_service(AdminServer::new(node));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(first)));
    let access = StoreAccess::new(vec![address.to_string()], Security::InsecureLoopback);
    let request = v1::ApplyNetworkRequest::default();
    let error = access.call(async |mut store| store.apply_network(request.clone()).await).await.unwrap_err();
    assert!(matches!(error, AdminError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn failures_have_their_exit_codes() {
    let store = serve(Node::default()).await.to_string();
    let dead = deserted().await.to_string();
    for (address, line, kind, words) in [
        (&dead, &["status"][..], ExitKind::Unreachable, "no store node answered:\n  127.0.0.1:"),
        (&store, &["frontends"][..], ExitKind::Refused, "role frontend may not do this"),
        (&store, &["lease", "2001:db8::1"][..], ExitKind::Other, "no lease covers 2001:db8::1"),
        (&store, &["network", "show"][..], ExitKind::Other, "no network configuration was applied yet"),
    ] {
        let failure = admin(&[&["--store", address.as_str()], line].concat(), None).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.message.contains(words), "{failure}");
    }
    let usage = admin(&["status"], None).await.unwrap_err();
    assert_eq!(usage.kind, ExitKind::Usage);
    let usage = admin(&["--store", "10.0.0.1:1", "status"], None).await.unwrap_err();
    assert!(usage.message.contains("not a loopback address"));
}

#[tokio::test]
async fn leases_are_streamed_and_printed() {
    let store = serve(Node::default()).await.to_string();
    let said = admin(&["--store", &store, "leases", "--limit", "2"], None).await.unwrap();
    let lines: Vec<String> =
        said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            "lease state valid link pool ia iaid duid frontend",
            "2020:2020:2020:2020:2020:2020:2020:2020 ACTIVE for 1h 3m lan lan-na na 7 00011b5b fe-a",
            "2020:2020:2020:2020:2020:2020:2020:2020 ACTIVE for 1h 3m lan lan-na na 7 00011b5b fe-a",
        ]
    );
}

fn words(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[tokio::test]
async fn fo_704_sec_12_declaring_down_asks_for_care_and_says_which_sessions_ended() {
    let store = serve(Node::default()).await.to_string();
    let line = ["admin", "--insecure-loopback", "--store", &store, "frontend", "declare-down", "fe-b"];
    assert!(Line::try_parse_from(line).is_err(), "--i-made-sure is needed");
    let said = admin(&["--store", &store, "frontend", "declare-down", "fe-b", "--i-made-sure"], None).await;
    assert_eq!(said.unwrap(), "fe-b: declared down (sessions 7, 9)");
    let refused =
        admin(&["--store", &store, "frontend", "declare-down", "fe-a", "--i-made-sure"], None).await;
    assert_eq!(refused.unwrap_err().kind, ExitKind::Refused);
    let said = admin(&["--store", &store, "frontend", "withdraw-down", "fe-a"], None).await.unwrap();
    assert_eq!(said, "fe-a: not down after all (sessions 7, 9)");
    let said = admin(&["--store", &store, "frontend", "drain", "fe-a"], None).await.unwrap();
    assert_eq!(said, "fe-a: draining");
    let said = admin(&["--store", &store, "frontend", "undrain", "fe-a"], None).await.unwrap();
    assert_eq!(said, "fe-a: was not draining");
}

#[tokio::test]
async fn pools_show_what_is_granted_closed_and_until_when_free_and_leased() {
    let store = serve(Node::default()).await.to_string();
    let said = admin(&["--store", &store, "pools"], None).await.unwrap();
    assert_eq!(
        words(&said)[1],
        "lan-na main 18446744073709551616 512 18446744073709550848 256 1h from now to an operator acts 40 ACTIVE shrinking"
    );
    let json = admin(&["--store", &store, "--output", "json", "pools"], None).await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["closed_for_ms"][0], 3_600_000);
    assert!(json[0]["closed_for_ms"][1].is_null());
}

#[tokio::test]
async fn fo_810_conflicts_and_events_are_listed() {
    let store = serve(Node::default()).await.to_string();
    let said = admin(&["--store", &store, "conflicts"], None).await.unwrap();
    assert_eq!(
        words(&said)[1..],
        [
            "4 1m ago two-clients 2001:db8::1 0001 0002 - fe-a",
            "5 0ms ago two-addresses 2001:db8::2 0001 - 2001:db8::3 fe-b"
        ]
    );
    let json =
        admin(&["--store", &store, "--output", "json", "conflicts", "--after", "4"], None).await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json[0]["number"].as_u64(), json[0]["lost_duid"].is_null()), (Some(5), true));
    let said = admin(&["--store", &store, "events"], None).await.unwrap();
    assert_eq!(words(&said)[1], "1 1m 1s ago pair COMMUNICATIONS-INTERRUPTED fe-b is not heard");
}

#[test]
fn sec_07_keys_are_not_printed_and_client_text_is_escaped() {
    let lease = view::LeaseView::of(&info());
    let json = serde_json::to_string(&lease).unwrap();
    let people = table::lease(&lease);
    for text in [&json, &people] {
        assert!(!text.contains("eeee") && text.is_ascii(), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
    assert!(json.contains("\"duid\":\"00011b5b\",\"ia\":\"na\",\"iaid\":7"), "{json}");
    assert!(json.contains("\"valid_for_ms\":3780000") && json.contains("\"acked_until_ms\":null"), "{json}");
    assert!(people.contains("preferred 1m 30s, valid infinite"), "{people}");
}
