//! Liveness flips.

use super::world::{World, id, liveness_of, name};
use leasehold_proto::time::LocalTime;
use std::time::Duration;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn is_live(w: &World, frontend: &str) -> bool {
    w.hub.liveness().any(|(f, live)| f == name(frontend) && live)
}

#[test]
fn a_silent_frontend_is_lost_after_a_second_and_back_with_its_next_word() {
    let mut w = World::new();
    let a = w.open(id(1), "fe-a");
    let b = w.open(id(2), "fe-b");
    w.take(id(1));
    for _ in 0..4 {
        w.pass(MS(300));
        w.heartbeat(id(1), a);
    }
    assert!(!is_live(&w, "fe-b"));
    assert_eq!(liveness_of(&w.take(id(1)), "fe-b"), [false]);
    assert_eq!(w.hub.next_deadline(), Some(w.now + MS(1000)));
    w.heartbeat(id(2), b);
    assert_eq!(liveness_of(&w.take(id(1)), "fe-b"), [true]);
    assert_eq!(w.hub.heartbeat_of(a).unwrap().dirty_leases, 3);
}

#[test]
fn a_broken_connection_flips_at_once() {
    let mut w = World::new();
    w.open(id(1), "fe-a");
    w.open(id(2), "fe-b");
    w.take(id(1));
    w.disconnect(id(2));
    assert_eq!(liveness_of(&w.take(id(1)), "fe-b"), [false]);
}

#[test]
fn a_new_session_is_told_of_its_partner_at_once() {
    let mut w = World::new();
    w.pass(MS(2500));
    w.hello(id(1), "fe-a", None);
    w.commit();
    let a = w.welcome(id(1)).epoch;
    assert_eq!(liveness_of(&w.take(id(1)), "fe-b"), [false]);
    w.heartbeat(id(1), a);
    w.hello(id(2), "fe-b", None);
    w.commit();
    assert_eq!(liveness_of(&w.take(id(2)), "fe-a"), [true]);
}

#[test]
fn a_frontend_is_live_only_once_it_says_that_it_serves() {
    let mut w = World::new();
    w.pass(MS(2500));
    let a = w.open(id(1), "fe-a");
    w.hello(id(2), "fe-b", None);
    w.commit();
    let b = w.welcome(id(2)).epoch;
    assert!(!is_live(&w, "fe-b"), "it loads, and can promise nothing yet");
    w.heartbeat(id(2), b);
    assert!(is_live(&w, "fe-b"));
    // Past its autonomy, perhaps: the partner answers for it.
    w.heartbeat_not_serving(id(1), a);
    assert!(!is_live(&w, "fe-a"));
    assert_eq!(liveness_of(&w.take(id(2)), "fe-a").last(), Some(&false));
}

#[test]
fn under_a_new_leader_everyone_with_a_session_is_presumed_live_for_twice_the_span() {
    let mut w = World::new();
    assert!(!is_live(&w, "fe-a") && !is_live(&w, "fe-b"), "neither ever came");
    w.open(id(1), "fe-a");
    w.hub.follow(None);
    w.lead();
    assert!(is_live(&w, "fe-a") && !is_live(&w, "fe-b"));
    w.pass(MS(1900));
    assert!(is_live(&w, "fe-a"));
    w.pass(MS(200));
    assert!(!is_live(&w, "fe-a") && !is_live(&w, "fe-b"));
    assert_eq!(w.hub.next_deadline(), None::<LocalTime>);
}

#[test]
fn a_clean_stop_flips_at_once_and_stays() {
    let mut w = World::new();
    let a = w.open(id(1), "fe-a");
    w.open(id(2), "fe-b");
    w.take(id(2));
    w.batch(id(1), a, 1, |b| b.closing = true);
    w.commit();
    assert_eq!(liveness_of(&w.take(id(2)), "fe-a"), [false]);
    w.heartbeat(id(1), a);
    assert!(!is_live(&w, "fe-a"));
    w.hub.follow(None);
    w.collect();
    w.lead();
    assert!(!is_live(&w, "fe-a") && is_live(&w, "fe-b"));
}

#[test]
fn r6_a_superseded_session_says_nothing_about_its_frontend() {
    let mut w = World::new();
    let old = w.open(id(1), "fe-a");
    w.open(id(2), "fe-a");
    w.open(id(3), "fe-b");
    w.disconnect(id(1));
    assert!(is_live(&w, "fe-a"));
    w.disconnect(id(2));
    assert!(!is_live(&w, "fe-a"));
    let position = w.machine.applied();
    w.hello(id(4), "fe-a", Some((old, position)));
    w.heartbeat(id(4), old);
    assert!(!is_live(&w, "fe-a"), "the old process may still run, but it serves nobody new");
}

#[test]
fn partners_of_a_new_configuration_are_told_of_each_other() {
    let mut w = World::new();
    w.open(id(1), "fe-a");
    w.open(id(2), "fe-b");
    w.open(id(3), "fe-c");
    w.take(id(1));
    w.apply_network(super::world::network("fe-a", "fe-c"));
    assert_eq!(liveness_of(&w.take(id(1)), "fe-c"), [true]);
}
