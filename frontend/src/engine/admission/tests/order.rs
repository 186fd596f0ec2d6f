//! Who goes first, and who gives way.

use std::time::Duration;

use super::super::{Class, LOWER_CLASS_EACH, ShedCounts, class_of};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn sec_01_renew_and_rebind_go_before_request_and_request_before_solicit() {
    let mut queue = Admission::new(KEY, ROOMY);
    let kinds = [msg::SOLICIT, msg::INFORMATION_REQUEST, msg::REQUEST, msg::REBIND, msg::RENEW];
    for client in 0..2 {
        for kind in kinds {
            offer(&mut queue, NOW, (1, kind, client), 0);
        }
    }
    let order: Vec<u8> = take_all(&mut queue, NOW).into_iter().map(|(_, kind, _)| kind).collect();
    let [solicit, information_request, request, rebind, renew] = kinds;
    let extending = [rebind, renew, rebind, renew];
    let soliciting = [solicit, information_request, solicit, information_request];
    assert_eq!(order, [&extending[..], &[request, request], &soliciting].concat());
}

#[test]
fn a_flood_of_renews_leaves_a_sixteenth_to_new_clients() {
    const EACH: u32 = 320;
    let mut queue = Admission::new(KEY, ROOMY);
    for client in 0..EACH {
        for kind in [msg::RENEW, msg::REQUEST, msg::SOLICIT] {
            offer(&mut queue, NOW, (1, kind, client), 0);
        }
    }
    let first: Vec<u8> = (0..EACH).map(|_| take(&mut queue, NOW).unwrap().1).collect();
    let count = |kind| first.iter().filter(|taken| **taken == kind).count() as u64;
    let lower = u64::from(EACH) / LOWER_CLASS_EACH;
    assert_eq!((count(msg::REQUEST), count(msg::SOLICIT)), (lower / 2, lower / 2));
}

#[test]
fn sec_01_a_quiet_relay_is_served_in_turn_with_one_that_floods() {
    let mut queue = Admission::new(KEY, ROOMY);
    (0..10_000).for_each(|client| offer(&mut queue, NOW, (1, msg::SOLICIT, client), 0));
    (0..10).for_each(|client| offer(&mut queue, NOW, (2, msg::SOLICIT, client), 0));
    let first: Vec<Tag> = (0..21).map(|_| take(&mut queue, NOW).unwrap()).collect();
    let quiet: Vec<u32> = first.iter().filter(|tag| tag.0 == 2).map(|tag| tag.2).collect();
    assert_eq!(quiet, (0..10).collect::<Vec<_>>(), "all of them, in their order");
}

#[test]
fn sec_01_when_full_the_flooding_relay_loses_its_oldest_and_the_quiet_one_nothing() {
    let bounds = Bounds { messages_max: 100, ..ROOMY };
    let mut queue = Admission::new(KEY, bounds);
    for client in 0..1_000 {
        offer(&mut queue, NOW, (1, msg::SOLICIT, client), 0);
        if client % 25 == 0 {
            offer(&mut queue, NOW, (2, msg::SOLICIT, client), 0);
        }
    }
    assert_eq!((queue.len(), queue.shed().full), (100, 940));
    let all = take_all(&mut queue, NOW);
    assert_eq!(all.iter().filter(|tag| tag.0 == 2).count(), 40);
    let flooding: Vec<u32> = all.iter().filter(|tag| tag.0 == 1).map(|tag| tag.2).collect();
    assert_eq!(flooding, (940..1_000).collect::<Vec<_>>());
}

#[test]
fn sec_01_when_full_a_lower_class_gives_way_and_never_a_higher_one() {
    let mut queue = Admission::new(KEY, Bounds { messages_max: 3, ..ROOMY });
    (0..3).for_each(|client| offer(&mut queue, NOW, (1, msg::SOLICIT, client), 0));
    offer(&mut queue, NOW, (1, msg::REQUEST, 10), 0);
    (20..22).for_each(|client| offer(&mut queue, NOW, (1, msg::RENEW, client), 0));
    assert_eq!(queue.shed().full, 3, "the Solicits");
    offer(&mut queue, NOW, (1, msg::SOLICIT, 4), 0);
    assert_eq!(Class::ALL.map(|class| queue.waiting(class)), [2, 1, 0], "refused, as all others rank higher");
    offer(&mut queue, NOW, (1, msg::REBIND, 23), 0);
    offer(&mut queue, NOW, (1, msg::REQUEST, 11), 0);
    assert_eq!(Class::ALL.map(|class| queue.waiting(class)), [3, 0, 0]);
    offer(&mut queue, NOW, (1, msg::REBIND, 24), 0);
    let left: Vec<u32> = take_all(&mut queue, NOW).into_iter().map(|tag| tag.2).collect();
    assert_eq!(left, [21, 23, 24], "among equals the oldest gives way");
    assert_eq!(queue.shed().full, 7);
}

