//! openraft's own suite for log storage and state machine, run against ours.

use std::pin::pin;
use std::sync::{Arc, Mutex};

use futures::stream;
use openraft::StorageError;
use openraft::storage::{IOFlushed, RaftLogStorage, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};

use super::apply::Machine;
use super::codec::StateMark;
use super::copier::Copier;
use super::log::{Flushed, LogStore};
use super::replicated::{Applied, Replicated, RestoreError, Row};
use super::stop::Stop;
use super::synced::Synced;
use super::types::{CommittedLeaderId, Entry, EntryPayload, LogId, Types};
use crate::rocks::{DataFolder, DiskLimits, LogDb, StateDb};

struct Nothing;

impl Replicated for Nothing {
    type Outcome = ();

    fn apply(&mut self, _: u64, _: u64, _: &[u8]) -> Applied<()> {
        Applied { outcome: (), rows: Vec::new() }
    }

    fn restore(&mut self, _: &mut dyn Iterator<Item = Row>) -> Result<(), RestoreError> {
        Ok(())
    }
}

struct Guard {
    _folder: tempfile::TempDir,
    copier: Copier,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.copier.close();
    }
}

struct Builder;

/// A log and a state machine in a folder of their own. `synced`: what applying waits for, if not that log.
fn open(synced: Option<u64>) -> (Guard, LogStore, Machine<Nothing>) {
    let temporary = tempfile::tempdir().unwrap();
    let limits =
        DiskLimits { log_buffer_bytes: 1 << 20, state_buffer_bytes: 1 << 20, block_cache_bytes: 1 << 20 };
    let folder = Arc::new(DataFolder::open(temporary.path()).unwrap());
    let db = Arc::new(LogDb::open(&folder.log(), &limits).unwrap());
    let path = folder.new_state();
    let state = StateDb::open(&path, &limits).unwrap();
    folder.switch_to(&path).unwrap();
    // The suite purges what was never applied.
    let flushed = Flushed::default();
    flushed.raise(Some(&LogId::new(CommittedLeaderId::new(0), u64::MAX - 1)));
    let stop = Stop::new();
    let log = LogStore::open(db, &folder, flushed.clone(), &stop).unwrap().store;
    let copier = Copier::start(state, flushed, stop.clone()).unwrap();
    let holder = Arc::new(Mutex::new(Nothing));
    let waited_for = synced.map_or_else(
        || log.synced(),
        |next| {
            let synced = Synced::new(stop);
            synced.raise(next);
            synced
        },
    );
    let mark = StateMark::default();
    let machine = Machine::new(holder, mark, copier.clone(), folder, limits, waited_for);
    (Guard { _folder: temporary, copier }, log, machine)
}

impl StoreBuilder<Types, LogStore, Machine<Nothing>, Guard> for Builder {
    async fn build(&self) -> Result<(Guard, LogStore, Machine<Nothing>), StorageError<Types>> {
        // The suite applies what was never appended.
        Ok(open(Some(u64::MAX)))
    }
}

#[test]
fn openrafts_own_storage_suite_passes() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { Suite::test_all(Builder).await }).unwrap();
}

#[tokio::test]
async fn the_log_is_never_purged_beyond_what_the_state_copy_has_on_disk() {
    let temporary = tempfile::tempdir().unwrap();
    let limits = DiskLimits::default();
    let folder = DataFolder::open(temporary.path()).unwrap();
    let db = Arc::new(LogDb::open(&folder.log(), &limits).unwrap());
    let flushed = Flushed::default();
    let mut log = LogStore::open(db, &folder, flushed.clone(), &Stop::new()).unwrap().store;
    let id = |index| LogId::new(CommittedLeaderId::new(1), index);
    let error = log.purge(id(5)).await.unwrap_err().to_string();
    assert!(error.contains("the state on disk only covers what is before 0"), "{error}");
    flushed.raise(Some(&id(5)));
    log.purge(id(5)).await.unwrap();
    assert!(log.purge(id(6)).await.is_err());
}

#[tokio::test]
async fn an_entry_is_not_applied_before_the_log_of_this_node_has_it_on_disk() {
    let (_guard, mut log, mut machine) = open(None);
    let id = |index| LogId::new(CommittedLeaderId::new(1), index);
    let entry = |index| Entry { log_id: id(index), payload: EntryPayload::Blank };
    log.append([entry(0)], IOFlushed::noop()).await.unwrap();
    machine.apply(stream::iter([Ok((entry(0), None))])).await.unwrap();
    // Committed by the others, and not written here: the copy must not get ahead.
    {
        let mut applying = pin!(machine.apply(stream::iter([Ok((entry(1), None))])));
        assert!(futures::poll!(applying.as_mut()).is_pending());
        log.append([entry(1)], IOFlushed::noop()).await.unwrap();
        applying.await.unwrap();
    }
    assert_eq!(machine.applied_state().await.unwrap().0, Some(id(1)));
}
