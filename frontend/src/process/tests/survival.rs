//! The survival budget of a whole frontend, asked for by its socket.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::client::Client;
use super::store::Script;
use super::*;
use crate::process::status_socket::{Answer, BudgetView};
use crate::session::tests::fake_store::FakeStore;
use crate::session::tests::soon;

fn socket(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("leasehold-{}-{name}.sock", std::process::id()))
}

async fn ask(path: &Path) -> Option<BudgetView> {
    let mut stream = UnixStream::connect(path).await.unwrap();
    stream.write_all(b"budget\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    serde_json::from_slice::<Answer>(&answer).unwrap().budget
}

/// Asks until the budget is as wanted: it is made once a second.
async fn budget(what: &str, path: &Path, fits: impl Fn(&BudgetView) -> bool) -> BudgetView {
    soon(what, async {
        loop {
            match ask(path).await {
                Some(view) if fits(&view) => return view,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn fo_904_the_socket_tells_of_the_stores_loss_of_each_new_client_and_of_its_return() {
    let store = Script::start().await;
    let address = store.address.clone();
    let path = socket("survival");
    let config = FrontendConfig { status_socket: Some(path.clone()), ..config(&[&address]) };
    let running = FrontendProcess::start(config).unwrap();
    until_serving(&running).await;
    let client = Client::of(running.local_addr(), 1).await;
    let _ = client.request(&client.solicit().await).await;
    let with_store = budget("the store in reach", &path, |view| {
        let counted = |pool: &crate::process::status_socket::PoolView| {
            pool.new_leases > 0 && pool.known.as_ref().is_some()
        };
        view.store.in_reach && view.untold_leases == 0 && view.pools.iter().all(counted)
    })
    .await;
    assert_eq!(with_store.store.out_of_reach_ms, None);

    let ledger = store.crash().await;
    // Losing it begins another count at once, which finds the lease.
    let lost = budget("the loss", &path, |view| {
        !view.store.in_reach && view.pools[0].known.as_ref().is_some_and(|known| known.active == 1)
    })
    .await;
    assert!(lost.store.was_reached && lost.summary.contains("out of reach"), "{}", lost.summary);
    let before = &lost.pools[0];
    assert!(before.autonomy_left_ms < before.autonomy_ms);
    for number in 2..=4 {
        let new = Client::of(running.local_addr(), number).await;
        let _ = new.request(&new.solicit().await).await;
    }
    let spent = budget("three more clients", &path, |view| {
        view.untold_leases == 3 && view.pools[0].new_leases + 3 == before.new_leases
    })
    .await;
    assert!(spent.pools[0].autonomy_left_ms < before.autonomy_left_ms);
    assert!(spent.store.out_of_reach_ms > lost.store.out_of_reach_ms);

    let _back = Script::start_with(FakeStore::start_at(address.parse().unwrap()).await, ledger);
    let back = budget("the return", &path, |view| view.store.in_reach && view.untold_leases == 0).await;
    assert!(back.pools[0].autonomy_left_ms > spent.pools[0].autonomy_left_ms);
    drop(running);
    assert!(!path.exists(), "the socket goes with the process");
}

#[test]
fn a_status_socket_that_cannot_be_had_is_refused_with_the_reason() {
    let path = socket("occupied");
    std::fs::write(&path, "something else").unwrap();
    let config = FrontendConfig { status_socket: Some(path.clone()), ..config(&["127.0.0.1:9"]) };
    let refused = FrontendProcess::start(config).unwrap_err();
    std::fs::remove_file(&path).unwrap();
    assert!(refused.to_string().contains("no socket lies there"), "{refused}");
}
