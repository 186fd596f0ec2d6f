//! A store that takes every batch, grants what is asked for, and remembers its stream for those who come back.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use leasehold_proto::network::{Network, fill_defaults};
use leasehold_proto::session::{
    BatchOutcome, FromStore, LoadChunk, RangeRecord, RefusalReason, Refused, SessionBatch, StoreEvent,
    StreamEntry, ToStore, Welcome,
};
use leasehold_proto::time::ClusterTime;
use leasehold_proto::v1;
use leasehold_proto::words::{Epoch, FrontendId, LogIndex, RangeId, UpdateSeq};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use crate::session::tests::fake_store::{Call, FakeStore};
use crate::session::tests::soon;

/// The first session of a store that was started by [`Script::start`].
pub(super) const FIRST_EPOCH: Epoch = Epoch(101);

/// A running script. Dropping it ends the store as a crash would.
pub(super) struct Script {
    pub(super) address: String,
    /// Cleared by a test: outcomes say that the session is not extended any more.
    pub(super) extends: Arc<AtomicBool>,
    heard: mpsc::UnboundedReceiver<ToStore>,
    say: mpsc::UnboundedSender<Act>,
    ledger: Arc<Mutex<Ledger>>,
    task: JoinHandle<()>,
}

/// What a test makes the store do.
enum Act {
    Say(StoreEvent),
    HangUp,
}

/// What the store keeps, connections or not.
pub(super) struct Ledger {
    epoch: Epoch,
    applied: UpdateSeq,
    index: LogIndex,
    next_slice: u64,
    history: Vec<StreamEntry>,
    extends: Arc<AtomicBool>,
}

impl Script {
    pub(super) async fn start() -> Self {
        Self::start_on(FakeStore::start().await, FIRST_EPOCH.0)
    }

    /// A store that knows no session; the first that it opens is that many.
    pub(super) fn start_on(store: FakeStore, first_epoch: u64) -> Self {
        let ledger = Ledger {
            epoch: Epoch(first_epoch - 1),
            applied: UpdateSeq(0),
            index: LogIndex(10),
            next_slice: 0,
            history: Vec::new(),
            extends: Arc::new(AtomicBool::new(true)),
        };
        Self::start_with(store, ledger)
    }

    /// A store that knows what another one knew.
    pub(super) fn start_with(mut store: FakeStore, ledger: Ledger) -> Self {
        let (tell, heard) = mpsc::unbounded_channel();
        let (say, mut to_say) = mpsc::unbounded_channel();
        let (address, extends) = (store.address.clone(), Arc::clone(&ledger.extends));
        let ledger = Arc::new(Mutex::new(ledger));
        let kept = Arc::clone(&ledger);
        let task = tokio::spawn(async move {
            while let Some(call) = store.next_call().await {
                kept.lock().await.serve(call, &tell, &mut to_say).await;
            }
        });
        Self { address, extends, heard, say, ledger, task }
    }

    /// Ends the store as a crash would, but for its disk.
    pub(super) async fn crash(self) -> Ledger {
        let ledger = Arc::clone(&self.ledger);
        drop(self);
        // The task lets go of it when it has ended.
        let free = soon("the end of the script", async {
            loop {
                match Arc::strong_count(&ledger) {
                    1 => break,
                    _ => tokio::task::yield_now().await,
                }
            }
        });
        free.await;
        Arc::into_inner(ledger).expect("the only holder, as just counted").into_inner()
    }

    /// The next message that fits, others passed over.
    pub(super) async fn hear<T>(&mut self, what: &str, fits: impl Fn(&ToStore) -> Option<T>) -> T {
        soon(what, async {
            loop {
                let message = self.heard.recv().await.expect("the script runs");
                if let Some(found) = fits(&message) {
                    return found;
                }
            }
        })
        .await
    }

    /// Puts an event into the stream.
    pub(super) fn say(&self, event: StoreEvent) {
        self.say.send(Act::Say(event)).unwrap();
    }

