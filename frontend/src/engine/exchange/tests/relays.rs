//! Relay-reply construction: SV-103, SV-134 for relays, SV-171 to SV-175; LQ-07's stored chain.

use super::{Lab, Msg, relayed};
use crate::codec::wire::{SERVER_PORT, msg, opt};
use leasehold_proto::session::ToStore;

#[test]
fn sv_171_sv_172_sv_173_trap_6_each_level_is_mirrored_with_its_own_options() {
    let mut lab = Lab::new();
    let inner = relayed(
        "2001:db8:1::1",
        &[(opt::INTERFACE_ID, b"in"), (opt::RELAY_SOURCE_PORT, &[0, 0])],
        Msg::solicit().na(1, &[]),
    );
    let outer = relayed("::", &[(opt::INTERFACE_ID, b"out"), (opt::RELAY_SOURCE_PORT, &[0x12, 0x34])], inner);
    let answer = lab.send_on(3, "2001:db8:ff::1", 6000, "2001:db8:ff::2", &outer).expect("a Relay-reply");
    assert_eq!((answer.to.address.to_string().as_str(), answer.to.port), ("2001:db8:ff::1", 6000), "SV-103");
    assert_eq!(answer.to.source.map(|s| s.to_string()).as_deref(), Some("2001:db8:ff::2"));
    let levels: Vec<_> = answer
        .levels
        .iter()
        .map(|(header, options)| (header.link_address.to_string(), options.clone()))
        .collect();
    let options = |id: &[u8], port: &[u8]| {
        vec![(opt::INTERFACE_ID, id.to_vec()), (opt::RELAY_SOURCE_PORT, port.to_vec())]
    };
    assert_eq!(
        levels,
        [("::".into(), options(b"out", &[0x12, 0x34])), ("2001:db8:1::1".into(), options(b"in", &[0, 0]))]
    );
    assert!(answer.option(opt::INTERFACE_ID).is_none(), "never in a client message");
    answer.na().one();
}

#[test]
fn sv_103_without_option_135_the_answer_goes_to_port_547() {
    let mut lab = Lab::new();
    let message = relayed("2001:db8:1::1", &[], Msg::solicit().na(1, &[]));
    let answer = lab.send_on(3, "2001:db8:ff::1", 6000, "2001:db8:ff::2", &message).expect("a Relay-reply");
    assert_eq!(answer.to.port, SERVER_PORT);
}

#[test]
fn sv_174_an_echo_request_gets_back_even_unknown_options() {
    let mut lab = Lab::new();
    let wanted = [0, 37, 0x7f, 0xff, 0, 18];
    let options: [(u16, &[u8]); 4] = [
        (opt::ECHO_REQUEST, &wanted),
        (0x7fff, b"?"),
        (opt::REMOTE_ID, &[0, 0, 0, 9, 1]),
        (opt::INTERFACE_ID, b"i"),
    ];
    let answer =
        lab.send_relayed(&relayed("2001:db8:1::1", &options, Msg::solicit().na(1, &[]))).expect("an answer");
    let mut echoed: Vec<u16> = answer.levels[0].1.iter().map(|(code, _)| *code).collect();
    echoed.sort_unstable();
    assert_eq!(echoed, [opt::INTERFACE_ID, opt::REMOTE_ID, 0x7fff]);
}

#[test]
fn sv_175_nine_levels_and_more_are_served() {
    let mut lab = Lab::new();
    let mut message = relayed("2001:db8:1::1", &[], Msg::solicit().na(1, &[]));
    for _ in 1..12 {
        message = relayed("::", &[], message);
    }
    assert_eq!(lab.send_relayed(&message).expect("a Relay-reply").levels.len(), 12);
}

/// Option 66 with what a relay supplies.
fn supplied(options: &[(u16, &[u8])]) -> Vec<u8> {
    let each = options.iter().flat_map(|(code, data)| {
        let len = u16::try_from(data.len()).expect("short");
        [&code.to_be_bytes()[..], &len.to_be_bytes()[..], data].concat()
    });
    each.collect()
}

