//! Mutual TLS over real loopback sockets, with a tiny tonic service behind it.
//!
//! Owns: the proof that the right peer passes and every other is refused with a reason that can be read. Refuses to
//! know: what the real services do. Each test has an authority and a server of its own.

mod authority;
mod files;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::*;
use crate::identity::{PeerInfo, Role, caller, require_role};
use authority::{Authority, DAY, now};

/// A service for admins only.
struct AdminsOnly;

#[tonic::async_trait]
impl Health for AdminsOnly {
    type WatchStream = tokio_stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        require_role(&request, &[Role::Admin])?;
        let name = caller(&request).map_or("nobody", |identity| identity.name()).to_owned();
        assert!(request.extensions().get::<PeerInfo>().unwrap().address.ip().is_loopback());
        let mut response = Response::new(HealthCheckResponse { status: 1 });
        response.metadata_mut().insert("caller", name.parse().unwrap());
        Ok(response)
    }

    async fn watch(
        &self,
        _request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }
}

struct Server {
    address: SocketAddr,
    stats: Arc<IncomingStats>,
}

async fn serve(security: &Security, limits: Limits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let incoming = listen(listener, security, limits).unwrap();
    let running = Server { address: incoming.local_address(), stats: incoming.stats() };
    tokio::spawn(server().add_service(HealthServer::new(AdminsOnly)).serve_with_incoming(incoming));
    running
}

async fn serve_store(authority: &mut Authority) -> Server {
    let files = authority.issue("berlin", Role::Store, "store-1").files;
    serve(&Security::open(files).unwrap(), Limits::default()).await
}

fn dial(server: &Server, files: &TlsFiles, expected: ExpectedServer) -> Channel {
    channel(&server.address.to_string(), &Security::open(files.clone()).unwrap(), expected).unwrap()
}

fn berlin() -> ExpectedServer {
    ExpectedServer::any_store("berlin")
}

/// One call; who the server took us for, or why it failed.
async fn call(channel: &Channel) -> Result<String, Status> {
    let request = HealthCheckRequest { service: String::new() };
    let response = HealthClient::new(channel.clone()).check(request).await?;
    Ok(response.metadata().get("caller").unwrap().to_str().unwrap().to_owned())
}

impl Server {
    /// The reason of the last refusal, once there is one. Bounded.
    async fn refusal(&self) -> String {
        for _ in 0..5000 {
            if let Some(reason) = self.stats.last_refusal() {
                return reason;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("the server refused nobody");
    }
}

/// Calls with a certificate that must be refused; checks what either side says.
async fn assert_refused(server: &Server, files: &TlsFiles, client_says: &str, server_says: &str) {
    let status = call(&dial(server, files, berlin())).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains(client_says), "the client said: {}", status.message());
    let reason = server.refusal().await;
    assert!(reason.contains(server_says), "the server said: {reason}");
    assert_eq!(server.stats.accepted(), 0);
}

#[tokio::test]
async fn fo_301_the_right_role_passes_and_the_handler_knows_the_caller() {
    let mut authority = Authority::new();
    let server = serve_store(&mut authority).await;
    let admin = authority.issue("berlin", Role::Admin, "ada").files;
    assert_eq!(call(&dial(&server, &admin, berlin())).await.unwrap(), "ada");
    let named = ExpectedServer::store("berlin", "store-1");
    assert_eq!(call(&dial(&server, &admin, named)).await.unwrap(), "ada");
    assert_eq!(server.stats.accepted(), 2);
}

#[tokio::test]
async fn fo_301_a_wrong_role_is_refused_by_the_handler() {
    let mut authority = Authority::new();
    let server = serve_store(&mut authority).await;
    let viewer = authority.issue("berlin", Role::Viewer, "vic").files;
    let status = call(&dial(&server, &viewer, berlin())).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("viewer/vic") && status.message().contains("admin"), "{status}");
}

#[tokio::test]
async fn fo_301_a_wrong_cluster_is_refused() {
    let mut authority = Authority::new();
    let server = serve_store(&mut authority).await;
    let stranger = authority.issue("paris", Role::Admin, "ada").files;
    assert_refused(
        &server,
        &stranger,
        "another cluster",
        "belongs to cluster `paris`, but this is cluster `berlin`",
    )
    .await;
}

