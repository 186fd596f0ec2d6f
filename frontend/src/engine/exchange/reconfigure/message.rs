//! The octets of a Reconfigure (SV-403), signed (SV-404).
//!
//! Owns which options stand in it. Refuses to know how it travels. Source: RFC 9915 §18.3.11.

use super::rkap::{self, ClientKey, KEY_LEN};
use crate::codec::wire::{msg, opt};
use crate::codec::{EncodeError, TransactionId, Writer};
use leasehold_proto::reconfigure::ReconfigureMessage;

/// Room for type and id, two DUIDs of 130 octets, and the fixed options.
const LEN_MAX: usize = 512;

/// A Reconfigure for one client.
#[derive(Debug)]
pub(super) struct Reconfigure<'a> {
    pub(super) server_duid: &'a [u8],
    pub(super) client_duid: &'a [u8],
    pub(super) message: ReconfigureMessage,
    pub(super) replay: u64,
    pub(super) key: &'a ClientKey,
}

impl Reconfigure<'_> {
    /// Writes the message, signed, into `out`, whose content is dropped.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut writer = Writer::new(out, LEN_MAX);
        writer.message(msg::RECONFIGURE, TransactionId([0; 3]))?;
        writer.option(opt::SERVER_ID, self.server_duid)?;
        writer.option(opt::CLIENT_ID, self.client_duid)?;
        writer.option_u8(opt::RECONF_MSG, self.message.msg_type())?;
        // Last, so that the digest is what the message ends with.
        writer.option(opt::AUTH, &rkap::unsigned_option(self.replay))?;
        writer.finish()?;
        let digest = rkap::digest(self.key, out);
        let digest_at = out.len() - KEY_LEN;
        out[digest_at..].copy_from_slice(&digest);
        Ok(())
    }
}
