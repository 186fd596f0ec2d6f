//! The corpora that are kept in the repository: made here, so that they can be made again when a form changes.
//!
//! `LEASEHOLD_FUZZ_SEEDS=folder` in the environment of a target has it write the seeds of all targets into that folder
//! (`decode/`, `engine/`, `config/`) instead of fuzzing. Inputs that fuzzing found lie beside them under other names.

use crate::networks::{self, OTHER_SERVER_DUID, SERVER_DUID};
use leasehold_frontend::codec::wire::{DATAGRAM_LEN_MAX, msg, opt};
use leasehold_frontend::codec::{
    EncodeError, IaKind, LeaseTimes, RawOption, RelayHeader, Timers, TransactionId, Writer,
    encode_relay_forward, relay_encode::ForwardLevel,
};
use leasehold_proto::v1;
use prost::Message;
use std::net::Ipv6Addr;
use std::path::Path;

const CLIENT_DUID: &[u8] = &[0, 3, 0, 1, 2, 0, 0, 0, 0, 1];
const TIMES: LeaseTimes = LeaseTimes { preferred_secs: 3_600, valid_secs: 7_200 };

/// Writes all seeds and ends the process, if the environment says so.
///
/// # Panics
/// When a file cannot be written.
pub fn write_if_asked() {
    let Some(folder) = std::env::var_os("LEASEHOLD_FUZZ_SEEDS") else { return };
    let folder = Path::new(&folder);
    for (target, seeds) in [("decode", messages()), ("engine", scripts()), ("config", configurations())] {
        let folder = folder.join(target);
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        for (name, octets) in seeds {
            std::fs::write(folder.join(&name), octets).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    std::process::exit(0);
}

fn build(kind: u8, fill: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, DATAGRAM_LEN_MAX);
    let written = writer.message(kind, TransactionId([1, 2, 3])).and_then(|()| fill(&mut writer));
    written.expect("a seed can be written");
    out
}

fn address(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

/// Every option that a client may send, each once.
fn every_option(w: &mut Writer<'_>) -> Result<(), EncodeError> {
    w.code_list(opt::ORO, &[23, 24, 31, 32, 56, 59, 67, 82, 83, 103])?;
    w.option_u16(opt::ELAPSED_TIME, 250)?;
    w.option(opt::RAPID_COMMIT, &[])?;
    w.option(opt::RECONF_ACCEPT, &[])?;
    w.option(opt::AUTH, &[3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2])?;
    w.option(opt::USER_CLASS, &[0, 2, b'u', b'c'])?;
    w.option(opt::VENDOR_CLASS, &[0, 0, 1, 1, 0, 2, b'v', b'c'])?;
    w.option(opt::VENDOR_OPTS, &[0, 0, 1, 1, 0, 1, 0, 1, 9])?;
    w.option(opt::CLIENT_FQDN, b"\x01\x04host\x07example\0")?;
    w.option(opt::CLIENT_ARCH_TYPE, &[0, 7])?;
    w.option(opt::CLIENT_NII, &[1, 3, 16])?;
    w.option(opt::IA_TA, &[0, 0, 0, 1])?;
    w.option(0xfff0, b"unknown")
}

fn ias(w: &mut Writer<'_>) -> Result<(), EncodeError> {
    w.begin_ia(IaKind::Na, 1, Timers::default())?;
    w.begin_ia_address(address("2001:db8:1::1042").to_bits(), TIMES)?;
    w.status_code(0, "ok")?;
    w.end_option()?;
    w.end_option()?;
    w.begin_ia(IaKind::Pd, 1, Timers::default())?;
    w.ia_prefix(address("2001:db8:8000:100::").to_bits(), 56, TIMES)?;
    w.ia_prefix(0, 60, TIMES)?;
    w.end_option()
}

fn relayed(levels: usize, options: &[RawOption<'_>], inner: &[u8]) -> Vec<u8> {
    let header = |level: usize| RelayHeader {
        hop_count: u8::try_from(levels - level - 1).unwrap_or(u8::MAX),
        link_address: address(if level + 1 == levels { "2001:db8:1::1" } else { "::" }),
        peer_address: address("fe80::c"),
    };
    let levels: Vec<ForwardLevel<'_>> =
        (0..levels).map(|level| ForwardLevel { header: header(level), options }).collect();
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, DATAGRAM_LEN_MAX);
    encode_relay_forward(&levels, &mut writer, |w| w.raw(inner)).expect("a seed can be written");
    out
}

/// One message of each type, alone, with every option, and relayed; answers; and what is at the bounds.
#[must_use]
pub fn messages() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let to_server = [msg::REQUEST, msg::RENEW, msg::RELEASE, msg::DECLINE];
    for kind in (0..=15).chain([37, 200]) {
        let plain = build(kind, |w| {
            w.option(opt::CLIENT_ID, CLIENT_DUID)?;
            if to_server.contains(&kind) {
                w.option(opt::SERVER_ID, SERVER_DUID)?;
            }
            if kind == msg::INFORMATION_REQUEST { Ok(()) } else { ias(w) }
        });
        all.push((format!("message-{kind}"), plain));
    }
    let rich = build(msg::SOLICIT, |w| {
        w.option(opt::CLIENT_ID, CLIENT_DUID)?;
        every_option(w)?;
        ias(w)
    });
    let request = build(msg::REQUEST, |w| {
        w.option(opt::CLIENT_ID, CLIENT_DUID)?;
        w.option(opt::SERVER_ID, SERVER_DUID)?;
        every_option(w)?;
        ias(w)
    });
    let options = [
        RawOption { code: opt::INTERFACE_ID, data: b"port-7" },
        RawOption { code: opt::CLIENT_LINKLAYER_ADDR, data: &[0, 1, 2, 0, 0, 0, 0, 1] },
        RawOption { code: opt::REMOTE_ID, data: &[0, 0, 0, 9, 7] },
        RawOption { code: opt::SUBSCRIBER_ID, data: b"subscriber" },
        RawOption { code: opt::RELAY_ID, data: &[0, 3, 0, 1, 9] },
        RawOption { code: opt::RELAY_SOURCE_PORT, data: &[0, 0] },
        RawOption { code: opt::RSOO, data: &[0, 65, 0, 4, 1, b'a', 0, 0] },
        RawOption { code: opt::ECHO_REQUEST, data: &[0, 37, 0, 18, 0, 9, 0xff, 0xf0] },
        RawOption { code: 0xfff0, data: b"echo me" },
    ];
    for levels in [1, 2, 9, 32, 33] {
        all.push((format!("relayed-{levels}"), relayed(levels, &[], &request)));
    }
    all.push(("relayed-rich".into(), relayed(2, &options, &rich)));
    all.push(("relayed-rich-request".into(), relayed(1, &options, &request)));
    all.push(("rich".into(), rich));
    all.push(("rich-request".into(), request));
    all.push(("answer".into(), build(msg::REPLY, reply)));
    all.push(("answer-advertise".into(), build(msg::ADVERTISE, reply)));
    let mut answer = relayed(2, &[], &build(msg::REPLY, reply));
    for at in [0, 38] {
        answer[at] = msg::RELAY_REPLY;
    }
    all.push(("answer-relayed".into(), answer));
    all.push(("bound-ias".into(), build(msg::REQUEST, many_ias)));
    all.push(("bound-codes".into(), build(msg::SOLICIT, |w| w.code_list(opt::ORO, &[24; 256]))));
    // Each option is looked for in the longest list of codes.
    let codes: Vec<u8> = (0..256u16).flat_map(u16::to_be_bytes).collect();
    let mut echo = vec![RawOption { code: 0xfff0, data: &[] }; 240];
    echo.push(RawOption { code: opt::ECHO_REQUEST, data: &codes });
    all.push(("bound-echo".into(), relayed(1, &echo, &build(msg::SOLICIT, ias_of_client))));
    let many_leases = |w: &mut Writer<'_>| {
        w.option(opt::CLIENT_ID, CLIENT_DUID)?;
        w.begin_ia(IaKind::Na, 1, Timers::default())?;
        for n in 0..250 {
            w.ia_address(address("2001:db8:1::1042").to_bits() + n, TIMES)?;
        }
        w.end_option()
    };
    all.push(("bound-leases".into(), build(msg::REBIND, many_leases)));
    all
}

