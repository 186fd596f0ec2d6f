//! Opening, resuming, superseding, refusing.

use super::world::{World, answered, entries, events, id, name, network};
use leasehold_proto::session::{FromStore, Hello, RefusalReason, StoreEvent, ToStore};
use leasehold_proto::words::{Epoch, LogIndex};

fn refusal(messages: &[FromStore]) -> Option<RefusalReason> {
    messages.iter().find_map(|m| match m {
        FromStore::Refused(r) => Some(r.reason),
        _ => None,
    })
}

#[test]
fn a_session_is_opened_and_loads() {
    let mut w = World::new();
    w.hello(id(1), "fe-a", None);
    assert!(w.take(id(1)).is_empty(), "nothing before the opening is committed");
    w.commit();
    w.turns();
    let welcome = w.welcome(id(1));
    assert!(!welcome.resumed && welcome.applied_sequence.0 == 0);
    assert_eq!(welcome.index, w.machine.applied());
    assert_eq!(welcome.network.unwrap().version, 1);
    let messages = w.take(id(1));
    assert!(matches!(messages.last(), Some(FromStore::Load(c)) if c.done == Some(w.machine.applied())));
}

#[test]
fn fo_908_partners_get_the_same_server_duid() {
    let mut w = World::new();
    w.hello(id(1), "fe-a", None);
    w.hello(id(2), "fe-b", None);
    w.commit();
    let duid = |n| w.welcome(id(n)).network.unwrap().relationships[0].server_duid.clone();
    assert_eq!(duid(1), duid(2));
}

#[test]
fn fo_908_a_lease_of_one_partner_reaches_the_other_and_a_new_session() {
    let mut w = World::new();
    let (a, b) = (w.open(id(1), "fe-a"), w.open(id(2), "fe-b"));
    w.request_range(id(1), a, 1);
    w.take(id(2));
    let update = w.promise(3);
    w.batch(id(1), a, 2, |batch| batch.updates.push(update));
    let index = w.commit();
    let told = entries(&w.take(id(2)));
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].index, index);
    assert!(matches!(&told[0].events[..], [StoreEvent::Lease(l)] if l.prefix == World::address(3)));
    // The sender is told that it is committed, not what it knows.
    let events = events(&w.take(id(1)));
    assert!(matches!(&events[..], [StoreEvent::Batch(b)] if b.sequence.0 == 2 && b.extended));
    assert_ne!(a, b);
    w.disconnect(id(2));
    w.hello(id(3), "fe-b", None);
    w.commit();
    w.turns();
    let loaded = w.take(id(3));
    let leases = loaded.iter().filter_map(|m| match m {
        FromStore::Load(c) => Some(c.leases.len()),
        _ => None,
    });
    assert_eq!(leases.sum::<usize>(), 1);
}

#[test]
fn fo_909_a_batch_sent_again_changes_the_state_once() {
    let mut w = World::new();
    let a = w.open(id(1), "fe-a");
    w.request_range(id(1), a, 1);
    let position = w.machine.applied();
    let update = w.promise(3);
    w.batch(id(1), a, 2, |b| b.updates.push(update.clone()));
    // The connection breaks before the outcome; the batch is committed all the same.
    w.disconnect(id(1));
    w.commit();
    let version = w.machine.lease(World::address(3)).unwrap().version;
    w.hello(id(2), "fe-a", Some((a, position)));
    let welcome = w.welcome(id(2));
    assert!(welcome.resumed && welcome.applied_sequence.0 == 2, "{welcome:?}");
    assert_eq!(answered(&w.take(id(2))), [2], "the outcome comes from the history");
    w.batch(id(2), a, 2, |b| b.updates.push(update));
    w.commit();
    assert!(w.take(id(2)).is_empty() && !w.is_closed(id(2)));
    assert_eq!(w.machine.lease(World::address(3)).unwrap().version, version);
}

#[test]
fn fo_909_an_unknown_outcome_closes_the_connection_and_what_was_lost_is_sent_again() {
    let mut w = World::new();
    let a = w.open(id(1), "fe-a");
    w.request_range(id(1), a, 1);
    let position = w.machine.applied();
    let update = w.promise(3);
    w.batch(id(1), a, 2, |b| b.updates.push(update.clone()));
    w.lose_proposals();
    assert!(w.is_closed(id(1)));
    w.hello(id(2), "fe-a", Some((a, position)));
    assert_eq!(w.welcome(id(2)).applied_sequence.0, 1);
    w.batch(id(2), a, 2, |b| b.updates.push(update));
    w.commit();
    assert_eq!(answered(&w.take(id(2))), [2]);
}

#[test]
fn r6_a_newer_session_supersedes_and_both_are_told() {
    let mut w = World::new();
    let old = w.open(id(1), "fe-a");
    let range = w.request_range(id(1), old, 1);
    let new = w.open(id(2), "fe-a");
    assert!(new > old);
    let told = events(&w.take(id(1)));
    assert!(told.iter().any(|e| matches!(e, StoreEvent::Superseded { by, .. } if *by == new)), "{told:?}");
    assert!(told.iter().any(|e| matches!(e, StoreEvent::Range(r) if r.range == range && r.closed)));
    assert!(!w.is_closed(id(1)), "its late updates are still taken");
    let update = w.promise(3);
    w.batch(id(1), old, 2, |b| b.updates.push(update));
    w.commit();
    let told = events(&w.take(id(1)));
    assert!(matches!(&told[..], [StoreEvent::Batch(b)] if !b.extended && b.refused.is_empty()), "{told:?}");
}

