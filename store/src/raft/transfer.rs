//! Snapshots on the wire: a header, chunks of rows, an end.
//!
//! Owns: cutting a checkpoint into chunks and filling a state database with the chunks received. Refuses to know: how
//! a snapshot is made or installed.
//! Inputs: a checkpoint; chunks from another node, never trusted. Outputs: chunks; a complete [`Filling`].
//! Invariants: at most a few chunks are in memory (gRPC's flow control and a short queue push back); a snapshot with a
//! missing, repeated or changed chunk, or with rows out of order, is refused.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use leasehold_proto::v1;
use leasehold_proto::v1::raft_snapshot_body::Part;
use prost::Message;
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

use super::codec::{self, CodecError};
use super::snapshot::{Checkpoint, Filling};
use super::stop::Stop;
use super::types::{SnapshotMeta, Vote};
use crate::rocks::{DataFolder, DiskError, DiskLimits};

const CHUNK_FORMAT: u32 = 1;
/// A chunk is closed at so many bytes of rows.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks made ahead of what the connection takes.
const CHUNKS_AHEAD: usize = 4;
/// A sender silent for longer has gone.
const SILENCE: Duration = Duration::from_secs(30);

/// The chunks of a checkpoint, and what became of reading it.
pub(crate) struct Outgoing {
    pub(crate) chunks: mpsc::Receiver<v1::RaftSnapshotChunk>,
    pub(crate) read: oneshot::Receiver<Result<(), DiskError>>,
}

/// Cuts a checkpoint into chunks, on a thread for blocking work.
pub(crate) fn send(checkpoint: Arc<Checkpoint>, call: v1::RaftCall, vote: &Vote) -> Outgoing {
    let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
    let (done, read) = oneshot::channel();
    let meta = checkpoint.meta();
    let header = v1::RaftSnapshotHeader {
        call: Some(call),
        ballot: Some(codec::vote_to(vote)),
        last: meta.last_log_id.as_ref().map(codec::log_id_to),
        membership: Some(codec::stored_membership_to(&meta.last_membership)),
    };
    tokio::task::spawn_blocking(move || {
        // The receiver may have lost interest; then there is nobody to tell either.
        drop(done.send(cut(&checkpoint, header, &sender)));
    });
    Outgoing { chunks, read }
}

fn cut(
    checkpoint: &Checkpoint,
    header: v1::RaftSnapshotHeader,
    sender: &mpsc::Sender<v1::RaftSnapshotChunk>,
) -> Result<(), DiskError> {
    let mut number = 0;
    // Whether somebody still takes chunks.
    let mut put = |part: Part| {
        let body = v1::RaftSnapshotBody { part: Some(part) }.encode_to_vec();
        let checksum = crc32fast::hash(&body);
        let chunk = v1::RaftSnapshotChunk { format: CHUNK_FORMAT, number, checksum, body };
        number += 1;
        sender.blocking_send(chunk).is_ok()
    };
    if !put(Part::Header(header)) {
        return Ok(());
    }
    let (mut rows, mut bytes, mut count, mut wanted) = (Vec::new(), 0_usize, 0_u64, true);
    checkpoint.db()?.scan(|key, value| {
        bytes = bytes.saturating_add(key.len()).saturating_add(value.len());
        rows.push(v1::RaftSnapshotRow { key: key.to_vec(), value: value.to_vec() });
        count += 1;
        if bytes >= CHUNK_BYTES {
            bytes = 0;
            wanted = put(Part::Rows(v1::RaftSnapshotRows { rows: std::mem::take(&mut rows) }));
        }
        wanted
    })?;
    if wanted && (rows.is_empty() || put(Part::Rows(v1::RaftSnapshotRows { rows }))) {
        put(Part::End(v1::RaftSnapshotEnd { rows: count }));
    }
    Ok(())
}

/// A snapshot received completely.
pub(crate) struct Incoming {
    pub(crate) vote: Vote,
    pub(crate) meta: SnapshotMeta,
    pub(crate) filling: Filling,
}

