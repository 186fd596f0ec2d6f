//! The order of what a session is sent: streams, loads between them, catching up from the history.

use super::world::{World, answered, entries, id};
use crate::hub::HubSettings;
use leasehold_proto::lease::{Lease, LeaseState, UpdateKind};
use leasehold_proto::session::{FromStore, StoreEvent, ToStore};
use leasehold_proto::words::{Epoch, LogIndex, Prefix};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a frontend knows after reading messages in order: a record replaces an older one, never a newer one.
fn read(messages: &[FromStore], known: &mut BTreeMap<Prefix, Arc<Lease>>) -> Option<LogIndex> {
    let mut done = None;
    let mut last = LogIndex(0);
    for message in messages {
        match message {
            FromStore::Entry(entry) => {
                assert!(entry.index > last, "entries come in order");
                last = entry.index;
                for event in &entry.events {
                    if let StoreEvent::Lease(lease) = event {
                        known.insert(lease.prefix, Arc::clone(lease));
                    }
                }
            }
            FromStore::Load(chunk) => {
                for lease in &chunk.leases {
                    let older = known.insert(lease.prefix, Arc::clone(lease));
                    assert!(older.is_none_or(|o| o.version <= lease.version), "a load brings nothing older");
                }
                done = done.or(chunk.done);
            }
            _ => {}
        }
    }
    done
}

fn with_leases(w: &mut World, count: u8) -> Epoch {
    let a = w.open(id(1), "fe-a");
    w.request_range(id(1), a, 1);
    w.request_range(id(1), a, 2);
    let updates: Vec<_> = (0..count).map(|n| w.promise(n)).collect();
    w.batch(id(1), a, 3, |b| b.updates = updates);
    w.commit();
    a
}

#[test]
fn a_load_between_streamed_entries_ends_with_what_the_store_has() {
    let mut w = World::new();
    let a = with_leases(&mut w, 20);
    w.hello(id(2), "fe-b", None);
    w.commit();
    let mut known = BTreeMap::new();
    let mut done = read(&w.take(id(2)), &mut known);
    // Between the pieces: a lease ahead of the load changes, one behind it does, one is new behind it.
    for (sequence, n) in [(4, 19), (5, 0), (6, 1), (7, 25)] {
        let mut update = w.promise(n);
        if n == 19 {
            update.kind = UpdateKind::Release;
            update.base_version = w.machine.applied();
        }
        w.batch(id(1), a, sequence, |b| b.updates.push(update));
        w.commit();
        w.turn();
        done = done.or(read(&w.take(id(2)), &mut known));
    }
    w.turns();
    done = done.or(read(&w.take(id(2)), &mut known));
    assert_eq!(done, Some(w.machine.applied()));
    assert_eq!(known.len(), 21);
    for lease in known.values() {
        assert_eq!(Some(lease), w.machine.lease(lease.prefix));
    }
    assert_eq!(known[&World::address(19)].state, LeaseState::Released);
}

#[test]
fn a_paused_load_waits_and_its_stream_goes_on() {
    let mut w = World::new();
    let a = with_leases(&mut w, 20);
    w.hello(id(2), "fe-b", None);
    w.commit();
    w.take(id(2));
    w.hub.pause(id(2), true);
    w.turns();
    assert!(w.take(id(2)).is_empty());
    let update = w.promise(30);
    w.batch(id(1), a, 4, |b| b.updates.push(update));
    w.commit();
    assert_eq!(entries(&w.take(id(2))).len(), 1);
    w.hub.pause(id(2), false);
    w.turns();
    assert!(w.take(id(2)).iter().any(|m| matches!(m, FromStore::Load(c) if c.done.is_some())));
}

