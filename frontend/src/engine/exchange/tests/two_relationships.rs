//! Two logical servers on one link (design section 3): each is its own.

use super::lab::{LAN, OTHER_SERVER_DUID, SERVER_DUID, network, pool};
use super::message::DUID;
use super::{Lab, Msg};
use crate::codec::Discard;
use crate::codec::wire::{msg, status};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::session::StoreEvent;
use leasehold_proto::v1;
use leasehold_proto::words::{IaKind, PoolId, Prefix};
use std::sync::Arc;

/// `lan` is shared by `r1` (fe-a, fe-b) and `r2` (fe-c, and `second`).
fn shared(second: &str) -> v1::Network {
    let mut wire = network();
    wire.pools.push(pool("a2", "lan", v1::IaKind::Na, ("2001:db8:1::3000", "2001:db8:1::3fff"), 128, 8));
    wire.relationships.push(v1::Relationship {
        name: "r2".into(),
        server_duid: OTHER_SERVER_DUID.to_vec(),
        primary: "fe-c".into(),
        secondary: second.into(),
        pools: vec!["a2".into()],
        ..v1::Relationship::default()
    });
    wire
}

fn numbered(n: u16) -> Msg {
    let [hi, lo] = n.to_be_bytes();
    Msg::bare(msg::SOLICIT).client(&[0, 4, 9, 9, hi, lo]).na(1, &[])
}

#[test]
fn one_solicit_costs_one_answer_and_others_join_late() {
    let mut r1 = Lab::with("fe-a", shared("fe-d"));
    let mut r2 = Lab::with("fe-c", shared("fe-d"));
    r2.grant(PoolId(3), 0);
    let mut by_r1 = 0;
    for n in 0..200 {
        let (a, c) = (r1.send(numbered(n)), r2.send(numbered(n)));
        assert!(a.is_some() != c.is_some(), "client {n}");
        if let Some(answer) = a {
            assert_eq!(answer.server_id.as_deref(), Some(SERVER_DUID));
            by_r1 += 1;
        }
        let late = numbered(n).xid([9, 9, 9]).elapsed_ms(600);
        let (a, c) = (r1.send(late.clone()), r2.send(late));
        assert!(a.is_some() && c.is_some(), "both serve a client that has waited");
        assert_eq!(c.and_then(|answer| answer.server_id).as_deref(), Some(OTHER_SERVER_DUID));
    }
    assert!((70..130).contains(&by_r1), "{by_r1} of 200");
}

#[test]
fn a_renew_with_the_others_server_id_is_left_alone() {
    let mut lab = Lab::with("fe-a", shared("fe-d"));
    let renew = Msg::of(msg::RENEW).server(OTHER_SERVER_DUID).na(1, &["2001:db8:1::3010"]);
    assert!(lab.send(renew).is_none());
    assert_eq!(lab.discarded(Discard::OtherServer), 1);
}

#[test]
fn a_rebind_for_leases_of_the_others_pools_is_left_alone_and_ours_is_answered() {
    let mut lab = Lab::with("fe-a", shared("fe-d"));
    lab.lease("2001:db8:1::1810", DUID, 1, LeaseState::Active);
    assert!(lab.send(Msg::rebind().na(1, &["2001:db8:1::3010"])).is_none());
    assert_eq!(lab.discarded(Discard::NotOurs), 1);
    let reply = lab.send(Msg::rebind().na(1, &["2001:db8:1::1810"])).expect("whatever the spread says");
    reply.na().one();
    assert!(
        lab.send(Msg::renew().na(1, &["2001:db8:1::3010"])).is_none(),
        "nor are they withdrawn in a Renew"
    );
}

#[test]
fn fo_103_a_frontend_of_both_speaks_for_the_server_that_is_spoken_to() {
    let mut lab = Lab::with("fe-a", shared("fe-a"));
    lab.grant(PoolId(3), 0);
    lab.liveness("fe-c", false);
    let theirs: Prefix = super::lab::prefix("2001:db8:1::3810");
    let record = lab.lease_record(theirs, PoolId(3), IaKind::Na, DUID, 1, LeaseState::Active);
    assert_eq!(record.binding.link, LAN);
    lab.event(StoreEvent::Lease(Arc::new(record)));
    let renew = |server: &[u8]| Msg::of(msg::RENEW).server(server).na(1, &["2001:db8:1::3810"]);
    let reply = lab.send(renew(OTHER_SERVER_DUID)).expect("as r2");
    assert_eq!(reply.server_id.as_deref(), Some(OTHER_SERVER_DUID));
    assert_eq!(reply.na().one(), theirs);
    assert!(lab.send(renew(SERVER_DUID)).is_none(), "as r1 it is another server's lease");
    let rebind = lab.send(Msg::rebind().na(1, &["2001:db8:1::3810"])).expect("the leases tell the server");
    assert_eq!(rebind.server_id.as_deref(), Some(OTHER_SERVER_DUID));
    let release = Msg::of(msg::RELEASE).server(SERVER_DUID).na(1, &["2001:db8:1::3810"]);
    let refused = lab.send(release).expect("always Success");
    assert_eq!(refused.na().status, Some(status::NO_BINDING), "r1 cannot release what r2 gave");
    assert!(lab.send(renew(OTHER_SERVER_DUID).xid([5, 5, 5])).is_some());
    let request = Msg::of(msg::REQUEST).server(SERVER_DUID).na(2, &["2001:db8:1::3011"]);
    let given = lab.send(request).expect("as r1").na().one();
    assert!(given < super::lab::prefix("2001:db8:1::2000"), "out of r1's pool");
}

fn numbered_pd(n: u16) -> Msg {
    let [hi, lo] = n.to_be_bytes();
    Msg::bare(msg::SOLICIT).client(&[0, 4, 9, 9, hi, lo]).pd(1, &[])
}

#[test]
fn sv_305_a_frontend_of_both_gives_what_either_has() {
    let mut lab = Lab::with("fe-a", shared("fe-a"));
    lab.grant(PoolId(3), 0);
    lab.liveness("fe-c", false);
    for n in 0..40 {
        // Half of them are spread to r2, which has no prefixes.
        let answer = lab.send(numbered_pd(n)).expect("an Advertise");
        assert_eq!(answer.server_id.as_deref(), Some(SERVER_DUID));
        answer.pd().one();
    }
    // One that is of r1 alone answers for r1 alone, and says so.
    let mut lab = Lab::with("fe-c", shared("fe-d"));
    lab.liveness("fe-d", false);
    let refused = (0..40).filter_map(|n| lab.send(numbered_pd(n))).inspect(|answer| {
        assert_eq!(answer.pd().status, Some(status::NO_PREFIX_AVAIL));
    });
    assert!(refused.count() > 5);
}

#[test]
fn sv_305_while_the_other_server_may_have_something_presently_the_client_is_not_refused() {
    let mut wire = shared("fe-a");
    wire.pools.retain(|pool| pool.name != "p1");
    let prefixes = pool("p2", "lan", v1::IaKind::Pd, ("2001:db8:a000::", "2001:db8:a000:ff00::"), 56, 4);
    wire.pools.push(prefixes);
    wire.relationships[0].pools.retain(|name| name != "p1");
    wire.relationships[1].pools.push("p2".into());
    let mut lab = Lab::with("fe-a", wire);
    lab.liveness("fe-c", false);
    for n in 0..40 {
        assert!(lab.send(numbered_pd(n)).is_none(), "r1 has no prefixes, r2 no range of them yet");
    }
    assert_eq!(lab.discarded(Discard::RangesDry), 40);
}
