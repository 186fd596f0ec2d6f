//! Service by link: FO-206 (RFC 7031 §4.7) and the replacement of FO-708.

use super::world::{World, id, name};
use crate::hub::{ConnectionId, LinkDownReason};
use leasehold_proto::session::{FromStore, InterfaceHealth, LinkReport, Liveness};
use leasehold_proto::words::{Epoch, LinkId};
use proptest::prelude::*;
use std::time::Duration;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn interface(link: &str, carrier: bool) -> InterfaceHealth {
    InterfaceHealth {
        name: format!("to-{link}"),
        link: link.into(),
        present: true,
        carrier,
        packets_seen: 0,
        errors: 0,
    }
}

fn report(link: LinkId, heard: u64, unanswered: u64) -> LinkReport {
    LinkReport { link, heard, unanswered }
}

/// What a connection was told of a frontend, in order.
fn told(w: &mut World, to: ConnectionId, of: &str) -> Vec<Liveness> {
    let messages = w.take(to);
    let told = messages.into_iter().filter_map(|m| match m {
        FromStore::Liveness(l) if l.frontend == name(of) => Some(l),
        _ => None,
    });
    told.collect()
}

fn downs(told: &[Liveness]) -> Vec<bool> {
    told.iter().map(|l| !l.links_down.is_empty()).collect()
}

/// Two partners, loaded, serving, and connected for long enough to be held to what they report.
struct Pair {
    w: World,
    a: Epoch,
    b: Epoch,
    link: LinkId,
}

impl Pair {
    fn new() -> Self {
        let mut w = World::new();
        let (a, b) = (w.open(id(1), "fe-a"), w.open(id(2), "fe-b"));
        let link = w.link();
        let mut pair = Self { w, a, b, link };
        for _ in 0..15 {
            pair.beat(None, None);
        }
        pair.w.take(id(1));
        pair.w.take(id(2));
        pair
    }

    /// 200 ms later both send a heartbeat, which says so much of the link: heard, unanswered.
    fn beat(&mut self, a: Option<(u64, u64)>, b: Option<(u64, u64)>) {
        self.w.pass(MS(200));
        let link = self.link;
        for (connection, epoch, said) in [(1, self.a, a), (2, self.b, b)] {
            self.w.heartbeat_with(id(connection), epoch, |h| {
                h.dirty_leases = 0;
                h.links.extend(said.map(|(heard, unanswered)| report(link, heard, unanswered)));
            });
        }
    }

    fn carrier(&mut self, connection: u64, on: bool) {
        let epoch = if connection == 1 { self.a } else { self.b };
        self.w.heartbeat_with(id(connection), epoch, |h| {
            h.dirty_leases = 0;
            h.interfaces = vec![interface("lan", on)];
        });
    }

    fn reason(&self, of: &str) -> Option<LinkDownReason> {
        self.w.hub.links().find(|d| d.frontend == name(of)).map(|d| d.reason)
    }

    /// Passes time with quiet heartbeats until the mark is off; how long that took, in milliseconds.
    fn until_up(&mut self, of: &str) -> u64 {
        for beats in 0..4000 {
            if self.reason(of).is_none() {
                return beats * 200;
            }
            self.beat(None, None);
        }
        panic!("the mark on {of} never comes off");
    }
}

#[test]
fn fo_206_a_link_without_carrier_is_marked_at_once_and_both_partners_are_told() {
    let mut p = Pair::new();
    p.carrier(1, true);
    p.carrier(1, false);
    assert_eq!(p.reason("fe-a"), Some(LinkDownReason::NoCarrier));
    let link = p.link;
    for to in [id(1), id(2)] {
        let told = told(&mut p.w, to, "fe-a");
        let last = told.last().expect("it is told");
        assert!(last.live && last.links_down == [link], "{last:?}");
    }
    assert!(p.w.hub.liveness().any(|(f, live)| f == name("fe-a") && live), "it lives");
}