#[tokio::test]
async fn fo_301_another_authority_is_refused_by_both_sides() {
    let (mut ours, mut theirs) = (Authority::new(), Authority::named("another authority"));
    let server = serve_store(&mut ours).await;
    let mut stranger = theirs.issue("berlin", Role::Admin, "ada").files;
    let status = call(&dial(&server, &stranger, berlin())).await.unwrap_err();
    assert!(status.message().contains("not in our CA file"), "{status}");
    assert!(server.refusal().await.contains("an authority that it does not know"));

    // A stranger that trusts our server, with a chain of its own that it holds to be good.
    let server = serve_store(&mut ours).await;
    let both = theirs.path().join("both.pem");
    let text = [&stranger.ca, &ours.path().join("ca.pem")].map(|path| std::fs::read_to_string(path).unwrap());
    std::fs::write(&both, text.concat()).unwrap();
    stranger.ca = both;
    stranger.crl = None;
    assert_refused(&server, &stranger, "authority that it does not know", "not in our CA file").await;
}

#[tokio::test]
async fn fo_301_another_authority_of_the_same_name_is_refused() {
    let (mut ours, mut theirs) = (Authority::new(), Authority::new());
    let server = serve_store(&mut ours).await;
    let stranger = theirs.issue("berlin", Role::Admin, "ada").files;
    let status = call(&dial(&server, &stranger, berlin())).await.unwrap_err();
    assert!(status.message().contains("by another of the same name"), "{status}");
    assert!(server.refusal().await.contains("another authority of the same name"));
}

#[tokio::test]
async fn fo_301_fo_303_a_revoked_certificate_is_refused_though_the_list_is_stale() {
    let mut authority = Authority::new();
    let server = serve_store(&mut authority).await;
    let admin = authority.issue("berlin", Role::Admin, "ada");
    authority.revoke(admin.serial);
    assert_refused(&server, &admin.files, "our certificate has been revoked", "has been revoked").await;
}

#[tokio::test]
async fn fo_301_a_revoked_server_is_refused_by_the_client() {
    let mut authority = Authority::new();
    let store = authority.issue("berlin", Role::Store, "store-1");
    let server = serve(&Security::open(store.files).unwrap(), Limits::default()).await;
    let admin = authority.issue("berlin", Role::Admin, "ada").files;
    authority.revoke(store.serial);
    let status = call(&dial(&server, &admin, berlin())).await.unwrap_err();
    assert!(status.message().contains("the peer's certificate has been revoked"), "{status}");
}

#[tokio::test]
async fn fo_301_an_expired_certificate_is_refused() {
    let mut authority = Authority::new();
    let server = serve_store(&mut authority).await;
    let admin = authority.issue_until("berlin", Role::Admin, "ada", now() - DAY).files;
    assert_refused(&server, &admin, "our certificate has expired", "the peer's certificate has expired")
        .await;
}

/// Offers no certificate to a server that asks for one.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn fo_109_fo_302_a_client_without_a_certificate_is_refused() {
    let mut authority = Authority::new();
    let server = serve_store(&mut authority).await;
    let admin = authority.issue("berlin", Role::Admin, "ada").files;
    let mut config = Material::load(&admin).unwrap().client_config(&berlin()).unwrap();
    config.client_auth_cert_resolver = Arc::new(NoCertificate);
    let stream = TcpStream::connect(server.address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let error = connect::handshake(connector, stream, server.address).await.unwrap_err().to_string();
    assert!(error.contains("requires a certificate"), "{error}");
    assert!(server.refusal().await.contains("presented no certificate"));
}

