//! The listening side: accepted, authenticated connections for tonic's `serve_with_incoming`.
//!
//! Owns: accepting, TCP_NODELAY (tonic does not set it on such connections), handshakes run concurrently under a
//! timeout and a bound, the bound on established connections, and attaching [`PeerInfo`] to each request. Refuses to
//! know: services and roles. Input: a bound listener; output: a stream of [`Connection`]s that ends never.
//!
//! Invariants (FO-304): a connection that has not proved who it is costs one place in a bounded table and no longer
//! than the handshake timeout; accepting never waits for a handshake; one identity cannot take all places.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tonic::transport::server::Connected;

use super::error::{TlsError, explain_io};
use super::half_open::{HalfOpen, Source};
use super::verify::certificate_facts;
use super::{MutualTls, Security};
use crate::identity::{Caller, Identity, PeerInfo};

/// Connections ready for tonic and not yet taken.
const READY_QUEUE: usize = 64;

/// Pause after the system refuses to accept (out of descriptors, say), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bounds of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time for a TLS handshake.
    pub handshake_timeout: Duration,
    /// Handshakes in progress; above, the oldest of the source with most is dropped.
    pub half_open: usize,
    /// Established connections in all; above, new ones are refused.
    pub connections: usize,
    /// Established connections of one identity; above, new ones of it are refused.
    pub connections_per_identity: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(5),
            half_open: 256,
            connections: 4096,
            connections_per_identity: 256,
        }
    }
}

/// What a listener has seen, for metrics and for people.
#[derive(Debug, Default)]
pub struct IncomingStats {
    accepted: AtomicU64,
    refused: AtomicU64,
    evicted: AtomicU64,
    last_refusal: Mutex<Option<String>>,
}

impl IncomingStats {
    /// Connections handed to tonic since start.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Connections refused since start: failed or late handshakes, wrong identities, too many connections.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Handshakes dropped since start to make room for newer ones.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// The last refusal: the peer's address and the reason.
    #[must_use]
    pub fn last_refusal(&self) -> Option<String> {
        lock(&self.last_refusal).clone()
    }

    fn refuse(&self, peer: SocketAddr, reason: &str) {
        let count = self.refused.fetch_add(1, Ordering::Relaxed);
        // A flood must not fill the log: of many refusals, those at powers of two are warnings.
        if count.is_power_of_two() || count < 64 {
            tracing::warn!(%peer, reason, refused = count + 1, "connection refused");
        } else {
            tracing::debug!(%peer, reason, "connection refused");
        }
        *lock(&self.last_refusal) = Some(format!("{peer}: {reason}"));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every holder leaves the value whole: a panic elsewhere cannot have spoilt it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The stream of connections for `serve_with_incoming`. Dropping it closes the listening socket and ends the
/// handshakes in progress; established connections stay.
#[derive(Debug)]
pub struct Incoming {
    ready: mpsc::Receiver<Connection>,
    stats: Arc<IncomingStats>,
    address: SocketAddr,
    acceptor: AbortHandle,
}

impl Incoming {
    /// The listener's counters; keep a clone before giving the stream to tonic.
    #[must_use]
    pub fn stats(&self) -> Arc<IncomingStats> {
        Arc::clone(&self.stats)
    }

    /// The address listened on, with the port that the system chose if 0 was asked for.
    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.address
    }
}

impl Stream for Incoming {
    type Item = Result<Connection, io::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().ready.poll_recv(cx).map(|connection| connection.map(Ok))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

/// Starts accepting on a bound listener. Must be called inside a tokio runtime.
///
/// # Errors
/// [`TlsError::NotLoopback`] if `security` is plain text and the listener is not on a loopback address;
/// [`TlsError::Listener`] if the socket has no address.
pub fn listen(listener: TcpListener, security: &Security, limits: Limits) -> Result<Incoming, TlsError> {
    let address = listener.local_addr().map_err(|source| TlsError::Listener { source })?;
    if matches!(security, Security::InsecureLoopback) && !is_loopback(address) {
        return Err(TlsError::NotLoopback { address });
    }
    let (sender, ready) = mpsc::channel(READY_QUEUE);
    let stats = Arc::new(IncomingStats::default());
    let gate = Gate {
        security: security.clone(),
        limits,
        stats: Arc::clone(&stats),
        established: Arc::new(Mutex::new(Established::default())),
        sender,
    };
    let acceptor = tokio::spawn(accept_loop(listener, Arc::new(gate))).abort_handle();
    Ok(Incoming { ready, stats, address, acceptor })
}

/// Whether plain text may be used with this address.
pub(super) fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// What every handshake of a listener shares.
struct Gate {
    security: Security,
    limits: Limits,
    stats: Arc<IncomingStats>,
    established: Arc<Mutex<Established>>,
    sender: mpsc::Sender<Connection>,
}

async fn accept_loop(listener: TcpListener, gate: Arc<Gate>) {
    let mut table: HalfOpen<AbortHandle> = HalfOpen::new(gate.limits.half_open);
    let mut handshakes: JoinSet<u64> = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let (gate, key) = (Arc::clone(&gate), table.next_key());
                    let stats = Arc::clone(&gate.stats);
                    let task = handshakes.spawn(async move {
                        gate.admit(stream, peer).await;
                        key
                    });
                    if let Some(evicted) = table.insert(Source::from(peer.ip()), task) {
                        evicted.abort();
                        stats.evicted.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            // An evicted handshake ends as an error, and is out of the table already.
            Some(ended) = handshakes.join_next(), if !handshakes.is_empty() => {
                if let Ok(key) = ended {
                    table.remove(key);
                }
            }
        }
    }
}

impl Gate {
    /// Brings one connection from accepted to ready, or refuses it.
    async fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let admitted = async {
            stream.set_nodelay(true).map_err(|e| e.to_string())?;
            let (io, caller) = match &self.security {
                Security::Mutual(tls) => {
                    tokio::time::timeout(self.limits.handshake_timeout, handshake(stream, tls))
                        .await
                        .map_err(|_| "no TLS handshake in time".to_owned())??
                }
                // A listener bound to loopback hears nobody else; checked all the same.
                Security::InsecureLoopback if !is_loopback(peer) => {
                    return Err("plain text from an address off this host".to_owned());
                }
                Security::InsecureLoopback => (ConnectionIo::Plain(stream), Caller::InsecureLoopback),
            };
            let place = Place::take(&self.established, caller.identity(), &self.limits)?;
            Ok(Connection { io, peer: PeerInfo { address: peer, caller }, _place: place })
        };
        match admitted.await {
            Ok(connection) => {
                // Fails only if the server has gone, and then nobody wants the connection.
                if self.sender.send(connection).await.is_ok() {
                    self.stats.accepted.fetch_add(1, Ordering::Relaxed);
                }
            }
            Err(reason) => self.stats.refuse(peer, &reason),
        }
    }
}

