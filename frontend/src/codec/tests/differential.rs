//! dhcproto 0.15 as a second opinion, on messages that it handles rightly.
//!
//! Left out, because it is wrong there: relayed messages (a Relay Message is always read as a relay level), User Class
//! and Vendor Class (encoded with wrong lengths), malformed options (parsing ends silently with `Ok`), fixed-size
//! options of another size (their length is ignored and the reader loses step), and the order of options (sorted by
//! code, equal codes turned round). Its Elapsed Time is documented as milliseconds; the number is in 1/100 s.

use std::collections::BTreeSet;

use dhcproto::v6::{
    DhcpOption, DhcpOptions, IAAddr, IANA, IAPD, IAPrefix, Message, MessageType, ORO, OptionCode,
};
use dhcproto::{Decodable, Decoder, Encodable};
use proptest::prelude::*;

use super::super::reply::ServerMessage;
use super::super::wire::{msg, opt};
use super::super::{ClientMessage, Decoded, MessageKind, decode};
use super::*;

/// Address, preferred and valid lifetime in seconds.
type Address = (u128, u32, u32);
/// Prefix, its length in bits, preferred and valid lifetime in seconds.
type Prefix = (u128, u8, u32, u32);

/// What both sides must agree on, without order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    kind: u8,
    xid: [u8; 3],
    client_id: Option<Vec<u8>>,
    server_id: Option<Vec<u8>>,
    elapsed: Option<u16>,
    rapid_commit: bool,
    reconfigure_accept: bool,
    oro: Option<Vec<u16>>,
    /// Addresses by IAID.
    na: BTreeSet<(u32, BTreeSet<Address>)>,
    /// Prefixes by IAID.
    pd: BTreeSet<(u32, BTreeSet<Prefix>)>,
}

fn content() -> impl Strategy<Value = Content> {
    let duid = || prop::option::of(prop::collection::vec(any::<u8>(), 3..=130));
    let addresses = prop::collection::btree_set((any::<u128>(), any::<u32>(), any::<u32>()), 0..4);
    let prefixes = prop::collection::btree_set(
        (any::<u128>(), 0u8..=128, any::<u32>(), any::<u32>()).prop_map(|(bits, len, preferred, valid)| {
            (bits & u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0), len, preferred, valid)
        }),
        0..4,
    );
    (
        (prop::sample::select(MessageKind::ALL.to_vec()).prop_map(MessageKind::to_wire), any::<[u8; 3]>()),
        (duid(), duid(), any::<Option<u16>>(), any::<bool>(), any::<bool>()),
        prop::option::of(prop::collection::vec(any::<u16>(), 0..20)),
        prop::collection::btree_map(any::<u32>(), addresses, 0..5),
        prop::collection::btree_map(any::<u32>(), prefixes, 0..5),
    )
        .prop_map(
            |(
                (kind, xid),
                (client_id, server_id, elapsed, rapid_commit, reconfigure_accept),
                oro,
                na,
                pd,
            )| {
                Content {
                    kind,
                    xid,
                    client_id,
                    server_id,
                    elapsed,
                    rapid_commit,
                    reconfigure_accept,
                    oro,
                    na: na.into_iter().collect(),
                    pd: pd.into_iter().collect(),
                }
            },
        )
}

