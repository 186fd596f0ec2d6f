//! Requirements 3.2 as the engine applies them: silence and one count by reason.

use super::lab::{CLIENT, OTHER_SERVER_DUID};
use super::{Lab, Msg, relayed};
use crate::codec::Discard;
use crate::codec::wire::msg;
use crate::engine::{Engine, Limits, Packet, Settings};

#[test]
fn sv_131_invalid_messages_are_discarded_in_silence_by_reason() {
    let mut lab = Lab::new();
    let cases: Vec<(Msg, Discard)> = vec![
        (Msg::bare(msg::SOLICIT).na(1, &[]), Discard::NoClientId),
        (Msg::to_server(msg::SOLICIT).na(1, &[]), Discard::UnexpectedServerId),
        (Msg::of(msg::REQUEST).na(1, &[]), Discard::NoServerId),
        (Msg::bare(msg::RENEW).server(super::lab::SERVER_DUID), Discard::NoClientId),
        (Msg::of(msg::RENEW).server(OTHER_SERVER_DUID).na(1, &[]), Discard::OtherServer),
        (Msg::of(msg::RELEASE), Discard::NoServerId),
        (Msg::of(msg::DECLINE), Discard::NoServerId),
        (Msg::to_server(msg::REBIND), Discard::UnexpectedServerId),
        (Msg::to_server(msg::CONFIRM), Discard::UnexpectedServerId),
        (Msg::of(msg::INFORMATION_REQUEST).na(1, &[]), Discard::IaInInformationRequest),
        (Msg::of(msg::INFORMATION_REQUEST).server(OTHER_SERVER_DUID), Discard::OtherServer),
        (Msg::of(msg::ADVERTISE), Discard::ServerMessage),
        (Msg::of(msg::REPLY), Discard::ServerMessage),
        (Msg::of(200), Discard::UnknownMessage),
        (Msg::of(msg::SOLICIT).opt(8, &[1]), Discard::BadOptionLength),
    ];
    for (message, reason) in cases {
        let before = lab.discarded(reason);
        assert!(lab.send(message).is_none(), "{reason:?}");
        assert_eq!(lab.discarded(reason), before + 1, "{reason:?}");
    }
}

#[test]
fn sv_134_direct_unicast_is_discarded_and_relayed_unicast_is_not() {
    let mut lab = Lab::new();
    let message = Msg::solicit().na(1, &[]);
    assert!(lab.send_on(1, CLIENT, 546, "2001:db8:1::2", message.as_ref()).is_none());
    assert_eq!(lab.discarded(Discard::UnicastDestination), 1);
    let through_relay = relayed("2001:db8:1::1", &[], message);
    assert!(lab.send_on(1, "2001:db8:1::1", 547, "2001:db8:1::2", &through_relay).is_some());
}

#[test]
fn without_a_configuration_there_is_silence() {
    let settings =
        Settings { frontend: super::lab::frontend("fe-a"), hash_key: [0; 16], limits: Limits::default() };
    let mut engine = Engine::new(settings);
    let message = Msg::solicit().na(1, &[]);
    let packet = Packet {
        bytes: message.as_ref(),
        source: super::lab::ip(CLIENT),
        source_port: 546,
        destination: super::lab::ip("ff02::1:2"),
        interface_index: 1,
    };
    let mut sink = super::lab::Sink::default();
    engine.handle(leasehold_proto::time::LocalTime::ZERO, &packet, &mut sink);
    assert!(sink.sent.is_empty());
    assert_eq!(engine.counters().discarded(Discard::NoConfiguration), 1);
}
