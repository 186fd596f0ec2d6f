//! RFC 8415's answers to what RFC 9915 has made obsolete: IA_TA, and messages sent to the server's own address (SV-135).
//!
//! Owns what is said when the configuration asks for it (`legacy`): no temporary address is ever leased here, and a client
//! that was not told to may not use unicast. Nothing of it is looked at otherwise (V-01, SV-134).
//! Source: RFC 8415 §16, §18.3, §18.4.

use super::context::Context;
use super::plan::Status;
use super::pools::Topology;
use crate::codec::wire::{msg, opt};
use crate::codec::{ClientMessage, Discard, EncodeError, IaKind, MessageKind, TemporaryIa, Writer, validate};
use leasehold_proto::network::Network;
use leasehold_proto::words::Prefix;
use smallvec::SmallVec;

/// The IA_TAs that are to be answered: none unless RFC 8415 is to be obeyed.
///
/// Errors: they make the message one to drop.
pub(super) fn temporary_ias<'m>(
    network: &Network,
    message: &ClientMessage<'m>,
) -> Result<SmallVec<[TemporaryIa<'m>; 2]>, Discard> {
    if !network.legacy {
        return Ok(SmallVec::new());
    }
    let ias = message.temporary_ias()?;
    if message.kind == MessageKind::InformationRequest && !ias.is_empty() {
        return Err(Discard::IaInInformationRequest);
    }
    Ok(ias)
}

/// The addresses that a client named in IA_TAs, `::` left out.
pub(super) fn named<'c>(cx: &'c Context<'_, '_>) -> impl Iterator<Item = Prefix> + 'c {
    cx.temporary.iter().flat_map(TemporaryIa::addresses).filter(|bits| *bits != 0).map(Prefix::address)
}

/// Whether a message has nothing but IA_TAs: it is answered though there is nothing else to say.
pub(super) fn has_temporary_alone(cx: &Context<'_, '_>) -> bool {
    cx.message.ias.is_empty() && !cx.temporary.is_empty()
}

/// Writes an IA_TA for each that the client sent, with the one thing that there is to say of it.
pub(super) fn write(cx: &Context<'_, '_>, out: &mut Writer<'_>) -> Result<(), EncodeError> {
    let status = match cx.message.kind {
        MessageKind::Release | MessageKind::Decline => Status::NO_BINDING,
        MessageKind::Confirm | MessageKind::InformationRequest | MessageKind::AddrRegInform => return Ok(()),
        _ => Status::none_available(IaKind::Na),
    };
    for ia in cx.temporary {
        out.begin_option(opt::IA_TA)?;
        out.raw(&ia.iaid.to_be_bytes())?;
        out.status_code(status.code, status.text)?;
        out.end_option()?;
    }
    Ok(())
}

/// For a client's message that was sent to this machine's own address: the server DUID under which the client is told to
/// use multicast.
///
/// Errors: it is dropped.
pub(super) fn told_to_use_multicast<'t>(
    topology: &'t Topology,
    message: &ClientMessage<'_>,
) -> Result<&'t [u8], Discard> {
    match message.kind {
        MessageKind::Request | MessageKind::Renew | MessageKind::Release | MessageKind::Decline
            if topology.network().legacy => {}
        _ => return Err(Discard::UnicastDestination),
    }
    let server_duid = message.server_id.unwrap_or_default();
    validate(message, server_duid)?;
    let server = topology.mine_with_duid(server_duid).ok_or(Discard::OtherServer)?;
    Ok(topology.relationship(server).server_duid.as_bytes())
}

/// Writes the Reply that holds nothing but identifiers and UseMulticast.
pub(super) fn write_use_multicast(
    message: &ClientMessage<'_>,
    server_duid: &[u8],
    out: &mut Writer<'_>,
) -> Result<(), EncodeError> {
    out.message(msg::REPLY, message.transaction_id)?;
    if let Some(client_id) = message.client_id {
        out.option(opt::CLIENT_ID, client_id)?;
    }
    out.option(opt::SERVER_ID, server_duid)?;
    out.status_code(Status::USE_MULTICAST.code, Status::USE_MULTICAST.text)
}
