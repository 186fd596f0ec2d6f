//! Network configuration: versions, numbering, generations of pools.

use super::lab::{Lab, address, applying, network};
use crate::machine::{Command, NetworkRefusal, Outcome};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::session::StoreEvent;

#[test]
fn fo_113_configuration_is_versioned_and_told_to_everyone() {
    let mut lab = Lab::new();
    let expecting = |version: u64| match applying(network()) {
        Command::ApplyNetwork { network, .. } => Command::ApplyNetwork { expected_version: version, network },
        other => other,
    };
    let applied = lab.apply(vec![expecting(7)]);
    let refusal = NetworkRefusal::Version { expected: 7, current: 1 };
    assert_eq!(applied.outcomes, [Outcome::NetworkRefused(refusal)]);
    let applied = lab.apply(vec![expecting(1)]);
    assert_eq!(applied.outcomes, [Outcome::NetworkApplied { version: 2 }]);
    assert!(applied.events.iter().any(|e| matches!(&e.event, StoreEvent::Network(n) if n.version == 2)));
}

#[test]
fn an_inconsistent_configuration_leaves_no_trace() {
    let mut lab = Lab::new();
    let rows: Vec<_> = lab.machine.rows().filter(|(key, _)| key[0] != 1).collect();
    let mut bad = network();
    bad.links.push(leasehold_proto::v1::Link { name: "new".into(), ..Default::default() });
    bad.pools[0].link = "nowhere".into();
    let applied = lab.configure(&bad);
    assert!(matches!(&applied.outcomes[..], [Outcome::NetworkRefused(NetworkRefusal::Invalid(_))]));
    assert_eq!(lab.machine.rows().filter(|(key, _)| key[0] != 1).collect::<Vec<_>>(), rows);
}

#[test]
fn fo_908_numbers_and_server_duids_stay_with_names() {
    let mut lab = Lab::new();
    let before = lab.machine.network().unwrap().clone();
    let mut longer = network();
    longer.pools[0].valid_lifetime_secs *= 2;
    longer.links.insert(0, leasehold_proto::v1::Link { name: "first".into(), ..Default::default() });
    lab.configure(&longer);
    let after = lab.machine.network().unwrap();
    assert_eq!(after.pools[0].id, before.pools[0].id);
    assert_eq!(after.links[1].id, before.links[0].id);
    assert_ne!(after.links[0].id, before.links[0].id);
    assert_eq!(after.relationships[0].server_duid, before.relationships[0].server_duid);
}

#[test]
fn an_entry_without_defaults_is_refused() {
    let mut lab = Lab::new();
    let applied =
        lab.apply(vec![Command::ApplyNetwork { expected_version: 0, network: Box::new(network()) }]);
    let [Outcome::NetworkRefused(NetworkRefusal::Invalid(lines))] = &applied.outcomes[..] else {
        panic!("{:?}", applied.outcomes)
    };
    assert!(lines.iter().any(|l| l.contains("takeover_after")), "{lines:?}");
}

#[test]
fn fo_102_a_pool_in_two_relationships_is_refused_and_nothing_changes() {
    let mut lab = Lab::new();
    let mut twice = network();
    let second = leasehold_proto::v1::Relationship { name: "cd".into(), ..twice.relationships[0].clone() };
    twice.relationships.push(second);
    let applied = lab.configure(&twice);
    let [Outcome::NetworkRefused(NetworkRefusal::Invalid(lines))] = &applied.outcomes[..] else {
        panic!("{:?}", applied.outcomes)
    };
    assert!(lines[0].contains("is in two relationships"), "{lines:?}");
    assert_eq!(lab.machine.network().unwrap().version, 1);
}

#[test]
fn a_pool_cut_anew_grants_nothing_that_the_old_generation_still_holds() {
    let mut lab = Lab::new();
    let (a, b) = (lab.open("a"), lab.open("b"));
    lab.grant(a, 1);
    lab.grant(b, 1);
    lab.promise(a, address(0x10), 1).unwrap();
    let old = lab.pool();
    let mut anew = network();
    anew.pools[0].range_bits = Some(1);
    lab.configure(&anew);
    assert_ne!(lab.pool(), old);
    assert_eq!(lab.state(address(0x10)), LeaseState::Active, "no lease is deleted");
    // Ranges of the old generation are still owned by sessions that have not read the configuration.
    let granted = lab.grant(b, 8);
    assert!(!granted.iter().any(|r| r.slice < 4), "{granted:?}");
    lab.acknowledge(a);
    lab.acknowledge(b);
    // Slice 0 has a lease; the others of the two old ones are free now.
    let granted = lab.grant(b, 8);
    assert_eq!(granted.iter().map(|r| r.slice).collect::<Vec<_>>(), [1, 2, 3]);
    // The lease ends, everyone reads so: the last of the old generation goes.
    lab.pass(100);
    lab.acknowledge(a);
    lab.acknowledge(b);
    assert!(lab.machine.pool(old).is_none());
    assert_eq!(lab.grant(b, 8).iter().map(|r| r.slice).collect::<Vec<_>>(), [0]);
}
