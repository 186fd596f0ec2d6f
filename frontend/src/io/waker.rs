//! How another thread gets the packet thread's attention: an event counter beside the socket in its `poll`.
//!
//! Owns the wake-up and the order to stop. Refuses to carry data: whoever wakes has put the data elsewhere first.
//! Invariant: whatever a thread did before [`Waker::wake`] is visible to the handler's next `turn`, and that turn
//! comes without another wake-up; many wakes between two turns cost one system call.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::socket::SocketError;

/// Wakes the packet thread; cheap to clone and to call.
#[derive(Clone, Debug)]
pub struct Waker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    counter: File,
    /// A wake-up is written and not yet taken, so that another need not be written.
    pending: AtomicBool,
    stopping: AtomicBool,
}

impl Waker {
    /// Makes a waker for one packet thread.
    ///
    /// # Errors
    /// [`SocketError::System`] when the process has no descriptor left.
    pub fn new() -> Result<Self, SocketError> {
        let counter = super::sys::eventfd().map_err(|errno| SocketError::System {
            doing: "making the wake-up of the packet thread",
            errno,
        })?;
        let shared = Shared {
            counter: File::from(counter),
            pending: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Makes the packet thread call its handler's `turn` soon. Never blocks.
    pub fn wake(&self) {
        if !self.shared.pending.swap(true, Ordering::AcqRel) {
            // The one error that a write of 1 to an event counter can meet is "counter full": awake anyway.
            let _ = (&self.shared.counter).write(&1u64.to_ne_bytes());
        }
    }

    /// Tells the packet thread to end after the batch in hand; for good.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether [`Waker::stop`] was called.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Acquire)
    }

    /// Takes the wake-up, to be done before the turn that it asked for.
    ///
    /// Why this order: empty the counter, then lower the flag. A wake in between finds the flag up and writes
    /// nothing, but its turn is still to come; the other way round its write would be lost with the flag left up.
    pub(super) fn take(&self) {
        let mut value = [0u8; 8];
        let _ = (&self.shared.counter).read(&mut value);
        self.shared.pending.swap(false, Ordering::AcqRel);
    }

    /// Readable when a wake-up is waiting.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.shared.counter.as_fd()
    }
}