fn ias_of_client(w: &mut Writer<'_>) -> Result<(), EncodeError> {
    w.option(opt::CLIENT_ID, CLIENT_DUID)?;
    ias(w)
}

fn reply(w: &mut Writer<'_>) -> Result<(), EncodeError> {
    w.option(opt::CLIENT_ID, CLIENT_DUID)?;
    w.option(opt::SERVER_ID, OTHER_SERVER_DUID)?;
    w.option_u8(opt::PREFERENCE, 255)?;
    w.option(opt::RAPID_COMMIT, &[])?;
    w.status_code(4, "not on this link")?;
    ias(w)?;
    w.option(opt::DNS_SERVERS, &address("2001:db8::53").octets())?;
    w.option(opt::DOMAIN_LIST, b"\x07example\x03com\0")
}

fn many_ias(w: &mut Writer<'_>) -> Result<(), EncodeError> {
    w.option(opt::CLIENT_ID, &[7; 130])?;
    w.option(opt::SERVER_ID, SERVER_DUID)?;
    for iaid in 0..32 {
        w.begin_ia(if iaid % 2 == 0 { IaKind::Na } else { IaKind::Pd }, iaid, Timers::default())?;
        w.end_option()?;
    }
    Ok(())
}

/// A step of a script: how the datagram comes, and the parts of its message (`message::build`).
fn packet(arrival: [u8; 4], kind: u8, parts: &[&[u8]], levels: &[&[u8]]) -> Vec<u8> {
    let mut step = vec![0];
    step.extend(arrival);
    step.extend([kind, 1, u8::try_from(parts.len()).unwrap_or(u8::MAX)]);
    step.extend(parts.concat());
    step.push(u8::try_from(levels.len()).unwrap_or(u8::MAX));
    step.extend(levels.concat());
    step
}