#[test]
fn fo_206_the_mark_comes_off_when_carrier_has_lasted_for_the_hold_down() {
    let mut p = Pair::new();
    p.carrier(1, true);
    p.carrier(1, false);
    for _ in 0..20 {
        p.w.pass(MS(200));
        p.carrier(1, false);
    }
    p.w.take(id(2));
    assert_eq!(p.until_up("fe-a"), 5000);
    assert_eq!(downs(&told(&mut p.w, id(2), "fe-a")), [false]);
}

#[test]
fn fo_206_relapses_double_the_hold_down_up_to_a_bound_and_long_health_is_forgiving() {
    let mut p = Pair::new();
    p.carrier(1, true);
    let mut holds = Vec::new();
    for _ in 0..9 {
        p.carrier(1, false);
        p.carrier(1, true);
        holds.push(p.until_up("fe-a") / 1000);
    }
    assert_eq!(holds, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    for _ in 0..3000 {
        p.beat(None, None);
    }
    p.carrier(1, false);
    assert_eq!(p.until_up("fe-a"), 5000);
}

#[test]
fn an_interface_that_was_never_up_is_trusted_as_soon_as_it_is() {
    let mut p = Pair::new();
    p.carrier(1, false);
    assert_eq!(p.reason("fe-a"), Some(LinkDownReason::NoCarrier));
    p.carrier(1, true);
    assert_eq!(p.reason("fe-a"), None);
    p.carrier(1, false);
    p.carrier(1, true);
    assert!(p.reason("fe-a").is_some(), "from then on it is held down");
}

#[test]
fn a_link_is_served_while_one_of_its_interfaces_is_and_other_links_are_not_touched() {
    let mut p = Pair::new();
    let a = p.a;
    let say = |p: &mut Pair, carriers: [bool; 2]| {
        p.w.heartbeat_with(id(1), a, |h| {
            h.interfaces = carriers.map(|on| interface("lan", on)).to_vec();
            h.interfaces.push(interface("", true));
        });
    };
    say(&mut p, [true, false]);
    assert_eq!(p.reason("fe-a"), None);
    say(&mut p, [false, false]);
    assert_eq!(p.reason("fe-a"), Some(LinkDownReason::NoCarrier));
    // The partner, whose only interface hears relays, serves the link through these, until that is gone too.
    let b = p.b;
    p.w.heartbeat_with(id(2), b, |h| h.interfaces = vec![interface("", true)]);
    assert_eq!(p.reason("fe-b"), None);
    p.w.heartbeat_with(id(2), b, |h| h.interfaces = vec![interface("", false)]);
    assert_eq!(p.reason("fe-b"), Some(LinkDownReason::NoCarrier));
}

#[test]
fn fo_206_a_frontend_that_hears_nobody_is_marked_when_its_clients_are_seen_unanswered() {
    let mut p = Pair::new();
    p.beat(None, Some((3, 1)));
    assert_eq!(p.reason("fe-a"), None, "one report may be a lost packet");
    p.beat(None, Some((3, 1)));
    assert_eq!(p.reason("fe-a"), Some(LinkDownReason::Deaf));
    assert_eq!(p.reason("fe-b"), None);
    // While the partner hears clients and it hears none, nothing has changed, for however long.
    for _ in 0..100 {
        p.beat(None, Some((2, 0)));
    }
    assert_eq!(p.reason("fe-a"), Some(LinkDownReason::Deaf));
    p.beat(Some((1, 0)), Some((2, 0)));
    let mut beats = 0;
    while p.reason("fe-a").is_some() {
        p.beat(Some((2, 0)), Some((2, 0)));
        beats += 1;
        assert!(beats < 100, "it hears its clients again");
    }
    assert_eq!(beats, 24, "since a heartbeat before the one that said so");
}

#[test]
fn fo_206_renewals_ten_seconds_apart_are_evidence_too_while_nobody_else_is_heard() {
    let mut p = Pair::new();
    p.beat(None, Some((1, 1)));
    for _ in 0..49 {
        p.beat(None, None);
    }
    assert_eq!(p.reason("fe-a"), None);
    p.beat(None, Some((1, 1)));
    assert_eq!(p.reason("fe-a"), Some(LinkDownReason::Deaf));
}

#[test]
fn fo_206_a_frontend_that_hears_and_does_not_answer_is_marked_and_one_that_loses_a_few_is_not() {
    let mut p = Pair::new();
    for _ in 0..50 {
        // A tenth of what it heard came again: packets are lost.
        p.beat(Some((20, 0)), Some((20, 2)));
    }
    assert_eq!(p.reason("fe-a"), None);
    for _ in 0..20 {
        p.beat(Some((10, 0)), Some((10, 5)));
    }
    assert_eq!(p.reason("fe-a"), Some(LinkDownReason::Mute));
    let mut few = Pair::new();
    for _ in 0..3 {
        few.beat(Some((1, 0)), Some((1, 1)));
        for _ in 0..20 {
            few.beat(Some((1, 0)), Some((1, 0)));
        }
    }
    assert_eq!(few.reason("fe-a"), None, "one client in trouble is no fault of the server");
}

#[test]
fn nothing_is_held_against_a_partner_that_is_not_live_or_has_only_come() {
    let mut w = World::new();
    let (a, b) = (w.open(id(1), "fe-a"), w.open(id(2), "fe-b"));
    let link = w.link();
    for _ in 0..2 {
        w.pass(MS(200));
        w.heartbeat_with(id(2), b, |h| h.links.push(report(link, 2, 2)));
        w.heartbeat(id(1), a);
    }
    assert_eq!(w.hub.links().count(), 0, "its first second: it may have heard nobody yet");
    w.disconnect(id(1));
    for _ in 0..20 {
        w.pass(MS(200));
        w.heartbeat_with(id(2), b, |h| {
            h.dirty_leases = 0;
            h.links.push(report(link, 2, 2));
            h.links.push(report(LinkId(99), 2, 2));
        });
    }
    assert_eq!(w.hub.links().count(), 0);
}

#[test]
fn both_partners_can_be_marked_and_each_is_told_of_both() {
    let mut p = Pair::new();
    for connection in [1, 2] {
        p.carrier(connection, true);
        p.carrier(connection, false);
    }
    for to in [id(1), id(2)] {
        let messages = p.w.take(to);
        for of in ["fe-a", "fe-b"] {
            let last = messages.iter().rev().find_map(|m| match m {
                FromStore::Liveness(l) if l.frontend == name(of) => Some(l.links_down.len()),
                _ => None,
            });
            // That then neither is excluded is for them to conclude, from the same words: `decision_table`.
            assert_eq!(last, Some(1));
        }
    }
}

#[test]
fn a_new_leader_presumes_everything_up_and_hears_anew() {
    let mut p = Pair::new();
    p.carrier(1, true);
    p.carrier(1, false);
    p.w.heartbeat_with(id(2), p.b, |h| h.relays_heard = vec![7]);
    p.w.hub.follow(None);
    p.w.collect();
    p.w.lead();
    assert_eq!(p.w.hub.links().count(), 0);
    let position = p.w.machine.applied();
    p.w.hello(id(3), "fe-a", Some((p.a, position)));
    p.w.hello(id(4), "fe-b", Some((p.b, position)));
    let of_a = told(&mut p.w, id(4), "fe-a");
    assert!(of_a.iter().all(|l| l.live && l.links_down.is_empty() && l.relays_heard.is_none()), "{of_a:?}");
    let a = p.a;
    p.w.heartbeat_with(id(3), a, |h| h.interfaces = vec![interface("lan", false)]);
    assert_eq!(downs(&told(&mut p.w, id(4), "fe-a")), [true], "its first heartbeat says it again");
}

#[test]
fn relays_heard_are_told_to_both_partners_and_after_a_welcome() {
    let mut p = Pair::new();
    let (a, b) = (p.a, p.b);
    let hear = |p: &mut Pair, relays: &[u128]| {
        p.w.pass(MS(200));
        p.w.heartbeat_with(id(1), a, |h| h.relays_heard = relays.to_vec());
        p.w.heartbeat(id(2), b);
    };
    for _ in 0..4 {
        hear(&mut p, &[9, 7]);
    }
    for to in [id(1), id(2)] {
        let told = told(&mut p.w, to, "fe-a");
        assert_eq!(told.len(), 1, "once: {told:?}");
        assert_eq!(told[0].relays_heard.as_deref(), Some([7, 9].as_slice()));
    }
    hear(&mut p, &[9]);
    let silent = told(&mut p.w, id(2), "fe-a");
    assert_eq!(silent[0].relays_heard.as_deref(), Some([9].as_slice()), "told at once");
    p.w.disconnect(id(2));
    p.w.hello(id(5), "fe-b", None);
    p.w.commit();
    let welcomed = told(&mut p.w, id(5), "fe-a");
    assert_eq!(welcomed[0].relays_heard.as_deref(), Some([9].as_slice()));
    assert!(!told(&mut p.w, id(1), "fe-b").is_empty(), "that it is gone");
}

#[test]
fn fo_708_a_frontend_that_lives_and_does_not_drain_loses_its_links_and_gets_them_back() {
    let mut p = Pair::new();
    let a = p.a;
    let beat = |p: &mut Pair, dirty: u64| {
        p.w.pass(MS(200));
        p.w.heartbeat_with(id(1), a, |h| h.dirty_leases = dirty);
        p.w.heartbeat_with(id(2), p.b, |h| h.dirty_leases = 0);
    };
    for _ in 0..49 {
        beat(&mut p, 5);
    }
    assert_eq!(p.reason("fe-a"), None);
    beat(&mut p, 5);
    assert_eq!(p.reason("fe-a"), Some(LinkDownReason::NotDraining));
    assert_eq!(downs(&told(&mut p.w, id(2), "fe-a")), [true]);
    // What it owes comes; the mark stays for the hold-down.
    p.w.batch(id(1), a, 1, |_| {});
    p.w.commit();
    beat(&mut p, 1);
    assert!(p.reason("fe-a").is_some());
    for _ in 0..25 {
        beat(&mut p, 0);
    }
    assert_eq!(p.reason("fe-a"), None);
}

#[test]
fn fo_708_a_store_that_does_not_commit_is_not_held_against_the_frontend() {
    let mut p = Pair::new();
    let (a, b) = (p.a, p.b);
    p.w.batch(id(1), a, 1, |_| {});
    for _ in 0..100 {
        p.w.pass(MS(200));
        p.w.heartbeat_with(id(1), a, |h| h.dirty_leases = 5);
        p.w.heartbeat_with(id(2), b, |h| h.dirty_leases = 0);
    }
    assert_eq!(p.reason("fe-a"), None, "its batch waits for a majority");
}

#[test]
fn marks_of_who_leaves_the_configuration_are_forgotten() {
    let mut p = Pair::new();
    p.carrier(2, true);
    p.carrier(2, false);
    assert!(p.reason("fe-b").is_some());
    p.w.apply_network(super::world::network("fe-a", "fe-c"));
    assert_eq!(p.reason("fe-b"), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// An hour of whatever heartbeats may say. The worst is some six marks (5 + 10 + 20 + 40 + 80 + 160 s), ten minutes
    /// of health, and so on: 24; and one of an interface that only begins.
    #[test]
    fn fo_206_flapping_reports_cannot_flap_the_marks(
        seed in prop::collection::vec((any::<bool>(), 0u64..30, 0u64..30, 0u64..30, 0u64..200), 20..200),
    ) {
        let mut p = Pair::new();
        let mut beats = 0;
        let (mut flips, mut was) = (0, false);
        for (carrier, heard, partner_heard, unanswered, quiet) in seed.iter().cycle() {
            p.carrier(1, *carrier);
            p.beat(Some((*heard, 0)), Some((*partner_heard, *unanswered)));
            for _ in 0..*quiet {
                p.beat(None, None);
            }
            beats += 1 + quiet;
            let is = p.reason("fe-a").is_some();
            flips += usize::from(is && !was);
            was = is;
            if beats >= 18_000 {
                break;
            }
        }
        prop_assert!(flips <= 25, "{flips} marks in an hour");
    }
}
