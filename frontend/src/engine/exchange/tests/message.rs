//! Messages as clients and relays send them, and answers as they read them.

use crate::codec::reply::{ServerMessage, ServerMessageKind, unwrap_relay_reply};
use crate::codec::wire::{msg, opt};
use crate::codec::{IaKind, RelayHeader, TransactionId};
use crate::engine::ReplyTo;
use leasehold_proto::words::Prefix;

use super::lab::{SERVER_DUID, ip, prefix};

pub(super) const DUID: &[u8] = &[0, 3, 0, 1, 2, 0, 0, 0, 0, 1];
pub(super) const OTHER_DUID: &[u8] = &[0, 3, 0, 1, 2, 0, 0, 0, 0, 2];

/// A client's message in the making.
#[derive(Debug, Clone)]
pub(super) struct Msg(Vec<u8>);

impl AsRef<[u8]> for Msg {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Msg {
    /// A message without options.
    pub(super) fn bare(kind: u8) -> Self {
        Self(vec![kind, 1, 2, 3])
    }

    /// A message of the usual client.
    pub(super) fn of(kind: u8) -> Self {
        Self::bare(kind).client(DUID)
    }

    /// A message of the usual client to the usual server.
    pub(super) fn to_server(kind: u8) -> Self {
        Self::of(kind).server(SERVER_DUID)
    }

    pub(super) fn solicit() -> Self {
        Self::of(msg::SOLICIT)
    }

    pub(super) fn request() -> Self {
        Self::to_server(msg::REQUEST)
    }

    pub(super) fn renew() -> Self {
        Self::to_server(msg::RENEW)
    }

    pub(super) fn rebind() -> Self {
        Self::of(msg::REBIND)
    }

    pub(super) fn xid(mut self, xid: [u8; 3]) -> Self {
        self.0[1..4].copy_from_slice(&xid);
        self
    }

    pub(super) fn opt(mut self, code: u16, data: &[u8]) -> Self {
        self.0.extend(code.to_be_bytes());
        self.0.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
        self.0.extend(data);
        self
    }

    pub(super) fn client(self, duid: &[u8]) -> Self {
        self.opt(opt::CLIENT_ID, duid)
    }

    pub(super) fn server(self, duid: &[u8]) -> Self {
        self.opt(opt::SERVER_ID, duid)
    }

    pub(super) fn elapsed_ms(self, ms: u16) -> Self {
        self.opt(opt::ELAPSED_TIME, &(ms / 10).to_be_bytes())
    }

    pub(super) fn oro(self, codes: &[u16]) -> Self {
        let data: Vec<u8> = codes.iter().flat_map(|code| code.to_be_bytes()).collect();
        self.opt(opt::ORO, &data)
    }

    pub(super) fn rapid_commit(self) -> Self {
        self.opt(opt::RAPID_COMMIT, &[])
    }

    /// An IA_NA with these addresses, and lifetimes and timers that no server may follow.
    pub(super) fn na(self, iaid: u32, addresses: &[&str]) -> Self {
        let mut data = ia_header(iaid);
        for address in addresses {
            data.extend([0, 5, 0, 24]);
            data.extend(ip(address).octets());
            data.extend([0, 0, 0, 77, 0, 0, 0, 88]);
        }
        self.opt(opt::IA_NA, &data)
    }

    /// An IA_PD with these prefixes.
    pub(super) fn pd(self, iaid: u32, prefixes: &[&str]) -> Self {
        let mut data = ia_header(iaid);
        for text in prefixes {
            let p = prefix(text);
            data.extend([0, 26, 0, 25, 0, 0, 0, 77, 0, 0, 0, 88, p.len_bits()]);
            data.extend(p.ip().octets());
        }
        self.opt(opt::IA_PD, &data)
    }
}

fn ia_header(iaid: u32) -> Vec<u8> {
    [iaid.to_be_bytes(), 55u32.to_be_bytes(), 66u32.to_be_bytes()].concat()
}

/// One Relay-forward level around a message.
pub(super) fn relayed(link_address: &str, options: &[(u16, &[u8])], inner: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = vec![msg::RELAY_FORWARD, 0];
    out.extend(ip(link_address).octets());
    out.extend(ip("fe80::c").octets());
    for (code, data) in options {
        out.extend(code.to_be_bytes());
        out.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
        out.extend(*data);
    }
    let inner = inner.as_ref();
    out.extend(opt::RELAY_MESSAGE.to_be_bytes());
    out.extend(u16::try_from(inner.len()).expect("short").to_be_bytes());
    out.extend(inner);
    out
}

/// One IA of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IaView {
    pub(super) kind: IaKind,
    pub(super) iaid: u32,
    pub(super) t1: u32,
    pub(super) t2: u32,
    pub(super) status: Option<u16>,
    /// With preferred and valid lifetime.
    pub(super) leases: Vec<(Prefix, u32, u32)>,
}