#[tokio::test]
async fn fo_301_a_server_that_is_not_the_intended_one_is_refused_by_the_client() {
    let mut authority = Authority::new();
    let server = serve_store(&mut authority).await;
    let admin = authority.issue("berlin", Role::Admin, "ada").files;
    let wrong = [
        (ExpectedServer::store("berlin", "store-2"), "wanted leasehold://berlin/store/store-2"),
        (ExpectedServer::any_store("paris"), "wanted leasehold://paris/store/*"),
        (
            ExpectedServer { cluster: "berlin".to_owned(), role: Role::Frontend, name: None },
            "wanted leasehold://berlin/frontend/*",
        ),
    ];
    for (expected, says) in wrong {
        let status = call(&dial(&server, &admin, expected)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().contains("reached leasehold://berlin/store/store-1"), "{status}");
        assert!(status.message().contains(says), "{status}");
    }
    assert_eq!(server.stats.accepted(), 0);
}

#[tokio::test]
async fn an_admins_certificate_cannot_serve() {
    let mut authority = Authority::new();
    let admin = authority.issue("berlin", Role::Admin, "ada").files;
    let server = serve(&Security::open(admin.clone()).unwrap(), Limits::default()).await;
    let expected = ExpectedServer { cluster: "berlin".to_owned(), role: Role::Admin, name: None };
    let status = call(&dial(&server, &admin, expected)).await.unwrap_err();
    assert!(status.message().contains("not for this use"), "{status}");
}

#[tokio::test]
async fn new_certificates_and_lists_count_from_the_next_connection_on() {
    let mut authority = Authority::new();
    let server = serve_store(&mut authority).await;
    let admin = authority.issue("berlin", Role::Admin, "ada");
    let old = dial(&server, &admin.files, berlin());
    assert_eq!(call(&old).await.unwrap(), "ada");

    // The server's next certificate is seen by the next connection.
    let not_after = now() + 45 * DAY;
    authority.issue_until("berlin", Role::Store, "store-1", not_after);
    let config = Material::load(&admin.files).unwrap().client_config(&berlin()).unwrap();
    let stream = TcpStream::connect(server.address).await.unwrap();
    let tls = connect::handshake(TlsConnector::from(Arc::new(config)), stream, server.address).await.unwrap();
    let seen = certificate_facts(&tls.get_ref().1.peer_certificates().unwrap()[0]).unwrap();
    assert_eq!(seen.not_after_unix_secs, not_after);

    // So is a revocation; the established connection stays.
    authority.revoke(admin.serial);
    let new = dial(&server, &admin.files, berlin());
    assert!(call(&new).await.unwrap_err().message().contains("revoked"));
    assert_eq!(call(&old).await.unwrap(), "ada");

    // A client's channel takes up its new certificate by itself.
    authority.issue("berlin", Role::Admin, "ada");
    assert_eq!(call(&new).await.unwrap(), "ada");
}

#[tokio::test]
async fn fo_304_garbage_and_half_open_connections_do_not_starve_a_real_peer() {
    let mut authority = Authority::new();
    let files = authority.issue("berlin", Role::Store, "store-1").files;
    let limits = Limits { half_open: 4, handshake_timeout: Duration::from_secs(600), ..Limits::default() };
    let server = serve(&Security::open(files).unwrap(), limits).await;
    let mut held = Vec::new();
    for index in 0..64 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        if index % 4 == 0 {
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        }
        held.push(stream);
    }
    let admin = authority.issue("berlin", Role::Admin, "ada").files;
    assert_eq!(call(&dial(&server, &admin, berlin())).await.unwrap(), "ada");
    assert!(server.stats.evicted() >= 40, "{:?}", server.stats);
    drop(held);
}

#[tokio::test]
async fn fo_304_sec_11_a_silent_connection_is_closed_in_time_and_garbage_at_once() {
    let mut authority = Authority::new();
    let files = authority.issue("berlin", Role::Store, "store-1").files;
    let limits = Limits { handshake_timeout: Duration::from_millis(20), ..Limits::default() };
    let server = serve(&Security::open(files).unwrap(), limits).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(silent.read(&mut [0; 64]).await.unwrap(), 0);
    assert!(server.refusal().await.contains("no TLS handshake in time"));

    let server = serve_store(&mut authority).await;
    let mut garbage = TcpStream::connect(server.address).await.unwrap();
    garbage.write_all(&[0xff; 512]).await.unwrap();
    assert!(server.refusal().await.contains("does not speak TLS"));
}

