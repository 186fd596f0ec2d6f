//! Broken, silent, senseless and hung-up connections: each ends, is told of, and is followed by another.

use std::sync::Arc;

use leasehold_proto::session::{RefusalReason, Refused, SessionBatch};
use leasehold_proto::v1;

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

#[tokio::test]
async fn fo_906_when_the_leader_breaks_off_the_next_node_is_asked_and_can_be_told_the_rest() {
    let (mut first, mut second) = (FakeStore::start().await, FakeStore::start().await);
    let mut kept = keep_with(&[first.address.clone(), second.address.clone()]);
    let (line, mut call) = open(&mut kept, &mut first, 1).await;
    line.send(batch(1)).unwrap();
    assert_eq!(call.hear().await, Some(batch(1)));
    call.fail().await;
    kept.until_disconnected().await;
    let (line, mut call) = open(&mut kept, &mut second, 1).await;
    line.send(batch(1)).unwrap();
    assert_eq!(call.hear().await, Some(batch(1)));
}

#[tokio::test]
async fn what_was_meant_for_an_old_connection_does_not_reach_the_next() {
    let mut store = FakeStore::start().await;
    let mut kept = keep_with(&[store.address.clone()]);
    let (line, call) = open(&mut kept, &mut store, 1).await;
    drop(call);
    // Whether this is taken or refused depends on whether the end was noticed.
    let _ = line.send(batch(1));
    kept.until_disconnected().await;
    let (_line, mut call) = open(&mut kept, &mut store, 1).await;
    _line.send(batch(2)).unwrap();
    assert_eq!(call.hear().await, Some(batch(2)));
}

#[tokio::test]
async fn a_store_that_falls_silent_is_left() {
    let (mut silent, mut other) = (FakeStore::start().await, FakeStore::start().await);
    let mut kept = keep_with(&[silent.address.clone(), other.address.clone()]);
    let (_line, mut call) = open(&mut kept, &mut silent, 1).await;
    // The connection stands, its keepalive is answered: only the session's own silence tells.
    assert!(kept.until_disconnected().await.is_empty());
    call.hear_the_end().await;
    open(&mut kept, &mut other, 1).await;
    assert!(silent.is_quiet());
}

#[tokio::test]
async fn a_message_without_sense_ends_the_connection() {
    let mut store = FakeStore::start().await;
    let mut kept = keep_with(&[store.address.clone()]);
    let (_line, mut call) = open(&mut kept, &mut store, 1).await;
    call.say_raw(v1::StoreMessage { body: None }).await;
    assert!(kept.until_disconnected().await.is_empty());
    let problem = format!("{:?}", *kept.state.borrow());
    call.hear_the_end().await;
    assert!(problem.contains("cannot be understood"), "{problem}");
    open(&mut kept, &mut store, 2).await;
}

#[tokio::test]
async fn hanging_up_leads_to_a_new_connection_to_the_same_node() {
    let (mut store, mut other) = (FakeStore::start().await, FakeStore::start().await);
    let mut kept = keep_with(&[store.address.clone(), other.address.clone()]);
    let (line, mut call) = open(&mut kept, &mut store, 1).await;
    drop(line);
    assert!(kept.until_disconnected().await.is_empty());
    call.hear_the_end().await;
    open(&mut kept, &mut store, 2).await;
    assert!(other.is_quiet());
}

#[tokio::test]
async fn a_session_that_the_store_does_not_know_is_opened_anew_at_the_same_node() {
    let (mut store, mut other) = (FakeStore::start().await, FakeStore::start().await);
    let mut kept = keep_with(&[store.address.clone(), other.address.clone()]);
    let line = kept.line().await;
    line.send(hello()).unwrap();
    let refusal = FromStore::Refused(Refused {
        reason: RefusalReason::UnknownSession,
        detail: "long dead".to_owned(),
        leader_address: None,
    });
    store.call().await.say(refusal.clone()).await;
    assert_eq!(
        kept.until_disconnected().await,
        [refusal],
        "the engine must see it, to say hello for a new session"
    );
    open(&mut kept, &mut store, 2).await;
    assert!(other.is_quiet());
}