/// Receives a snapshot. `check` judges the header's call.
pub(crate) async fn receive(
    mut chunks: impl Stream<Item = Result<v1::RaftSnapshotChunk, Status>> + Unpin,
    check: impl FnOnce(Option<&v1::RaftCall>) -> Result<(), Status>,
    folder: &DataFolder,
    limits: DiskLimits,
    stop: &Stop,
) -> Result<Incoming, Status> {
    let mut number = 0_u64;
    let Part::Header(header) = next(&mut chunks, &mut number).await? else {
        return Err(bad("it does not begin with a header"));
    };
    check(header.call.as_ref())?;
    let vote = codec::vote_from(header.ballot.as_ref()).map_err(damaged)?;
    let last_membership = codec::stored_membership_from(header.membership.as_ref()).map_err(damaged)?;
    let meta = SnapshotMeta { last_log_id: header.last.as_ref().map(codec::log_id_from), last_membership };
    let path = folder.new_state();
    let mut filling = blocking(stop, move || Filling::create(path, &limits)).await?;
    let (mut count, mut last_key) = (0_u64, None::<Vec<u8>>);
    // Each turn takes one chunk; the stream ends, fails, or falls silent.
    loop {
        match next(&mut chunks, &mut number).await? {
            Part::Header(_) => return Err(bad("it has a second header")),
            Part::Rows(rows) => {
                for row in &rows.rows {
                    if last_key.as_ref().is_some_and(|last| *last >= row.key) {
                        return Err(bad("its rows are not in key order"));
                    }
                    last_key = Some(row.key.clone());
                    count += 1;
                }
                let rows = rows.rows.into_iter().map(|row| (row.key, row.value)).collect();
                filling = blocking(stop, move || filling.add(rows).map(|()| filling)).await?;
            }
            Part::End(end) if end.rows == count => return Ok(Incoming { vote, meta, filling }),
            Part::End(end) => return Err(bad(&format!("it has {count} rows instead of {}", end.rows))),
        }
    }
}

async fn next(
    chunks: &mut (impl Stream<Item = Result<v1::RaftSnapshotChunk, Status>> + Unpin),
    number: &mut u64,
) -> Result<Part, Status> {
    let chunk = tokio::time::timeout(SILENCE, chunks.next())
        .await
        .map_err(|_| Status::deadline_exceeded("no part of the snapshot came for 30 seconds"))?
        .ok_or_else(|| bad("it ends early"))??;
    if chunk.format != CHUNK_FORMAT {
        return Err(bad(&format!("chunk format {} is not {CHUNK_FORMAT}", chunk.format)));
    }
    if chunk.number != *number {
        return Err(bad(&format!("chunk {} came instead of {number}", chunk.number)));
    }
    let computed = crc32fast::hash(&chunk.body);
    if chunk.checksum != computed {
        return Err(damaged(CodecError::Checksum { found: chunk.checksum, computed }));
    }
    *number += 1;
    let body = v1::RaftSnapshotBody::decode(chunk.body.as_slice()).map_err(|error| damaged(error.into()))?;
    body.part.ok_or_else(|| bad("a chunk is empty"))
}

fn bad(detail: &str) -> Status {
    Status::invalid_argument(format!("the snapshot is refused: {detail}"))
}

fn damaged(error: CodecError) -> Status {
    Status::data_loss(format!("the snapshot is refused: a chunk {error}"))
}

/// Runs disk work on its own thread; a full disk stops the node.
async fn blocking<T: Send + 'static>(
    stop: &Stop,
    work: impl FnOnce() -> Result<T, DiskError> + Send + 'static,
) -> Result<T, Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) if error.is_full() => {
            stop.because(error.to_string());
            Err(Status::resource_exhausted(error.to_string()))
        }
        Ok(Err(error)) => Err(Status::internal(error.to_string())),
        Err(error) => Err(Status::internal(error.to_string())),
    }
}
