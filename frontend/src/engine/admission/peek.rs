//! A glance at a datagram: which class its client's message is of, without decoding it.
//!
//! Owns the classes and the way through Relay-forward levels to the message type. Refuses to judge whether a message
//! is sound: what cannot be followed to a client's message is of the lowest class, and the decoder discards it in its
//! turn. Bounded like the decoder, in levels and options; allocates nothing; never panics.
//! Source: RFC 9915 §8, §9.

use std::time::Duration;

use crate::codec::wire::{CLIENT_HEADER_LEN, OPTIONS_MAX, RELAY_HEADER_LEN, RELAY_LEVELS_MAX, msg, opt};

/// Who goes first. The order is that of the variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A client that holds a lease: Renew, Rebind, and the cheap Confirm, Release and Decline.
    Extending,
    /// A client that was offered a lease: Request.
    Requesting,
    /// Everything else: Solicit, Information-request, and whatever is no client's message.
    Soliciting,
}

impl Class {
    /// Every class, the first served first.
    pub const ALL: [Self; 3] = [Self::Extending, Self::Requesting, Self::Soliciting];

    /// Position in [`Class::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// How long a message is worth answering. A client sends again 1, 2 and 4 s after the time before (Renew and
    /// Rebind: 10 s), under the same transaction id, and its new copy takes the old one's place; so one that is
    /// older than that was answered by another server, or lost its copies, and more will come.
    /// Source: RFC 9915 §7.6, §15.
    #[must_use]
    pub const fn wait_max(self) -> Duration {
        match self {
            Self::Extending => Duration::from_secs(10),
            Self::Requesting | Self::Soliciting => Duration::from_secs(4),
        }
    }

    const fn of_type(message_type: u8) -> Self {
        match message_type {
            msg::RENEW | msg::REBIND | msg::CONFIRM | msg::RELEASE | msg::DECLINE => Self::Extending,
            msg::REQUEST => Self::Requesting,
            _ => Self::Soliciting,
        }
    }
}

/// What a glance tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Peeked<'a> {
    pub(super) class: Class,
    /// Type and transaction id of the client's message; none if the datagram leads to no such header.
    pub(in crate::engine) message: Option<[u8; CLIENT_HEADER_LEN]>,
    /// The fixed part of the relay level nearest the client; none for a datagram straight from a client.
    pub(in crate::engine) innermost_relay: Option<&'a [u8]>,
}

/// The class of a datagram.
#[must_use]
pub fn class_of(bytes: &[u8]) -> Class {
    peek(bytes).class
}

pub(in crate::engine) fn peek(bytes: &[u8]) -> Peeked<'_> {
    let mut innermost_relay = None;
    let mut payload = bytes;
    let mut options_left = OPTIONS_MAX;
    for _ in 0..=RELAY_LEVELS_MAX {
        if payload.first() != Some(&msg::RELAY_FORWARD) {
            let message: Option<[u8; CLIENT_HEADER_LEN]> = payload.first_chunk().copied();
            // A message without a whole header is not worth being early.
            let class = message.map_or(Class::Soliciting, |[kind, ..]| Class::of_type(kind));
            return Peeked { class, message, innermost_relay };
        }
        let Some((header, options)) = payload.split_at_checked(RELAY_HEADER_LEN) else { break };
        innermost_relay = Some(header);
        let Some(inner) = relay_message(options, &mut options_left) else { break };
        payload = inner;
    }
    Peeked { class: Class::Soliciting, message: None, innermost_relay }
}

/// The first Relay Message option, as the decoder takes it.
fn relay_message<'a>(mut options: &'a [u8], left: &mut u16) -> Option<&'a [u8]> {
    loop {
        *left = left.checked_sub(1)?;
        let (header, rest) = options.split_first_chunk::<4>()?;
        let [code_high, code_low, len_high, len_low] = *header;
        let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([len_high, len_low])))?;
        if u16::from_be_bytes([code_high, code_low]) == opt::RELAY_MESSAGE {
            return Some(data);
        }
        options = rest;
    }
}
