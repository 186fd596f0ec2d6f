//! Traces: who is told of them, what comes back and for whom, and that all of it is bounded.

use super::world::{World, id, name};
use crate::hub::{TraceId, TraceRefusal, Traced};
use leasehold_proto::session::{FromStore, ToStore};
use leasehold_proto::trace::{TRACES_MAX, TraceReport, TracedClient};
use leasehold_proto::v1;

fn client(n: u128) -> TracedClient {
    TracedClient::Peer(n)
}

/// The lists of traces that a connection was told, in order, by their numbers.
fn told(w: &mut World, connection: u64) -> Vec<Vec<u64>> {
    let messages = w.take(id(connection));
    let lists = messages.iter().filter_map(|m| match m {
        FromStore::Traces(list) => Some(list.iter().map(|t| t.id).collect()),
        _ => None,
    });
    lists.collect()
}

fn event(traces: &[u64]) -> v1::TraceEvent {
    v1::TraceEvent { traces: traces.to_vec(), frontend: "somebody-else".into(), ..Default::default() }
}

fn report(w: &mut World, connection: u64, report: TraceReport) -> Vec<Traced> {
    w.say(id(connection), ToStore::Trace(report));
    let mut out = Vec::new();
    w.hub.drain_traced(&mut out);
    out
}

#[test]
fn a_trace_reaches_every_frontend_those_that_connect_later_too_and_is_withdrawn_everywhere() {
    let mut w = World::new();
    w.open(id(1), "fe-a");
    let one = w.hub.trace(client(1)).unwrap();
    w.collect();
    assert_eq!(told(&mut w, 1), [[one.0]]);
    w.hello(id(2), "fe-b", None);
    w.commit();
    assert_eq!(told(&mut w, 2), [[one.0]], "with its welcome");
    let two = w.hub.trace(client(2)).unwrap();
    w.collect();
    assert_eq!(told(&mut w, 1), [[one.0, two.0]]);
    assert_eq!(w.hub.connected().into_iter().collect::<Vec<_>>(), [name("fe-a"), name("fe-b")]);
    w.hub.end_trace(one);
    w.hub.end_trace(one);
    w.collect();
    assert_eq!((told(&mut w, 1), told(&mut w, 2).pop()), (vec![vec![two.0]], Some(vec![two.0])), "once");
    w.hub.end_trace(two);
    w.collect();
    assert_eq!(told(&mut w, 1), [[0; 0]]);
    // Nobody looks: nothing is said to who connects now.
    w.hello(id(3), "fe-b", None);
    w.commit();
    assert!(told(&mut w, 3).is_empty());
    assert!(w.pending.is_empty(), "nothing of it is in the log");
}

#[test]
fn events_go_to_traces_that_exist_under_the_name_of_the_connection() {
    let mut w = World::new();
    w.open(id(1), "fe-a");
    let (one, two) = (w.hub.trace(client(1)).unwrap(), w.hub.trace(client(2)).unwrap());
    let in_force = vec![one.0, two.0, 99];
    let first = TraceReport { in_force: in_force.clone(), ..TraceReport::default() };
    let fe_a = || name("fe-a");
    assert_eq!(
        report(&mut w, 1, first.clone()),
        [Traced::Listening(one, fe_a()), Traced::Listening(two, fe_a())]
    );
    assert_eq!(report(&mut w, 1, first.clone()), [], "said once");
    let events = vec![event(&[one.0, 99]), event(&[99]), event(&[])];
    let handed = report(&mut w, 1, TraceReport { in_force: in_force.clone(), dropped: 5, events });
    let mut expected = event(&[one.0]);
    expected.frontend = "fe-a".into();
    assert_eq!(
        handed,
        [Traced::Event(Box::new(expected)), Traced::Dropped(one, fe_a(), 5), Traced::Dropped(two, fe_a(), 5)]
    );
    let handed_on =
        report(&mut w, 1, TraceReport { events: vec![event(&[one.0; 500])], ..TraceReport::default() });
    let [Traced::Event(once)] = &handed_on[..] else { panic!("{handed_on:?}") };
    assert_eq!(once.traces, [one.0], "to each trace once, however often it is named");
    let many = vec![event(&[one.0]); 300];
    let handed = report(&mut w, 1, TraceReport { in_force: vec![one.0], dropped: 0, events: many });
    assert_eq!(handed.len(), 257);
    assert_eq!(handed.last(), Some(&Traced::Dropped(one, fe_a(), 44)));
    // A new connection of it is heard to follow anew.
    w.disconnect(id(1));
    w.open(id(2), "fe-a");
    assert_eq!(report(&mut w, 2, first).len(), 2);
}

#[test]
fn sec_traces_are_few_end_with_the_leaders_term_and_are_asked_of_the_leader() {
    let mut w = World::new();
    w.open(id(1), "fe-a");
    let ids: Vec<TraceId> = (0..TRACES_MAX as u128).map(|n| w.hub.trace(client(n)).unwrap()).collect();
    assert_eq!(w.hub.trace(client(99)), Err(TraceRefusal::TooMany));
    w.hub.end_trace(ids[0]);
    assert!(w.hub.trace(client(99)).is_ok(), "one gave way");
    w.hub.follow(None);
    w.collect();
    assert_eq!(w.hub.trace(client(1)), Err(TraceRefusal::NotLeading));
    w.lead();
    let again = w.hub.trace(client(1)).unwrap();
    assert!(!ids.contains(&again), "a number is never used twice");
    w.hello(id(5), "fe-b", None);
    w.commit();
    assert_eq!(told(&mut w, 5), [[again.0]], "those of the last term are over");
}
