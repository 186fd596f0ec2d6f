//! RFC 7031's requirements and the rules of design section 5, one story each: a store node and frontends under one
//! clock, real machine, hub, engines and codecs. Each test is named after the requirement that it shows.
//!
//! `survival`: what is to survive (requirements 2.1, 2.2). `lifetimes`: MCLT (2.4). `reuse`: when a lease may go to
//! somebody else, and out of which pool (2.5, 2.6). `settling`: updates, conflicts, and the store's own rules (2.8, 2.9).

mod lifetimes;
mod reuse;
mod settling;
mod survival;

use leasehold_frontend::codec::wire::msg;
use leasehold_proto::words::FrontendId;
use leasehold_tests::pair::{Client, Pair};
use std::time::Duration;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// More than the largest autonomy, MCLT, acknowledged lifetime and guard together.
const LONG: Duration = secs(3000);
const PATIENCE: Duration = secs(30);
const BOTH: [&str; 2] = ["fe-a", "fe-b"];

fn frontend(name: &str) -> FrontendId {
    FrontendId::new(name).expect("tests name frontends well")
}

/// Clients with a lease each.
fn bound(pair: &mut Pair, count: u16) -> Vec<Client> {
    (1..=count)
        .map(|number| {
            let mut client = Client::new(number);
            client.obtain(pair, PATIENCE).expect("there is room");
            client
        })
        .collect()
}

/// The client renews, is answered, and keeps what it has.
fn renews(pair: &mut Pair, client: &mut Client) -> leasehold_tests::pair::Said {
    let before = client.lease();
    let said = client.ask(pair, msg::RENEW, PATIENCE).expect("a Renew is answered");
    assert_eq!(said.lease(), before, "the client keeps its lease: {said:?}");
    said
}
