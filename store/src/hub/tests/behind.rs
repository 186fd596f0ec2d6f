//! What a node must not say: of a session that has read further, and of leases that do not concern the asker.

use super::world::{World, id};
use leasehold_proto::session::{FromStore, RefusalReason, ToStore};
use leasehold_proto::words::LogIndex;

/// A node that was deposed and does not know it would make the frontend forget what was acknowledged to it since.
#[test]
fn fo_905_a_node_that_is_behind_a_session_refuses_to_resume_it() {
    let mut w = World::new();
    let a = w.open(id(1), "fe-a");
    w.disconnect(id(1));
    let ahead = LogIndex(w.machine.applied().0 + 1);
    w.hello(id(2), "fe-a", Some((a, ahead)));
    let sent = w.take(id(2));
    assert!(matches!(&sent[..], [FromStore::Refused(r)] if r.reason == RefusalReason::NotLeader), "{sent:?}");
    assert!(w.is_closed(id(2)));
    w.apply(Vec::new());
    w.hello(id(3), "fe-a", Some((a, ahead)));
    assert!(w.welcome(id(3)).resumed, "once it has caught up it answers");
}

/// A session that this node has not heard of was opened by a later leader: it is not unknown.
#[test]
fn fo_905_a_node_that_is_behind_does_not_call_a_later_session_unknown() {
    let mut w = World::new();
    let a = w.open(id(1), "fe-a");
    let later = leasehold_proto::words::Epoch(a.0 + 1);
    w.hello(id(2), "fe-a", Some((later, w.machine.applied())));
    let sent = w.take(id(2));
    assert!(matches!(&sent[..], [FromStore::Refused(r)] if r.reason == RefusalReason::NotLeader), "{sent:?}");
}

/// Leases of others would never be kept current by the asker's stream.
#[test]
fn a_look_up_brings_leases_of_the_askers_relationships_only() {
    let mut w = World::new();
    let a = w.open(id(1), "fe-a");
    w.open(id(2), "fe-b");
    w.request_range(id(1), a, 1);
    let update = w.promise(3);
    let (link, duid) = (update.binding.link, update.binding.duid.clone());
    w.batch(id(1), a, 2, |batch| batch.updates.push(update));
    w.commit();
    w.open(id(3), "fe-c");
    w.take(id(2));
    let mut leases_for = |n| {
        w.say(id(n), ToStore::Lookup { link, duid: duid.clone() });
        let answers = w.take(id(n)).into_iter().find_map(|m| match m {
            FromStore::Lookup { leases, .. } => Some(leases.len()),
            _ => None,
        });
        answers.expect("a look-up is answered")
    };
    assert_eq!((leases_for(2), leases_for(3)), (1, 0));
}
