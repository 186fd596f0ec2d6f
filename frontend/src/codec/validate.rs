//! The validation table: which client messages are dropped for what they say, though their structure is sound.
//!
//! Owns requirements 3.2 for the message kinds served. Pure: takes the message and this server's DUID. Refuses to know
//! how the message came: a unicast destination (SV-134) is for the engine to judge. The DUID compared with is that of
//! the relationship, which both partners present (SV-133), so either takes the other's clients.
//! Source: RFC 9915 §16.2 to §16.12; RFC 9686 §4.2.1.

use super::discard::Discard;
use super::message::{ClientMessage, MessageKind};
use super::wire::opt;
use std::net::Ipv6Addr;

/// Says whether a message may be answered by the server whose DUID is `server_duid`.
///
/// Errors: why the message is to be dropped in silence.
pub fn validate(message: &ClientMessage<'_>, server_duid: &[u8]) -> Result<(), Discard> {
    match message.kind {
        MessageKind::Solicit | MessageKind::Confirm | MessageKind::Rebind => {
            require_client_id(message)?;
            match message.server_id {
                None => Ok(()),
                Some(_) => Err(Discard::UnexpectedServerId),
            }
        }
        MessageKind::Request | MessageKind::Renew | MessageKind::Release | MessageKind::Decline => {
            require_client_id(message)?;
            match message.server_id {
                None => Err(Discard::NoServerId),
                Some(duid) if duid == server_duid => Ok(()),
                Some(_) => Err(Discard::OtherServer),
            }
        }
        MessageKind::InformationRequest => {
            if message.server_id.is_some_and(|duid| duid != server_duid) {
                return Err(Discard::OtherServer);
            }
            if message.ias.is_empty() { Ok(()) } else { Err(Discard::IaInInformationRequest) }
        }
        MessageKind::AddrRegInform => {
            require_client_id(message)?;
            if message.server_id.is_some() {
                return Err(Discard::UnexpectedServerId);
            }
            if message.options.first(opt::ORO).is_some() {
                return Err(Discard::OroInRegistration);
            }
            message.registration.map(|_| ()).ok_or(Discard::RegistrationAddress)
        }
    }
}

/// Whether the address that a message registers, if it is one that registers, is the one that it was sent from: the
/// packet's source, or for a relayed message the innermost peer-address.
///
/// Errors: why the message is to be dropped in silence.
pub fn validate_sender(message: &ClientMessage<'_>, sender: Ipv6Addr) -> Result<(), Discard> {
    match message.registration {
        Some(told) if told.address() != sender.to_bits() => Err(Discard::RegistrationSource),
        _ => Ok(()),
    }
}

fn require_client_id(message: &ClientMessage<'_>) -> Result<(), Discard> {
    if message.client_id.is_some() { Ok(()) } else { Err(Discard::NoClientId) }
}
