//! Wrapping: a Relay-reply around an answer, level for level as the Relay-forward came, and Relay-forwards for those
//! who play the relay (load generator, simulation, tests).
//!
//! Owns which options go back to a relay: Interface-Id, Relay Source Port, and what its Echo Request names. Refuses to
//! know what is inside. Nothing recurses: all headers are written outermost first, then the inner message, then all
//! lengths are filled in. The work is bounded: options per datagram times codes per Echo Request.
//! Source: RFC 9915 §9.2, §19.3; RFC 4994 §5; RFC 8357 §5.2.

use super::encode::{EncodeError, Writer};
use super::options::RawOption;
use super::relay::{RelayChain, RelayHeader, RelayLevel};
use super::wire::{msg, opt};

/// Writes a Relay-reply with one level per level of `chain`, around what `inner` writes.
///
/// Each level copies hop-count, link-address and peer-address (SV-171), Interface-Id (SV-172), Relay Source Port
/// (SV-173) and what its Echo Request names (SV-174). `inner` writes one whole message and leaves no option open.
/// Errors: those of `inner`, or the limit of `out`.
pub fn encode_relay_reply<'b>(
    chain: &RelayChain<'_>,
    out: &mut Writer<'b>,
    inner: impl FnOnce(&mut Writer<'b>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    for level in chain.levels() {
        out.relay_header(msg::RELAY_REPLY, &level.header)?;
        if let Some(interface_id) = level.interface_id {
            out.option(opt::INTERFACE_ID, interface_id)?;
        }
        if let Some(port) = level.relay_source_port {
            out.option_u16(opt::RELAY_SOURCE_PORT, port)?;
        }
        echo(level, out)?;
        out.begin_option(opt::RELAY_MESSAGE)?;
    }
    inner(out)?;
    for _ in chain.levels() {
        out.end_option()?;
    }
    Ok(())
}

/// Copies verbatim the options that the level's Echo Request names and that are not in the answer already (SV-174).
///
/// The Relay Message is never echoed: the answer has one of its own.
fn echo(level: &RelayLevel<'_>, out: &mut Writer<'_>) -> Result<(), EncodeError> {
    if level.echo_request.is_empty() {
        return Ok(());
    }
    for RawOption { code, data } in level.options {
        let in_answer = matches!(code, opt::RELAY_MESSAGE | opt::INTERFACE_ID | opt::RELAY_SOURCE_PORT);
        if !in_answer && level.echo_request.contains(code) {
            out.option(code, data)?;
        }
    }
    Ok(())
}

/// One level of a Relay-forward to be written.
#[derive(Clone, Copy, Debug)]
pub struct ForwardLevel<'a> {
    /// Hop-count, link-address and peer-address.
    pub header: RelayHeader,
    /// Options of the level but for its Relay Message, in wire order.
    pub options: &'a [RawOption<'a>],
}

/// Writes Relay-forward levels, outermost first, around what `inner` writes.
///
/// `inner` writes one whole message and leaves no option open. Errors: those of `inner`, the limit of `out`, or more
/// levels than a writer can hold open.
pub fn encode_relay_forward<'b>(
    levels: &[ForwardLevel<'_>],
    out: &mut Writer<'b>,
    inner: impl FnOnce(&mut Writer<'b>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    for level in levels {
        out.relay_header(msg::RELAY_FORWARD, &level.header)?;
        for option in level.options {
            out.option(option.code, option.data)?;
        }
        out.begin_option(opt::RELAY_MESSAGE)?;
    }
    inner(out)?;
    for _ in levels {
        out.end_option()?;
    }
    Ok(())
}
