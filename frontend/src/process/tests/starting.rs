//! Starting: without a store, with what cannot work, and ending.

use super::client::Client;
use super::store::Script;
use super::*;
use crate::process::{StartError, Stopped};
use crate::session::SessionState;
use crate::session::tests::fake_store::FakeStore;
use crate::session::tests::soon;

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_frontend_starts_without_a_store_and_serves_as_soon_as_there_is_one() {
    let gone = FakeStore::start().await;
    let address = gone.address.clone();
    drop(gone);
    let running = start(&address);
    let searching = |s: &FrontendStatus| matches!(s.session, SessionState::Searching { problem: Some(_) });
    until("it says what is wrong", &running, searching).await;
    let _store = Script::start_on(FakeStore::start_at(address.parse().unwrap()).await, 1);
    let client = Client::of(running.local_addr(), 1).await;
    let offer = client.solicit_until_answered().await;
    assert!(offer.valid_secs > 0);
}

#[test]
fn a_frontend_that_never_had_a_session_stops_at_once() {
    let running = FrontendProcess::start(config(&["127.0.0.1:9"])).unwrap();
    assert_eq!(running.shutdown(), Ok(Stopped::Clean));
}

#[tokio::test]
async fn wait_resolves_when_the_packet_thread_is_gone() {
    let running = FrontendProcess::start(config(&["127.0.0.1:9"])).unwrap();
    let wait = running.wait();
    // Dropped within a runtime, it must not panic either.
    drop(running);
    soon("the end", wait).await;
}

#[test]
fn what_cannot_work_is_refused_with_the_reason() {
    assert!(matches!(FrontendProcess::start(config(&[])), Err(StartError::NoStore)));
    let bad = FrontendProcess::start(config(&["nowhere"])).unwrap_err();
    assert!(bad.to_string().contains("HOST:PORT"), "{bad}");
    let first = FrontendProcess::start(config(&["127.0.0.1:9"])).unwrap();
    let mut second = config(&["127.0.0.1:9"]);
    second.listen = first.local_addr();
    let refused = FrontendProcess::start(second).unwrap_err();
    assert!(refused.to_string().contains("in use"), "{refused}");
}
