//! Founding a cluster: blank, or from the export of an old one whose quorum is lost for good.
//!
//! Owns the order of commands. Refuses to know what they change. Done by the first leader, once everything committed is
//! applied; a founding that breaks off is begun again by whoever leads next and was given the export.

use super::export::{self, Export};
use super::replica::{Replica, SharedReplica, lock};
use crate::machine::{Command, CommandBatch, Found, OldRows, Outcome, Restored};
use crate::raft::StoreNode;
use leasehold_proto::time::ClusterTime;
use std::path::PathBuf;

/// Octets of rows in one entry, roughly.
const PIECE_BYTES: usize = 1 << 20;

/// From what a cluster is founded anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreFrom {
    /// The export of the old cluster.
    pub file: PathBuf,
    /// Grant ranges at once. An override: what the old cluster's frontends promised may still be in force.
    pub without_waiting: bool,
}

/// Founds the cluster; false: not now.
pub(super) async fn found(
    node: &StoreNode<Replica>,
    replica: &SharedReplica,
    cluster: &str,
    restore: Option<&RestoreFrom>,
) -> bool {
    let is_restoring = lock(replica).machine.is_restoring();
    match restore {
        None if is_restoring => {
            tracing::error!(
                "this cluster was being founded from an export, which broke off: start a node with --restore FILE as before, or begin with empty data folders"
            );
            false
        }
        None => found_blank(node, cluster).await,
        Some(from) => match export::read(&from.file) {
            Ok(export) => found_from(node, replica, cluster, export, from.without_waiting).await,
            Err(error) => {
                tracing::error!(%error, "the cluster cannot be founded from its export");
                false
            }
        },
    }
}

async fn found_blank(node: &StoreNode<Replica>, cluster: &str) -> bool {
    let mut server_duid_seed = [0; 16];
    if let Err(error) = getrandom::fill(&mut server_duid_seed) {
        tracing::error!(%error, "the system gives no random numbers: the cluster cannot be founded");
        return false;
    }
    let found = Found { cluster: cluster.to_owned(), incarnation: 1, server_duid_seed, restored: None };
    let founded = propose(node, Command::Found(found)).await == Some(Outcome::Founded);
    if founded {
        tracing::info!(cluster = %cluster, "the cluster is founded");
    }
    founded
}

async fn found_from(
    node: &StoreNode<Replica>,
    replica: &SharedReplica,
    cluster: &str,
    export: Export,
    without_waiting: bool,
) -> bool {
    let Export { header, rows } = export;
    let seed = <[u8; 16]>::try_from(header.server_duid_seed.as_slice());
    let incarnation = u16::try_from(header.incarnation.saturating_add(1));
    let (Ok(server_duid_seed), Ok(incarnation)) = (seed, incarnation) else {
        tracing::error!("the export's header makes no sense: the cluster cannot be founded from it");
        return false;
    };
    if header.cluster != cluster {
        tracing::error!(
            exported = %header.cluster, configured = %cluster,
            "the export is of another cluster: correct the configuration, or take the right file"
        );
        return false;
    }
    let total = rows.len();
    for (place, rows) in pieces(rows).into_iter().enumerate() {
        match propose(node, Command::RestoreRows { first: place == 0, rows: OldRows(rows) }).await {
            Some(Outcome::RowsTaken) => {}
            Some(Outcome::RowRefused(detail)) => {
                tracing::error!(%detail, "the export cannot be taken over");
                return false;
            }
            _ => return false,
        }
    }
    let restored = Some(Restored { without_waiting });
    let found = Found { cluster: cluster.to_owned(), incarnation, server_duid_seed, restored };
    if propose(node, Command::Found(found)).await != Some(Outcome::Founded) {
        return false;
    }
    let replica = lock(replica);
    let held_for = replica.machine.grants_held_until().saturating_since(replica.machine.time());
    if without_waiting {
        tracing::warn!(
            rows = total,
            incarnation,
            "founded anew, and ranges are granted at once: an operator's override"
        );
    } else if replica.machine.grants_held_until() == ClusterTime::NEVER {
        tracing::warn!(
            rows = total,
            incarnation,
            "founded anew; a pool has unlimited autonomy or lifetimes, so no range is ever granted without an override"
        );
    } else {
        tracing::warn!(
            rows = total,
            incarnation,
            held_for_secs = held_for.as_secs(),
            "founded anew; known leases are renewed, ranges are granted once the old cluster's promises are over"
        );
    }
    true
}

fn pieces(rows: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut pieces = Vec::new();
    let (mut piece, mut bytes) = (Vec::new(), 0);
    for (key, value) in rows {
        bytes += key.len() + value.len();
        piece.push((key, value));
        if bytes >= PIECE_BYTES {
            pieces.push(std::mem::take(&mut piece));
            bytes = 0;
        }
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}

async fn propose(node: &StoreNode<Replica>, command: Command) -> Option<Outcome> {
    let batch = CommandBatch::new(ClusterTime::ZERO, vec![command]);
    let outcomes = node.propose(batch.encode().into()).await.ok()?;
    outcomes.into_iter().next()
}
