//! The codec under any octets: as a server reads a client's datagram, and as a client reads an answer.

use crate::budget::{Budget, Cost, measured};
use leasehold_frontend::codec::relay_encode::ForwardLevel;
use leasehold_frontend::codec::reply::{ServerMessage, unwrap_relay_reply};
use leasehold_frontend::codec::wire::{
    CODES_MAX, DATAGRAM_LEN_MAX, DUID_LEN_MAX, DUID_LEN_MIN, IAS_MAX, OPTIONS_MAX, RELAY_LEVELS_MAX, opt,
};
use leasehold_frontend::codec::{
    ClientMessage, Options, RawOption, RelayChain, Writer, decode, encode_relay_forward, encode_relay_reply,
    validate,
};
use leasehold_frontend::engine::admission::{Class, class_of};

/// Reading one datagram: no allocation but for many IAs and levels, whose lists grow by doubling.
static READ: Budget = Budget::new("reading", Cost { steps: 20_000, allocations: 8, bytes: 16 << 10 });

/// Reads a datagram in every way.
///
/// # Panics
/// When what was read is not as the codec says, or cost too much.
pub fn run(data: &[u8]) {
    as_server(data);
    as_client(data);
}

fn as_server(data: &[u8]) {
    let (class, cost) = measured(|| class_of(data));
    READ.check(cost, 1);
    assert_eq!(cost.allocations, 0, "a glance allocates nothing");
    let (decoded, cost) = measured(|| decode(data));
    READ.check(cost, 1);
    let Ok(decoded) = decoded else { return };
    assert!(data.len() <= DATAGRAM_LEN_MAX);
    let message = decoded.message();
    assert_eq!(class == Class::Soliciting, Class::Soliciting == class_of(&[message.kind.to_wire(), 0, 0, 0]));
    let mut options = 0;
    walk_message(data, message, &mut options);
    if let Some(chain) = decoded.relay() {
        walk_chain(data, chain, &mut options);
        relay_round_trip(chain);
    }
    assert!(options <= usize::from(OPTIONS_MAX), "{options} options");
}

fn is_within(whole: &[u8], part: &[u8]) -> bool {
    let (whole, part) = (whole.as_ptr_range(), part.as_ptr_range());
    whole.start <= part.start && part.end <= whole.end
}

fn walk(data: &[u8], options: &Options<'_>, count: &mut usize) {
    for option in *options {
        assert!(is_within(data, option.data), "a view leaves the datagram");
        *count += 1;
    }
}

fn walk_message(data: &[u8], message: &ClientMessage<'_>, count: &mut usize) {
    walk(data, &message.options, count);
    assert!(message.ias.len() <= IAS_MAX);
    assert!(message.oro.len() <= CODES_MAX);
    for duid in [message.client_id, message.server_id].into_iter().flatten() {
        assert!((DUID_LEN_MIN..=DUID_LEN_MAX).contains(&duid.len()), "SV-106");
        assert!(is_within(data, duid));
    }
    for (at, ia) in message.ias.iter().enumerate() {
        walk(data, &ia.options, count);
        let is_first = message.ias[..at].iter().all(|other| (other.kind, other.iaid) != (ia.kind, ia.iaid));
        assert!(is_first, "SV-110");
        for lease in ia.leases() {
            assert!(lease.len_bits <= 128, "PD-02");
            let host_bits = lease.bits.checked_shl(u32::from(lease.len_bits)).unwrap_or(0);
            assert_eq!(host_bits, 0, "PD-02: host bits are cleared");
            walk(data, &lease.options, count);
        }
    }
    let _ = (
        message.elapsed(),
        validate(message, b"server"),
        validate(message, message.server_id.unwrap_or(b"")),
    );
    assert!(message.oro.iter().all(|code| message.oro.contains(code)));
}

fn walk_chain(data: &[u8], chain: &RelayChain<'_>, count: &mut usize) {
    assert!((1..=RELAY_LEVELS_MAX).contains(&chain.levels().len()), "SV-175");
    assert!(is_within(data, chain.payload()));
    for level in chain.levels() {
        walk(data, &level.options, count);
        let views = [level.interface_id, level.remote_id, level.subscriber_id, level.relay_id];
        assert!(views.into_iter().flatten().all(|view| is_within(data, view)));
        assert!(level.echo_request.len() <= CODES_MAX);
    }
    let _ = (chain.client_link_layer(), chain.link_level(), chain.reply_port(6000));
    assert!(std::ptr::eq(chain.innermost(), &chain.levels()[chain.levels().len() - 1]));
}

/// A Relay-reply fits the way that the message came, and a chain that is written again reads as the same.
fn relay_round_trip(chain: &RelayChain<'_>) {
    let mut out = Vec::with_capacity(DATAGRAM_LEN_MAX);
    let mut writer = Writer::new(&mut out, DATAGRAM_LEN_MAX);
    encode_relay_reply(chain, &mut writer, |w| w.raw(b"inner")).expect("SV-171: not longer than what came");
    let reply = writer.finish().expect("all levels are ended");
    let reply = unwrap_relay_reply(reply).expect("SV-171: what was written can be read");
    assert_eq!(reply.payload, b"inner");
    assert_eq!(reply.levels.len(), chain.levels().len(), "SV-171");
    for (sent, came) in reply.levels.iter().zip(chain.levels()) {
        assert!(sent.header == came.header, "SV-171");
        assert_eq!(sent.options.first(opt::INTERFACE_ID), came.interface_id, "SV-172");
        assert_eq!(
            sent.options.first(opt::RELAY_SOURCE_PORT).is_some(),
            came.relay_source_port.is_some(),
            "SV-173"
        );
    }
    let options: Vec<Vec<RawOption<'_>>> = chain
        .levels()
        .iter()
        .map(|level| level.options.iter().filter(|option| option.code != opt::RELAY_MESSAGE).collect())
        .collect();
    let levels: Vec<ForwardLevel<'_>> = chain
        .levels()
        .iter()
        .zip(&options)
        .map(|(level, options)| ForwardLevel { header: level.header, options })
        .collect();
    let mut again = Vec::new();
    let mut writer = Writer::new(&mut again, DATAGRAM_LEN_MAX);
    encode_relay_forward(&levels, &mut writer, |w| w.raw(chain.payload()))
        .expect("not longer than what came");
    let again = decode(writer.finish().expect("all levels are ended")).expect("what was written can be read");
    let again = again.relay().expect("it is relayed");
    assert_eq!(again.payload(), chain.payload());
    assert!(again.levels().iter().map(|l| l.header).eq(chain.levels().iter().map(|l| l.header)));
}

fn as_client(data: &[u8]) {
    let (reply, cost) = measured(|| ServerMessage::decode(data));
    READ.check(cost, 1);
    if let Ok(reply) = reply {
        let mut options = 0;
        walk(data, &reply.options, &mut options);
        assert!(reply.ias.len() <= IAS_MAX);
        for ia in &reply.ias {
            walk(data, &ia.options, &mut options);
            for lease in ia.leases() {
                assert!(lease.len_bits <= 128, "PD-02");
                let _ = lease.status();
                walk(data, &lease.options, &mut options);
            }
        }
        assert!(options <= usize::from(OPTIONS_MAX), "{options} options");
    }
    let (relay, cost) = measured(|| unwrap_relay_reply(data));
    READ.check(cost, 1);
    if let Ok(relay) = relay {
        assert!((1..=RELAY_LEVELS_MAX).contains(&relay.levels.len()));
        assert!(is_within(data, relay.payload));
        let _ = ServerMessage::decode(relay.payload);
    }
}
