//! Addr-reg-inform: a client tells of an address that it chose itself (RFC 9686).
//!
//! Owns the judgement whether the address is of the client's link, the answer, and the word to clients that registering is
//! possible. Refuses to know what is leased and how a registration is kept: [`Leases`] does. The answer says that the
//! message was heard, and promises nothing. Source: RFC 9686 §4.

use super::context::Context;
use super::plan::{Body, Plan};
use crate::codec::wire::{msg, opt};
use crate::codec::{Discard, EncodeError, MessageKind, Writer};
use crate::engine::leases::{Leases, NoRegistration};
use leasehold_proto::time::Lifetime;
use leasehold_proto::words::Prefix;

/// Records a registration and plans the Addr-reg-reply.
pub(super) fn answer(cx: &Context<'_, '_>, leases: &mut Leases) -> Result<Plan, Discard> {
    let told = cx.message.registration.ok_or(Discard::RegistrationAddress)?;
    if !cx.link.register_addresses {
        return Err(Discard::RegistrationOff);
    }
    let address = Prefix::address(told.address());
    if !cx.link.prefixes.iter().any(|on_link| on_link.contains(address)) {
        return Err(Discard::RegistrationOffLink);
    }
    let valid = Lifetime::from_wire(told.valid_secs());
    leases.register(cx.now, cx.link, cx.duid, told.address(), valid).map_err(|reason| match reason {
        NoRegistration::Leased => Discard::RegistrationLeased,
        NoRegistration::TooMany => Discard::TooManyRegistrations,
        NoRegistration::NotNow => Discard::RegistrationNotNow,
    })?;
    Ok(Plan { message_type: msg::ADDR_REG_REPLY, body: Body::Registration, ..Plan::reply() })
}

/// Writes what an Addr-reg-reply says beside its identifiers: the option that the client sent, octet for octet.
pub(super) fn write(cx: &Context<'_, '_>, out: &mut Writer<'_>) -> Result<(), EncodeError> {
    match cx.message.registration {
        Some(told) => out.option(opt::IA_ADDR, told.data),
        None => Ok(()),
    }
}

/// Whether the client is told that it may register addresses on its link.
pub(super) fn is_offered(cx: &Context<'_, '_>) -> bool {
    let is_asked =
        cx.message.kind == MessageKind::InformationRequest || cx.message.oro.contains(opt::ADDR_REG_ENABLE);
    cx.link.register_addresses && is_asked
}