fn written_by_dhcproto(content: &Content) -> Vec<u8> {
    let mut message = Message::new_with_id(MessageType::from(content.kind), content.xid);
    let options = message.opts_mut();
    options.extend_with(content.client_id.clone().map(DhcpOption::ClientId));
    options.extend_with(content.server_id.clone().map(DhcpOption::ServerId));
    options.extend_with(content.elapsed.map(DhcpOption::ElapsedTime));
    options.extend_with(content.rapid_commit.then_some(DhcpOption::RapidCommit));
    options.extend_with(content.reconfigure_accept.then_some(DhcpOption::ReconfAccept));
    options.extend_with(
        content.oro.as_ref().map(|codes| {
            DhcpOption::ORO(ORO { opts: codes.iter().copied().map(OptionCode::from).collect() })
        }),
    );
    options.extend_with(content.na.iter().map(|(id, leases)| {
        let opts = leases.iter().map(|&(bits, preferred_life, valid_life)| {
            let opts = DhcpOptions::new();
            DhcpOption::IAAddr(IAAddr { addr: bits.into(), preferred_life, valid_life, opts })
        });
        DhcpOption::IANA(IANA { id: *id, t1: 1, t2: 2, opts: opts.collect() })
    }));
    options.extend_with(content.pd.iter().map(|(id, leases)| {
        let opts = leases.iter().map(|&(bits, prefix_len, preferred_lifetime, valid_lifetime)| {
            let (prefix_ip, opts) = (bits.into(), DhcpOptions::new());
            DhcpOption::IAPrefix(IAPrefix { preferred_lifetime, valid_lifetime, prefix_len, prefix_ip, opts })
        });
        DhcpOption::IAPD(IAPD { id: *id, t1: 1, t2: 2, opts: opts.collect() })
    }));
    message.to_vec().unwrap()
}

trait ExtendWith {
    fn extend_with(&mut self, options: impl IntoIterator<Item = DhcpOption>);
}

impl ExtendWith for DhcpOptions {
    fn extend_with(&mut self, options: impl IntoIterator<Item = DhcpOption>) {
        options.into_iter().for_each(|option| self.insert(option));
    }
}

fn read_by_dhcproto(bytes: &[u8]) -> Content {
    let message = Message::decode(&mut Decoder::new(bytes)).unwrap();
    let mut content = Content {
        kind: message.msg_type().into(),
        xid: message.xid(),
        client_id: None,
        server_id: None,
        elapsed: None,
        rapid_commit: false,
        reconfigure_accept: false,
        oro: None,
        na: BTreeSet::new(),
        pd: BTreeSet::new(),
    };
    for option in message.opts().iter() {
        match option {
            DhcpOption::ClientId(duid) => content.client_id = Some(duid.clone()),
            DhcpOption::ServerId(duid) => content.server_id = Some(duid.clone()),
            DhcpOption::ElapsedTime(elapsed) => content.elapsed = Some(*elapsed),
            DhcpOption::RapidCommit => content.rapid_commit = true,
            DhcpOption::ReconfAccept => content.reconfigure_accept = true,
            DhcpOption::ORO(oro) => content.oro = Some(oro.opts.iter().copied().map(u16::from).collect()),
            DhcpOption::IANA(ia) => {
                let leases = ia.opts.iter().map(|option| match option {
                    DhcpOption::IAAddr(lease) => (lease.addr.into(), lease.preferred_life, lease.valid_life),
                    other => panic!("{other:?}"),
                });
                content.na.insert((ia.id, leases.collect()));
            }
            DhcpOption::IAPD(ia) => {
                let leases = ia.opts.iter().map(|option| match option {
                    DhcpOption::IAPrefix(lease) => (
                        lease.prefix_ip.into(),
                        lease.prefix_len,
                        lease.preferred_lifetime,
                        lease.valid_lifetime,
                    ),
                    other => panic!("{other:?}"),
                });
                content.pd.insert((ia.id, leases.collect()));
            }
            other => panic!("{other:?}"),
        }
    }
    content
}

fn read_by_us(message: &ClientMessage<'_>) -> Content {
    let leases_of = |kind| message.ias_of(kind).map(|ia| (ia.iaid, ia.leases()));
    let present = |code| message.options.first(code).is_some();
    Content {
        kind: message.kind.to_wire(),
        xid: message.transaction_id.0,
        client_id: message.client_id.map(<[u8]>::to_vec),
        server_id: message.server_id.map(<[u8]>::to_vec),
        elapsed: present(opt::ELAPSED_TIME).then_some(message.elapsed_centisecs),
        rapid_commit: message.rapid_commit,
        reconfigure_accept: message.reconfigure_accept,
        oro: present(opt::ORO).then(|| message.oro.iter().collect()),
        na: leases_of(IaKind::Na)
            .map(|(id, leases)| (id, leases.map(|l| (l.bits, l.preferred_secs, l.valid_secs)).collect()))
            .collect(),
        pd: leases_of(IaKind::Pd)
            .map(|(id, leases)| {
                (id, leases.map(|l| (l.bits, l.len_bits, l.preferred_secs, l.valid_secs)).collect())
            })
            .collect(),
    }
}

