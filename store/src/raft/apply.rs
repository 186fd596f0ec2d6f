//! The state machine as openraft sees it.
//!
//! Owns: applying committed entries to the [`Replicated`] holder, building and installing snapshots. Refuses to know:
//! what a payload means; gRPC. Inputs: committed entries in order, snapshots received. Outputs: answers to proposers,
//! rows for the copier. Invariants: each entry is applied once, and not before this node's own log has it on disk; a
//! snapshot is installed entirely or not at all, and the state machine in memory, the copy on disk and the mark always
//! belong together.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, TryStreamExt};
use openraft::OptionalSend;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine, Snapshot};

use super::codec::StateMark;
use super::copier::Copier;
use super::replicated::Replicated;
use super::snapshot::{self, Checkpoint, Filling, LoadError, SnapshotData};
use super::synced::Synced;
use super::types::{
    Answer, CommittedLeaderId, EntryPayload, LogId, MemberNode, SnapshotMeta, StoredMembership, Types,
};
use crate::rocks::{DataFolder, DiskError, DiskLimits};

type OurSnapshot = Snapshot<CommittedLeaderId, u64, MemberNode, SnapshotData>;

/// What is shared between the state machine and its snapshot builders.
#[derive(Clone)]
struct Disk {
    copier: Copier,
    folder: Arc<DataFolder>,
    limits: DiskLimits,
    current: Arc<Mutex<Option<Arc<Checkpoint>>>>,
}

impl Disk {
    /// Makes a checkpoint of the state as applied and keeps it as the current one. Blocks.
    fn make_checkpoint(&self) -> Result<Arc<Checkpoint>, DiskError> {
        let path = self.folder.new_snapshot();
        self.copier.checkpoint(&path)?;
        let made = Arc::new(Checkpoint::open(path, &self.limits)?);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = current.as_ref().is_none_or(|old| old.meta().last_log_id <= made.meta().last_log_id);
        let old = newer.then(|| current.replace(Arc::clone(&made)));
        drop(current);
        // Removes the old folder, outside the lock, once nobody sends it any more.
        drop(old);
        Ok(made)
    }
}

/// openraft's state machine around a [`Replicated`] holder.
pub(crate) struct Machine<R> {
    holder: Arc<Mutex<R>>,
    mark: StateMark,
    disk: Disk,
    synced: Synced,
}

impl<R: Replicated> Machine<R> {
    /// The state machine, its holder loaded already, with the mark that belongs to it.
    pub(crate) fn new(
        holder: Arc<Mutex<R>>,
        mark: StateMark,
        copier: Copier,
        folder: Arc<DataFolder>,
        limits: DiskLimits,
        synced: Synced,
    ) -> Self {
        Self { holder, mark, synced, disk: Disk { copier, folder, limits, current: Arc::default() } }
    }

    /// Puts a complete state into use. Blocks.
    fn install(
        holder: &Mutex<R>,
        disk: &Disk,
        mark: &StateMark,
        data: SnapshotData,
    ) -> Result<(), LoadError> {
        let filling = match data {
            SnapshotData::Received(filling) => filling,
            SnapshotData::Checkpoint(checkpoint) => {
                Filling::copy_of(checkpoint.db()?, disk.folder.new_state(), &disk.limits)?
            }
        };
        let (db, path) = filling.finish(mark)?;
        // Loaded before it is put into use: a snapshot that makes no state machine must not be found at a restart.
        snapshot::load(&db, holder)?;
        disk.folder.switch_to(&path)?;
        let old = disk.copier.replace(db, mark);
        if let Some(old) = old {
            let old_path = old.path().to_owned();
            drop(old);
            snapshot::remove(&old_path);
        }
        disk.make_checkpoint()?;
        Ok(())
    }
}

impl<R: Replicated> RaftStateMachine<Types> for Machine<R> {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.mark.applied, self.mark.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let id = entry.log_id;
            self.synced.wait_for(id.index).await?;
            let (answer, rows) = match entry.payload {
                EntryPayload::Blank => (Answer::default(), Vec::new()),
                EntryPayload::Membership(membership) => {
                    self.mark.membership = StoredMembership::new(Some(id), membership);
                    (Answer::default(), Vec::new())
                }
                EntryPayload::Normal(payload) => {
                    let mut holder = self.holder.lock().map_err(|_| {
                        io::Error::other(
                            "the state machine panicked while it was locked; its state cannot be trusted",
                        )
                    })?;
                    let applied = holder.apply(id.index, id.leader_id.term, &payload.0);
                    (Answer::of(applied.outcome), applied.rows)
                }
            };
            self.mark.applied = Some(id);
            self.disk.copier.push(rows, self.mark.clone()).await?;
            if let Some(responder) = responder {
                responder.send(answer);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder { disk: self.disk.clone() }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotData,
    ) -> Result<(), io::Error> {
        let mark = StateMark {
            applied: meta.last_log_id,
            membership: meta.last_membership.clone(),
            installed: meta.last_log_id,
        };
        let (holder, disk, new) = (Arc::clone(&self.holder), self.disk.clone(), mark.clone());
        blocking(move || Self::install(&holder, &disk, &new, snapshot)).await?;
        self.mark = mark;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<OurSnapshot>, io::Error> {
        let current = self.disk.current.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(current.as_ref().map(snapshot_of))
    }
}

/// Makes a checkpoint of the state.
pub(crate) struct Builder {
    disk: Disk,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<OurSnapshot, io::Error> {
        let disk = self.disk.clone();
        let made = blocking(move || disk.make_checkpoint()).await?;
        Ok(snapshot_of(&made))
    }
}

fn snapshot_of(checkpoint: &Arc<Checkpoint>) -> OurSnapshot {
    Snapshot { meta: checkpoint.meta().clone(), snapshot: SnapshotData::Checkpoint(Arc::clone(checkpoint)) }
}

async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, io::Error>
where
    T: Send + 'static,
    E: Into<io::Error> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Into::into),
        Err(error) => Err(io::Error::other(error)),
    }
}
