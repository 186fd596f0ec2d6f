//! Whole frontends over loopback, with the real engine, against a scripted store. Waits are for conditions, bounded.

mod client;
mod serving;
mod starting;
pub(in crate::process) mod store;
mod survival;

use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use leasehold_proto::tls::Security;
use leasehold_proto::words::FrontendId;

use super::{FrontendConfig, FrontendProcess, FrontendStatus, Overload, Running};
use crate::session::StoreAddress;
use crate::session::tests::PATIENCE;

fn config(stores: &[&str]) -> FrontendConfig {
    let stores = stores.iter().map(|address| StoreAddress { name: None, address: (*address).to_owned() });
    FrontendConfig {
        frontend: FrontendId::new("fe-a").unwrap(),
        cluster: "test".to_owned(),
        stores: stores.collect(),
        listen: SocketAddrV6::new(Ipv6Addr::LOCALHOST, 0, 0, 0),
        interfaces: Vec::new(),
        security: Security::InsecureLoopback,
        status_socket: None,
        lock_file: None,
        hash_key: Some([7; 16]),
        overload: Overload::default(),
    }
}

fn start(store: &str) -> Running {
    FrontendProcess::start(config(&[store])).unwrap()
}

/// Waits until the frontend stands as wanted.
async fn until(what: &str, running: &Running, condition: impl Fn(&FrontendStatus) -> bool) -> FrontendStatus {
    let pause = Duration::from_millis(10);
    let mut last = None;
    for _ in 0..PATIENCE.as_millis() / pause.as_millis() {
        let status = running.status().expect("the packet thread runs");
        if condition(&status) {
            return status;
        }
        last = Some(status);
        tokio::time::sleep(pause).await;
    }
    panic!("never came true: {what}; last seen: {last:?}");
}

/// Waits until the frontend may lease on its own.
async fn until_serving(running: &Running) {
    until("the frontend may lease", running, |status| {
        let leases = &status.engine.leases;
        leases.is_loaded && leases.pools.iter().any(|p| p.slots_free > 0 && !p.autonomy_left.is_zero())
    })
    .await;
}