    /// Breaks the connection in hand.
    pub(super) fn break_connection(&self) {
        self.say.send(Act::HangUp).unwrap();
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ledger {
    async fn serve(
        &mut self,
        mut call: Call,
        tell: &mpsc::UnboundedSender<ToStore>,
        to_say: &mut mpsc::UnboundedReceiver<Act>,
    ) {
        loop {
            let message = tokio::select! {
                message = call.listen() => message,
                act = to_say.recv() => {
                    let Some(Act::Say(event)) = act else { return };
                    let entry = self.enter(vec![event]);
                    call.say(FromStore::Entry(entry)).await;
                    continue;
                }
            };
            let Some(message) = message else { return };
            match &message {
                ToStore::Hello(hello)
                    if hello.resume_epoch != Epoch::NONE && hello.resume_epoch != self.epoch =>
                {
                    let (reason, detail) = (RefusalReason::UnknownSession, "never heard of it".to_owned());
                    call.say(FromStore::Refused(Refused { reason, detail, leader_address: None })).await;
                }
                ToStore::Hello(hello) => {
                    let resumed = hello.resume_epoch == self.epoch && hello.loaded;
                    if hello.resume_epoch == Epoch::NONE {
                        self.open();
                    }
                    call.say(self.welcome(resumed, hello.resume_index)).await;
                    if resumed {
                        for entry in self.history.iter().filter(|e| e.index > hello.resume_index) {
                            call.say(FromStore::Entry(entry.clone())).await;
                        }
                    } else {
                        let done = Some(self.index);
                        call.say(FromStore::Load(LoadChunk {
                            leases: vec![],
                            ranges: vec![],
                            registrations: vec![],
                            done,
                        }))
                        .await;
                    }
                }
                ToStore::Batch(batch) if batch.sequence == self.applied.next() => {
                    let entry = self.take(batch);
                    call.say(FromStore::Entry(entry)).await;
                }
                ToStore::Batch(_) => {}
                ToStore::Heartbeat(_) => {
                    call.say(FromStore::HeartbeatAnswer { log_index: self.index }).await;
                }
                ToStore::Trace(_) => {}
                ToStore::Lookup { link, duid } => {
                    let (link, duid) = (*link, duid.clone());
                    call.say(FromStore::Lookup { link, duid, leases: vec![], index: self.index }).await;
                }
            }
            // The test may have heard enough.
            let _ = tell.send(message);
        }
    }

    fn open(&mut self) {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.applied = UpdateSeq(0);
        self.history.clear();
        self.extends.store(true, Ordering::SeqCst);
    }

    fn welcome(&self, resumed: bool, resume_index: LogIndex) -> FromStore {
        FromStore::Welcome(Welcome {
            epoch: self.epoch,
            index: if resumed { resume_index } else { self.index },
            resumed,
            applied_sequence: self.applied,
            network: Some(network()),
            supersedes: Epoch::NONE,
            draining: false,
            reconfigure_secret: None,
            reconfigure_orders: 0,
        })
    }

    fn take(&mut self, batch: &SessionBatch) -> StreamEntry {
        self.applied = batch.sequence;
        let mut events = Vec::new();
        for request in &batch.requests {
            for _ in 0..request.ranges {
                let range = RangeId { pool: request.pool, slice: self.next_slice };
                self.next_slice += 1;
                let frontend = Some(FrontendId::new("fe-a").unwrap());
                let record = RangeRecord { range, owner: self.epoch, frontend, closed: false, fresh: true };
                events.push(StoreEvent::Range(record));
            }
        }
        events.push(StoreEvent::Batch(BatchOutcome {
            sequence: batch.sequence,
            stamp: ClusterTime::from_millis(1_000_000 + self.index.0),
            extended: self.extends.load(Ordering::SeqCst),
            refused: vec![],
        }));
        self.enter(events)
    }

    fn enter(&mut self, events: Vec<StoreEvent>) -> StreamEntry {
        self.index = LogIndex(self.index.0 + 1);
        let entry = StreamEntry { index: self.index, events };
        self.history.push(entry.clone());
        entry
    }
}

/// One link, one pool of 4,096 addresses, one relationship of `fe-a` alone.
pub(in crate::process) fn network() -> Arc<Network> {
    let octets = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets().to_vec();
    let mut wire = v1::Network {
        version: 1,
        links: vec![v1::Link {
            name: "lan".to_owned(),
            prefixes: vec![v1::Prefix { address: octets("2001:db8:1::"), length_bits: 64 }],
            ..v1::Link::default()
        }],
        pools: vec![v1::Pool {
            name: "addresses".to_owned(),
            link: "lan".to_owned(),
            kind: v1::IaKind::Na.into(),
            first: octets("2001:db8:1::1000"),
            last: octets("2001:db8:1::1fff"),
            length_bits: 128,
            range_bits: Some(6),
            preferred_lifetime_secs: 3000,
            valid_lifetime_secs: 4000,
            mclt_secs: 1000,
            ..v1::Pool::default()
        }],
        relationships: vec![v1::Relationship {
            name: "alone".to_owned(),
            server_duid: vec![0, 2, 0, 0, 0, 1, 1],
            primary: "fe-a".to_owned(),
            pools: vec!["addresses".to_owned()],
            ..v1::Relationship::default()
        }],
        ..v1::Network::default()
    };
    fill_defaults(&mut wire);
    Arc::new(Network::from_wire(&wire).unwrap())
}
