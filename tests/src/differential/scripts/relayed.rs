//! Relays: which link, and what comes back at each level.

use super::{FAR, PORT, Script, script};
use crate::differential::message::{ERP_DOMAIN, LEASEQUERY, Level, code, codes_data, kind, option};
use crate::differential::talk::{Heard, Talk, Way};

/// Asks for an address through relays, the innermost first.
fn solicit(t: &mut Talk<'_>, levels: &[Level]) -> anyhow::Result<Heard> {
    t.go(Way::Relays(levels.to_vec()));
    t.ask(t.solicit().na(1, &[]))
}

/// Relays one behind the other, all but the innermost with the address `::`.
fn chain(count: u8) -> Vec<Level> {
    (0..count).map(|hop| Level::on(if hop == 0 { FAR } else { "::" }).hop(hop)).collect()
}

pub(super) const SCRIPTS: &[Script] = &[
    script("Through one relay", |t| solicit(t, &[Level::on(FAR)])),
    script("Through one relay, all four messages", |t| {
        t.behind(FAR);
        let offer = t.ask(t.solicit().na(1, &[]).pd(1, &[]))?;
        let held = t.ask(t.request().na(1, &[offer.na(1)?]).pd(1, &[offer.pd(1)?]))?;
        t.ask(t.renew().na(1, &[held.na(1)?]).pd(1, &[held.pd(1)?]))?;
        t.ask(t.release().na(1, &[held.na(1)?]).pd(1, &[held.pd(1)?]))
    }),
    script("Through two relays", |t| solicit(t, &[Level::on(FAR), Level::on("2001:db8:1::9").hop(1)])),
    script("Through two relays, both of the client's link", |t| {
        solicit(t, &[Level::on(FAR), Level::on("2001:db8:2::2").hop(1)])
    }),
    script("Through nine relays", |t| solicit(t, &chain(9))),
    script("Through ten relays", |t| solicit(t, &chain(10))),
    script("Through 32 relays", |t| solicit(t, &chain(32))),
    script("Through 33 relays", |t| solicit(t, &chain(33))),
    script("With a hop-count of 255", |t| solicit(t, &[Level::on(FAR).hop(255)])),
    // Which link.
    script("Link-address :: inside, an address outside", |t| {
        solicit(t, &[Level::on("::"), Level::on(FAR).hop(1)])
    }),
    script("Link-address :: at the only level", |t| solicit(t, &[Level::on("::")])),
    script("Link-address of no link", |t| solicit(t, &[Level::on("2001:db8:77::1")])),
    script("Link-address of no link inside, of a link outside", |t| {
        solicit(t, &[Level::on("2001:db8:77::1"), Level::on(FAR).hop(1)])
    }),
    script("Link-address that is link-local", |t| solicit(t, &[Level::on("fe80::1")])),
    script("Link-address that is link-local inside, an address outside", |t| {
        solicit(t, &[Level::on("fe80::1"), Level::on(FAR).hop(1)])
    }),
    script("Interface-Id of a link, link-address ::", |t| {
        solicit(t, &[Level::on("::").option(code::INTERFACE_ID, b"port-6")])
    }),
    script("Interface-Id of a link, link-address of another", |t| {
        solicit(t, &[Level::on(FAR).option(code::INTERFACE_ID, b"port-6")])
    }),
    script("Interface-Id of no link, link-address ::", |t| {
        solicit(t, &[Level::on("::").option(code::INTERFACE_ID, b"port-9")])
    }),
    script("Link-address of a link that has an Interface-Id", |t| solicit(t, &[Level::on(PORT)])),
    // What comes back.
    script("Interface-Id comes back", |t| {
        solicit(t, &[Level::on(FAR).option(code::INTERFACE_ID, [0, 255, 7])])
    }),
    script("Interface-Ids come back at two levels", |t| {
        let outer = Level::on("::").hop(1).option(code::INTERFACE_ID, b"outer");
        solicit(t, &[Level::on(FAR).option(code::INTERFACE_ID, b"inner"), outer])
    }),
    script("Interface-Id at the outer level only", |t| {
        solicit(t, &[Level::on(FAR), Level::on("::").hop(1).option(code::INTERFACE_ID, b"outer")])
    }),
    script("An empty Interface-Id", |t| solicit(t, &[Level::on(FAR).option(code::INTERFACE_ID, [])])),
    script("Interface-Id twice at one level", |t| {
        solicit(t, &[Level::on(FAR).option(code::INTERFACE_ID, b"one").option(code::INTERFACE_ID, b"two")])
    }),
    script("Interface-Id of 255 octets", |t| {
        solicit(t, &[Level::on(FAR).option(code::INTERFACE_ID, [b'x'; 255])])
    }),
    script("Interface-Id in the client's message", |t| {
        t.behind(FAR);
        t.ask(t.solicit().option(code::INTERFACE_ID, b"mine").na(1, &[]))
    }),
    script("Remote-Id, Subscriber-Id, Relay-Id", |t| {
        let level = Level::on(FAR)
            .option(code::REMOTE_ID, [0, 0, 9, 191, 1, 2])
            .option(code::SUBSCRIBER_ID, b"line 7")
            .option(code::RELAY_ID, [0, 3, 0, 1, 2, 0, 0, 0, 0, 1]);
        solicit(t, &[level])
    }),
    script("An unknown option of a relay", |t| solicit(t, &[Level::on(FAR).option(65_000, [1, 2])])),
    script("Client Link-Layer Address", |t| {
        solicit(t, &[Level::on(FAR).option(code::CLIENT_LINKLAYER_ADDR, [0, 1, 2, 0, 0, 0, 0, 7])])
    }),
    script("Client Link-Layer Address in the client's message", |t| {
        t.behind(FAR);
        t.ask(t.solicit().option(code::CLIENT_LINKLAYER_ADDR, [0, 1, 2, 0, 0, 0, 0, 7]).na(1, &[]))
    }),
    // Echo Request.
    script("Echo Request for Remote-Id and Subscriber-Id", |t| {
        let level = Level::on(FAR)
            .option(code::ECHO_REQUEST, codes_data(&[code::REMOTE_ID, code::SUBSCRIBER_ID]))
            .option(code::REMOTE_ID, [0, 0, 9, 191, 1, 2])
            .option(code::SUBSCRIBER_ID, b"line 7");
        solicit(t, &[level])
    }),
    script("Echo Request for an unknown option", |t| {
        let level = Level::on(FAR).option(code::ECHO_REQUEST, codes_data(&[65_000])).option(65_000, [1, 2]);
        solicit(t, &[level])
    }),
    script("Echo Request for what is not there", |t| {
        solicit(t, &[Level::on(FAR).option(code::ECHO_REQUEST, codes_data(&[code::REMOTE_ID]))])
    }),
    script("Echo Request for Interface-Id", |t| {
        let level = Level::on(FAR)
            .option(code::ECHO_REQUEST, codes_data(&[code::INTERFACE_ID]))
            .option(code::INTERFACE_ID, b"seven");
        solicit(t, &[level])
    }),
    script("Echo Request for the Relay Message and for itself", |t| {
        let codes = codes_data(&[code::RELAY_MESSAGE, code::ECHO_REQUEST]);
        solicit(t, &[Level::on(FAR).option(code::ECHO_REQUEST, codes)])
    }),
    script("Echo Request at the outer level", |t| {
        let outer = Level::on("::")
            .hop(1)
            .option(code::ECHO_REQUEST, codes_data(&[code::REMOTE_ID]))
            .option(code::REMOTE_ID, [0, 0, 9, 191, 3]);
        solicit(t, &[Level::on(FAR).option(code::REMOTE_ID, [0, 0, 9, 191, 4]), outer])
    }),
    // Relay Source Port.
    script("Relay Source Port at the outermost level", |t| {
        t.go(Way::RelaysFromOddPort(vec![Level::on(FAR).option(code::RELAY_SOURCE_PORT, [0, 0])]));
        t.ask(t.solicit().na(1, &[]))
    }),
    script("Relay Source Port at the outermost of two levels", |t| {
        let outer = Level::on("::").hop(1).option(code::RELAY_SOURCE_PORT, [0, 0]);
        t.go(Way::RelaysFromOddPort(vec![Level::on(FAR), outer]));
        t.ask(t.solicit().na(1, &[]))
    }),
    script("Relay Source Port at both levels", |t| {
        let outer = Level::on("::").hop(1).option(code::RELAY_SOURCE_PORT, [0x10, 0]);
        t.go(Way::RelaysFromOddPort(vec![Level::on(FAR).option(code::RELAY_SOURCE_PORT, [0, 0]), outer]));
        t.ask(t.solicit().na(1, &[]))
    }),
    script("Relay Source Port at the inner level only", |t| {
        solicit(t, &[Level::on(FAR).option(code::RELAY_SOURCE_PORT, [0, 0]), Level::on("::").hop(1)])
    }),
    script("Another source port without the option", |t| {
        t.go(Way::RelaysFromOddPort(vec![Level::on(FAR)]));
        t.ask(t.solicit().na(1, &[]))
    }),
    // Relay-supplied options.
    script("Relay-supplied ERP domain, asked for", |t| {
        let supplied = option(ERP_DOMAIN, b"\x07example\x03org\0");
        t.go(Way::Relays(vec![Level::on(FAR).option(code::RSOO, supplied)]));
        t.ask(t.solicit().na(1, &[]).oro(&[ERP_DOMAIN]))
    }),
    script("Relay-supplied ERP domain, not asked for", |t| {
        let supplied = option(ERP_DOMAIN, b"\x07example\x03org\0");
        solicit(t, &[Level::on(FAR).option(code::RSOO, supplied)])
    }),
    script("Relay-supplied ERP domains at two levels", |t| {
        let level = |link, name: &[u8]| Level::on(link).option(code::RSOO, option(ERP_DOMAIN, name));
        let levels = vec![level(FAR, b"\x05inner\0"), level("::", b"\x05outer\0").hop(1)];
        t.go(Way::Relays(levels));
        t.ask(t.solicit().na(1, &[]).oro(&[ERP_DOMAIN]))
    }),
    script("Relay-supplied option that a relay may not supply", |t| {
        let supplied = option(22, [0x20; 16]);
        t.go(Way::Relays(vec![Level::on(FAR).option(code::RSOO, supplied)]));
        t.ask(t.solicit().na(1, &[]).oro(&[22]))
    }),
    script("Relay-supplied DNS servers", |t| {
        let supplied = option(code::DNS_SERVERS, [0x20; 16]);
        t.go(Way::Relays(vec![Level::on(FAR).option(code::RSOO, supplied)]));
        t.ask(t.solicit().na(1, &[]).oro(&[code::DNS_SERVERS]))
    }),
    // What is inside.
    script("An Information-request through a relay", |t| {
        t.behind(FAR);
        t.ask(t.information().oro(&[code::DNS_SERVERS]))
    }),
    script("A Reply inside a Relay-forward", |t| {
        t.behind(FAR);
        t.ask(t.to_server(kind::REPLY).na(1, &[]))
    }),
    script("A Relay-reply inside a Relay-forward", |t| {
        t.behind(FAR);
        t.ask(t.bare(kind::RELAY_REPLY).raw([0; 30]).option(code::RELAY_MESSAGE, [1, 0, 0, 1]))
    }),
    script("A message of unknown type inside a Relay-forward", |t| {
        t.behind(FAR);
        t.ask(t.to_all(200).na(1, &[]))
    }),
    script("A Leasequery inside a Relay-forward", |t| {
        t.behind(FAR);
        t.ask(t.to_all(LEASEQUERY))
    }),
];
