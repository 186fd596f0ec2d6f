//! What a client of the load generator writes: its identity and its messages.
//!
//! Owns the layout of client messages on top of the frontend's writer. Refuses to know states and timers. Output is
//! appended to a buffer of the caller. Source: RFC 9915 §11.3, §18.2, §21.

use leasehold_frontend::codec::encode::{EncodeError, Writer};
use leasehold_frontend::codec::ia::{IaKind, LeaseTimes, Timers};
use leasehold_frontend::codec::message::{MessageKind, TransactionId};
use leasehold_frontend::codec::wire::opt;
use leasehold_proto::words::Prefix;

use super::oracle::ClientNumber;

/// Octets of a generated client's DUID.
pub const DUID_LEN: usize = 14;

/// Type DUID-EN and the enterprise number kept for documentation (RFC 5612), so that no real client is met.
const DUID_HEAD: [u8; 6] = [0, 2, 0, 0, 0x7e, 0xd9];

/// The longest message that a client writes, relay level included.
pub const MESSAGE_LEN_MAX: usize = 1_232;

/// A generated client's DUID: DUID-EN of the number of its run and its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientDuid([u8; DUID_LEN]);

impl ClientDuid {
    /// The DUID of a run's client.
    #[must_use]
    pub fn new(run: u32, client: ClientNumber) -> Self {
        let mut octets = [0; DUID_LEN];
        octets[..6].copy_from_slice(&DUID_HEAD);
        octets[6..10].copy_from_slice(&run.to_be_bytes());
        octets[10..].copy_from_slice(&client.to_be_bytes());
        Self(octets)
    }

    /// Which client of this run a DUID is, if it is one.
    #[must_use]
    pub fn client_of(run: u32, duid: &[u8]) -> Option<ClientNumber> {
        let number = duid.get(10..).and_then(|octets| octets.try_into().ok()).map(u32::from_be_bytes)?;
        (Self::new(run, number).0 == duid).then_some(number)
    }

    /// The octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// One IA of a message to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct IaToWrite<'a> {
    pub(super) kind: IaKind,
    pub(super) iaid: u32,
    pub(super) leases: &'a [Prefix],
}

/// What a message says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) kind: MessageKind,
    pub(super) transaction: TransactionId,
    pub(super) client: &'a ClientDuid,
    pub(super) server: Option<&'a [u8]>,
    pub(super) elapsed_centisecs: u16,
    pub(super) rapid_commit: bool,
}

/// Writes a message.
pub(super) fn write<'a>(
    out: &mut Writer<'_>,
    message: &Message<'_>,
    ias: impl Iterator<Item = IaToWrite<'a>>,
) -> Result<(), EncodeError> {
    out.message(message.kind.to_wire(), message.transaction)?;
    out.option(opt::CLIENT_ID, message.client.as_bytes())?;
    if let Some(server) = message.server {
        out.option(opt::SERVER_ID, server)?;
    }
    out.option_u16(opt::ELAPSED_TIME, message.elapsed_centisecs)?;
    match message.kind {
        MessageKind::Solicit | MessageKind::Request => {
            out.code_list(opt::ORO, &[opt::DNS_SERVERS, opt::DOMAIN_LIST, opt::SOL_MAX_RT])?;
        }
        MessageKind::Renew | MessageKind::Rebind => {
            out.code_list(opt::ORO, &[opt::DNS_SERVERS, opt::DOMAIN_LIST])?
        }
        _ => {}
    }
    if message.rapid_commit {
        out.option(opt::RAPID_COMMIT, &[])?;
    }
    for ia in ias {
        out.begin_ia(ia.kind, ia.iaid, Timers::default())?;
        for lease in ia.leases {
            match ia.kind {
                IaKind::Na => out.ia_address(lease.bits(), LeaseTimes::default())?,
                IaKind::Pd => out.ia_prefix(lease.bits(), lease.len_bits(), LeaseTimes::default())?,
            }
        }
        out.end_option()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duid_names_its_client_and_no_other_run() {
        let duid = ClientDuid::new(7, 123_456);
        assert_eq!(ClientDuid::client_of(7, duid.as_bytes()), Some(123_456));
        assert_eq!(ClientDuid::client_of(8, duid.as_bytes()), None);
        assert_eq!(ClientDuid::client_of(7, &[0; 14]), None);
        assert_eq!(ClientDuid::client_of(7, &[0; 3]), None);
    }
}