#[test]
fn fo_909_a_session_resumes_from_the_history_piece_by_piece() {
    let mut w = World::new();
    let a = with_leases(&mut w, 1);
    let b = w.open(id(2), "fe-b");
    let position = w.machine.applied();
    w.disconnect(id(2));
    for n in 0..11 {
        let update = w.promise(n);
        w.batch(id(1), a, 4 + u64::from(n), |batch| batch.updates.push(update));
        w.commit();
    }
    w.hello(id(3), "fe-b", Some((b, position)));
    let welcome = w.welcome(id(3));
    assert!(welcome.resumed && welcome.index == position);
    assert_eq!(entries(&w.take(id(3))).len(), 4, "the first piece");
    w.heartbeat(id(3), b);
    let messages = w.take(id(3));
    assert!(
        matches!(messages[..], [FromStore::HeartbeatAnswer { log_index }] if log_index < w.machine.applied()),
        "while it catches up it is told of nothing that it was not sent: {messages:?}"
    );
    // What happens meanwhile comes in its place.
    let update = w.promise(12);
    w.batch(id(1), a, 15, |batch| batch.updates.push(update));
    let last = w.commit();
    assert!(w.take(id(3)).is_empty());
    w.turns();
    let rest = entries(&w.take(id(3)));
    assert_eq!(rest.len(), 8);
    assert!(rest.windows(2).all(|w| w[0].index < w[1].index));
    assert_eq!(rest.last().unwrap().index, last);
    w.heartbeat(id(3), b);
    assert_eq!(w.take(id(3)), [FromStore::HeartbeatAnswer { log_index: last }]);
}

#[test]
fn a_session_that_lagged_behind_the_history_loads_anew() {
    let settings = HubSettings { history_entries_max: 5, ..HubSettings::default() };
    let mut w = World::with(settings);
    let a = with_leases(&mut w, 1);
    let b = w.open(id(2), "fe-b");
    let position = w.machine.applied();
    w.disconnect(id(2));
    for n in 0..6 {
        let update = w.promise(n);
        w.batch(id(1), a, 4 + u64::from(n), |batch| batch.updates.push(update));
        w.commit();
    }
    w.hello(id(3), "fe-b", Some((b, position)));
    let welcome = w.welcome(id(3));
    assert!(!welcome.resumed && welcome.epoch == b, "the session stays, the load is new");
}

#[test]
fn a_configuration_missed_comes_after_the_one_that_was_in_force() {
    let mut w = World::new();
    let b = w.open(id(2), "fe-b");
    let position = w.machine.applied();
    w.disconnect(id(2));
    w.apply_network(super::world::network("fe-a", "fe-b"));
    w.hello(id(3), "fe-b", Some((b, position)));
    assert_eq!(w.welcome(id(3)).network.unwrap().version, 1);
    let entries = entries(&w.take(id(3)));
    assert!(matches!(&entries[0].events[..], [StoreEvent::Network(n)] if n.version == 2));
}

#[test]
fn fo_909_a_session_goes_on_at_another_node_that_applied_the_same_log() {
    let mut w = World::new();
    let a = with_leases(&mut w, 3);
    let position = w.machine.applied();
    let update = w.promise(4);
    w.batch(id(1), a, 4, |b| b.updates.push(update));
    w.hub.follow(None);
    w.collect();
    // Committed under the next leader, which is this node again: its ring goes on while it follows.
    let batches = std::mem::take(&mut w.pending);
    w.apply(batches.into_iter().map(|(_, c)| c).collect());
    w.lead();
    w.hello(id(2), "fe-a", Some((a, position)));
    let welcome = w.welcome(id(2));
    assert!(welcome.resumed && welcome.applied_sequence.0 == 4);
    assert_eq!(answered(&w.take(id(2))), [4]);
}

#[test]
fn a_lookup_is_answered_from_the_machine() {
    let mut w = World::new();
    with_leases(&mut w, 3);
    let b = w.open(id(2), "fe-b");
    let binding = w.promise(2).binding;
    w.say(id(2), ToStore::Lookup { link: binding.link, duid: binding.duid.clone() });
    let messages = w.take(id(2));
    let [FromStore::Lookup { leases, index, .. }] = &messages[..] else { panic!("{messages:?}") };
    assert!(leases.len() == 1 && leases[0].prefix == World::address(2));
    assert_eq!(*index, w.machine.applied());
    assert!(!b.is_none());
}
