//! Allocators and lease affinity: who is given what is free, from a small pool.

use super::lab::{ADDRESSES, SERVER_DUID, checked, ip, network, prefix};
use super::{Lab, Msg};
use crate::codec::wire::msg;
use leasehold_proto::lease::LeaseState;
use leasehold_proto::session::{FromStore, LoadChunk, RangeRecord, StoreEvent};
use leasehold_proto::v1;
use leasehold_proto::words::{Epoch, IaKind, Prefix, RangeId};
use std::collections::BTreeSet;
use std::sync::Arc;

const HOUR_MS: u64 = 3_600_000;

/// Four addresses, `2001:db8:1::1000` to `::1003`, and this affinity.
fn small(affinity_secs: u32) -> v1::Network {
    let mut wire = network();
    wire.pools[0].last = ip("2001:db8:1::1003").octets().to_vec();
    wire.pools[0].affinity_secs = Some(affinity_secs);
    wire
}

fn duid(client: u8) -> [u8; 10] {
    [0, 3, 0, 1, 2, 0, 0, 0, 5, client]
}

/// What a client is given for one IA; nothing if there is nothing.
fn give(lab: &mut Lab, client: u8) -> Option<Prefix> {
    let offered = lab.send(Msg::bare(msg::SOLICIT).client(&duid(client)).na(1, &[]))?;
    let hint = offered.na().one().to_string();
    let reply =
        lab.send(Msg::bare(msg::REQUEST).client(&duid(client)).server(SERVER_DUID).na(1, &[&hint]))?;
    let given = reply.na().one();
    assert_eq!(offered.na().one(), given, "SV-303");
    lab.commit();
    Some(given)
}

/// The store frees a client's lease.
fn free(lab: &mut Lab, client: u8, what: Prefix) {
    lab.lease(&what.to_string(), &duid(client), 1, LeaseState::Free);
}

/// Lets so much time pass, the store being heard.
fn pass(lab: &mut Lab, ms: u64) {
    lab.wait(ms);
    lab.commit();
}

#[test]
fn a_client_that_comes_back_in_time_gets_its_lease_though_others_asked() {
    let mut lab = Lab::with("fe-a", small(86_400));
    let mine = give(&mut lab, 1).expect("a lease");
    free(&mut lab, 1, mine);
    pass(&mut lab, 20 * HOUR_MS);
    for other in 2..5 {
        assert_ne!(give(&mut lab, other), Some(mine));
    }
    assert_eq!(give(&mut lab, 1), Some(mine));
}

#[test]
fn what_is_kept_goes_to_others_when_there_is_nothing_else() {
    let mut lab = Lab::with("fe-a", small(86_400));
    let mine = give(&mut lab, 1).expect("a lease");
    free(&mut lab, 1, mine);
    let others: BTreeSet<Prefix> = (2..6).filter_map(|client| give(&mut lab, client)).collect();
    assert_eq!(others.len(), 4, "none is held back");
    assert_eq!(give(&mut lab, 5), Some(mine), "the last one got it");
    assert_eq!(give(&mut lab, 6), None);
}

#[test]
fn a_hint_does_not_take_what_is_kept_for_another() {
    let mut lab = Lab::with("fe-a", small(86_400));
    let mine = give(&mut lab, 1).expect("a lease");
    free(&mut lab, 1, mine);
    let asked = Msg::bare(msg::REQUEST).client(&duid(2)).server(SERVER_DUID).na(1, &[&mine.to_string()]);
    assert_ne!(lab.send(asked).expect("a Reply").na().one(), mine);
}

#[test]
fn after_the_affinity_time_a_lease_is_anybodys_before_those_still_kept() {
    // Whatever the hashes say: each of two clients' leases in turn is the older one.
    for older in [1u8, 2] {
        let mut lab = Lab::with("fe-a", small(86_400));
        let given: Vec<Prefix> = (1..5).map(|client| give(&mut lab, client).expect("a lease")).collect();
        let newer = 3 - older;
        free(&mut lab, older, given[usize::from(older) - 1]);
        pass(&mut lab, 10 * HOUR_MS);
        free(&mut lab, newer, given[usize::from(newer) - 1]);
        pass(&mut lab, 15 * HOUR_MS);
        for client in 3..5 {
            lab.lease(&given[usize::from(client) - 1].to_string(), &duid(client), 1, LeaseState::Active);
        }
        assert_eq!(give(&mut lab, 9), Some(given[usize::from(older) - 1]));
        assert_eq!(give(&mut lab, newer), Some(given[usize::from(newer) - 1]));
    }
}

#[test]
fn without_affinity_what_is_free_is_anybodys() {
    let mut lab = Lab::with("fe-a", small(0));
    let given: Vec<Prefix> = (1..5).map(|client| give(&mut lab, client).expect("a lease")).collect();
    free(&mut lab, 1, given[0]);
    let asked = Msg::bare(msg::REQUEST).client(&duid(7)).server(SERVER_DUID).na(1, &[&given[0].to_string()]);
    assert_eq!(lab.send(asked).expect("a Reply").na().one(), given[0]);
}