#[tokio::test]
async fn sec_11_tls_older_than_1_2_is_refused() {
    let mut authority = Authority::new();
    let server = serve_store(&mut authority).await;
    let mut old = TcpStream::connect(server.address).await.unwrap();
    // A ClientHello of TLS 1.1 (RFC 4346 §7.4.1.2) that lacks nothing but a newer version: signature algorithms and
    // groups stand in it.
    let extensions = [0, 14, 0, 13, 0, 4, 0, 2, 4, 3, 0, 10, 0, 4, 0, 2, 0, 0x1d];
    let extensions = [&u16::try_from(extensions.len() - 2).unwrap().to_be_bytes(), &extensions[2..]].concat();
    let hello = [&[3, 2][..], &[7; 32], &[0, 0, 2, 0xc0, 0x2b, 1, 0], &extensions].concat();
    let len = u8::try_from(hello.len()).unwrap();
    let record = [&[22, 3, 1, 0, len + 4, 1, 0, 0, len][..], &hello].concat();
    old.write_all(&record).await.unwrap();
    let mut answer = Vec::new();
    old.read_to_end(&mut answer).await.unwrap();
    let (alert, protocol_version) = (21, 70);
    assert_eq!((answer.first(), answer.last()), (Some(&alert), Some(&protocol_version)), "{answer:?}");
}

#[tokio::test]
async fn fo_304_sec_11_one_identity_cannot_take_all_connections() {
    let mut authority = Authority::new();
    let files = authority.issue("berlin", Role::Store, "store-1").files;
    let limits = Limits { connections_per_identity: 1, connections: 2, ..Limits::default() };
    let server = serve(&Security::open(files).unwrap(), limits).await;
    let greedy = authority.issue("berlin", Role::Admin, "greedy").files;
    let first = dial(&server, &greedy, berlin());
    assert_eq!(call(&first).await.unwrap(), "greedy");
    assert!(call(&dial(&server, &greedy, berlin())).await.is_err());
    assert!(server.refusal().await.contains("too many connections of leasehold://berlin/admin/greedy"));
    let modest = authority.issue("berlin", Role::Admin, "modest").files;
    assert_eq!(call(&dial(&server, &modest, berlin())).await.unwrap(), "modest");
    assert_eq!(call(&first).await.unwrap(), "greedy");
}

#[tokio::test]
async fn fo_306_plain_text_works_on_loopback_only() {
    let server = serve(&Security::InsecureLoopback, Limits::default()).await;
    let plain = channel(&server.address.to_string(), &Security::InsecureLoopback, berlin()).unwrap();
    assert_eq!(call(&plain).await.unwrap(), "nobody");

    let open = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let refused = listen(open, &Security::InsecureLoopback, Limits::default()).unwrap_err();
    assert!(matches!(refused, TlsError::NotLoopback { .. }), "{refused}");

    let far = channel("192.0.2.1:1", &Security::InsecureLoopback, berlin()).unwrap();
    let status = call(&far).await.unwrap_err();
    assert!(status.message().contains("plain text to 192.0.2.1:1 is refused"), "{status}");
}

#[tokio::test]
async fn a_plain_text_client_is_refused_by_a_tls_server() {
    let mut authority = Authority::new();
    let server = serve_store(&mut authority).await;
    let plain = channel(&server.address.to_string(), &Security::InsecureLoopback, berlin()).unwrap();
    assert!(call(&plain).await.is_err());
    assert!(server.refusal().await.contains("does not speak TLS"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = channel(&closed.to_string(), &Security::InsecureLoopback, berlin()).unwrap();
    let status = call(&nobody).await.unwrap_err();
    assert!(status.message().contains(&format!("cannot connect to {closed}")), "{status}");
    for bad in ["", "host", "host:port", "a b:1", ":1", "host:1/path"] {
        assert!(matches!(endpoint(bad), Err(TlsError::Address { .. })), "{bad}");
    }
    assert!(endpoint("[::1]:5470").is_ok() && endpoint("store-1:5470").is_ok());
}
