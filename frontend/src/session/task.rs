//! The task that keeps the session up: search, talk, and again.
//!
//! Owns the loop, and what people are told of it: a line when the session is lost, and, while no store node takes
//! it, one at once and each ten seconds, with what was wrong at each node. Refuses to give up: the frontend serves
//! on what it has, and a store that comes back is found within two seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use leasehold_proto::session::RefusalReason;
use leasehold_proto::tls::Security;
use tokio::sync::watch;
use tokio::time::Instant;

use super::line::Inbox;
use super::search::{Search, Step};
use super::talk::{End, Talked, talk};
use super::{SessionConfig, SessionState, StoreAddress};

/// A connection that served so long starts the search afresh when it breaks; a shorter one goes on with the backoff.
const SERVICE_MIN: Duration = Duration::from_secs(1);

/// How often a search without success is told of.
const COMPLAIN_EACH: Duration = Duration::from_secs(10);

/// Keeps the session up until the packet thread's end of the inbox is dropped; then it returns. Cancel-safe: aborting
/// the task ends the connection.
pub async fn keep(config: SessionConfig, inbox: Inbox, state: watch::Sender<SessionState>) {
    let trusting = matches!(config.security, Security::Mutual(_));
    let mut search = Search::new(config.stores.clone(), trusting);
    let mut complaints = Complaints::default();
    loop {
        let store = match search.step(random()) {
            Step::Try(store) => store,
            Step::Pause(pause) => {
                complaints.tell_if_due();
                tokio::time::sleep(pause).await;
                continue;
            }
        };
        let talked = talk(&config, &store, &inbox, &state).await;
        if let End::PacketThreadGone(_) = talked.end {
            return;
        }
        state.send_replace(SessionState::Searching {
            problem: Some(format!("{}: {}", store.address, talked.end)),
        });
        complaints.note(&store, &talked);
        judge(&mut search, &store, &talked);
    }
}

/// What an ended connection means for where to go next.
fn judge(search: &mut Search, store: &StoreAddress, talked: &Talked) {
    if talked.served.is_some_and(|served| served >= SERVICE_MIN) {
        search.broke_after_service(store);
    }
    match &talked.end {
        End::Refused(refused) => match refused.reason {
            RefusalReason::NotLeader => search.not_leader(refused.leader_address.as_deref()),
            // The engine says hello for a new session now.
            RefusalReason::UnknownSession => search.again(store),
            RefusalReason::Superseded | RefusalReason::Protocol | RefusalReason::Forbidden => {}
        },
        End::HungUp => search.again(store),
        _ => {}
    }
}

/// What people are told about a search.
#[derive(Debug, Default)]
struct Complaints {
    /// Since when no store node has the session; `None`: one has, or nothing was tried yet.
    since: Option<Instant>,
    told_at: Option<Instant>,
    /// The last problem at each address. Bounded by the configuration and what authenticated nodes name.
    problems: BTreeMap<String, String>,
}

/// Addresses whose problems are kept.
const PROBLEMS_MAX: usize = 16;

impl Complaints {
    fn note(&mut self, store: &StoreAddress, talked: &Talked) {
        let reason = &talked.end;
        if let Some(served) = talked.served {
            tracing::warn!(
                store = %store.address, %reason, served_ms = served.as_millis(),
                "lost the session with the store; serving on what is known, looking for another node"
            );
            *self = Self {
                since: Some(Instant::now()),
                told_at: Some(Instant::now()),
                problems: BTreeMap::new(),
            };
        } else {
            tracing::debug!(store = %store.address, %reason, "a store node did not take the session");
            self.since.get_or_insert_with(Instant::now);
        }
        if self.problems.len() < PROBLEMS_MAX || self.problems.contains_key(&store.address) {
            self.problems.insert(store.address.clone(), reason.to_string());
        }
    }

    /// Called between rounds: every node was tried.
    fn tell_if_due(&mut self) {
        let Some(since) = self.since else { return };
        if self.told_at.is_some_and(|told| told.elapsed() < COMPLAIN_EACH) {
            return;
        }
        self.told_at = Some(Instant::now());
        let problems: Vec<String> =
            self.problems.iter().map(|(address, problem)| format!("{address}: {problem}")).collect();
        tracing::warn!(
            searching_secs = since.elapsed().as_secs(),
            problems = problems.join("; "),
            "no store node takes this frontend's session; it goes on trying, and serves as far as it may"
        );
    }
}

/// A number for jitter. Without entropy, which a running kernel always has, pauses are short.
fn random() -> u32 {
    let mut bytes = [0; 4];
    let _ = getrandom::fill(&mut bytes);
    u32::from_ne_bytes(bytes)
}
