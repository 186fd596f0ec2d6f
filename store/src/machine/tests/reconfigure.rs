//! Reconfigure: one secret in a cluster's life, orders in the log's order, replay values that never fall back.

use super::lab::{Lab, address};
use crate::machine::{
    Applied, Audience, Command, Found, Machine, OldRows, Outcome, ReconfigureRefusal, Restored,
};
use leasehold_proto::reconfigure::{
    ReconfigureMessage, ReconfigureOrder, ReconfigureSecret, ReconfigureWhom,
};
use leasehold_proto::session::StoreEvent;
use leasehold_proto::words::{Duid, LinkId, PoolId};
use std::sync::Arc;

fn secret(octet: u8) -> ReconfigureSecret {
    ReconfigureSecret::new([octet; ReconfigureSecret::LEN])
}

fn with_secret() -> Lab {
    let mut lab = Lab::new();
    let applied = lab.apply(vec![Command::KeepSecret(secret(1))]);
    assert_eq!(applied.outcomes, [Outcome::SecretKept { kept: true }]);
    lab
}

fn ask(whom: ReconfigureWhom) -> Command {
    Command::Reconfigure { whom, message: ReconfigureMessage::Renew }
}

fn orders(applied: &Applied) -> Vec<(Audience, Arc<ReconfigureOrder>)> {
    let order = |e: &crate::machine::Event| match &e.event {
        StoreEvent::Reconfigure(order) => Some((e.audience, Arc::clone(order))),
        _ => None,
    };
    applied.events.iter().filter_map(order).collect()
}

/// The replay value of an order given now.
fn replay(lab: &mut Lab) -> u64 {
    orders(&lab.apply(vec![ask(ReconfigureWhom::Everyone)]))[0].1.replay
}

/// The same machine after a restart: from its rows alone.
fn restarted(lab: &mut Lab) {
    let rows: Vec<_> = lab.machine.rows().collect();
    lab.machine = Machine::from_rows(&mut rows.into_iter()).unwrap();
}

#[test]
fn sv_402_the_first_secret_stays_and_every_session_is_told_of_it_once() {
    let mut lab = Lab::new();
    assert!(lab.machine.reconfigure_secret().is_none());
    let applied = lab.apply(vec![Command::KeepSecret(secret(1)), Command::KeepSecret(secret(2))]);
    assert_eq!(applied.outcomes, [Outcome::SecretKept { kept: true }, Outcome::SecretKept { kept: false }]);
    let told: Vec<_> = applied.events.iter().map(|e| (e.audience, e.event.clone())).collect();
    assert_eq!(told, [(Audience::Everyone, StoreEvent::ReconfigureSecret(secret(1)))]);
    restarted(&mut lab);
    assert_eq!(lab.machine.reconfigure_secret(), Some(&secret(1)));
}

#[test]
fn sv_401_orders_go_to_those_who_may_know_such_clients() {
    let mut lab = with_secret();
    let (pool, relationship) = {
        let network = lab.machine.network().unwrap();
        (network.pools[0].id, network.relationships[0].id)
    };
    let link = lab.machine.network().unwrap().links[0].id;
    let duid = Duid::new(&[0, 1, 2]).unwrap();
    for (whom, audience) in [
        (ReconfigureWhom::Everyone, Audience::Everyone),
        (ReconfigureWhom::Client(duid), Audience::Everyone),
        (ReconfigureWhom::Link(link), Audience::Everyone),
        (ReconfigureWhom::Pool(pool), Audience::Relationship(relationship)),
    ] {
        let applied = lab.apply(vec![ask(whom.clone())]);
        let [(to, order)] = &orders(&applied)[..] else { panic!("{applied:?}") };
        assert_eq!((*to, &order.whom, order.message), (audience, &whom, ReconfigureMessage::Renew));
        assert_eq!(applied.outcomes, [Outcome::ReconfigureOrdered { number: order.number }]);
    }
    for whom in [ReconfigureWhom::Link(LinkId(999)), ReconfigureWhom::Pool(PoolId(999))] {
        let applied = lab.apply(vec![ask(whom)]);
        assert_eq!(applied.outcomes, [Outcome::ReconfigureRefused(ReconfigureRefusal::Unknown)]);
        assert!(applied.events.is_empty());
    }
    assert_eq!(lab.machine.reconfigure_orders(), 4, "what is refused is not counted");
}

#[test]
fn sv_401_nobody_is_asked_before_there_is_a_key() {
    let applied = Lab::new().apply(vec![ask(ReconfigureWhom::Everyone)]);
    assert_eq!(applied.outcomes, [Outcome::ReconfigureRefused(ReconfigureRefusal::NoKeys)]);
    assert!(applied.events.is_empty());
}

#[test]
fn sv_405_trap_11_replay_values_rise_over_restarts_and_within_one_entry() {
    let mut lab = with_secret();
    let applied = lab.apply(vec![ask(ReconfigureWhom::Everyone), ask(ReconfigureWhom::Everyone)]);
    let mut seen: Vec<u64> = orders(&applied).iter().map(|(_, order)| order.replay).collect();
    for _ in 0..3 {
        restarted(&mut lab);
        seen.push(replay(&mut lab));
    }
    assert!(seen.len() == 5 && seen.windows(2).all(|w| w[0] < w[1]), "{seen:?}");
}

#[test]
fn sv_405_a_restored_cluster_keeps_the_secret_and_goes_on_above_all_values() {
    let mut old = with_secret();
    let exported: Vec<_> = old.machine.rows().collect();
    // The old cluster went on after the export.
    let last = (0..20).map(|_| replay(&mut old)).max().unwrap();
    let mut new = Lab::blank(old.now());
    new.apply(vec![Command::RestoreRows { first: true, rows: OldRows(exported) }]);
    let found = Found {
        cluster: "test".into(),
        incarnation: 2,
        server_duid_seed: [7; 16],
        restored: Some(Restored { without_waiting: true }),
    };
    assert_eq!(new.apply(vec![Command::Found(found)]).outcomes, [Outcome::Founded]);
    assert_eq!(new.machine.reconfigure_secret(), Some(&secret(1)), "clients' keys stay right");
    assert!(replay(&mut new) > last);
}

#[test]
fn sec_07_the_secret_is_in_no_debug_output() {
    let mut lab = Lab::new();
    let command = Command::KeepSecret(secret(0xa5));
    let mut shown = format!("{command:?}");
    let applied = lab.apply(vec![command]);
    let session = lab.open("a");
    lab.grant(session, 1);
    lab.promise(session, address(0x10), 1).unwrap();
    let rows: Vec<_> = lab.machine.rows().collect();
    let restoring = Command::RestoreRows { first: true, rows: OldRows(rows) };
    shown += &format!("{applied:?} {:?} {restoring:?} {:?}", lab.machine, lab.machine.session(session));
    // 0xa5 is 165; three in a row are nobody's chance.
    for trace in ["165, 165, 165", "a5, a5, a5", "a5a5a5"] {
        assert!(!shown.contains(trace), "{trace}");
    }
    assert!(shown.contains("not shown"));
}
