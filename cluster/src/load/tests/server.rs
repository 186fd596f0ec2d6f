//! A DHCPv6 server in miniature, pure: it answers a datagram, rightly or with one quirk.

use leasehold_frontend::codec::encode::{EncodeError, Writer};
use leasehold_frontend::codec::ia::{IaKind, LeaseTimes, Timers};
use leasehold_frontend::codec::message::{ClientMessage, MessageKind};
use leasehold_frontend::codec::wire::{msg, opt, status};
use leasehold_frontend::codec::{Decoded, decode, encode_relay_reply};
use leasehold_proto::words::Prefix;

/// What the server gets wrong, or refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quirk {
    None,
    /// Every client gets the same.
    OneForAll,
    /// Another Server Identifier in each Reply.
    OtherServer,
    /// IAs are not answered.
    NoIas,
    /// T1 above T2.
    Timers,
    /// Preferred above valid.
    Lifetimes,
    /// Renews are told NoBinding.
    NoBinding,
    /// Nothing is left to lease.
    Dry,
    /// Client Identifier left out.
    NoClientId,
}

pub(super) const SERVER_DUID: [u8; 6] = [0, 3, 0, 1, 9, 9];

/// The server.
pub(super) struct Server {
    pub(super) quirk: Quirk,
    pub(super) valid_secs: u32,
    /// Answers Solicits with Rapid Commit by a Reply.
    pub(super) rapid_commit: bool,
}

impl Server {
    pub(super) fn new(quirk: Quirk) -> Self {
        Self { quirk, valid_secs: 1000, rapid_commit: false }
    }

    /// The answer to a datagram.
    pub(super) fn answer(&self, datagram: &[u8]) -> Option<Vec<u8>> {
        let decoded = decode(datagram).expect("clients send sound messages");
        let mut octets = Vec::new();
        let mut out = Writer::new(&mut octets, 1232);
        let message = decoded.message();
        match &decoded {
            Decoded::Client(_) => self.write(message, &mut out),
            Decoded::Relayed(chain, _) => encode_relay_reply(chain, &mut out, |out| self.write(message, out)),
        }
        .expect("answers fit");
        Some(octets)
    }

    fn write(&self, message: &ClientMessage<'_>, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        let client = message.client_id.expect("clients name themselves");
        let [.., a, b, c, d] = *client else { panic!("a DUID is longer") };
        let number = match self.quirk {
            Quirk::OneForAll => 0,
            _ => u32::from_be_bytes([a, b, c, d]),
        };
        let rapid = message.rapid_commit && self.rapid_commit;
        let advertises = message.kind == MessageKind::Solicit && !rapid;
        out.message(if advertises { msg::ADVERTISE } else { msg::REPLY }, message.transaction_id)?;
        if self.quirk != Quirk::NoClientId {
            out.option(opt::CLIENT_ID, client)?;
        }
        let other = self.quirk == Quirk::OtherServer && !advertises;
        out.option(opt::SERVER_ID, if other { &[0, 3, 0, 1, 7, 7] } else { &SERVER_DUID })?;
        if rapid {
            out.option(opt::RAPID_COMMIT, &[])?;
        }
        if message.kind == MessageKind::Release {
            return out.status_code(status::SUCCESS, "");
        }
        if self.quirk == Quirk::NoIas {
            return Ok(());
        }
        let extends = matches!(message.kind, MessageKind::Renew | MessageKind::Rebind);
        for ia in &message.ias {
            let t1_secs = if self.quirk == Quirk::Timers { 900 } else { self.valid_secs / 2 };
            out.begin_ia(ia.kind, ia.iaid, Timers { t1_secs, t2_secs: self.valid_secs * 8 / 10 })?;
            if self.quirk == Quirk::Dry {
                out.status_code(status::NO_ADDRS_AVAIL, "none left")?;
            } else if extends && self.quirk == Quirk::NoBinding {
                out.status_code(status::NO_BINDING, "who are you?")?;
            } else {
                let preferred_secs = self.valid_secs + u32::from(self.quirk == Quirk::Lifetimes);
                let times = LeaseTimes { preferred_secs, valid_secs: self.valid_secs };
                let lease = lease_of(number, ia.kind);
                match ia.kind {
                    IaKind::Na => out.ia_address(lease.bits(), times)?,
                    IaKind::Pd => out.ia_prefix(lease.bits(), lease.len_bits(), times)?,
                }
            }
            out.end_option()?;
        }
        Ok(())
    }
}

/// What a client is given.
pub(super) fn lease_of(client: u32, kind: IaKind) -> Prefix {
    let net: Prefix = "2001:db8::/32".parse().expect("it is a prefix");
    match kind {
        IaKind::Na => Prefix::address(net.bits() | 0x1_0000 | u128::from(client)),
        IaKind::Pd => Prefix::new(net.bits() | 1 << 95 | u128::from(client) << 72, 56).expect("no host bits"),
    }
}
