//! The session's one sequence: order, resending, acknowledging.

use super::*;

#[test]
fn order_an_ack_never_overtakes_an_update() {
    let mut b = Bench::ready();
    // More dirty leases than one batch takes, then an event that waits for this session.
    for n in 0..2500u32 {
        let key = BindingKey {
            iaid: Iaid(n),
            duid: Duid::new(&n.to_be_bytes()).unwrap(),
            ..binding(1, IaKind::Na)
        };
        b.leases.create(b.now(), IaRef::of(&key), &Wanted::of(&[VAST])).unwrap();
    }
    let expired = b.record(address(200), 9, LeaseState::Expired, ClusterTime::ZERO);
    b.lease(&expired);
    let event = LogIndex(b.index);
    let mut told = 0;
    for _ in 0..5 {
        for batch in b.drain() {
            told += batch.updates.len();
            assert!(batch.updates.len() <= 1024);
            assert_eq!(batch.acked_index >= event, told >= 2500, "{told} told, {} acked", batch.acked_index);
        }
    }
    assert_eq!(told, 2500);
}

#[test]
fn order_a_lease_made_dirty_again_keeps_its_place() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    let expired = b.record(address(200), 9, LeaseState::Expired, ClusterTime::ZERO);
    b.lease(&expired);
    b.extend(1, prefix).unwrap();
    let batch = b.drain().remove(0);
    assert_eq!((batch.updates.len(), batch.acked_index), (1, LogIndex(b.index)));
}

#[test]
fn fo_811_eight_batches_are_in_flight_at_most() {
    let mut b = Bench::ready();
    for client in 0..12 {
        b.create(client).unwrap();
        b.drain();
    }
    assert_eq!(b.batches.len(), 8);
    // No waking up for what cannot be sent.
    b.ms += 150;
    assert!(b.leases.next_deadline().unwrap() > b.now());
    b.answer(&[]);
    assert_eq!(b.drain().remove(0).updates.len(), 4);
}

#[test]
fn fo_909_a_batch_is_sent_again_with_the_same_number_and_content() {
    let mut b = Bench::ready();
    b.create(1).unwrap();
    b.drain();
    let prefix = b.create(2).unwrap().prefix;
    b.drain();
    let sent: Vec<SessionBatch> = b.batches.drain(..).map(|batch| (*batch).clone()).collect();
    b.disconnect();
    // What happens meanwhile goes into later numbers.
    b.extend(2, prefix).unwrap();
    b.create(3).unwrap();
    b.connect();
    let hello = b.hellos.last().unwrap();
    assert_eq!((hello.resume_epoch, hello.resume_index, hello.loaded), (ME, LogIndex(b.index), true));
    b.welcome(ME, true, sent[0].sequence.0 - 1);
    let again = b.drain();
    assert_eq!(*again[0], sent[0]);
    assert_eq!(*again[1], sent[1]);
    assert_eq!((again[2].sequence, again[2].updates.len()), (sent[1].sequence.next(), 2));
}

#[test]
fn fo_909_a_taken_batch_whose_outcome_comes_late_settles_once() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    let batch = b.drain().remove(0);
    b.answer(&[]);
    let acked = b.known(1, prefix).acked_until;
    let again = b.outcome(batch.sequence, true, &[(prefix, UpdateRefusal::OtherClient)]);
    b.entry(vec![again]);
    assert_eq!(b.known(1, prefix).acked_until, acked);
    assert!(b.leases.status(b.now()).refused.is_empty());
}

#[test]
fn no_ping_pong_an_answer_alone_is_not_acknowledged() {
    let mut b = Bench::ready();
    b.create(1).unwrap();
    b.drain();
    b.answer_all();
    for _ in 0..100 {
        b.ms += 50;
        assert!(b.drain().is_empty());
    }
    // Nor is a lease that was freed, or extended by the partner.
    let free = b.record(address(200), 9, LeaseState::Free, ClusterTime::ZERO);
    b.lease(&free);
    let active = b.record(address(201), 9, LeaseState::Active, ClusterTime::ZERO);
    b.lease(&active);
    b.ms += 50;
    assert!(b.drain().is_empty());
    // What waits for watermarks is, once, at most each 100 ms.
    let expired = b.record(address(202), 9, LeaseState::Expired, ClusterTime::ZERO);
    b.lease(&expired);
    assert_eq!(b.drain().remove(0).acked_index, LogIndex(b.index));
    b.answer_all();
    b.lease(&expired);
    b.ms += 50;
    assert!(b.drain().is_empty());
    let due = b.leases.next_deadline().unwrap();
    assert!(due <= b.now() + std::time::Duration::from_millis(50));
    b.ms += 50;
    assert_eq!(b.drain().remove(0).acked_index, LogIndex(b.index));
    b.answer_all();
    b.ms += 150;
    assert!(b.drain().is_empty());
}

#[test]
fn heartbeats_go_each_200_ms_and_say_what_is_dirty() {
    let mut b = Bench::ready();
    b.others.clear();
    b.create(1).unwrap();
    for _ in 0..10 {
        b.ms += 100;
        b.drain();
    }
    let beats: Vec<_> =
        b.others.iter().filter_map(|m| if let ToStore::Heartbeat(h) = m { Some(h) } else { None }).collect();
    assert_eq!(beats.len(), 5);
    assert_eq!((beats[4].dirty_leases, beats[4].epoch, beats[4].network_version), (1, ME, 1));
}

#[test]
fn nothing_but_hello_is_sent_before_welcome() {
    let mut b = Bench::ready();
    b.create(1).unwrap();
    b.disconnect();
    b.others.clear();
    b.ms += 60_000;
    b.connect();
    assert!(b.batches.is_empty() && b.others.is_empty());
    assert_eq!(b.leases.next_deadline(), None);
}

#[test]
fn r2_a_release_names_the_version_it_is_based_on() {
    let mut b = Bench::ready();
    let record = b.record(address(200), 9, LeaseState::Active, ClusterTime::ZERO);
    b.lease(&record);
    let version = LogIndex(b.index);
    assert!(b.release(9, address(200)));
    let update = b.drain()[0].updates[0].clone();
    assert_eq!(update.base_version, version);
    // Own updates count as versions too.
    let mine = b.create(1).unwrap().prefix;
    b.settle();
    let version = LogIndex(b.index);
    b.release(1, mine);
    assert!(b.drain()[0].updates[0].base_version <= version);
}