async fn handshake(stream: TcpStream, tls: &MutualTls) -> Result<(ConnectionIo, Caller), String> {
    let acceptor = TlsAcceptor::from(tls.current().server_config());
    let stream = acceptor.accept(stream).await.map_err(|error| explain_io(&error))?;
    let (_, session) = stream.get_ref();
    // The verifier has read the same certificate before it let the handshake end.
    let end_entity = session
        .peer_certificates()
        .and_then(|chain| chain.first())
        .ok_or_else(|| "the peer presented no certificate".to_owned())?;
    let identity = certificate_facts(end_entity).map_err(|error| error.to_string())?.identity;
    Ok((ConnectionIo::Tls(Box::new(stream)), Caller::Authenticated(Arc::new(identity))))
}

/// How many connections are established, in all and by identity.
#[derive(Debug, Default)]
struct Established {
    total: usize,
    by_identity: BTreeMap<Identity, usize>,
}

/// One place among the established connections, given back when dropped.
#[derive(Debug)]
struct Place {
    established: Arc<Mutex<Established>>,
    identity: Option<Identity>,
}

impl Place {
    fn take(
        established: &Arc<Mutex<Established>>,
        identity: Option<&Identity>,
        limits: &Limits,
    ) -> Result<Self, String> {
        let mut counts = lock(established);
        if counts.total >= limits.connections {
            return Err(format!("too many connections ({})", limits.connections));
        }
        if let Some(identity) = identity {
            let held = counts.by_identity.entry(identity.clone()).or_default();
            if *held >= limits.connections_per_identity {
                return Err(format!("too many connections of {identity} ({held})"));
            }
            *held += 1;
        }
        counts.total += 1;
        drop(counts);
        Ok(Self { established: Arc::clone(established), identity: identity.cloned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.established);
        counts.total = counts.total.saturating_sub(1);
        if let Some(identity) = &self.identity
            && let Some(held) = counts.by_identity.get_mut(identity)
        {
            *held = held.saturating_sub(1);
            if *held == 0 {
                counts.by_identity.remove(identity);
            }
        }
    }
}

#[derive(Debug)]
enum ConnectionIo {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// One accepted connection. tonic puts its [`PeerInfo`] into the extensions of each request.
#[derive(Debug)]
pub struct Connection {
    io: ConnectionIo,
    peer: PeerInfo,
    _place: Place,
}

impl Connected for Connection {
    type ConnectInfo = PeerInfo;

    fn connect_info(&self) -> PeerInfo {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            ConnectionIo::Plain(io) => Pin::new(io).poll_read(cx, buffer),
            ConnectionIo::Tls(io) => Pin::new(io).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            ConnectionIo::Plain(io) => Pin::new(io).poll_write(cx, bytes),
            ConnectionIo::Tls(io) => Pin::new(io).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            ConnectionIo::Plain(io) => Pin::new(io).poll_flush(cx),
            ConnectionIo::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            ConnectionIo::Plain(io) => Pin::new(io).poll_shutdown(cx),
            ConnectionIo::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
