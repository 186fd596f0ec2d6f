//! A frontend in service: leases given and told, the store gone and come back, sessions over and superseded.

use std::sync::atomic::Ordering;

use leasehold_proto::lease::UpdateKind;
use leasehold_proto::session::{StoreEvent, ToStore};
use leasehold_proto::words::{Epoch, Prefix};

use super::client::Client;
use super::store::{FIRST_EPOCH, Script};
use super::*;
use crate::codec::reply::ServerMessageKind;
use crate::codec::wire::msg;
use crate::process::Stopped;
use crate::session::SessionState;
use crate::session::tests::fake_store::FakeStore;

fn all_is_told(status: &FrontendStatus) -> bool {
    let leases = &status.engine.leases;
    leases.is_connected && leases.dirty_leases + leases.updates_in_flight == 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_lease_is_given_at_once_told_to_the_store_and_all_is_told_before_a_clean_stop() {
    let mut store = Script::start().await;
    let running = start(&store.address);
    until_serving(&running).await;
    let client = Client::of(running.local_addr(), 1).await;
    let offer = client.solicit().await;
    assert_eq!(offer.kind, ServerMessageKind::Advertise);
    let lease = client.request(&offer).await;
    assert_eq!((lease.kind, lease.address), (ServerMessageKind::Reply, offer.address));
    assert!(lease.valid_secs > 0);
    let told = |message: &ToStore| match message {
        ToStore::Batch(batch) => batch.updates.first().map(|update| (update.prefix, update.kind)),
        _ => None,
    };
    let told = store.hear("the lease in a batch", told).await;
    assert_eq!(told, (Prefix::address(lease.address.to_bits()), UpdateKind::Promise));
    let status = until("nothing is dirty", &running, all_is_told).await;
    assert_eq!(status.engine.leases.known_leases, 1);
    let relays = |message: &ToStore| match message {
        ToStore::Heartbeat(heartbeat) => heartbeat.relays_heard.first().copied(),
        _ => None,
    };
    let relay = store.hear("a heartbeat that names the relay", relays).await;
    assert_eq!(relay, Ipv6Addr::LOCALHOST.to_bits());
    let stopped = tokio::task::spawn_blocking(|| running.shutdown()).await.unwrap();
    assert_eq!(stopped, Ok(Stopped::Clean));
    let closing = |message: &ToStore| match message {
        ToStore::Batch(batch) => batch.closing.then(|| batch.returned.len()),
        _ => None,
    };
    assert!(store.hear("the closing batch", closing).await > 0, "ranges are returned");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn fo_904_a_frontend_without_its_store_goes_on_and_tells_it_later() {
    let store = Script::start().await;
    let address = store.address.clone();
    let running = start(&address);
    until_serving(&running).await;
    let client = Client::of(running.local_addr(), 1).await;
    let lease = client.request(&client.solicit().await).await;
    let ledger = store.crash().await;
    until("the loss is noticed", &running, |s| matches!(s.session, SessionState::Searching { .. })).await;
    assert_eq!(client.renew(&lease).await.address, lease.address);
    let other = Client::of(running.local_addr(), 2).await;
    let new = other.request(&other.solicit().await).await;
    assert_ne!(new.address, lease.address);
    let status = until("the new lease is dirty", &running, |s| s.engine.leases.dirty_leases >= 1).await;
    assert!(!status.engine.leases.is_connected);
    let mut back = Script::start_with(FakeStore::start_at(address.parse().unwrap()).await, ledger);
    let told = |message: &ToStore| match message {
        ToStore::Batch(batch) => {
            batch.updates.iter().any(|u| u.prefix.bits() == new.address.to_bits()).then_some(())
        }
        _ => None,
    };
    back.hear("the lease given meanwhile", told).await;
    let status = until("nothing is dirty", &running, all_is_told).await;
    assert_eq!(status.engine.leases.known_leases, 2);
    assert_eq!(status.engine.leases.epoch, FIRST_EPOCH, "the session was resumed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_store_that_knows_nothing_of_the_session_gets_a_new_one() {
    let store = Script::start().await;
    let address = store.address.clone();
    let running = start(&address);
    until_serving(&running).await;
    store.crash().await;
    let _other = Script::start_on(FakeStore::start_at(address.parse().unwrap()).await, 201);
    until("the new session", &running, |status| status.engine.leases.epoch == Epoch(201)).await;
    until_serving(&running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn fo_906_a_broken_connection_costs_no_update() {
    let mut store = Script::start().await;
    let running = start(&store.address);
    until_serving(&running).await;
    let client = Client::of(running.local_addr(), 1).await;
    // Its outcome may be lost on the way: it is in the store's history, or the batch is sent again.
    store.break_connection();
    let lease = client.request(&client.solicit_until_answered().await).await;
    let told = |message: &ToStore| match message {
        ToStore::Batch(batch) => {
            batch.updates.iter().any(|u| u.prefix.bits() == lease.address.to_bits()).then_some(())
        }
        _ => None,
    };
    store.hear("the lease in a batch", told).await;
    let status = until("nothing is dirty", &running, all_is_told).await;
    assert_eq!(status.engine.leases.known_leases, 1);
    assert_eq!(status.engine.leases.epoch, FIRST_EPOCH, "the session was resumed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn r4_a_session_past_its_deadline_is_followed_by_a_new_one() {
    let mut store = Script::start().await;
    let running = start(&store.address);
    until_serving(&running).await;
    store.extends.store(false, Ordering::SeqCst);
    // Something to tell brings an outcome that does not extend.
    let client = Client::of(running.local_addr(), 1).await;
    let _ = client.request(&client.solicit().await).await;
    let mut hellos = 0;
    let hello = |message: &ToStore| match message {
        ToStore::Hello(hello) => Some(hello.resume_epoch),
        _ => None,
    };
    while hellos < 2 {
        assert_eq!(store.hear("Hello for a new session", hello).await, Epoch::NONE);
        hellos += 1;
    }
    until("the new session serves", &running, |s| s.engine.leases.epoch == Epoch(102)).await;
    until_serving(&running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn r6_a_superseded_frontend_renews_and_takes_no_new_client() {
    let store = Script::start().await;
    let running = start(&store.address);
    until_serving(&running).await;
    let client = Client::of(running.local_addr(), 1).await;
    let lease = client.request(&client.solicit().await).await;
    // The lease was born before the newer session, so this one may extend it: say so only when it is committed.
    let status = until("the lease is committed", &running, all_is_told).await;
    store.say(StoreEvent::Superseded { by: Epoch(900), at: status.engine.leases.log_index });
    until("it knows", &running, |status| status.engine.leases.is_superseded).await;
    let other = Client::of(running.local_addr(), 2).await;
    other.send(msg::SOLICIT, None).await;
    // One thread handles packets in order: with the Renew answered, the Solicit was handled before it.
    assert_eq!(client.renew(&lease).await.address, lease.address);
    let counters = running.status().unwrap().counters;
    assert_eq!((counters.advertises, counters.replies), (1, 2), "no offer to the new client");
}
