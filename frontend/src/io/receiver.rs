//! The receiving half of a round: datagrams out of the socket, and to the handler in the right order.
//!
//! Owns the receive buffers, the sorting out of what no handler should see, and the drive of the admission queue.
//! Refuses to know what a datagram says: [`Admission`] takes a glance at it, the handler reads it. In: the socket.
//! Out: calls of [`PacketHandler::handle`], counters.
//! A batch that is not full has emptied the socket, and goes straight to the handler. A full one means that more
//! waits: then the socket is emptied, as far as a bound, into the queue before anything is handled, so that a Renew at
//! its end need not wait for, or be dropped by the kernel behind, ten thousand Solicits.
//! Invariants: a round receives and handles bounded numbers of datagrams, so that wake-ups, deadlines and the batch's
//! deadline for sending (R4) are met however much comes in; without an admission queue the order is that of arrival.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::atomic::Ordering;

use nix::errno::Errno;

use super::clock;
use super::interface_table::SlotFinder;
use super::outbox::Outbox;
use super::packet_loop::{PacketHandler, PacketLoop, PacketLoopError};
use super::receive::{BATCH_LEN, Received, RecvBatch};
use super::stats::{PacketStats, add, store};
use crate::engine::admission::{Admission, Arrival};

/// Receive errors in a row after which the socket counts as broken: passing ones (memory, an ICMP error) clear sooner.
const RECEIVE_ERRORS_MAX: u32 = 1_000;

/// Batches received in one round of an overload, at most. Why 32: to receive a datagram costs a fifth of an answer, so
/// with [`HANDLED_PER_ROUND`] answers keep two fifths of the time whatever comes in, and the socket is emptied at
/// some 400,000 datagrams a second: what overflows there is lost without regard to rank.
const BATCHES_PER_ROUND_MAX: usize = 32;

/// Datagrams handled in one round of an overload, at most: their answers wait for each other, about two milliseconds.
const HANDLED_PER_ROUND: usize = 4 * BATCH_LEN;

/// What the queue gives back with a datagram.
#[derive(Clone, Copy, Debug)]
struct Envelope {
    source: SocketAddrV6,
    destination: Ipv6Addr,
    interface_index: u32,
}

/// The receiving half of the loop.
pub(super) struct Receiver<'a> {
    parts: &'a PacketLoop,
    batch: RecvBatch,
    finder: SlotFinder,
    queue: Option<Admission<Envelope>>,
    errors_in_a_row: u32,
    kernel_drops: u32,
}

impl<'a> Receiver<'a> {
    pub(super) fn new(parts: &'a PacketLoop) -> Self {
        Self {
            parts,
            batch: RecvBatch::new(),
            finder: SlotFinder::new(),
            queue: parts.admission.map(|(key, bounds)| Admission::new(key, bounds)),
            errors_in_a_row: 0,
            kernel_drops: 0,
        }
    }

