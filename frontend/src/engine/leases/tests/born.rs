//! R2 and R6: what a superseded session may still extend. The store does not wait for it where it may not.

use super::*;
use leasehold_proto::session::{RefusalReason, Refused};

/// A lease of the partner's, committed just now, read from the stream.
fn partners(b: &mut Bench, n: u128, client: u8) -> Prefix {
    let record = b.record(address(n), client, LeaseState::Active, ClusterTime::ZERO);
    let born = LogIndex(b.index + 1);
    b.lease(&Lease { born, ..record });
    address(n)
}

fn supersede(b: &mut Bench) {
    let at = LogIndex(b.index + 1);
    b.entry(vec![StoreEvent::Superseded { by: Epoch(101), at }]);
}

fn remaining(b: &Bench, client: u8, prefix: Prefix) -> Option<Given> {
    let key = binding(client, IaKind::Na);
    b.leases.remaining(b.now(), IaRef::of(&key), prefix)
}

#[test]
fn r2_a_superseded_session_extends_no_lease_born_after_its_superseding() {
    let mut b = Bench::ready();
    let before = partners(&mut b, 200, 9);
    supersede(&mut b);
    let after = partners(&mut b, 201, 10);
    assert!(b.extend(9, before).is_some());
    assert_eq!(b.extend(10, after), None);
    // Nor does it say what is left: the address may be somebody else's before that.
    assert_eq!(remaining(&b, 10, after), None);
    // A new holding of an address that it knew from before is a new lease as well.
    let free = b.record(before, 9, LeaseState::Free, ClusterTime::ZERO);
    b.drain();
    b.answer_all();
    b.lease(&free);
    partners(&mut b, 200, 9);
    assert_eq!(b.extend(9, before), None);
}

#[test]
fn r2_what_a_session_made_before_it_read_of_its_superseding_it_extends() {
    let mut b = Bench::ready();
    let told = b.create(1).unwrap().prefix;
    b.settle();
    let untold = b.create(2).unwrap().prefix;
    supersede(&mut b);
    for client_and_prefix in [(1, told), (2, untold)] {
        assert!(b.extend(client_and_prefix.0, client_and_prefix.1).is_some());
    }
    // Committed after the superseding: the store counts it as born with that.
    b.settle();
    assert!(b.extend(2, untold).is_some());
}

#[test]
fn r2_a_look_up_that_runs_ahead_of_the_stream_is_not_extended_before_the_stream_is_there() {
    let mut b = Bench::new();
    b.welcome(ME, false, 0);
    b.drain();
    b.answer_all();
    let (duid, index) = (duid(9), LogIndex(b.index + 5));
    let ahead = Lease {
        born: index,
        version: index,
        ..b.record(address(200), 9, LeaseState::Active, ClusterTime::ZERO)
    };
    let leases = vec![Arc::new(ahead)];
    b.apply(FromStore::Lookup { link: LINK, duid, leases, index });
    assert_eq!(b.extend(9, address(200)), None);
    b.index += 4;
    b.entry(vec![]);
    assert!(b.extend(9, address(200)).is_some());
}

#[test]
fn r2_told_of_its_superseding_by_a_refusal_it_extends_what_the_stream_had_brought() {
    let mut b = Bench::ready();
    let before = partners(&mut b, 200, 9);
    b.disconnect();
    b.connect();
    let detail = String::new();
    b.apply(FromStore::Refused(Refused { reason: RefusalReason::Superseded, detail, leader_address: None }));
    assert!(b.extend(9, before).is_some());
    assert_eq!(b.create(3), Err(NoLease::NotNow));
}
