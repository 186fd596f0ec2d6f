//! The holder under Raft: what cannot be carried out stops the node, and rows bring everything back.

use super::replica::{Replica, lock};
use crate::hub::HubSettings;
use crate::machine::{Command, CommandBatch, FORMAT_VERSION, Found};
use crate::raft::{NodeAddress, NodeConfig, NodeRole, Replicated, Row, StoreNode, plaintext_connector};
use leasehold_proto::time::ClusterTime;
use leasehold_proto::v1;
use prost::Message;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

fn replica() -> Replica {
    Replica::new(HubSettings::default(), Arc::new(Notify::new()))
}

fn founding() -> Vec<u8> {
    let found = Found { cluster: "berlin".into(), incarnation: 1, server_duid_seed: [3; 16], restored: None };
    let open = Command::OpenSession {
        frontend: leasehold_proto::words::FrontendId::new("fe-a").unwrap(),
        host: None,
    };
    let commands = vec![Command::Found(found), open];
    CommandBatch::new(ClusterTime::from_millis(5), commands).encode()
}

#[test]
fn rows_bring_the_machine_back() {
    let mut first = replica();
    let applied = first.apply(1, 1, &founding());
    assert_eq!(applied.outcome.len(), 2);
    let mut second = replica();
    second.restore(&mut applied.rows.into_iter()).unwrap();
    assert_eq!(second.machine.cluster(), Some(("berlin", 1)));
    assert!(second.machine.rows().eq(first.machine.rows()));
    let strange = Row { key: vec![99], value: Some(vec![1]) };
    assert_eq!(second.restore(&mut std::iter::once(strange)).unwrap_err().key, vec![99]);
}

#[tokio::test]
async fn an_entry_of_a_newer_program_stops_the_node_and_is_not_counted_as_applied() {
    let folder = tempfile::tempdir().unwrap();
    let address = NodeAddress { name: "a".into(), address: "127.0.0.1:1".into() };
    let config = NodeConfig::new("berlin", "a", vec![address], folder.path().to_owned());
    let holder = Arc::new(Mutex::new(replica()));
    let mut broken = lock(&holder).broken();
    let node = StoreNode::start(config, plaintext_connector(), Arc::clone(&holder)).await.unwrap();
    let patience = Duration::from_secs(60);
    let mut metrics = node.metrics();
    tokio::time::timeout(patience, metrics.wait_for(|m| m.role == NodeRole::Leader)).await.unwrap().unwrap();
    node.propose(founding().into()).await.unwrap();
    let before = lock(&holder).machine.applied();

    let newer = v1::CommandBatch { format_version: FORMAT_VERSION + 1, stamp_ms: 9, commands: Vec::new() };
    assert!(node.propose(newer.encode_to_vec().into()).await.is_err());
    let reason = tokio::time::timeout(patience, broken.wait_for(Option::is_some)).await.unwrap().unwrap();
    let reason = reason.clone().unwrap();
    assert!(reason.contains("newer than this program's") && reason.contains("upgrade"), "{reason}");
    assert!(node.propose(founding().into()).await.is_err(), "nothing later is applied");
    assert_eq!(lock(&holder).machine.applied(), before);
    tokio::time::timeout(patience, node.stopped().wait_for(Option::is_some)).await.unwrap().unwrap();
    node.shutdown().await;
}
