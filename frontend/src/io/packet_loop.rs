//! The packet thread: waits, receives a batch, lets the handler work, sends a batch; for as long as it lives.
//!
//! Owns the order of things and the thread. Refuses to know what a packet means: all decisions are the
//! [`PacketHandler`]'s. In: datagrams, wake-ups, deadlines. Out: the handler's replies, counters.
//! One round: wait (socket, wake-up, deadline) -> receive -> `handle` each -> `turn` -> `may_send` with a fresh clock
//! before every call of send -> send. Rounds follow each other without waiting while datagrams wait, in the socket or
//! in the admission queue. What a round receives, and in which order it is handled, is `receiver`'s.
//! Invariants: a full socket cannot keep a wake-up or a deadline from its turn for longer than one bounded round; a
//! reply is tried once; nothing here allocates in a steady state.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use leasehold_proto::time::LocalTime;
use nix::errno::Errno;
use thiserror::Error;

use super::clock;
use super::interface_table::InterfaceTable;
use super::outbox::Outbox;
use super::receive::Received;
use super::receiver::Receiver;
use super::send::SendBatch;
use super::socket::ServerSocket;
use super::stats::{PacketStats, add};
use super::sys;
use super::waker::Waker;
use crate::engine::admission::Bounds;

/// The longest wait. Why: the kernel's timeouts do not count suspend but deadlines do, so after a suspend a deadline
/// would come late by the time slept.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// How long a full send buffer may hold up the loop, once per round. Why: far below guard's share for sending (R4),
/// far above what a working interface needs to drain.
const SEND_WAIT_MAX: Duration = Duration::from_millis(20);

/// What the packet thread drives. Implemented by the engine's owner.
pub trait PacketHandler: Send {
    /// Handles one datagram, whole and with packet information; replies go into `out`.
    fn handle(&mut self, now: LocalTime, packet: &Received<'_>, out: &mut Outbox);

    /// Called after each batch of packets, on each wake-up and at each deadline, and now and then without cause;
    /// before replies are sent: apply what the session brought, hand over what is dirty.
    fn turn(&mut self, now: LocalTime, out: &mut Outbox);

    /// Last check just before replies leave (R4, the send share), by a clock read at that moment: `false` drops, and
    /// counts, all replies of the round not yet sent.
    fn may_send(&mut self, now: LocalTime) -> bool;

    /// When `turn` must be called next even with no packet; a moment past means at once.
    fn next_deadline(&self) -> Option<LocalTime>;
}

/// Why the packet thread ended without being told to.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PacketLoopError {
    /// Waiting failed.
    #[error("the packet thread cannot wait for its socket: {0}; restart the frontend")]
    Wait(Errno),
    /// Receiving failed again and again.
    #[error("the packet thread cannot receive any more: {0}, many times in a row; restart the frontend")]
    Receive(Errno),
    /// The thread could not be started.
    #[error("the packet thread cannot be started: {0}; is a limit on processes or memory reached?")]
    Start(Errno),
    /// The handler panicked: a bug.
    #[error("the packet thread panicked: {0}")]
    Panicked(String),
}

/// All that the loop needs beside its handler.
#[derive(Clone, Debug)]
pub struct PacketLoop {
    /// The socket to serve.
    pub socket: Arc<ServerSocket>,
    /// Whose datagram counters to keep.
    pub interfaces: Arc<InterfaceTable>,
    /// Wakes and stops the loop.
    pub waker: Waker,
    /// Counts what happens.
    pub stats: Arc<PacketStats>,
    /// What may wait when more comes in than can be handled, to be handled by rank, and the key of its hashes;
    /// `None` handles datagrams in the order of their arrival, whatever waits in the socket.
    pub admission: Option<([u8; 16], Bounds)>,
}