#[test]
fn a_copy_sent_again_takes_the_place_of_the_first_with_its_newer_text() {
    let mut queue = Admission::new(KEY, ROOMY);
    let datagram = |elapsed: u8| {
        let mut inner = message(msg::SOLICIT, 77, 2);
        *inner.last_mut().unwrap() = elapsed;
        relayed(5, &inner)
    };
    let arrive = |queue: &mut Admission<Tag>, now, elapsed: u8| {
        let bytes = datagram(elapsed);
        let arrival = Arrival { bytes: &bytes, sender: relay(1), interface_index: 1 };
        queue.offer(now, &arrival, (1, msg::SOLICIT, elapsed.into()));
    };
    arrive(&mut queue, NOW, 0);
    offer(&mut queue, NOW, (1, msg::SOLICIT, 6), 2);
    arrive(&mut queue, NOW + 3 * SECOND, 9);
    assert_eq!((queue.len(), queue.shed().superseded), (2, 1));
    let later = NOW + 3 * SECOND + Class::Soliciting.wait_max();
    let (bytes, tag) = queue.take(later).unwrap();
    assert_eq!((bytes, *tag), (&datagram(9)[..], (1, msg::SOLICIT, 9)), "first in line, and not too old");
    assert_eq!(take(&mut queue, later), None, "the other one is");
    arrive(&mut queue, later, 10);
    assert_eq!((queue.len(), queue.shed()), (1, ShedCounts { full: 0, stale: 1, superseded: 1 }));
}

#[test]
fn another_client_link_relay_type_or_transaction_is_no_copy() {
    let mut queue: Admission<Tag> = Admission::new(KEY, ROOMY);
    let offer_bytes = |queue: &mut Admission<Tag>, bytes: &[u8], sender, interface_index| {
        queue.offer(NOW, &Arrival { bytes, sender, interface_index }, (0, 0, 0));
    };
    let solicit = message(msg::SOLICIT, 1, 0);
    let mut other_link = relayed(1, &solicit);
    other_link[17] ^= 1;
    for bytes in [
        relayed(1, &solicit),
        relayed(2, &solicit),
        relayed(1, &message(msg::SOLICIT, 2, 0)),
        relayed(1, &message(msg::REQUEST, 1, 0)),
        relayed(1, &message(msg::SOLICIT, 1, 4)),
        other_link,
        solicit,
    ] {
        offer_bytes(&mut queue, &bytes, relay(1), 1);
    }
    offer_bytes(&mut queue, &relayed(1, &message(msg::SOLICIT, 1, 0)), relay(2), 1);
    offer_bytes(&mut queue, &message(msg::SOLICIT, 1, 0), relay(1), 2);
    assert_eq!((queue.len(), queue.shed()), (9, ShedCounts::default()));
    // What has no transaction id cannot be told apart and is kept as it is.
    offer_bytes(&mut queue, &[1, 2], relay(1), 1);
    offer_bytes(&mut queue, &[1, 2], relay(1), 1);
    assert_eq!(queue.len(), 11);
}

#[test]
fn a_message_too_old_is_given_up_and_its_class_says_how_old_that_is() {
    for kind in [msg::RENEW, msg::REQUEST, msg::SOLICIT] {
        let mut queue = Admission::new(KEY, ROOMY);
        offer(&mut queue, NOW, (1, kind, 1), 0);
        offer(&mut queue, NOW + SECOND, (1, kind, 2), 0);
        let age = class_of(&message(kind, 1, 0)).wait_max();
        let late = NOW + age + Duration::from_millis(1);
        assert_eq!(take(&mut queue, late).map(|tag| tag.2), Some(2));
        assert_eq!((queue.shed().stale, queue.is_empty()), (1, true));
    }
}

#[test]
fn clients_of_one_interface_share_a_queue_and_each_relay_has_its_own() {
    let mut queue: Admission<Tag> = Admission::new(KEY, ROOMY);
    for client in 0..100u16 {
        let bytes = message(msg::SOLICIT, client.into(), 0);
        let sender = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, client);
        queue.offer(NOW, &Arrival { bytes: &bytes, sender, interface_index: 3 }, (0, 1, client.into()));
    }
    (0..5).for_each(|client| offer(&mut queue, NOW, (1, msg::SOLICIT, client), 0));
    let first: Vec<Tag> = (0..11).map(|_| take(&mut queue, NOW).unwrap()).collect();
    assert_eq!(first.iter().filter(|tag| tag.0 == 1).count(), 5, "{first:?}");
}
