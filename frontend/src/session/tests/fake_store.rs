//! A store node that is nothing but its gRPC service: each call is handed to the test, which plays the store.

use std::net::SocketAddr;

use leasehold_proto::session::{FromStore, ToStore};
use leasehold_proto::tls::{Limits, Security, listen, server};
use leasehold_proto::v1;
use leasehold_proto::v1::frontend_session_server::{FrontendSession, FrontendSessionServer};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::soon;

/// Messages that a fake store sends ahead of its connection: one, so that a test sees backpressure.
const AHEAD: usize = 1;

/// A running fake.
pub(crate) struct FakeStore {
    pub(crate) address: String,
    calls: mpsc::Receiver<Call>,
    task: JoinHandle<()>,
}

/// One frontend's stream.
pub(crate) struct Call {
    from_frontend: Streaming<v1::FrontendMessage>,
    to_frontend: mpsc::Sender<Result<v1::StoreMessage, Status>>,
}

struct Service {
    calls: mpsc::Sender<Call>,
}

#[tonic::async_trait]
impl FrontendSession for Service {
    type SessionStream = ReceiverStream<Result<v1::StoreMessage, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::FrontendMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (to_frontend, answers) = mpsc::channel(AHEAD);
        let call = Call { from_frontend: request.into_inner(), to_frontend };
        self.calls.send(call).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

impl FakeStore {
    /// Starts on a free port of loopback.
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    /// Starts at an address.
    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        // An earlier listener there may still be on its way out.
        let listener = soon("a free port", async {
            loop {
                match TcpListener::bind(address).await {
                    Ok(listener) => break listener,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        })
        .await;
        let incoming = listen(listener, &Security::InsecureLoopback, Limits::default()).unwrap();
        let address = incoming.local_address().to_string();
        let (sender, calls) = mpsc::channel(16);
        let service = FrontendSessionServer::new(Service { calls: sender });
        let serving = server().add_service(service).serve_with_incoming(incoming);
        let task = tokio::spawn(async move { serving.await.unwrap() });
        Self { address, calls, task }
    }

    /// The next call.
    pub(crate) async fn call(&mut self) -> Call {
        soon("a call at the store", self.calls.recv()).await.expect("the server runs")
    }

    /// The next call, however long it takes; `None` when the server has ended.
    pub(crate) async fn next_call(&mut self) -> Option<Call> {
        self.calls.recv().await
    }

    /// Whether nobody has called since the last [`FakeStore::call`].
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.calls.try_recv().is_err()
    }
}

impl Drop for FakeStore {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Call {
    /// The next message of the frontend; `None` when its stream has ended.
    pub(crate) async fn hear(&mut self) -> Option<ToStore> {
        let raw = soon("a message of the frontend", self.from_frontend.message()).await.ok().flatten()?;
        Some(ToStore::try_from(&raw).unwrap())
    }

    /// The next message, however long it takes. Cancel-safe.
    pub(crate) async fn listen(&mut self) -> Option<ToStore> {
        let raw = self.from_frontend.message().await.ok().flatten()?;
        Some(ToStore::try_from(&raw).unwrap())
    }

    /// Hears messages until the stream ends.
    pub(crate) async fn hear_the_end(&mut self) {
        while self.hear().await.is_some() {}
    }

    /// Says something; whether the frontend is still there.
    pub(crate) async fn say(&self, message: FromStore) -> bool {
        self.say_raw(v1::StoreMessage::from(&message)).await
    }

    /// Says something that need not make sense.
    pub(crate) async fn say_raw(&self, message: v1::StoreMessage) -> bool {
        soon("room for a message", self.to_frontend.send(Ok(message))).await.is_ok()
    }

    /// Ends the stream with an error.
    pub(crate) async fn fail(self) {
        let _ = self.to_frontend.send(Err(Status::unavailable("going down"))).await;
    }
}