/// A frontend that learns of these free leases, freed so long ago, and owns their range, in which others issued before.
fn loaded(wire: v1::Network, freed: &[(&str, u8, u64)]) -> Lab {
    let mut lab = Lab::loading("fe-a", wire);
    // What was sent before time passes proves nothing of it.
    lab.commit();
    let now = lab.cluster_now().as_millis() + 200 * HOUR_MS;
    lab.now = leasehold_proto::time::LocalTime::from_millis(now);
    let leases = freed.iter().map(|(what, client, ago_ms)| {
        let mut lease =
            lab.lease_record(prefix(what), ADDRESSES, IaKind::Na, &duid(*client), 1, LeaseState::Free);
        lease.state_since = leasehold_proto::time::ClusterTime::from_millis(now - ago_ms);
        lease.version = leasehold_proto::words::LogIndex(5);
        Arc::new(lease)
    });
    let range = RangeRecord {
        range: RangeId { pool: ADDRESSES, slice: 0 },
        owner: Epoch(super::lab::EPOCH),
        frontend: Some(super::lab::frontend("fe-a")),
        closed: false,
        fresh: false,
    };
    let chunk =
        LoadChunk { leases: leases.collect(), ranges: vec![range], registrations: vec![], done: None };
    lab.apply(FromStore::Load(chunk));
    lab.load_done();
    lab
}

#[test]
fn the_time_goes_on_over_a_restart_and_at_another_frontend() {
    let freed = [
        ("2001:db8:1::1000", 1, 23 * HOUR_MS),
        ("2001:db8:1::1001", 2, 25 * HOUR_MS),
        ("2001:db8:1::1002", 3, 2 * HOUR_MS),
        ("2001:db8:1::1003", 4, 30 * HOUR_MS),
    ];
    let mut lab = loaded(small(86_400), &freed);
    let first = [give(&mut lab, 11).expect("a lease"), give(&mut lab, 12).expect("a lease")];
    assert_eq!(
        BTreeSet::from(first),
        BTreeSet::from([prefix("2001:db8:1::1001"), prefix("2001:db8:1::1003")])
    );
    assert_eq!(give(&mut lab, 3), Some(prefix("2001:db8:1::1002")));
    assert_eq!(give(&mut lab, 13), Some(prefix("2001:db8:1::1000")), "kept, and the last");
}

#[test]
fn another_affinity_time_holds_at_once() {
    let freed = [("2001:db8:1::1000", 1, 23 * HOUR_MS), ("2001:db8:1::1001", 2, 2 * HOUR_MS)];
    let change = |lab: &mut Lab, version, affinity_secs| {
        let mut wire = small(affinity_secs);
        wire.version = version;
        lab.event(StoreEvent::Network(checked(wire)));
    };
    let mut lab = loaded(small(0), &freed);
    change(&mut lab, 2, 86_400);
    for client in [11, 12] {
        let given = give(&mut lab, client).expect("a lease");
        assert!(freed.iter().all(|(kept, _, _)| given != prefix(kept)), "{given}");
    }
    change(&mut lab, 3, 3600 * 10);
    assert_eq!(give(&mut lab, 13), Some(prefix("2001:db8:1::1000")), "its ten hours are over");
}

fn in_order(affinity_secs: u32) -> v1::Network {
    let mut wire = network();
    wire.pools[0].allocator = v1::Allocator::InOrder.into();
    wire.pools[0].affinity_secs = Some(affinity_secs);
    wire
}

#[test]
fn in_order_the_lowest_free_one_of_the_lowest_range_is_given() {
    let mut lab = Lab::loading("fe-a", in_order(0));
    lab.load_done();
    // Granted out of order.
    for slice in [3, 1, 2] {
        lab.grant(ADDRESSES, slice);
    }
    let given: Vec<Prefix> = (0..8).map(|client| give(&mut lab, client).expect("a lease")).collect();
    let expected: Vec<Prefix> = (0..8).map(|n| prefix(&format!("2001:db8:1::110{n}"))).collect();
    assert_eq!(given, expected);
    free(&mut lab, 5, given[5]);
    free(&mut lab, 2, given[2]);
    assert_eq!(give(&mut lab, 20), Some(given[2]));
    assert_eq!(give(&mut lab, 21), Some(given[5]));
    lab.grant(ADDRESSES, 0);
    assert_eq!(give(&mut lab, 22), Some(prefix("2001:db8:1::1000")), "a lower range came");
}

#[test]
fn in_order_what_is_kept_comes_last() {
    let mut lab = Lab::loading("fe-a", in_order(86_400));
    lab.load_done();
    lab.grant(ADDRESSES, 0);
    let first = give(&mut lab, 1).expect("a lease");
    free(&mut lab, 1, first);
    assert_eq!(give(&mut lab, 2), Some(prefix("2001:db8:1::1001")));
    assert_eq!(give(&mut lab, 1), Some(first));
}

#[test]
fn sv_214_hashed_leases_are_in_no_order() {
    let mut lab = Lab::new();
    let given: Vec<Prefix> = (0..8).map(|client| give(&mut lab, client).expect("a lease")).collect();
    let in_order = given.windows(2).filter(|pair| pair[1].bits() == pair[0].bits() + 1).count();
    assert!(in_order <= 1, "{given:?}");
    let mut again = Lab::new();
    assert_eq!(give(&mut again, 0), Some(given[0]), "the same client, the same place");
}
