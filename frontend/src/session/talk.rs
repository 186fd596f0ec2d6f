//! One connection to one store node, from connecting to its end.
//!
//! Owns the order of one connection's life, its time limits, and the checked conversion of what comes and goes.
//! Refuses to decide where to connect next (`search`) and what a message means, but for two that end a connection
//! or make it count: Refused and Welcome. In: a [`StoreAddress`]. Out: [`FromSession`]s, and a [`Talked`].
//! Invariants: the packet thread is told Disconnected exactly if it was told Connected; time is judged only while
//! waiting for the store, not while the packet thread makes us wait.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use leasehold_proto::convert::ConvertError;
use leasehold_proto::identity::Role;
use leasehold_proto::session::{FromStore, Refused, StoreEvent, ToStore};
use leasehold_proto::tls::{ExpectedServer, connector, endpoint};
use leasehold_proto::v1;
use leasehold_proto::v1::frontend_session_client::FrontendSessionClient;
use leasehold_proto::words::UpdateSeq;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::line::{FromSession, Inbox, LineEnd, PacketThreadGone, line};
use super::{SessionConfig, SessionState, StoreAddress};

/// Time to connect, handshake included. Why shorter than elsewhere: another node is at hand.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Time until the store answers the call, and again until Welcome or Refused comes: opening a session takes a commit.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(3);

/// Silence after which a store node counts as dead. It answers heartbeats, sent each 200 ms.
const SILENCE_MAX: Duration = Duration::from_millis(1_500);

/// Time without any outcome while batches wait for one. Why: a leader cut off from its followers answers heartbeats
/// and commits nothing; another node may lead by now.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest message taken. Why so long: one log entry may concern all leases of many batches. The sender is
/// authenticated, so this is a bound against accidents.
const MESSAGE_LEN_MAX: usize = 64 << 20;

/// HTTP/2 windows: what the store may send ahead. Why: a load over a long way shall not wait for each 64 KiB.
const STREAM_WINDOW_LEN: u32 = 1 << 20;
const CONNECTION_WINDOW_LEN: u32 = 2 << 20;