#[test]
fn sv_176_relay_supplied_options_of_allowed_codes_the_innermost_and_never_before_our_own() {
    let mut wire = super::lab::network();
    wire.relay_supplied = vec![65, opt::DNS_SERVERS.into(), 31];
    let mut lab = Lab::with("fe-a", wire);
    let ask = || Msg::solicit().na(1, &[]).oro(&[65, opt::DNS_SERVERS, 31, opt::NTP_SERVER]);
    let inner = supplied(&[(65, b"inner"), (opt::NTP_SERVER, b"no")]);
    let outer = supplied(&[(65, b"outer"), (31, &[7; 16]), (opt::DNS_SERVERS, &[9; 16])]);
    let chain =
        relayed("::", &[(opt::RSOO, &outer)], relayed("2001:db8:1::1", &[(opt::RSOO, &inner)], ask()));
    let answer = lab.send_relayed(&chain).expect("an Advertise");
    assert_eq!(answer.option(65), Some(b"inner".as_slice()), "of two levels the innermost");
    assert_eq!(answer.option(31), Some([7; 16].as_slice()));
    assert!(answer.option(opt::NTP_SERVER).is_none(), "not on the list");
    assert_ne!(answer.option(opt::DNS_SERVERS), Some([9; 16].as_slice()), "the server's own value wins");
    assert!(answer.option(opt::RSOO).is_none());
    let unasked = relayed("2001:db8:1::1", &[(opt::RSOO, &outer)], Msg::solicit().na(1, &[]));
    assert!(lab.send_relayed(&unasked).expect("an Advertise").option(65).is_none());
}

#[test]
fn sv_176_sv_203_what_nobody_may_ask_for_is_not_supplied_by_relays_either() {
    let mut wire = super::lab::network();
    wire.relay_supplied = vec![14, opt::DNS_SERVERS.into()];
    leasehold_proto::network::fill_defaults(&mut wire);
    let errors =
        leasehold_proto::network::Network::from_wire(&wire).expect_err("Rapid Commit is the server's");
    assert!(errors.iter().any(|error| error.field == "relay_supplied"), "{errors:?}");
}

#[test]
fn sv_111_sv_176_a_relay_supplied_option_that_is_cut_discards_the_message() {
    let mut lab = Lab::new();
    let cut = &supplied(&[(65, b"abc")])[..5];
    assert!(
        lab.send_relayed(&relayed("2001:db8:1::1", &[(opt::RSOO, cut)], Msg::solicit().na(1, &[]))).is_none()
    );
    assert_eq!(lab.discarded(crate::codec::Discard::TruncatedOption), 1);
}

#[test]
fn sv_177_what_a_relay_carries_is_judged_by_its_own_type() {
    use crate::codec::Discard;
    let mut lab = Lab::new();
    for (kind, reason) in [
        (200, Discard::UnknownMessage),
        (msg::REPLY, Discard::ServerMessage),
        (msg::RELAY_REPLY, Discard::ServerMessage),
        (14, Discard::UnsupportedMessage),
    ] {
        let before = lab.discarded(reason);
        assert!(lab.send_relayed(&relayed("2001:db8:1::1", &[], Msg::of(kind))).is_none());
        assert_eq!(lab.discarded(reason), before + 1, "{kind}");
    }
}

#[test]
fn lq_07_the_way_to_a_relayed_client_is_recorded() {
    let mut lab = Lab::new();
    lab.to_store.clear();
    let inner = relayed("2001:db8:1::1", &[(opt::INTERFACE_ID, b"in")], Msg::request().na(1, &[]));
    let outer = relayed("::", &[], inner);
    lab.send_relayed(&outer).expect("a Relay-reply");
    let extra = lab
        .to_store
        .iter()
        .find_map(|message| match message {
            ToStore::Batch(batch) => batch.updates.first().map(|update| update.extra.clone()),
            _ => None,
        })
        .flatten()
        .expect("a promise with relay data");
    let relay = extra.relay.clone().expect("relay data");
    assert_eq!(relay.peer_address, super::lab::ip("fe80::c").to_bits());
    let mut innermost = relayed("2001:db8:1::1", &[(opt::INTERFACE_ID, b"in")], []);
    innermost.truncate(innermost.len() - 4);
    assert_eq!(relay.relay_chain, relayed("::", &[], innermost));
    assert_eq!(relay.relay_chain.first(), Some(&msg::RELAY_FORWARD));
}
