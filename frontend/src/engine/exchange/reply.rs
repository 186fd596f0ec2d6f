//! Writing the answer that was planned: identifiers, status, IAs, and the options that the client asked for.
//!
//! Owns the order of options by importance, the limit on an answer's size, and where an answer goes. Refuses to
//! decide what is leased. Options of least importance are left out first if an answer would become too long
//! (SV-113): identifiers, status and IAs are never cut, the search list goes before the name servers.
//! Source: RFC 9915 §18.3.9 to §18.3.11.

use super::context::Context;
use super::exclude;
use super::options::{OptionSet, each_chosen};
use super::plan::{Body, IaAnswer, Line, Plan, Status};
use super::{legacy, register, relay_supplied};
use crate::codec::wire::{CLIENT_PORT, msg, opt};
use crate::codec::{
    EncodeError, IaKind, LeaseTimes, MessageKind, RelayChain, Timers, Writer, encode_relay_reply,
};
use crate::engine::{Packet, ReplyTo};
use leasehold_proto::time::Lifetime;
use leasehold_proto::words::Prefix;
use smallvec::SmallVec;

/// Octets of the IPv6 and UDP headers.
const HEADERS_LEN: usize = 40 + 8;
/// Longest UDP payload sent, relay levels included: 1500 octets, which every node can reassemble, less the headers
/// (SV-113).
pub(super) const PAYLOAD_LEN_MAX: usize = 1500 - HEADERS_LEN;
/// Octets of code and length before an option's data.
const OPTION_HEADER_LEN: usize = 4;

/// Codes of options that were left out of an answer.
pub(super) type LeftOut = SmallVec<[u16; 8]>;

/// Writes the answer to one message into `out`, inside as many Relay-reply levels as it came in. Which options were
/// left out because the answer would have become too long (SV-113).
///
/// Errors: it does not fit, even without the options that may be left out.
fn write(
    plan: &Plan,
    cx: &Context<'_, '_>,
    options: &[&OptionSet],
    out: &mut Vec<u8>,
) -> Result<LeftOut, EncodeError> {
    let mut writer = Writer::new(out, PAYLOAD_LEN_MAX);
    let mut left_out = LeftOut::new();
    match cx.relay {
        None => write_message(plan, cx, options, &mut writer, &mut left_out)?,
        Some(chain) => encode_relay_reply(chain, &mut writer, |inner| {
            write_message(plan, cx, options, inner, &mut left_out)
        })?,
    }
    writer.finish().map(|_| left_out)
}

/// Whether an answer with a lease in each IA has room, asked before leases are recorded: one that cannot be sent is not to
/// leave any (SV-113). `message_len`: octets of the message with its relay levels. Uses `out` to try.
pub(super) fn has_room(cx: &Context<'_, '_>, message_len: usize, out: &mut Vec<u8>) -> bool {
    // What is repeated of the message, the server's own identifiers, and at most this for an IA.
    const OWN_LEN_MAX: usize = 200;
    const IA_LEN_MAX: usize = 64;
    if message_len + OWN_LEN_MAX + cx.message.ias.len() * IA_LEN_MAX <= PAYLOAD_LEN_MAX {
        return true;
    }
    let line =
        Line { prefix: Prefix::address(0), preferred: Lifetime::ZERO, valid: Lifetime::ZERO, extended: true };
    let with_a_lease = |ia| {
        let mut answer = IaAnswer::to(ia);
        answer.lines.push(line);
        answer
    };
    let least = Plan { ias: cx.message.ias.iter().map(with_a_lease).collect(), ..Plan::reply() };
    write(&least, cx, &[], out).is_ok()
}

/// As [`write`]; where it does not fit, leases that are only withdrawn are told in part: their client names the others
/// again.
///
/// Errors: it does not fit even without any of them.
pub(super) fn write_what_fits(
    plan: &mut Plan,
    cx: &Context<'_, '_>,
    options: &[&OptionSet],
    out: &mut Vec<u8>,
) -> Result<LeftOut, EncodeError> {
    loop {
        let outcome = write(plan, cx, options, out);
        if outcome.is_ok() || !plan.halve_withdrawn() {
            return outcome;
        }
        out.clear();
    }
}

/// Where the answer to a packet goes (SV-102, SV-103).
pub(super) fn reply_to(packet: &Packet<'_>, relay: Option<&RelayChain<'_>>) -> ReplyTo {
    ReplyTo {
        address: packet.source,
        port: relay.map_or(CLIENT_PORT, |chain| chain.reply_port(packet.source_port)),
        interface_index: packet.interface_index,
        source: (!packet.destination.is_multicast()).then_some(packet.destination),
    }
}

