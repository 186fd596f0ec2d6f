//! The gRPC service that frontends hold their sessions with.
//!
//! Owns: who may call (a frontend, as itself), the protocol version, conversion, reading no faster than the store
//! commits. Refuses to know: sessions (the hub's). Inputs: messages from the network, never trusted. Outputs: the
//! messages of the hub, in its order.
//! Invariants: every refusal says why, as a message where the caller speaks the protocol; a connection holds so many
//! unanswered batches at most.

use super::outbound::{Link, Outbound, outbound};
use super::replica::{SharedReplica, lock};
use crate::hub::ConnectionId;
use futures::Stream;
use leasehold_proto::identity::{Caller, PeerInfo, Role, require_role};
use leasehold_proto::session::{FromStore, PROTOCOL_VERSION, RefusalReason, Refused, ToStore};
use leasehold_proto::v1;
use leasehold_proto::v1::frontend_message::Body;
use leasehold_proto::v1::frontend_session_server::FrontendSession;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Request, Response, Status, Streaming};

/// The largest message of a frontend, in octets.
pub(super) const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// A frontend says Hello within this time.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Batches of one connection whose outcome is not known, before it is read no further.
const UNANSWERED_MAX: usize = 64;

/// The service.
pub(super) struct SessionService {
    replica: SharedReplica,
}

impl SessionService {
    pub(super) fn new(replica: SharedReplica) -> Self {
        Self { replica }
    }
}

type Messages = Streaming<v1::FrontendMessage>;
type Answers = Pin<Box<dyn Stream<Item = Result<v1::StoreMessage, Status>> + Send>>;

#[tonic::async_trait]
impl FrontendSession for SessionService {
    type SessionStream = Answers;

    async fn session(&self, request: Request<Messages>) -> Result<Response<Answers>, Status> {
        let Some(peer) = request.extensions().get::<PeerInfo>().cloned() else {
            return Err(Status::unauthenticated("this connection proved no identity"));
        };
        let (outbound, queue) = outbound();
        let allowed = require_role(&request, &[Role::Frontend]);
        let caller = match allowed {
            Ok(caller) => caller,
            Err(status) => {
                tracing::warn!(peer = %peer.address, reason = status.message(), "a session is refused");
                outbound.put(refused(RefusalReason::Forbidden, status.message()));
                drop(outbound);
                return Ok(Response::new(Box::pin(queue.into_stream(|| {}))));
            }
        };
        let link = Arc::clone(&queue.link);
        let id = Arc::new(std::sync::OnceLock::new());
        let (replica, named) = (Arc::clone(&self.replica), Arc::clone(&id));
        let answers = queue.into_stream(move || {
            if let Some(id) = named.get() {
                lock(&replica).resume(*id);
            }
        });
        let replica = Arc::clone(&self.replica);
        tokio::spawn(async move {
            let mut messages = request.into_inner();
            match greet(&mut messages, &caller).await {
                Ok(hello) => {
                    let connection = lock(&replica).connect(outbound);
                    // Set once, here.
                    let _ = id.set(connection);
                    serve(&replica, connection, hello, messages, &link).await;
                }
                Err(Some(message)) => say_no(&outbound, &peer, message),
                Err(None) => {}
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

fn refused(reason: RefusalReason, detail: &str) -> FromStore {
    FromStore::Refused(Refused { reason, detail: detail.to_owned(), leader_address: None })
}

fn say_no(outbound: &Outbound, peer: &PeerInfo, message: FromStore) {
    if let FromStore::Refused(refused) = &message {
        tracing::warn!(peer = %peer.address, reason = %refused.detail, "a session is refused");
    }
    outbound.put(message);
}

/// Reads the Hello and checks who says it. `Err(None)`: the connection ended.
async fn greet(messages: &mut Messages, caller: &Caller) -> Result<ToStore, Option<FromStore>> {
    let protocol = |detail: &str| Some(refused(RefusalReason::Protocol, detail));
    let first = match tokio::time::timeout(HELLO_TIMEOUT, messages.message()).await {
        Ok(Ok(Some(first))) => first,
        Ok(_) => return Err(None),
        Err(_) => return Err(protocol("no Hello in time")),
    };
    let Some(Body::Hello(hello)) = &first.body else {
        return Err(protocol("the first message must be a Hello"));
    };
    if hello.protocol_version != PROTOCOL_VERSION {
        let (theirs, ours) = (hello.protocol_version, PROTOCOL_VERSION);
        let detail = format!(
            "session protocol {theirs} is not spoken here, but {ours}: run the same release on frontends and store"
        );
        return Err(protocol(&detail));
    }
    if let Err(status) = caller.require_self(Role::Frontend, &hello.frontend) {
        return Err(Some(refused(RefusalReason::Forbidden, status.message())));
    }
    ToStore::try_from(&first).map_err(|error| protocol(&error.to_string()))
}

/// Hands a connection's messages to the hub until either side ends it.
async fn serve(
    replica: &SharedReplica,
    id: ConnectionId,
    hello: ToStore,
    mut messages: Messages,
    link: &Link,
) {
    lock(replica).receive(id, hello);
    loop {
        // Registered before looking, so that no progress is missed.
        let progress = link.progress.notified();
        if lock(replica).hub.unanswered(id) >= UNANSWERED_MAX {
            tokio::select! {
                () = progress => {}
                () = link.closed.cancelled() => break,
            }
            continue;
        }
        let message = tokio::select! {
            message = messages.message() => message,
            () = link.closed.cancelled() => break,
        };
        let Ok(Some(raw)) = message else { break };
        match ToStore::try_from(&raw) {
            Ok(message) => lock(replica).receive(id, message),
            Err(error) => {
                tracing::warn!(connection = id.0, %error, "a frontend's message makes no sense: disconnected");
                lock(replica).reject(id, refused(RefusalReason::Protocol, &error.to_string()));
                break;
            }
        }
    }
    lock(replica).disconnected(id);
}