/// Why a connection ended, or was not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("{0}")]
    Unreachable(String),
    #[error("it did not answer within {} ms", .0.as_millis())]
    NoAnswer(Duration),
    #[error("it fell silent for {} ms", SILENCE_MAX.as_millis())]
    Silent,
    #[error("it has committed nothing for {} s, though there was something to commit", COMMIT_TIMEOUT.as_secs())]
    CommitsNothing,
    #[error("it ended the session's stream")]
    Closed,
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("it sent what cannot be understood ({0}); do both run versions that fit?")]
    Garbage(#[from] ConvertError),
    #[error("refused ({:?}): {}", .0.reason, .0.detail)]
    Refused(Refused),
    #[error("this frontend hung up, to connect anew")]
    HungUp,
    #[error(transparent)]
    PacketThreadGone(#[from] PacketThreadGone),
}

/// What became of an attempt.
#[derive(Debug)]
pub(super) struct Talked {
    /// How long the session was on, if the store took it.
    pub(super) served: Option<Duration>,
    /// Why it is over.
    pub(super) end: End,
}

/// Connects to a node and carries messages for as long as that goes well.
pub(super) async fn talk(
    config: &SessionConfig,
    store: &StoreAddress,
    inbox: &Inbox,
    state: &watch::Sender<SessionState>,
) -> Talked {
    let mut welcomed_at = None;
    let end = match open(config, store).await {
        Ok(client) => converse(client, store, inbox, state, &mut welcomed_at).await,
        Err(end) => end,
    };
    Talked { served: welcomed_at.map(|at: Instant| at.elapsed()), end }
}

type Client = FrontendSessionClient<tonic::transport::Channel>;

async fn open(config: &SessionConfig, store: &StoreAddress) -> Result<Client, End> {
    let expected =
        ExpectedServer { cluster: config.cluster.clone(), role: Role::Store, name: store.name.clone() };
    let endpoint = endpoint(&store.address)
        .map_err(|error| End::Unreachable(error.to_string()))?
        .initial_stream_window_size(STREAM_WINDOW_LEN)
        .initial_connection_window_size(CONNECTION_WINDOW_LEN);
    let connector = connector(&config.security, expected).with_timeout(CONNECT_TIMEOUT);
    // The connector has its own limit; this one is for the HTTP/2 preface behind it.
    let connecting = timeout(CONNECT_TIMEOUT * 2, endpoint.connect_with_connector(connector));
    let channel = connecting
        .await
        .map_err(|_| End::NoAnswer(CONNECT_TIMEOUT * 2))?
        .map_err(|error| End::Unreachable(with_causes(&error)))?;
    Ok(FrontendSessionClient::new(channel)
        .max_decoding_message_size(MESSAGE_LEN_MAX)
        .max_encoding_message_size(MESSAGE_LEN_MAX))
}

/// Runs the stream; the packet thread is told of its beginning and its end.
async fn converse(
    client: Client,
    store: &StoreAddress,
    inbox: &Inbox,
    state: &watch::Sender<SessionState>,
    welcomed_at: &mut Option<Instant>,
) -> End {
    let (line, line_end) = line();
    // Before the call: a store may answer it only after Hello.
    if let Err(gone) = inbox.put(FromSession::Connected(line)).await {
        return gone.into();
    }
    let end = match exchange(client, line_end, store, inbox, state, welcomed_at).await {
        Ok(never) => match never {},
        Err(end) => end,
    };
    match inbox.put(FromSession::Disconnected).await {
        Ok(()) => end,
        Err(gone) => gone.into(),
    }
}

async fn exchange(
    mut client: Client,
    line_end: LineEnd,
    store: &StoreAddress,
    inbox: &Inbox,
    state: &watch::Sender<SessionState>,
    welcomed_at: &mut Option<Instant>,
) -> Result<std::convert::Infallible, End> {
    let LineEnd { queue, mut hung_up } = line_end;
    let commits = Arc::new(Commits::default());
    let noted = Arc::clone(&commits);
    // The transport keeps our half of a stream open for as long as it may yield something, whatever became of the
    // other half: it must end with this function, or the store would see a caller that is long gone.
    let (_talking, silenced) = oneshot::channel::<()>();
    let outgoing = ReceiverStream::new(queue).take_until(silenced).map(move |message| {
        noted.note_sent(&message, Instant::now());
        v1::FrontendMessage::from(&message)
    });
    let call = timeout(WELCOME_TIMEOUT, client.session(outgoing));
    let mut incoming = call
        .await
        .map_err(|_| End::NoAnswer(WELCOME_TIMEOUT))?
        .map_err(|status| End::Broken(in_words(&status)))?
        .into_inner();
    loop {
        let (patience, late) = match welcomed_at {
            Some(_) => (SILENCE_MAX, End::Silent),
            None => (WELCOME_TIMEOUT, End::NoAnswer(WELCOME_TIMEOUT)),
        };
        let raw = tokio::select! {
            biased;
            _ = &mut hung_up => return Err(End::HungUp),
            read = timeout(patience, incoming.message()) => match read {
                Err(_) => return Err(late),
                Ok(Err(status)) => return Err(End::Broken(in_words(&status))),
                Ok(Ok(None)) => return Err(End::Closed),
                Ok(Ok(Some(raw))) => raw,
            },
        };
        let message = FromStore::try_from(&raw)?;
        drop(raw);
        commits.note_received(&message, Instant::now());
        let mut refused = None;
        match &message {
            FromStore::Welcome(welcome) => {
                *welcomed_at = Some(Instant::now());
                let (epoch, resumed) = (welcome.epoch, welcome.resumed);
                tracing::info!(store = %store.address, %epoch, resumed, "the store has taken this frontend's session");
                if !welcome.supersedes.is_none() {
                    tracing::warn!(
                        older = %welcome.supersedes,
                        "this session supersedes one of the same frontend that had not stopped cleanly: it crashed, \
                         or another process of this name still runs; its ranges stay closed until it is dead for certain"
                    );
                }
                state.send_replace(SessionState::Connected { address: store.address.clone(), epoch });
            }
            FromStore::Refused(refusal) => refused = Some(refusal.clone()),
            _ => {}
        }
        inbox.put(FromSession::Message(message)).await?;
        if let Some(refusal) = refused {
            return Err(End::Refused(refusal));
        }
        if commits.stalled(Instant::now()) {
            return Err(End::CommitsNothing);
        }
    }
}

/// Watches that batches sent get their outcomes.
#[derive(Debug, Default)]
struct Commits {
    state: Mutex<CommitsState>,
}

#[derive(Debug, Default)]
struct CommitsState {
    last_sent: UpdateSeq,
    /// Since when an outcome has been due; moved on by each that comes.
    due_since: Option<Instant>,
}

impl Commits {
    fn note_sent(&self, message: &ToStore, now: Instant) {
        if let ToStore::Batch(batch) = message {
            let mut state = self.lock();
            state.last_sent = batch.sequence;
            state.due_since.get_or_insert(now);
        }
    }

    fn note_received(&self, message: &FromStore, now: Instant) {
        let FromStore::Entry(entry) = message else { return };
        let mut outcomes = entry.events.iter().filter_map(|event| match event {
            StoreEvent::Batch(outcome) => Some(outcome.sequence),
            _ => None,
        });
        if let Some(latest) = outcomes.next_back() {
            let mut state = self.lock();
            state.due_since = (latest < state.last_sent).then_some(now);
        }
    }

    fn stalled(&self, now: Instant) -> bool {
        self.lock().due_since.is_some_and(|since| now.duration_since(since) > COMMIT_TIMEOUT)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, CommitsState> {
        // Every holder leaves the value whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_words(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

/// An error and what lies behind it; the outermost alone says "transport error".
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_words = inner.to_string();
        if !words.ends_with(&inner_words) {
            words = format!("{words}: {inner_words}");
        }
        cause = inner.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use leasehold_proto::session::{BatchOutcome, SessionBatch, StreamEntry};
    use leasehold_proto::time::ClusterTime;
    use leasehold_proto::words::{Epoch, LogIndex};

    use super::*;

    fn batch(sequence: u64) -> ToStore {
        ToStore::Batch(Arc::new(SessionBatch {
            epoch: Epoch(1),
            sequence: UpdateSeq(sequence),
            updates: Vec::new(),
            requests: Vec::new(),
            returned: Vec::new(),
            acked_index: LogIndex(0),
            closing: false,
            registrations: Vec::new(),
        }))
    }

    fn outcome(sequence: u64) -> FromStore {
        let stamp = ClusterTime::ZERO;
        let outcome =
            BatchOutcome { sequence: UpdateSeq(sequence), stamp, extended: true, refused: Vec::new() };
        FromStore::Entry(StreamEntry { index: LogIndex(sequence), events: vec![StoreEvent::Batch(outcome)] })
    }

    #[test]
    fn fo_906_a_leader_that_commits_nothing_is_left_and_a_slow_one_is_not() {
        let commits = Commits::default();
        let start = Instant::now();
        let at = |secs: u64| start + Duration::from_secs(secs);
        assert!(!commits.stalled(at(100)), "nothing was sent, nothing is due");
        commits.note_sent(&batch(1), at(100));
        commits.note_sent(&batch(2), at(103));
        assert!(!commits.stalled(at(105)));
        assert!(commits.stalled(at(106)));
        commits.note_received(&FromStore::HeartbeatAnswer { log_index: LogIndex(9) }, at(106));
        assert!(commits.stalled(at(106)), "an answer to a heartbeat commits nothing");
        commits.note_received(&outcome(1), at(106));
        assert!(!commits.stalled(at(111)), "one outcome shows that the other will come");
        assert!(commits.stalled(at(112)));
        commits.note_received(&outcome(2), at(112));
        assert!(!commits.stalled(at(200)));
    }
}