fn write_message(
    plan: &Plan,
    cx: &Context<'_, '_>,
    options: &[&OptionSet],
    out: &mut Writer<'_>,
    left_out: &mut LeftOut,
) -> Result<(), EncodeError> {
    out.message(plan.message_type, cx.message.transaction_id)?;
    if let Some(client_id) = cx.message.client_id {
        out.option(opt::CLIENT_ID, client_id)?;
    }
    out.option(opt::SERVER_ID, cx.relationship.server_duid.as_bytes())?;
    let preference = cx.relationship.preference;
    if plan.message_type == msg::ADVERTISE && preference > 0 {
        out.option_u8(opt::PREFERENCE, preference)?;
    }
    if plan.rapid_commit {
        out.option(opt::RAPID_COMMIT, &[])?;
    }
    cx.reconfigure.write(plan.message_type, out)?;
    if let Some(Status { code, text }) = plan.status {
        out.status_code(code, text)?;
    }
    if plan.body == Body::Registration {
        return register::write(cx, out);
    }
    let timers = plan.timers();
    for ia in &plan.ias {
        write_ia(ia, timers, cx, out)?;
    }
    legacy::write(cx, out)?;
    write_options(cx, options, out, left_out)
}

fn write_ia(
    ia: &IaAnswer,
    timers: Timers,
    cx: &Context<'_, '_>,
    out: &mut Writer<'_>,
) -> Result<(), EncodeError> {
    // An IA with a status alone leaves the timing to the client (SV-215).
    let timers = if ia.lines.is_empty() { Timers::default() } else { timers };
    out.begin_ia(ia.kind, ia.iaid, timers)?;
    for line in &ia.lines {
        let times = LeaseTimes { preferred_secs: line.preferred.to_wire(), valid_secs: line.valid.to_wire() };
        match ia.kind {
            IaKind::Na => out.ia_address(line.prefix.bits(), times)?,
            IaKind::Pd => {
                out.begin_ia_prefix(line.prefix.bits(), line.prefix.len_bits(), times)?;
                if line.valid > Lifetime::ZERO {
                    exclude::write(cx, line.prefix, out)?;
                }
                out.end_option()?;
            }
        }
    }
    if let Some(Status { code, text }) = ia.status {
        out.status_code(code, text)?;
    }
    out.end_option()
}

/// Options that the client asked for and that have a value, and those that are forced (SV-202), most important first.
/// What would make the answer longer than is wanted is left out (SV-113).
fn write_options(
    cx: &Context<'_, '_>,
    options: &[&OptionSet],
    out: &mut Writer<'_>,
    left_out: &mut LeftOut,
) -> Result<(), EncodeError> {
    let kind = cx.message.kind;
    // Answers to these tell how they went, and nothing else (RFC 9915 §18.3.3, §18.3.7, §18.3.8).
    if matches!(kind, MessageKind::Confirm | MessageKind::Release | MessageKind::Decline) {
        return Ok(());
    }
    let limit = usize::from(cx.topology.network().answer_octets) - HEADERS_LEN;
    let mut send = |code: u16, data: &[u8]| {
        match code {
            opt::INFO_REFRESH_TIME if kind != MessageKind::InformationRequest => {}
            _ if out.len() + OPTION_HEADER_LEN + data.len() > limit => left_out.push(code),
            opt::CLIENT_ARCH_TYPE => write_architectures(cx, data, out)?,
            _ => out.option(code, data)?,
        }
        Ok(())
    };
    if register::is_offered(cx) {
        send(opt::ADDR_REG_ENABLE, &[])?;
    }
    each_chosen(options, cx.message.oro, &mut send)?;
    if cx.relay.is_some() {
        for (code, data) in relay_supplied::options(cx, options) {
            send(code, data)?;
        }
    }
    Ok(())
}

/// Of the server's list of architectures, those that the client named (OP-04).
fn write_architectures(cx: &Context<'_, '_>, ours: &[u8], out: &mut Writer<'_>) -> Result<(), EncodeError> {
    let named = cx.message.options.first(opt::CLIENT_ARCH_TYPE).unwrap_or_default().as_chunks::<2>().0;
    let mut both = ours.as_chunks::<2>().0.iter().filter(|kind| named.contains(kind)).peekable();
    if both.peek().is_none() {
        return Ok(());
    }
    out.begin_option(opt::CLIENT_ARCH_TYPE)?;
    for kind in both {
        out.raw(kind)?;
    }
    out.end_option()
}
