//! The DHCPv6 codec: octets of a datagram to a checked message, and answers to octets.
//!
//! Owns everything that depends on the layout of DHCPv6 on the wire. Refuses to know clocks, sockets, links, pools,
//! bindings and policy. Decoding borrows from the datagram, passes over it once, never recurses, never panics, and is
//! bounded in depth, options, IAs and code lists (SEC-06; the bounds stand in [`wire`]). It allocates only for more
//! than four IAs or two relay levels, whose lists then double up to their bounds. Encoding writes into a buffer of the
//! caller, within a limit of the caller. It is our own because dhcproto 0.15 misreads relayed messages and can be brought
//! down by one datagram; each of its defects is named in the module that avoids it. Source: RFC 9915 §8, §9, §16, §21.

pub mod discard;
pub mod encode;
pub mod ia;
pub mod message;
pub mod options;
pub mod registration;
pub mod relay;
pub mod relay_encode;
pub mod reply;
mod shape;
pub mod temporary;
pub mod validate;
pub mod wire;

#[cfg(test)]
mod tests;

pub use discard::Discard;
pub use encode::{EncodeError, Writer};
pub use ia::{Ia, IaKind, IaLease, LeaseTimes, Timers};
pub use message::{ClientMessage, MessageKind, TransactionId};
pub use options::{Options, Oro, RawOption};
pub use registration::RegistrationOption;
pub use relay::{RelayChain, RelayHeader, RelayLevel};
pub use relay_encode::{encode_relay_forward, encode_relay_reply};
pub use temporary::TemporaryIa;
pub use validate::{validate, validate_sender};

use options::OptionBudget;

/// A datagram that a server may have to answer.
#[expect(
    clippy::large_enum_variant,
    reason = "lives on the stack of one packet; boxing would cost an allocation"
)]
#[derive(Clone, Debug)]
pub enum Decoded<'a> {
    /// Straight from the client.
    Client(ClientMessage<'a>),
    /// Through one or more relays.
    Relayed(RelayChain<'a>, ClientMessage<'a>),
}

impl<'a> Decoded<'a> {
    /// The client's message, however it came.
    pub const fn message(&self) -> &ClientMessage<'a> {
        match self {
            Decoded::Client(message) | Decoded::Relayed(_, message) => message,
        }
    }

    /// The relay levels, if it came through relays.
    pub const fn relay(&self) -> Option<&RelayChain<'a>> {
        match self {
            Decoded::Client(_) => None,
            Decoded::Relayed(chain, _) => Some(chain),
        }
    }
}

/// Reads the payload of one UDP datagram received by a server.
///
/// Cost: linear in `bytes`, at most [`wire::OPTIONS_MAX`] options. Errors: why the datagram is to be dropped; it is then
/// malformed, of a kind not served, or beyond a bound. What is returned is sound in structure, but not yet [`validate`]d.
pub fn decode(bytes: &[u8]) -> Result<Decoded<'_>, Discard> {
    if bytes.len() > wire::DATAGRAM_LEN_MAX {
        return Err(Discard::OversizedDatagram);
    }
    let mut budget = OptionBudget::new();
    if bytes.first() != Some(&wire::msg::RELAY_FORWARD) {
        return Ok(Decoded::Client(ClientMessage::decode(bytes, &mut budget)?));
    }
    let chain = RelayChain::decode(bytes, &mut budget)?;
    let message = ClientMessage::decode(chain.payload(), &mut budget)?;
    Ok(Decoded::Relayed(chain, message))
}
