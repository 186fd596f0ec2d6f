//! What every answer must be, whatever was asked: a message that a client can read, of a size that it can receive, with
//! lifetimes that it does not throw away, and only of pools.

use leasehold_frontend::codec::reply::{ServerMessage, ServerMessageKind, unwrap_relay_reply};
use leasehold_frontend::codec::wire::{msg, status};
use leasehold_frontend::codec::{IaKind, MessageKind, RelayHeader, TransactionId, decode};
use leasehold_proto::words::Prefix;

/// Longest payload of a UDP datagram that every node can reassemble (SV-113).
const PAYLOAD_LEN_MAX: usize = 1452;
/// What the pools of all configurations together lie in (SEC-13).
const POOLS: [(&str, u32); 2] = [("2001:db8:1::", 64), ("2001:db8:8000::", 48)];

/// What an answer must repeat of its message.
pub(crate) struct Asked {
    kind: MessageKind,
    transaction_id: TransactionId,
    client_id: Option<Vec<u8>>,
    /// Headers of the relay levels, outermost first.
    levels: Vec<RelayHeader>,
}

impl Asked {
    /// Of a datagram that can be read.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let decoded = decode(bytes).ok()?;
        let message = decoded.message();
        Some(Self {
            kind: message.kind,
            transaction_id: message.transaction_id,
            client_id: message.client_id.map(<[u8]>::to_vec),
            levels: decoded
                .relay()
                .map_or_else(Vec::new, |chain| chain.levels().iter().map(|level| level.header).collect()),
        })
    }
}

/// Judges an answer; gives the leases that its client may use.
///
/// # Panics
/// When it breaks a rule, with the rule's name.
pub(crate) fn answer(bytes: &[u8], asked: Option<&Asked>) -> Vec<Prefix> {
    assert!(bytes.len() <= PAYLOAD_LEN_MAX, "SV-113: {} octets", bytes.len());
    let mut levels = Vec::new();
    let mut payload = bytes;
    if bytes.first() == Some(&msg::RELAY_REPLY) {
        let relay = unwrap_relay_reply(bytes).expect("SV-171: a Relay-reply can be unwrapped");
        levels = relay.levels.iter().map(|level| level.header).collect();
        payload = relay.payload;
    }
    let message = ServerMessage::decode(payload).expect("an answer can be read");
    if let Some(asked) = asked {
        assert_eq!(message.transaction_id, asked.transaction_id, "SV-201");
        assert_eq!(message.client_id, asked.client_id.as_deref(), "SV-201");
        assert!(levels == asked.levels, "SV-171: each level is mirrored");
        let is_reply = message.kind == ServerMessageKind::Reply;
        assert_eq!(is_reply, asked.kind != MessageKind::Solicit || message.rapid_commit, "SV-301, SV-302");
    }
    assert!(message.server_id.is_some(), "SV-201");
    // A Reply to a Solicit is built as for a Request (SV-302).
    let asks_for_leases = |kind: MessageKind| match kind {
        MessageKind::Request | MessageKind::Confirm => true,
        MessageKind::Solicit => message.rapid_commit,
        _ => false,
    };
    let may_say_not_on_link =
        message.kind == ServerMessageKind::Reply && asked.is_none_or(|asked| asks_for_leases(asked.kind));
    let statuses = message.ias.iter().map(|ia| ia.status).chain([message.status]).flatten();
    for status in statuses {
        assert!(may_say_not_on_link || status.code != status::NOT_ON_LINK, "trap 2: NotOnLink");
        assert!(
            std::str::from_utf8(status.text).is_ok_and(|text| text.chars().all(|c| !c.is_control())),
            "SV-114"
        );
    }
    let mut live = Vec::new();
    let mut timers = Vec::new();
    for ia in &message.ias {
        assert!(ia.timers.t1_secs <= ia.timers.t2_secs || ia.timers.t2_secs == 0, "SV-209: {:?}", ia.timers);
        let mut is_empty = true;
        for lease in ia.leases() {
            is_empty = false;
            let prefix = Prefix::new(lease.bits, u32::from(lease.len_bits)).expect("PD-02: no host bits");
            assert!(lease.preferred_secs <= lease.valid_secs, "SV-209: {prefix}");
            // What a client claims is withdrawn as it named it, a prefix of 128 bits too.
            if lease.valid_secs > 0 {
                assert_eq!(prefix.is_address(), ia.kind == IaKind::Na, "{prefix}");
                assert!(POOLS.iter().any(|within| inside(*within, prefix)), "SEC-13: {prefix}");
                live.push(prefix);
            }
        }
        if is_empty {
            assert!(ia.status.is_some(), "SV-215: an IA that says nothing");
            assert_eq!((ia.timers.t1_secs, ia.timers.t2_secs), (0, 0), "SV-215");
        } else {
            timers.push((ia.timers.t1_secs, ia.timers.t2_secs));
        }
    }
    timers.dedup();
    assert!(timers.len() <= 1, "SV-207: {timers:?}");
    let mut distinct = live.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), live.len(), "SV-212: one lease twice");
    live
}

fn inside((address, length): (&str, u32), prefix: Prefix) -> bool {
    let bits = address.parse::<std::net::Ipv6Addr>().expect("an address").to_bits();
    Prefix::new(bits, length).expect("a prefix").contains(prefix)
}
