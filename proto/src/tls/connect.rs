//! The connecting side: a tonic channel to a server that is known by its identity.
//!
//! Owns: resolving, connecting, the client's half of the handshake, and saying in words why a connection failed.
//! Refuses to know: services, retries and where servers are. Output: a [`Connector`] for tonic's endpoints, or a
//! lazy [`channel`] that connects by itself, again and again.
//!
//! Invariants: a TLS connection is reported as made only once the server has accepted our certificate: in TLS 1.3 a
//! client's handshake ends before the server has judged it, so we wait for the server's first bytes, the HTTP/2
//! SETTINGS that every server sends at once (RFC 9113 §3.4). Everything happens within the connect timeout.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::Service;

use super::error::{ConnectError, TlsError, explain_io};
use super::listen::is_loopback;
use super::verify::ExpectedServer;
use super::{KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, Security};

/// Time for resolving, connecting and the handshake together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A lazy channel to `address` (`HOST:PORT` or `[IPV6]:PORT`): it connects at the first call, and again whenever the
/// connection is lost. A call on a channel that cannot connect fails as `Unavailable` with the text of
/// [`ConnectError`].
///
/// # Errors
/// [`TlsError::Address`] if the address cannot be read.
pub fn channel(address: &str, security: &Security, expected: ExpectedServer) -> Result<Channel, TlsError> {
    Ok(endpoint(address)?.connect_with_connector_lazy(connector(security, expected)))
}

/// The endpoint that [`channel`] uses, with keepalive: for `connect_with_connector`, or to add a call timeout.
///
/// # Errors
/// [`TlsError::Address`] if the address cannot be read.
pub fn endpoint(address: &str) -> Result<Endpoint, TlsError> {
    let unreadable = || TlsError::Address { address: address.to_owned() };
    // The scheme stays http: with https, tonic would want to do TLS itself.
    let uri: Uri = format!("http://{address}").parse().map_err(|_| unreadable())?;
    if uri.port_u16().is_none() || uri.host().is_none_or(str::is_empty) || uri.path() != "/" {
        return Err(unreadable());
    }
    Ok(Endpoint::from(uri)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true))
}

/// A connector for tonic's `connect_with_connector` and `connect_with_connector_lazy`. In plain text `expected` is
/// not checked: nobody proves anything there.
#[must_use]
pub fn connector(security: &Security, expected: ExpectedServer) -> Connector {
    Connector { security: security.clone(), expected: Arc::new(expected), timeout: CONNECT_TIMEOUT }
}

/// Makes connections to one server, with the certificates as they are at that moment.
#[derive(Clone, Debug)]
pub struct Connector {
    security: Security,
    expected: Arc<ExpectedServer>,
    timeout: Duration,
}

impl Connector {
    /// Another limit than [`CONNECT_TIMEOUT`].
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<ClientIo>, ConnectError> {
        let address = uri.authority().map_or_else(String::new, ToString::to_string);
        let attempt = async {
            let (stream, peer) = self.open_tcp(&address).await?;
            match &self.security {
                Security::InsecureLoopback => Ok(ClientIo::Plain(stream)),
                Security::Mutual(tls) => {
                    let config = tls.current().client_config(&self.expected)?;
                    let stream = handshake(TlsConnector::from(Arc::new(config)), stream, peer).await?;
                    Ok(ClientIo::Tls(Box::new(stream)))
                }
            }
        };
        match tokio::time::timeout(self.timeout, attempt).await {
            Ok(outcome) => outcome.map(TokioIo::new),
            Err(_) => Err(ConnectError::Timeout { address, timeout_ms: self.timeout.as_millis() }),
        }
    }

    /// Tries the addresses of a name in turn; the last one's failure is reported.
    async fn open_tcp(&self, address: &str) -> Result<(TcpStream, SocketAddr), ConnectError> {
        let unresolved = |detail: String| ConnectError::Resolve { address: address.to_owned(), detail };
        let found = lookup_host(address).await.map_err(|error| unresolved(error.to_string()))?;
        let mut failure = unresolved("it has no address".to_owned());
        for peer in found {
            if matches!(self.security, Security::InsecureLoopback) && !is_loopback(peer) {
                failure = ConnectError::NotLoopback { address: peer };
                continue;
            }
            match TcpStream::connect(peer).await.and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            {
                Ok(stream) => return Ok((stream, peer)),
                Err(source) => failure = ConnectError::Tcp { address: peer, source },
            }
        }
        Err(failure)
    }
}

pub(super) async fn handshake(
    connector: TlsConnector,
    stream: TcpStream,
    peer: SocketAddr,
) -> Result<TlsStream<TcpStream>, ConnectError> {
    let failed = |error: &io::Error| ConnectError::Handshake { address: peer, reason: explain_io(error) };
    // The name is not used to verify (see `verify`), and an address is never sent.
    let mut stream =
        connector.connect(ServerName::IpAddress(peer.ip().into()), stream).await.map_err(|e| failed(&e))?;
    match stream.fill_buf().await {
        Ok([]) => Err(failed(&io::ErrorKind::UnexpectedEof.into())),
        Ok(_) => Ok(stream),
        Err(error) => Err(failed(&error)),
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<ClientIo>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// One connection made by a [`Connector`].
#[derive(Debug)]
pub enum ClientIo {
    /// Plain text to a loopback address.
    Plain(TcpStream),
    /// Mutual TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for ClientIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_read(cx, buffer),
            Self::Tls(io) => Pin::new(io).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write(cx, bytes),
            Self::Tls(io) => Pin::new(io).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            Self::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Self::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