#[test]
fn r6_a_superseded_session_that_missed_it_is_told_when_it_comes_back() {
    let mut w = World::new();
    let old = w.open(id(1), "fe-a");
    let position = w.machine.applied();
    w.disconnect(id(1));
    let new = w.open(id(2), "fe-a");
    w.hello(id(3), "fe-a", Some((old, position)));
    assert!(w.welcome(id(3)).resumed);
    let told = events(&w.take(id(3)));
    assert!(told.iter().any(|e| matches!(e, StoreEvent::Superseded { by, .. } if *by == new)));
    // And so when the history does not reach back.
    w.hub.restored(&w.machine);
    w.lead();
    w.hello(id(4), "fe-a", Some((old, position)));
    let welcome = w.welcome(id(4));
    let entries = entries(&w.take(id(4)));
    assert!(!welcome.resumed && entries[0].index > welcome.index);
    let at = w.machine.session(old).expect("it is remembered").superseded_index;
    assert_eq!(entries[0].events, [StoreEvent::Superseded { by: new, at }]);
}

#[test]
fn a_second_connection_of_a_session_replaces_the_first() {
    let mut w = World::new();
    let a = w.open(id(1), "fe-a");
    let position = w.machine.applied();
    w.hello(id(2), "fe-a", Some((a, position)));
    assert!(w.is_closed(id(1)) && !w.is_closed(id(2)));
    w.disconnect(id(1));
    w.request_range(id(2), a, 1);
    assert!(w.hub.liveness().any(|(f, live)| f == name("fe-a") && live), "the break of the first is no news");
}

#[test]
fn what_breaks_the_order_is_refused() {
    let mut w = World::new();
    w.heartbeat(id(1), Epoch(5));
    assert_eq!(refusal(&w.take(id(1))), Some(RefusalReason::Protocol));
    let a = w.open(id(2), "fe-a");
    w.hello(id(2), "fe-a", None);
    assert_eq!(refusal(&w.take(id(2))), Some(RefusalReason::Protocol));
    let position = w.machine.applied();
    w.hello(id(3), "fe-a", Some((a, position)));
    w.heartbeat(id(3), Epoch(5));
    assert_eq!(refusal(&w.take(id(3))), Some(RefusalReason::Protocol));
    w.hello(id(4), "fe-a", Some((a, position)));
    w.batch(id(4), a, 7, |_| {});
    w.commit();
    assert_eq!(refusal(&w.take(id(4))), Some(RefusalReason::Protocol));
    assert!(w.is_closed(id(4)));
    w.hello(id(5), "fe-a", None);
    w.heartbeat(id(5), a);
    assert_eq!(refusal(&w.take(id(5))), Some(RefusalReason::Protocol), "before Welcome");
}

#[test]
fn an_unknown_session_and_one_of_somebody_else_are_refused() {
    let mut w = World::new();
    let a = w.open(id(1), "fe-a");
    let position = w.machine.applied();
    w.hello(id(2), "fe-a", Some((Epoch(99), position)));
    assert_eq!(refusal(&w.take(id(2))), Some(RefusalReason::UnknownSession));
    w.hello(id(3), "fe-b", Some((a, position)));
    assert_eq!(refusal(&w.take(id(3))), Some(RefusalReason::Forbidden));
    assert!(!w.is_closed(id(1)));
}

#[test]
fn fo_905_who_does_not_lead_refuses_and_names_the_leader() {
    let mut w = World::new();
    w.open(id(1), "fe-a");
    w.hub.follow(Some("s2:7000".into()));
    w.collect();
    let refused = |messages: Vec<FromStore>| match messages.into_iter().next() {
        Some(FromStore::Refused(r)) => (r.reason, r.leader_address),
        other => panic!("{other:?}"),
    };
    let not_leader = (RefusalReason::NotLeader, Some("s2:7000".to_owned()));
    assert_eq!(refused(w.take(id(1))), not_leader);
    w.hello(id(2), "fe-a", None);
    assert_eq!(refused(w.take(id(2))), not_leader);
    assert!(w.is_closed(id(1)) && w.is_closed(id(2)));
    assert_eq!(w.hub.liveness().count(), 0);
}

#[test]
fn who_joins_a_relationship_that_has_leases_loads_anew() {
    let mut w = World::new();
    w.apply_network(network("fe-a", ""));
    let a = w.open(id(1), "fe-a");
    let c = w.open(id(2), "fe-c");
    w.request_range(id(1), a, 1);
    let update = w.promise(3);
    w.batch(id(1), a, 2, |b| b.updates.push(update));
    w.commit();
    assert!(w.take(id(2)).is_empty(), "it is none of fe-c's business");
    let position = w.machine.applied();
    w.apply_network(network("fe-a", "fe-c"));
    assert!(w.is_closed(id(2)) && w.take(id(2)).is_empty());
    assert!(!w.is_closed(id(1)));
    w.hello(id(3), "fe-c", Some((c, position)));
    w.turns();
    assert!(!w.welcome(id(3)).resumed);
    let loaded = w.take(id(3));
    assert!(loaded.iter().any(|m| matches!(m, FromStore::Load(l) if l.leases.len() == 1)));
    w.disconnect(id(3));
    w.hello(id(4), "fe-c", Some((c, w.machine.applied())));
    assert!(w.welcome(id(4)).resumed, "once it has loaded it goes on as others do");
}

#[test]
fn a_session_that_never_loaded_cannot_resume_its_stream() {
    let mut w = World::new();
    let a = w.open(id(1), "fe-a");
    w.disconnect(id(1));
    let hello = Hello {
        frontend: name("fe-a"),
        resume_epoch: a,
        resume_index: LogIndex(3),
        loaded: false,
        host: None,
    };
    w.say(id(2), ToStore::Hello(hello));
    let welcome = w.welcome(id(2));
    assert!(!welcome.resumed && welcome.epoch == a);
}
