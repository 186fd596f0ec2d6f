//! Counters of the packet thread: written by it alone, read by anybody, without order between them.
//!
//! Owns the numbers about datagrams as such; what a message was dropped for is counted by the engine. All count up
//! from zero at the start of the process.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// The live counters, shared with the packet thread.
        #[derive(Debug, Default)]
        pub struct PacketStats {
            $(pub(super) $name: AtomicU64,)+
        }

        /// The counters as read at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct PacketCounts {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        impl PacketStats {
            /// Reads all counters; each is right, but they are not of one instant.
            #[must_use]
            pub fn counts(&self) -> PacketCounts {
                PacketCounts { $($name: self.$name.load(Ordering::Relaxed),)+ }
            }
        }
    };
}

counters! {
    /// Calls of receive that brought datagrams.
    batches_received,
    /// Datagrams handed to the handler.
    datagrams_handled,
    /// Datagrams that waited in the admission queue, because more came in than could be handled at once.
    datagrams_queued,
    /// Datagrams given up because the admission queue was full: those of the lowest rank and the longest queue.
    datagrams_shed_full,
    /// Datagrams given up because they had waited too long in the admission queue.
    datagrams_shed_stale,
    /// Datagrams in the admission queue whose place was taken by a newer copy of the same message.
    datagrams_superseded,
    /// Datagrams dropped because they were longer than a receive buffer.
    datagrams_truncated,
    /// Datagrams dropped because they had no packet information or no IPv6 source.
    datagrams_without_packet_info,
    /// Multicast datagrams dropped because we did not join their group on the interface they came by: another process
    /// did, and Linux does not tell the two apart.
    datagrams_not_joined,
    /// Unicast datagrams that came by an interface not in the configuration (relays may); handled all the same.
    datagrams_on_unlisted_interfaces,
    /// Datagrams that the kernel dropped because the receive buffer was full.
    datagrams_dropped_by_kernel,
    /// Failed calls of receive.
    receive_errors,
    /// Replies handed to the kernel.
    replies_sent,
    /// Replies that did not fit into the outbox.
    replies_refused,
    /// Replies dropped because the handler's `may_send` said no (R4).
    replies_withheld,
    /// Replies that the kernel refused: no route, source address gone, too long.
    replies_failed,
    /// Replies dropped because the send buffer stayed full.
    replies_blocked,
    /// Wake-ups by other threads.
    wakeups,
}

/// Adds to a counter; a `usize` always fits.
pub(super) fn add(counter: &AtomicU64, count: usize) {
    if count > 0 {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// Sets a counter that is kept elsewhere.
pub(super) fn store(counter: &AtomicU64, value: u64) {
    counter.store(value, Ordering::Relaxed);
}