impl PacketLoop {
    /// Runs the loop in a thread of its own, named `packets`.
    ///
    /// # Errors
    /// [`PacketLoopError::Start`].
    pub fn spawn<H: PacketHandler + 'static>(
        self,
        mut handler: H,
    ) -> Result<PacketThread<H>, PacketLoopError> {
        let waker = self.waker.clone();
        let thread = std::thread::Builder::new()
            .name("packets".to_owned())
            .spawn(move || self.run(&mut handler).map(|()| handler))
            .map_err(|e| PacketLoopError::Start(Errno::from_raw(e.raw_os_error().unwrap_or(0))))?;
        Ok(PacketThread { thread, waker })
    }

    /// Runs the loop in the calling thread until [`Waker::stop`]; replies of the round in hand still leave.
    ///
    /// # Errors
    /// When the socket is broken. A panic of the handler passes through.
    pub fn run<H: PacketHandler>(&self, handler: &mut H) -> Result<(), PacketLoopError> {
        let mut receiver = Receiver::new(self);
        let mut sender = SendBatch::new();
        let mut out = Outbox::new();
        let mut socket_ready = false;
        while !self.waker.is_stopping() {
            if !socket_ready && !receiver.is_behind() {
                socket_ready = self.wait(handler.next_deadline())?;
            }
            if socket_ready || receiver.is_behind() {
                socket_ready = receiver.round(handler, &mut out)?;
            }
            handler.turn(clock::now(), &mut out);
            self.send_all(handler, &mut sender, &out);
            add(&self.stats.replies_refused, usize::try_from(out.take_refused()).unwrap_or(usize::MAX));
            out.clear();
        }
        Ok(())
    }

    /// Waits for a datagram, a wake-up or the deadline; says whether the socket has something to say.
    fn wait(&self, deadline: Option<LocalTime>) -> Result<bool, PacketLoopError> {
        let timeout =
            deadline.map_or(WAIT_MAX, |deadline| deadline.saturating_since(clock::now()).min(WAIT_MAX));
        let wanted = [self.socket.fd(), self.waker.fd()].map(|fd| sys::PollFor { fd, events: libc::POLLIN });
        let [socket_ready, woken] = sys::poll(wanted, timeout).map_err(PacketLoopError::Wait)?;
        if woken {
            self.waker.take();
            add(&self.stats.wakeups, 1);
        }
        Ok(socket_ready)
    }

    /// Sends what the round produced; each reply leaves, or is counted under the reason why not.
    fn send_all<H: PacketHandler>(&self, handler: &mut H, sender: &mut SendBatch, out: &Outbox) {
        let mut position = 0;
        let mut may_wait = true;
        // Bounded: each pass moves on by at least one reply or uses up the one wait, interrupting signals aside.
        while position < out.len() {
            if !handler.may_send(clock::now()) {
                return add(&self.stats.replies_withheld, out.len() - position);
            }
            match sender.send(&self.socket, out, position) {
                Ok(sent) => {
                    // The kernel sends at least one or reports an error; should it not, this must not spin.
                    add(&self.stats.replies_sent, sent);
                    position += sent.max(1);
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) if may_wait => {
                    may_wait = false;
                    // Whatever the wait says, trying again tells.
                    let _ = sys::poll(
                        [sys::PollFor { fd: self.socket.fd(), events: libc::POLLOUT }],
                        SEND_WAIT_MAX,
                    );
                }
                Err(Errno::EAGAIN) => return add(&self.stats.replies_blocked, out.len() - position),
                Err(_) => {
                    // About the first reply only: no route, its source address gone, too long for the path.
                    add(&self.stats.replies_failed, 1);
                    position += 1;
                }
            }
        }
    }
}

/// The running packet thread.
#[derive(Debug)]
pub struct PacketThread<H> {
    thread: JoinHandle<Result<H, PacketLoopError>>,
    waker: Waker,
}

impl<H> PacketThread<H> {
    /// Whether the thread has ended: without [`Waker::stop`], by an error that [`PacketThread::stop`] returns.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Stops the thread after the round in hand, waits for it, and gives the handler back.
    ///
    /// # Errors
    /// Why it had ended before, if it had.
    pub fn stop(self) -> Result<H, PacketLoopError> {
        self.waker.stop();
        match self.thread.join() {
            Ok(result) => result,
            Err(panic) => Err(PacketLoopError::Panicked(panic_words(&*panic))),
        }
    }
}

fn panic_words(panic: &(dyn std::any::Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().map(|words| (*words).to_owned());
    words.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without words".to_owned())
}