impl IaView {
    /// The one lease, which is there and alive.
    pub(super) fn one(&self) -> Prefix {
        assert_eq!(self.leases.len(), 1, "{self:?}");
        assert!(self.leases[0].2 > 0, "{self:?}");
        self.leases[0].0
    }

    pub(super) fn lifetimes_of(&self, what: &str) -> Option<(u32, u32)> {
        let found = self.leases.iter().find(|(p, _, _)| *p == prefix(what));
        found.map(|(_, preferred, valid)| (*preferred, *valid))
    }
}

/// Options with their codes, as sent.
pub(super) type SentOptions = Vec<(u16, Vec<u8>)>;

/// An answer, unwrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) to: ReplyTo,
    pub(super) kind: ServerMessageKind,
    pub(super) transaction_id: TransactionId,
    pub(super) client_id: Option<Vec<u8>>,
    pub(super) server_id: Option<Vec<u8>>,
    pub(super) status: Option<u16>,
    pub(super) rapid_commit: bool,
    pub(super) ias: Vec<IaView>,
    /// Top-level options as sent.
    pub(super) options: SentOptions,
    /// Relay levels, outermost first, with their options but for the Relay Message.
    pub(super) levels: Vec<(RelayHeader, SentOptions)>,
    pub(super) len: usize,
}

impl Answered {
    pub(super) fn read(to: ReplyTo, bytes: &[u8]) -> Self {
        let mut levels = Vec::new();
        let mut payload = bytes;
        if bytes.first() == Some(&msg::RELAY_REPLY) {
            let relay = unwrap_relay_reply(bytes).expect("a sound Relay-reply");
            payload = relay.payload;
            for level in &relay.levels {
                let others = level.options.iter().filter(|o| o.code != opt::RELAY_MESSAGE);
                levels.push((level.header, others.map(|o| (o.code, o.data.to_vec())).collect()));
            }
        }
        let message = ServerMessage::decode(payload).expect("a sound answer");
        let ias = message.ias.iter().map(|ia| IaView {
            kind: ia.kind,
            iaid: ia.iaid,
            t1: ia.timers.t1_secs,
            t2: ia.timers.t2_secs,
            status: ia.status.map(|status| status.code),
            leases: ia
                .leases()
                .map(|lease| {
                    let prefix =
                        Prefix::new(lease.bits, u32::from(lease.len_bits)).expect("host bits are zero");
                    (prefix, lease.preferred_secs, lease.valid_secs)
                })
                .collect(),
        });
        Self {
            to,
            kind: message.kind,
            transaction_id: message.transaction_id,
            client_id: message.client_id.map(<[u8]>::to_vec),
            server_id: message.server_id.map(<[u8]>::to_vec),
            status: message.status.map(|status| status.code),
            rapid_commit: message.rapid_commit,
            ias: ias.collect(),
            options: message.options.iter().map(|o| (o.code, o.data.to_vec())).collect(),
            levels,
            len: bytes.len(),
        }
    }

    pub(super) fn option(&self, code: u16) -> Option<&[u8]> {
        self.options.iter().find(|(c, _)| *c == code).map(|(_, data)| data.as_slice())
    }

    /// The first IA of a kind.
    pub(super) fn ia(&self, kind: IaKind) -> &IaView {
        self.ias.iter().find(|ia| ia.kind == kind).expect("an IA of that kind")
    }

    pub(super) fn na(&self) -> &IaView {
        self.ia(IaKind::Na)
    }

    pub(super) fn pd(&self) -> &IaView {
        self.ia(IaKind::Pd)
    }
}
