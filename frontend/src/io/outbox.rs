//! Where replies wait for the end of their batch: a row of buffers, reused, so that a reply costs no allocation.
//!
//! Owns the encoded replies and the path each takes. Refuses to know what they say, and to send them. Bounded: at
//! most [`REPLIES_MAX`] replies and [`BYTES_MAX`] bytes; what does not fit is refused and counted, never queued.
//! Use: [`Outbox::begin`], encode in place, [`Outbox::commit`]; or [`Outbox::push`] for bytes at hand.

use std::net::{Ipv6Addr, SocketAddrV6};

/// Replies that may wait at once. Why: a batch is 64 packets; the rest is room for a turn that answers messages
/// held back for the partner.
pub const REPLIES_MAX: usize = 1024;

/// Bytes that may wait at once: room for [`REPLIES_MAX`] replies of 1,280 bytes (SV-113) and a little more.
pub const BYTES_MAX: usize = REPLIES_MAX * 1_536;

/// Capacity that a buffer keeps after its batch; a longer reply is rare, and frees what it took.
const BUFFER_KEPT_LEN: usize = 2_048;

/// The longest payload that one UDP datagram over IPv6 carries without a jumbogram.
pub const REPLY_LEN_MAX: usize = 65_527;

/// The way a reply takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyPath {
    /// Where to; the scope id is taken from `interface_index` where the address is link-local.
    pub destination: SocketAddrV6,
    /// The interface it must leave by; 0 leaves that to the routing table (right for relays, whose way back need not
    /// be the way they came). A link-local destination needs it.
    pub interface_index: u32,
    /// The address it comes from: what the packet was sent to, if that was a unicast address
    /// ([`super::receive::Received::reply_source`]); `None` leaves the choice to the kernel.
    pub source: Option<Ipv6Addr>,
}

/// Replies of one batch.
#[derive(Debug, Default)]
pub struct Outbox {
    /// The first `len` hold replies; the others are spare, the one behind them for the reply being encoded.
    slots: Vec<Reply>,
    len: usize,
    /// Bytes of the replies that wait.
    bytes: usize,
    refused: u64,
}

#[derive(Debug)]
struct Reply {
    bytes: Vec<u8>,
    path: ReplyPath,
}

impl Outbox {
    /// An empty outbox.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a reply: an empty buffer to encode into, to be followed by [`Outbox::commit`]. A reply begun earlier and
    /// not committed is forgotten.
    pub fn begin(&mut self) -> &mut Vec<u8> {
        if self.slots.len() <= self.len {
            let nowhere = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0);
            let path = ReplyPath { destination: nowhere, interface_index: 0, source: None };
            self.slots.push(Reply { bytes: Vec::with_capacity(512), path });
        }
        let buffer = &mut self.slots[self.len].bytes;
        buffer.clear();
        buffer
    }

    /// Ends the reply begun last; `false` when it was refused, and counted, for want of room, for being empty or for
    /// being longer than [`REPLY_LEN_MAX`].
    pub fn commit(&mut self, path: ReplyPath) -> bool {
        let (len, bytes) = (self.len, self.bytes);
        let fits = |reply: &&mut Reply| {
            let reply_len = reply.bytes.len();
            (1..=REPLY_LEN_MAX).contains(&reply_len) && bytes + reply_len <= BYTES_MAX && len < REPLIES_MAX
        };
        let Some(reply) = self.slots.get_mut(len).filter(fits) else {
            self.abandon();
            self.refused += 1;
            return false;
        };
        reply.path = path;
        self.bytes += reply.bytes.len();
        self.len += 1;
        // What a longer batch left behind must not be taken for a reply begun.
        self.abandon();
        true
    }

    /// Forgets the reply begun last, for instance when its encoding failed.
    pub fn abandon(&mut self) {
        if let Some(begun) = self.slots.get_mut(self.len) {
            begun.bytes.clear();
        }
    }

    /// Adds a copy of a reply; `false` as for [`Outbox::commit`].
    pub fn push(&mut self, reply: &[u8], path: ReplyPath) -> bool {
        self.begin().extend_from_slice(reply);
        self.commit(path)
    }

    /// How many replies still fit by count. A turn with more to say keeps the rest for its next deadline.
    #[must_use]
    pub fn room(&self) -> usize {
        if self.bytes >= BYTES_MAX { 0 } else { REPLIES_MAX - self.len }
    }

    /// Replies waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The replies waiting, in the order they were committed.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &ReplyPath)> {
        self.slots[..self.len].iter().map(|reply| (reply.bytes.as_slice(), &reply.path))
    }

    /// The replies waiting from a position on; none beyond [`Outbox::len`].
    pub(super) fn iter_from(&self, position: usize) -> impl Iterator<Item = (&[u8], &ReplyPath)> {
        self.iter().skip(position)
    }

    /// Forgets all replies, and keeps the memory of common ones.
    pub fn clear(&mut self) {
        for reply in self.slots.iter_mut().take(self.len + 1) {
            reply.bytes.clear();
            reply.bytes.shrink_to(BUFFER_KEPT_LEN);
        }
        (self.len, self.bytes) = (0, 0);
    }

    /// Replies refused since the last call.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }
}
