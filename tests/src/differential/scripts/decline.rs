//! Decline: what somebody else uses.

use super::{FAR, OFF_LINK, OTHER_SERVER, Script, script};
use crate::differential::message::{at, code, kind};

pub(super) const SCRIPTS: &[Script] = &[
    script("Decline of an address", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.decline().na(1, &[held]))
    }),
    script("Decline of two addresses in two IAs", |t| {
        let held = t.hold(t.request().na(1, &[]).na(2, &[]))?;
        t.ask(t.decline().na(1, &[held.na(1)?]).na(2, &[held.na(2)?]))
    }),
    script("Decline of one known and one unknown IA", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.decline().na(1, &[held]).na(2, &[at("2001:db8:1:0:1:0:e:60/128")]))
    }),
    script("Decline by an unknown client of a free address", |t| {
        t.ask(t.decline().na(1, &[at("2001:db8:1:0:1:0:e:61/128")]))
    }),
    script("Decline by an unknown client of another's address", |t| {
        t.be(2);
        let taken = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.be(1);
        t.ask(t.decline().na(1, &[taken]))?;
        t.be(2);
        t.ask(t.renew().na(1, &[taken]))
    }),
    script("Decline of an off-link address", |t| t.ask(t.decline().na(1, &[at(OFF_LINK)]))),
    script("Decline of a bound IA, naming no address", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.decline().na(1, &[]))?;
        t.ask(t.renew().na(1, &[held]))
    }),
    script("Decline of a bound IA, naming another address", |t| {
        t.hold(t.request().na(1, &[]))?;
        t.ask(t.decline().na(1, &[at("2001:db8:1:0:1:0:e:62/128")]))
    }),
    script("Decline of an address under another IAID", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.decline().na(2, &[held]))
    }),
    script("Decline of a prefix", |t| {
        let held = t.hold(t.request().pd(1, &[]))?.pd(1)?;
        t.ask(t.decline().pd(1, &[held]))?;
        t.ask(t.renew().pd(1, &[held]))
    }),
    script("Decline of an address and a prefix", |t| {
        let held = t.hold(t.request().na(1, &[]).pd(1, &[]))?;
        t.ask(t.decline().na(1, &[held.na(1)?]).pd(1, &[held.pd(1)?]))
    }),
    script("Decline without any IA", |t| t.ask(t.decline())),
    script("Decline twice with one transaction id", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        let decline = t.decline().na(1, &[held]);
        t.ask(decline.clone())?;
        t.ask(decline)
    }),
    script("Decline, then Solicit", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.hold(t.decline().na(1, &[held]))?;
        t.ask(t.solicit().na(1, &[]))
    }),
    script("Decline, then Request naming the address", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.hold(t.decline().na(1, &[held]))?;
        t.ask(t.request().na(1, &[held]))
    }),
    script("Decline, then another client asks for the address", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.hold(t.decline().na(1, &[held]))?;
        t.be(2);
        t.ask(t.request().na(1, &[held]))
    }),
    script("Decline with options asked for", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.decline().na(1, &[held]).oro(&[code::DNS_SERVERS]))
    }),
    script("Decline behind a relay", |t| {
        t.behind(FAR);
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.decline().na(1, &[held]))
    }),
    script("Decline to another server", |t| {
        t.ask(t.to_all(kind::DECLINE).option(code::SERVER_ID, OTHER_SERVER).na(1, &[at(OFF_LINK)]))
    }),
    script("Decline without Server ID", |t| t.ask(t.to_all(kind::DECLINE).na(1, &[at(OFF_LINK)]))),
    script("Decline without Client ID", |t| {
        t.ask(t.bare(kind::DECLINE).option(code::SERVER_ID, t.server_id()).na(1, &[at(OFF_LINK)]))
    }),
];
