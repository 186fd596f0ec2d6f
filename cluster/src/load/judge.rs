//! What a client finds wrong with an answer.
//!
//! Owns the checks of one Advertise or Reply against what the client asked: nothing here changes a client. Refuses to
//! know other clients ([`super::oracle`] does) and what happens next ([`super::client`]). Pure.
//! Source: RFC 9915 §16.3, §16.10, §18.2.10, §21; requirements SV-2xx.

use leasehold_frontend::codec::ia::IaKind;
use leasehold_frontend::codec::reply::{ServerIa, ServerMessage};
use leasehold_frontend::codec::wire::status;
use leasehold_proto::time::Lifetime;
use leasehold_proto::words::Prefix;

/// What no right server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Fault {
    /// No or another Client Identifier than the client's.
    #[error("the client identifier is not the client's")]
    ClientId,
    /// No Server Identifier, or another than that of the server asked.
    #[error("the server identifier is missing, or not that of the server asked")]
    ServerId,
    /// An Advertise where a Reply belongs, or a Reply to a Solicit without Rapid Commit.
    #[error("the message type does not answer what was sent")]
    Kind,
    /// An IA that was asked for is not in the answer.
    #[error("an IA of the message is not answered")]
    IaMissing,
    /// An IA that was not asked for.
    #[error("an IA is answered that was not in the message")]
    IaUnasked,
    /// An IA twice.
    #[error("an IA is answered twice")]
    IaTwice,
    /// An IA without lease and without a status that says why.
    #[error("an IA has neither a lease nor a status")]
    IaEmpty,
    /// T1 above T2.
    #[error("T1 is above T2")]
    T1AboveT2,
    /// Preferred above valid lifetime.
    #[error("a preferred lifetime is above the valid one")]
    PreferredAboveValid,
    /// A new lease with lifetime 0.
    #[error("a new lease has lifetime 0")]
    ZeroLifetime,
    /// Not an address that a client can use, or a prefix with bits past its length.
    #[error("a lease is no usable address or prefix")]
    BadLease,
    /// A renewed lease is not mentioned.
    #[error("a lease of the message is not mentioned in the answer")]
    LeaseIgnored,
    /// The Relay-reply's header or Relay Source Port is not that of the Relay-forward.
    #[error("the Relay-reply does not match the Relay-forward")]
    RelayHeader,
}

/// One lease of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// What.
    pub prefix: Prefix,
    /// Preferred lifetime from receipt.
    pub preferred: Lifetime,
    /// Valid lifetime from receipt; zero takes the lease back.
    pub valid: Lifetime,
}

/// What the answer says about one IA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct IaVerdict {
    /// Why nothing is given, if so: a status code other than Success.
    pub(super) refused: Option<u16>,
    pub(super) t1_secs: u32,
    pub(super) t2_secs: u32,
}

/// Finds the one IA of a kind and number.
pub(super) fn only_ia<'m, 'a>(
    message: &'m ServerMessage<'a>,
    kind: IaKind,
    iaid: u32,
) -> Result<&'m ServerIa<'a>, Fault> {
    let mut matching = message.ias.iter().filter(|ia| ia.kind == kind && ia.iaid == iaid);
    let first = matching.next().ok_or(Fault::IaMissing)?;
    if matching.next().is_some() { Err(Fault::IaTwice) } else { Ok(first) }
}

/// Checks one IA; its leases are appended to `promises`. `held` are the leases that the message named; `is_new` says
/// that a lease is asked for, not extended.
pub(super) fn judge_ia(
    ia: &ServerIa<'_>,
    held: &[Prefix],
    is_new: bool,
    promises: &mut Vec<Promise>,
) -> Result<IaVerdict, Fault> {
    let first = promises.len();
    for lease in ia.leases() {
        if lease.status().is_some_and(|status| status.code != status::SUCCESS) {
            continue;
        }
        if lease.preferred_secs > lease.valid_secs {
            return Err(Fault::PreferredAboveValid);
        }
        if is_new && lease.valid_secs == 0 {
            return Err(Fault::ZeroLifetime);
        }
        let prefix = Prefix::new(lease.bits, u32::from(lease.len_bits)).map_err(|_| Fault::BadLease)?;
        if !is_usable(ia.kind, prefix) {
            return Err(Fault::BadLease);
        }
        promises.push(Promise {
            prefix,
            preferred: Lifetime::from_wire(lease.preferred_secs),
            valid: Lifetime::from_wire(lease.valid_secs),
        });
    }
    let timers = ia.timers;
    // 0 leaves the time to the client, on either side.
    if timers.t1_secs != 0 && timers.t2_secs != 0 && timers.t1_secs > timers.t2_secs {
        return Err(Fault::T1AboveT2);
    }
    let refused = ia.status.map(|status| status.code).filter(|code| *code != status::SUCCESS);
    if refused.is_none() {
        let given = &promises[first..];
        if given.is_empty() {
            return Err(Fault::IaEmpty);
        }
        if !is_new && held.iter().any(|lease| !given.iter().any(|promise| promise.prefix == *lease)) {
            return Err(Fault::LeaseIgnored);
        }
    }
    Ok(IaVerdict { refused, t1_secs: timers.t1_secs, t2_secs: timers.t2_secs })
}

fn is_usable(kind: IaKind, prefix: Prefix) -> bool {
    let address = prefix.ip();
    let unusable = address.is_unspecified() || address.is_loopback() || address.is_multicast();
    match kind {
        IaKind::Na => prefix.is_address() && !unusable && !address.is_unicast_link_local(),
        IaKind::Pd => prefix.len_bits() > 0 && prefix.len_bits() < 128 && !address.is_multicast(),
    }
}
