//! Relay messages that are not sound, or not quite. They are written whole and so sent as if by no relay: the way adds
//! one level of its own, which is sound.

use super::{FAR, Script, script};
use crate::differential::message::{Level, Message, code, kind, option, option_claiming};
use crate::differential::talk::{Heard, Talk};

/// Sends an inner level that is not sound, inside one that is.
fn inside(t: &mut Talk<'_>, inner: Message) -> anyhow::Result<Heard> {
    t.behind("::");
    t.ask(inner)
}

/// A Relay-forward header without any option.
fn header() -> Message {
    Message::exactly(&[&[kind::RELAY_FORWARD][..], &[0; 33]].concat())
}

/// A Solicit through a relay, with an option of the relay's.
fn solicit_with(t: &mut Talk<'_>, code: u16, data: &[u8]) -> anyhow::Result<Heard> {
    let inner = t.solicit().na(1, &[]);
    inside(t, Message::relayed(&Level::on(FAR).option(code, data), &inner))
}

pub(super) const SCRIPTS: &[Script] = &[
    script("A relay header that is cut", |t| inside(t, header().cut(20))),
    script("A relay header of 33 octets", |t| inside(t, header().cut(33))),
    script("A Relay-forward without Relay Message", |t| inside(t, header())),
    script("A Relay-forward with Interface-Id alone", |t| {
        inside(t, header().option(code::INTERFACE_ID, b"x"))
    }),
    script("A Relay Message of 0 octets", |t| inside(t, header().option(code::RELAY_MESSAGE, []))),
    script("A Relay Message of 3 octets", |t| inside(t, header().option(code::RELAY_MESSAGE, [1, 0, 0]))),
    script("A Relay Message that is cut", |t| {
        let whole = Message::relayed(&Level::on(FAR), &t.solicit().na(1, &[]));
        let length = whole.bytes().len();
        inside(t, whole.cut(length - 3))
    }),
    script("A Relay Message that claims 65535 octets", |t| {
        inside(t, header().raw(option_claiming(code::RELAY_MESSAGE, 65_535, t.solicit().bytes())))
    }),
    script("Two Relay Messages", |t| {
        let second = t.solicit().na(2, &[]);
        let first = t.solicit().na(1, &[]);
        inside(t, Message::relayed(&Level::on(FAR), &first).option(code::RELAY_MESSAGE, second.bytes()))
    }),
    script("A cut option behind the Relay Message", |t| {
        let whole = Message::relayed(&Level::on(FAR), &t.solicit().na(1, &[]));
        inside(t, whole.raw([0, 18, 0, 9, 1]))
    }),
    script("A cut option before the Relay Message", |t| {
        let solicit = t.solicit().na(1, &[]);
        let body = option(code::RELAY_MESSAGE, solicit.bytes());
        inside(t, header().raw(option_claiming(code::INTERFACE_ID, 65_000, &body)))
    }),
    script("A Relay-forward in a Relay-reply", |t| {
        let inner = Message::relayed(&Level::on(FAR), &t.solicit().na(1, &[]));
        let outer = Message::exactly(&[&[kind::RELAY_REPLY][..], &[0; 33]].concat());
        inside(t, outer.option(code::RELAY_MESSAGE, inner.bytes()))
    }),
    script("A Remote-Id of 3 octets", |t| solicit_with(t, code::REMOTE_ID, &[0, 0, 9])),
    script("A Remote-Id of 4 octets", |t| solicit_with(t, code::REMOTE_ID, &[0, 0, 9, 191])),
    script("A Client Link-Layer Address of 1 octet", |t| solicit_with(t, code::CLIENT_LINKLAYER_ADDR, &[0])),
    script("An Echo Request of odd length", |t| solicit_with(t, code::ECHO_REQUEST, &[0, 37, 0])),
    script("A Relay Source Port of 1 octet", |t| solicit_with(t, code::RELAY_SOURCE_PORT, &[0])),
    script("Relay-supplied options that are cut", |t| solicit_with(t, code::RSOO, &[0, 65, 0, 9, 1])),
    script("A Subscriber-Id of 0 octets", |t| solicit_with(t, code::SUBSCRIBER_ID, &[])),
    script("A Relay-Id of 0 octets", |t| solicit_with(t, code::RELAY_ID, &[])),
];
