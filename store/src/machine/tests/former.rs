//! What was written before: entries and rows of format 1 are read, and do on every node what they did then.

use super::lab::{Lab, address, applying, network};
use crate::machine::{
    Command, CommandBatch, CommandError, FORMAT_VERSION, Found, Machine, NetworkRefusal, Outcome, invariants,
};
use leasehold_proto::lease::{LeaseState, UpdateKind};
use leasehold_proto::network::{Network, fill_defaults};
use leasehold_proto::session::RangeRequest;
use leasehold_proto::v1;
use leasehold_proto::words::{LogIndex, PoolId, Prefix};
use prost::Message;

/// A network as a program of format 1 stored it, with every field that has gone.
fn former_network() -> v1::Network {
    let mut wire = network();
    fill_defaults(&mut wire);
    wire.answer_octets = 0;
    wire.relay_supplied = Vec::new();
    for pool in &mut wire.pools {
        pool.allocator = 0;
        pool.affinity_secs = None;
    }
    let server = |last: u8| {
        let mut octets = vec![0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        octets[15] = last;
        octets
    };
    wire.options = Some(v1::DhcpOptions {
        dns_servers: vec![server(1), server(2)],
        domain_search: vec!["example.com.".into()],
        ..Default::default()
    });
    wire.links[0].interface_id = b"port 7".to_vec();
    wire
}

fn former(commands: Vec<v1::Command>) -> CommandBatch {
    let raw = v1::CommandBatch { format_version: 1, stamp_ms: 1000, commands };
    CommandBatch::decode(&raw.encode_to_vec()).unwrap()
}

fn founding() -> v1::Command {
    let found = Found { cluster: "test".into(), incarnation: 1, server_duid_seed: [7; 16], restored: None };
    let bytes = CommandBatch::new(Default::default(), vec![Command::Found(found)]).encode();
    v1::CommandBatch::decode(&bytes[..]).unwrap().commands.remove(0)
}

fn former_applying(network: v1::Network) -> v1::Command {
    let apply = v1::ApplyNetwork { expected_version: 0, network: Some(network) };
    v1::Command { body: Some(v1::command::Body::Network(apply)) }
}

fn check_as_it_was_meant(network: &Network) {
    let options: Vec<(u16, usize, bool)> =
        network.options.iter().map(|o| (o.code, o.data.len(), o.forced)).collect();
    assert_eq!(options, [(23, 32, false), (24, 13, false)]);
    assert_eq!(network.links[0].selectors[0].interface_id.as_deref(), Some(&b"port 7"[..]));
    assert_eq!((network.answer_octets, &network.relay_supplied[..]), (1280, &[65][..]));
}

#[test]
fn an_entry_of_format_1_is_taken_and_its_configuration_means_what_it_meant() {
    let mut machine = Machine::default();
    let applied = machine.apply(LogIndex(1), &former(vec![founding(), former_applying(former_network())]));
    assert_eq!(applied.outcomes[1], Outcome::NetworkApplied { version: 1 });
    check_as_it_was_meant(machine.network().unwrap());
    let rows: Vec<_> = machine.rows().collect();
    let restored = Machine::from_rows(&mut rows.clone().into_iter()).unwrap();
    assert_eq!(restored.rows().collect::<Vec<_>>(), rows);
}

#[test]
fn rows_of_format_1_are_read_and_an_unknown_format_is_not() {
    let mut lab = Lab::new();
    let mut rows: Vec<(Vec<u8>, Vec<u8>)> = lab.machine.rows().collect();
    for (key, value) in &mut rows {
        match key[0] {
            1 => {
                let mut row = v1::ClusterRow::decode(&value[..]).unwrap();
                row.format_version = 1;
                *value = row.encode_to_vec();
            }
            2 => {
                let numbered = v1::Network::decode(&value[..]).unwrap();
                let mut wire = former_network();
                wire.version = numbered.version;
                wire.links[0].id = numbered.links[0].id;
                wire.pools[0].id = numbered.pools[0].id;
                wire.relationships.clone_from(&numbered.relationships);
                *value = wire.encode_to_vec();
            }
            4 => {
                let mut row = v1::PoolRow::decode(&value[..]).unwrap();
                let pool = row.pool.as_mut().unwrap();
                (pool.allocator, pool.affinity_secs) = (0, None);
                *value = row.encode_to_vec();
            }
            _ => {}
        }
    }
    let restored = Machine::from_rows(&mut rows.clone().into_iter()).unwrap();
    invariants::check(&restored).unwrap();
    check_as_it_was_meant(restored.network().unwrap());
    assert_eq!(restored.network().unwrap().pools, lab.machine.network().unwrap().pools);
    lab.machine = restored;
    // What is written from here on is of today's format, and an older program refuses it.
    let applied = lab.apply(Vec::new());
    let row = applied.rows.iter().find(|row| row.key == [1]).unwrap();
    let row = v1::ClusterRow::decode(row.value.as_deref().unwrap()).unwrap();
    assert_eq!(row.format_version, FORMAT_VERSION);
    for unknown in [0, FORMAT_VERSION + 1] {
        let batch = v1::CommandBatch { format_version: unknown, ..Default::default() };
        assert_eq!(CommandBatch::decode(&batch.encode_to_vec()), Err(CommandError::Version(unknown)));
        let row = v1::ClusterRow { format_version: unknown, ..Default::default() };
        assert!(Machine::from_rows(&mut [(vec![1], row.encode_to_vec())].into_iter()).is_err());
    }
}

/// Takes the pool out with a lease in it, lets its owner read so, and puts it back; each by an entry of its format.
fn out_and_back(out: u32, back: u32) -> (PoolId, PoolId) {
    let mut lab = Lab::new();
    let before = lab.pool();
    let (a, b) = (lab.open("a"), lab.open("b"));
    lab.grant(a, 2);
    lab.promise(a, address(0x11), 1).unwrap();
    let mut other = network();
    other.pools[0].name = "other".into();
    let shift = |octets: &mut Vec<u8>| {
        let bits = u128::from_be_bytes(octets[..].try_into().unwrap()) + 0x100;
        *octets = Prefix::address(bits).bits().to_be_bytes().to_vec();
    };
    shift(&mut other.pools[0].first);
    shift(&mut other.pools[0].last);
    other.relationships[0].pools = vec!["other".into()];
    lab.apply_as(out, vec![applying(other)]);
    for epoch in [a, b] {
        let mut batch = lab.batch(epoch);
        batch.acked_index = lab.index();
        lab.apply_as(out, vec![Command::Session(std::sync::Arc::new(batch))]);
    }
    lab.apply_as(back, vec![applying(network())]);
    (before, lab.pool())
}

#[test]
fn pd_14_a_pool_comes_back_by_entries_of_today_and_not_where_an_older_program_applied_one() {
    let (before, after) = out_and_back(2, 2);
    assert_eq!(before, after);
    for (out, back) in [(1, 1), (1, 2), (2, 1)] {
        let (before, after) = out_and_back(out, back);
        assert_ne!(before, after, "format {out}, then {back}: as an older program numbered it");
    }
}

#[test]
fn what_is_refused_by_now_applies_where_it_was_taken_before_and_cannot_be_proposed_again() {
    let mut lab = Lab::new();
    // Two links that one selector chooses, as an earlier release let into the log.
    let mut wire = network();
    let selector = v1::LinkSelector { interface_id: b"port 7".to_vec(), ..Default::default() };
    wire.links[0].selectors = vec![selector.clone()];
    wire.links.push(v1::Link { name: "b".into(), selectors: vec![selector], ..Default::default() });
    assert_eq!(lab.configure(&wire).outcomes, [Outcome::NetworkApplied { version: 2 }]);
    let rows: Vec<_> = lab.machine.rows().collect();
    let restored = Machine::from_rows(&mut rows.clone().into_iter()).unwrap();
    assert_eq!(restored.rows().collect::<Vec<_>>(), rows);
    fill_defaults(&mut wire);
    let NetworkRefusal::Invalid(lines) = restored.check_network(&wire).unwrap_err() else { panic!() };
    assert!(lines.len() == 1 && lines[0].contains("port 7"), "{lines:?}");
    wire.links[1].selectors.clear();
    assert_eq!(restored.check_network(&wire), Ok(()));
}

/// Whether an address is adopted that was in a pool taken out, forgotten and put back; each by an entry of its format.
fn is_adopted_after(out: u32, back: u32) -> bool {
    let mut lab = Lab::new();
    let (a, b) = (lab.open("a"), lab.open("b"));
    lab.grant(a, 2);
    let mut elsewhere = network();
    elsewhere.pools[0].name = "other".into();
    elsewhere.pools[0].first[14] = 1;
    elsewhere.pools[0].last[14] = 1;
    elsewhere.relationships[0].pools = vec!["other".into()];
    lab.promise(a, address(0x11), 1).unwrap();
    lab.apply_as(out, vec![applying(elsewhere)]);
    for epoch in [a, b] {
        let mut batch = lab.batch(epoch);
        batch.acked_index = lab.index();
        lab.apply_as(out, vec![Command::Session(std::sync::Arc::new(batch))]);
    }
    let spans = lab.machine.rows().filter(|(key, _)| key[0] == 12).count();
    assert_eq!(spans, usize::from(out > 1), "an entry of format 1 writes no row of today's");
    lab.apply_as(back, vec![applying(network())]);
    let pool = lab.pool();
    for _ in 0..3 {
        lab.pass(100);
        lab.acknowledge(a);
        lab.acknowledge(b);
    }
    let state = lab.machine.lease(address(0x11)).map(|lease| lease.state);
    assert!(matches!(state, None | Some(LeaseState::Free)), "it has run out: {state:?}");
    let mut batch = lab.batch(a);
    batch.requests.push(RangeRequest { pool, ranges: 4 });
    lab.apply_as(back, vec![Command::Session(std::sync::Arc::new(batch))]);
    let claim = lab.update(UpdateKind::Adopt, address(0x11), 1);
    lab.tell(b, claim).is_ok()
}

#[test]
fn r7_what_a_pool_granted_that_an_older_program_took_out_is_not_adopted() {
    for (out, back) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        assert!(!is_adopted_after(out, back), "format {out}, then {back}");
    }
}