/// Clients' lives, and one thing that happens in the midst of each.
fn scripts() -> Vec<(String, Vec<u8>)> {
    const DIRECT: [u8; 4] = [0, 0, 0, 0];
    const BY_RELAY: [u8; 4] = [5, 1, 2, 3];
    const CLIENT: &[u8] = &[0, 0];
    const SERVER: &[u8] = &[1, 0];
    // In the order of `message::build`'s kinds.
    let [solicit, request, confirm, renew, rebind, release, decline, information] = [0, 1, 2, 3, 4, 5, 6, 7];
    // IAs that name what was given last, and none.
    const GIVEN_NA: &[u8] = &[3, 1, 1, 128];
    const EMPTY_NA: &[u8] = &[3, 1, 0];
    const EMPTY_PD: &[u8] = &[5, 1, 0];
    const COMMIT: &[u8] = &[14];
    let direct = |kind, parts: &[&[u8]]| packet(DIRECT, kind, parts, &[]);
    let life = |middle: &[u8]| {
        [
            vec![0, 0],
            direct(solicit, &[CLIENT, EMPTY_NA, EMPTY_PD, &[8, 2, 23, 24, 0, 0, 0, 0, 0, 0]]),
            direct(request, &[CLIENT, SERVER, EMPTY_NA]),
            COMMIT.to_vec(),
            middle.to_vec(),
            direct(renew, &[CLIENT, SERVER, GIVEN_NA]),
            direct(rebind, &[CLIENT, GIVEN_NA]),
            direct(confirm, &[CLIENT, GIVEN_NA]),
            direct(information, &[CLIENT]),
            vec![18, 3, 0],
            direct(decline, &[CLIENT, SERVER, GIVEN_NA]),
            direct(release, &[CLIENT, SERVER, GIVEN_NA]),
            COMMIT.to_vec(),
        ]
        .concat()
    };
    let mut all = vec![("life".to_owned(), life(&[]))];
    let middles: [(&str, &[u8]); 20] = [
        ("refused", &[17, 3, 1, 1, 1]),
        ("late", &[19, 200, 20]),
        ("lease-of-another", &[21, 0, 1, 1, 0, 0]),
        ("lease-expired", &[21, 0, 0, 1, 1, 0]),
        ("range-closed", &[22, 0, 0, 3, 0]),
        ("dry", &[23, 0, 0]),
        ("draining", &[23, 0, 3]),
        ("pool-removed", &[24, 1]),
        ("link-removed", &[24, 3]),
        ("commit-wait", &[24, 4]),
        ("other-partners", &[24, 14]),
        ("short-lifetimes", &[24, 15]),
        ("sparse", &[24, 13, 22, 3, 0, 0, 1]),
        ("partner-lost", &[25, 1, 0, 0, 0]),
        ("resumed", &[28, 0, 1, 0]),
        ("loads-anew", &[28, 0, 0, 0, 27, 1, 0, 0, 1, 0, 0, 1]),
        ("superseded", &[30, 0]),
        ("clock-jumped", &[30, 1]),
        ("stops", &[30, 2]),
        ("interfaces-gone", &[31, 2]),
    ];
    all.extend(middles.map(|(name, middle)| (name.to_owned(), life(middle))));
    for network in 0..networks::COUNT {
        let mut script = life(&[18, 1, 0]);
        script[1] = network;
        all.push((format!("network-{network}"), script));
    }
    // The secondary leaves a client to its partner, which is lost.
    let mut secondary = life(&[25, 0, 0, 0, 0]);
    secondary[0] = 1;
    all.push(("secondary".to_owned(), secondary));
    // The load has not begun: clients are looked up.
    let mut loading = life(&[26, 1, 0, 0, 0, 0, 0, 27, 0, 1]);
    loading[0] = 2;
    all.push(("loading".to_owned(), loading));
    let level: &[u8] = &[0, 2, 1, 0, 32];
    let levels: Vec<&[u8]> = vec![level; 3];
    let by_relay = packet(BY_RELAY, request, &[CLIENT, SERVER, EMPTY_NA, EMPTY_PD], &levels);
    all.push(("relayed".to_owned(), [vec![0, 0], by_relay, vec![13, 0], COMMIT.to_vec()].concat()));
    // A relay whose options are long: what is kept of them is bounded.
    let long: &[u8] = &[0, 2, 1, 15, 255];
    let by_relay = packet(BY_RELAY, request, &[CLIENT, SERVER, EMPTY_NA], &[long, long]);
    all.push(("relayed-long".to_owned(), [vec![0, 0], by_relay, COMMIT.to_vec()].concat()));
    // Many clients behind such relays.
    let longer: &[u8] = &[0, 2, 3, 15, 255, 15, 255, 15, 255];
    let mut hoard = vec![0, 0];
    for client in 0..100 {
        hoard.extend(packet(BY_RELAY, request, &[&[2, 0, 6, client], SERVER, EMPTY_NA], &[longer, long]));
    }
    all.push(("relayed-hoard".to_owned(), hoard));
    // As many leases as a message can name: of a pool, and of none.
    for (name, network, choice) in
        [("many-leases", 0, 239), ("many-strange-leases", 0, 255), ("many-pools", 24, 255)]
    {
        let named = [&[18, 0, 250][..], &[choice; 250]].concat();
        let ways = [direct(renew, &[CLIENT, SERVER, &named]), direct(rebind, &[CLIENT, &named])];
        all.push((name.to_owned(), [vec![0, network], ways.concat()].concat()));
    }
    let as_is = |arrival: [u8; 4], message: &[u8]| {
        let length = u16::try_from(message.len()).unwrap_or(0).to_be_bytes();
        [&[12][..], &arrival, &length, message].concat()
    };
    let mut raw = vec![0, 0];
    for (name, message) in messages() {
        if name.starts_with("bound") {
            all.push((name, [vec![0, 0], as_is(BY_RELAY, &message), as_is(DIRECT, &message)].concat()));
        } else if message.len() < 300 {
            raw.extend(as_is(DIRECT, &message));
        }
    }
    all.push(("raw".to_owned(), raw));
    all
}

/// The configurations of the engine's target, as written, and one that leaves its relationships to the store.
fn configurations() -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = (0..networks::MANY_POOLS)
        .map(|n| (format!("network-{n}"), networks::written(n).encode_to_vec()))
        .collect();
    let mut auto = networks::written(0);
    auto.relationships.clear();
    auto.auto = Some(v1::Auto {
        frontends: vec!["fe-a".into(), "fe-b".into(), "fe-c".into()],
        shards: 4,
        ..v1::Auto::default()
    });
    all.push(("auto".to_owned(), auto.encode_to_vec()));
    all.push(("empty".to_owned(), Vec::new()));
    all
}