    /// Whether datagrams wait to be handled, whatever the socket holds.
    pub(super) fn is_behind(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| !queue.is_empty())
    }

    /// Receives what a round may, and hands over what a round may; says whether the socket may hold more.
    pub(super) fn round<H: PacketHandler>(
        &mut self,
        handler: &mut H,
        out: &mut Outbox,
    ) -> Result<bool, PacketLoopError> {
        let mut received = self.receive()?;
        let stats = &self.parts.stats;
        let now = clock::now();
        let Some(queue) = self.queue.as_mut().filter(|queue| received == BATCH_LEN || !queue.is_empty())
        else {
            let mut handled = 0;
            sift(self.parts, &self.finder, &self.batch, |packet| {
                handled += 1;
                handler.handle(now, packet, out);
            });
            add(&stats.datagrams_handled, handled);
            return Ok(received == BATCH_LEN);
        };
        enqueue(self.parts, &self.finder, &self.batch, queue);
        for _ in 1..BATCHES_PER_ROUND_MAX {
            if received < BATCH_LEN {
                break;
            }
            received = self.receive()?;
            if let Some(queue) = &mut self.queue {
                enqueue(self.parts, &self.finder, &self.batch, queue);
            }
        }
        self.hand_over(handler, out);
        Ok(received == BATCH_LEN)
    }

    /// Hands over from the queue what a round may.
    fn hand_over<H: PacketHandler>(&mut self, handler: &mut H, out: &mut Outbox) {
        let Some(queue) = &mut self.queue else { return };
        let stats = &self.parts.stats;
        // Fresh: the answers' time for sending counts from here, not from before so much was received.
        let now = clock::now();
        let mut handled = 0;
        while handled < HANDLED_PER_ROUND
            && let Some((bytes, envelope)) = queue.take(now)
        {
            handled += 1;
            let Envelope { source, destination, interface_index } = *envelope;
            let packet = Received { bytes, source, destination, interface_index, truncated: false };
            handler.handle(now, &packet, out);
        }
        add(&stats.datagrams_handled, handled);
        let shed = queue.shed();
        store(&stats.datagrams_shed_full, shed.full);
        store(&stats.datagrams_shed_stale, shed.stale);
        store(&stats.datagrams_superseded, shed.superseded);
    }

    /// Receives one batch; says how many datagrams came.
    fn receive(&mut self) -> Result<usize, PacketLoopError> {
        let stats = &self.parts.stats;
        let received = match self.batch.receive(&self.parts.socket) {
            Ok(received) => received,
            Err(errno) => {
                add(&stats.receive_errors, 1);
                self.errors_in_a_row += 1;
                return self.judge_error(errno);
            }
        };
        self.errors_in_a_row = 0;
        if received > 0 {
            add(&stats.batches_received, 1);
            let kernel_drops = self.batch.kernel_drops();
            add(&stats.datagrams_dropped_by_kernel, kernel_drops.wrapping_sub(self.kernel_drops) as usize);
            self.kernel_drops = kernel_drops;
            self.finder.refresh(&self.parts.interfaces);
        }
        Ok(received)
    }

    fn judge_error(&self, errno: Errno) -> Result<usize, PacketLoopError> {
        if self.errors_in_a_row >= RECEIVE_ERRORS_MAX { Err(PacketLoopError::Receive(errno)) } else { Ok(0) }
    }
}

/// Puts a batch into the queue.
fn enqueue(parts: &PacketLoop, finder: &SlotFinder, batch: &RecvBatch, queue: &mut Admission<Envelope>) {
    let now = clock::now();
    let mut queued = 0;
    sift(parts, finder, batch, |packet| {
        queued += 1;
        let Received { bytes, source, destination, interface_index, .. } = *packet;
        let arrival = Arrival { bytes, sender: *source.ip(), interface_index };
        queue.offer(now, &arrival, Envelope { source, destination, interface_index });
    });
    add(&parts.stats.datagrams_queued, queued);
}

/// Passes on the datagrams of a batch that a handler should see, and counts the others by reason.
fn sift(parts: &PacketLoop, finder: &SlotFinder, batch: &RecvBatch, mut pass_on: impl FnMut(&Received<'_>)) {
    let stats: &PacketStats = &parts.stats;
    let (mut truncated, mut without_info, mut unlisted, mut not_joined) = (0, 0, 0, 0);
    for packet in batch.iter() {
        let Some(packet) = packet else {
            without_info += 1;
            continue;
        };
        let slot = finder.find(&parts.interfaces, packet.interface_index);
        let multicast = packet.destination.is_multicast();
        if multicast && !slot.is_some_and(|slot| slot.config.hears(&packet.destination)) {
            not_joined += 1;
            continue;
        }
        match slot {
            // This thread is the counter's only writer, so no read-modify-write is needed.
            Some(slot) => {
                let seen = slot.datagrams_received.load(Ordering::Relaxed);
                slot.datagrams_received.store(seen.wrapping_add(1), Ordering::Relaxed);
            }
            None => unlisted += 1,
        }
        if packet.truncated {
            truncated += 1;
            continue;
        }
        pass_on(&packet);
    }
    add(&stats.datagrams_truncated, truncated);
    add(&stats.datagrams_without_packet_info, without_info);
    add(&stats.datagrams_not_joined, not_joined);
    add(&stats.datagrams_on_unlisted_interfaces, unlisted);
}
