//! How far this node's own log is on disk.
//!
//! Owns: one index, told by the log's thread and waited for by applying. Refuses to know: what the entries are.
//! Why: a majority without this node can commit an entry that this node has not on disk yet. Were it applied, and copied,
//! before, a disk that then fails would leave a copy of the state that is ahead of its log, as if acknowledged entries
//! were lost.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;

use super::stop::Stop;

/// Entries before this index are on disk; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Synced {
    next: Arc<watch::Sender<u64>>,
    stop: Stop,
}

impl Synced {
    /// Nothing is on disk yet. Waiting ends with `stop`.
    pub(crate) fn new(stop: Stop) -> Self {
        Self { next: Arc::new(watch::Sender::new(0)), stop }
    }

    /// Entries before `next` are on disk.
    pub(crate) fn raise(&self, next: u64) {
        self.next.send_if_modified(|known| {
            let is_more = *known < next;
            *known = (*known).max(next);
            is_more
        });
    }

    /// Entries from `next` on were taken away.
    pub(crate) fn lower(&self, next: u64) {
        self.next.send_modify(|known| *known = (*known).min(next));
    }

    pub(crate) fn next_index(&self) -> u64 {
        *self.next.borrow()
    }

    /// Returns when an entry is on disk.
    ///
    /// # Errors
    /// The node stops, and the entry may never be on disk.
    pub(crate) async fn wait_for(&self, index: u64) -> io::Result<()> {
        if index < self.next_index() {
            return Ok(());
        }
        let (mut next, mut stopping) = (self.next.subscribe(), self.stop.subscribe());
        tokio::select! {
            biased;
            told = next.wait_for(|next| index < *next) => told.map(drop).map_err(io::Error::other),
            _ = stopping.wait_for(Option::is_some) => {
                Err(io::Error::other(format!("the node stops before entry {index} is on disk")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_for_the_entry_or_for_the_end() {
        let stop = Stop::new();
        let synced = Synced::new(stop.clone());
        synced.raise(5);
        synced.wait_for(4).await.unwrap();
        let waiting = tokio::spawn({
            let synced = synced.clone();
            async move { synced.wait_for(7).await }
        });
        synced.raise(7);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        synced.raise(8);
        waiting.await.unwrap().unwrap();
        synced.lower(6);
        synced.raise(3);
        assert_eq!(synced.next_index(), 6);
        stop.because("the disk is full");
        assert!(synced.wait_for(6).await.is_err());
        synced.wait_for(5).await.unwrap();
    }
}
