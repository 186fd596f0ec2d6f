//! The word that a node must stop, and why.
//!
//! Owns: one reason, the first. Refuses to know: what is done about it (the process prints it and exits).
//! Invariant: once given, the reason never changes and is never taken back.

use std::sync::Arc;

use tokio::sync::watch;

/// Shared by everything that can fail for good.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    sender: Arc<watch::Sender<Option<String>>>,
}

impl Stop {
    pub(crate) fn new() -> Self {
        Self { sender: Arc::new(watch::Sender::new(None)) }
    }

    /// Gives the reason, unless one was given before.
    pub(crate) fn because(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.sender.send_if_modified(|current| {
            if current.is_some() {
                return false;
            }
            tracing::error!(%reason, "the store node stops");
            *current = Some(reason);
            true
        });
    }

    /// The reason, if one was given.
    pub(crate) fn reason(&self) -> Option<String> {
        self.sender.borrow().clone()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<String>> {
        self.sender.subscribe()
    }
}