fn written_by_us(content: &Content) -> Vec<u8> {
    let timers = Timers { t1_secs: 1, t2_secs: 2 };
    let mut out = Vec::new();
    let mut w = Writer::new(&mut out, 65_535);
    let write = |w: &mut Writer<'_>| {
        w.message(content.kind, TransactionId(content.xid))?;
        for (code, duid) in [(opt::CLIENT_ID, &content.client_id), (opt::SERVER_ID, &content.server_id)] {
            duid.as_ref().map_or(Ok(()), |duid| w.option(code, duid))?;
        }
        content.elapsed.map_or(Ok(()), |elapsed| w.option_u16(opt::ELAPSED_TIME, elapsed))?;
        for (code, set) in
            [(opt::RAPID_COMMIT, content.rapid_commit), (opt::RECONF_ACCEPT, content.reconfigure_accept)]
        {
            if set {
                w.option(code, &[])?;
            }
        }
        content.oro.as_ref().map_or(Ok(()), |codes| w.code_list(opt::ORO, codes))?;
        for (iaid, leases) in &content.na {
            w.begin_ia(IaKind::Na, *iaid, timers)?;
            for &(bits, preferred_secs, valid_secs) in leases {
                w.ia_address(bits, LeaseTimes { preferred_secs, valid_secs })?;
            }
            w.end_option()?;
        }
        for (iaid, leases) in &content.pd {
            w.begin_ia(IaKind::Pd, *iaid, timers)?;
            for &(bits, len_bits, preferred_secs, valid_secs) in leases {
                w.ia_prefix(bits, len_bits, LeaseTimes { preferred_secs, valid_secs })?;
            }
            w.end_option()?;
        }
        Ok::<_, EncodeError>(())
    };
    write(&mut w).unwrap();
    w.finish().unwrap();
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_dhcproto_writes_we_read_alike(content in content()) {
        let bytes = written_by_dhcproto(&content);
        let decoded = decode(&bytes).unwrap();
        prop_assert!(matches!(decoded, Decoded::Client(_)));
        prop_assert_eq!(read_by_us(decoded.message()), content);
    }

    #[test]
    fn what_we_write_dhcproto_reads_alike(content in content()) {
        let bytes = written_by_us(&content);
        prop_assert_eq!(read_by_dhcproto(&bytes), content.clone());
        prop_assert_eq!(read_by_us(decode(&bytes).unwrap().message()), content);
    }

    #[test]
    fn the_view_of_the_client_agrees_too(content in content()) {
        let content = Content { kind: msg::REPLY, elapsed: None, reconfigure_accept: false, oro: None, ..content };
        let bytes = written_by_dhcproto(&content);
        let reply = ServerMessage::decode(&bytes).unwrap();
        let na = reply.ias.iter().filter(|ia| ia.kind == IaKind::Na).map(|ia| {
            (ia.iaid, ia.leases().map(|l| (l.bits, l.preferred_secs, l.valid_secs)).collect())
        });
        prop_assert_eq!(na.collect::<BTreeSet<_>>(), content.na);
        prop_assert_eq!(reply.client_id.map(<[u8]>::to_vec), content.client_id);
        prop_assert_eq!(reply.rapid_commit, content.rapid_commit);
        let timers = Timers { t1_secs: 1, t2_secs: 2 };
        prop_assert!(reply.ias.iter().all(|ia| ia.timers == timers));
    }
}
