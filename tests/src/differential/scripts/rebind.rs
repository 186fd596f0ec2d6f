//! Rebind: as Renew, to any server.

use super::{FAR, FULL, NO_POOL, NO_PREFIX_POOL, OFF_LINK, OTHER_SERVER, Script, script};
use crate::differential::message::{at, code, kind};
use crate::differential::talk::Way;

pub(super) const SCRIPTS: &[Script] = &[
    script("Rebind of an address", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.rebind().na(1, &[held]))
    }),
    script("Rebind of an address and a prefix, with options", |t| {
        let held = t.hold(t.request().na(1, &[]).pd(1, &[]))?;
        t.ask(t.rebind().na(1, &[held.na(1)?]).pd(1, &[held.pd(1)?]).oro(&[code::DNS_SERVERS]))
    }),
    script("Rebind of an IA, naming no address", |t| {
        t.hold(t.request().na(1, &[]))?;
        t.ask(t.rebind().na(1, &[]))
    }),
    script("Rebind without any IA", |t| {
        t.hold(t.request().na(1, &[]))?;
        t.ask(t.rebind())
    }),
    script("Rebind with an IA_NA more", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.rebind().na(1, &[held]).na(2, &[]))
    }),
    script("Rebind with an IA_NA more where Rapid Commit is on", |t| {
        t.behind(FAR);
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.rebind().na(1, &[held]).na(2, &[]))
    }),
    script("Rebind of an address and an off-link one", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.rebind().na(1, &[held, at(OFF_LINK)]))
    }),
    script("Rebind of an address and another client's", |t| {
        t.be(2);
        let taken = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.be(1);
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.rebind().na(1, &[held, taken]))
    }),
    script("Rebind of a prefix, hinting at another length", |t| {
        let held = t.hold(t.request().pd(1, &[]))?.pd(1)?;
        t.ask(t.rebind().pd(1, &[held, at("::/60")]))
    }),
    script("Rebind by an unknown client, naming no address", |t| t.ask(t.rebind().na(1, &[]))),
    script("Rebind by an unknown client of a free address", |t| {
        t.ask(t.rebind().na(1, &[at("2001:db8:1:0:1:0:e:40/128")]))
    }),
    script("Rebind by an unknown client where Rapid Commit is on", |t| {
        t.behind(FAR);
        t.ask(t.rebind().na(1, &[at("2001:db8:2:0:1:0:e:40/128")]))
    }),
    script("Rebind by an unknown client of a free prefix", |t| {
        t.ask(t.rebind().pd(1, &[at("2001:db8:1f00:4000::/56")]))
    }),
    script("Rebind by an unknown client of another's address", |t| {
        t.be(2);
        let taken = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.be(1);
        t.ask(t.rebind().na(1, &[taken]))
    }),
    script("Rebind by an unknown client of an address outside the pools", |t| {
        t.ask(t.rebind().na(1, &[at(NO_POOL)]))
    }),
    script("Rebind by an unknown client of an off-link address", |t| {
        t.ask(t.rebind().na(1, &[at(OFF_LINK)]))
    }),
    script("Rebind by an unknown client of a prefix outside the pools", |t| {
        t.ask(t.rebind().pd(1, &[at(NO_PREFIX_POOL)]))
    }),
    script("Rebind by an unknown client on a full link", |t| {
        t.behind(FULL);
        t.ask(t.rebind().na(1, &[]))
    }),
    script("Rebind after Release", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.hold(t.release().na(1, &[held]))?;
        t.ask_and_wait(t.rebind().na(1, &[held]))
    }),
    script("Rebind after Decline", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.hold(t.decline().na(1, &[held]))?;
        t.ask(t.rebind().na(1, &[held]))
    }),
    script("Rebind from another link", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.behind(FAR);
        t.ask(t.rebind().na(1, &[held]))
    }),
    script("Rebind from a link that is not configured", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.behind("2001:db8:77::1");
        t.ask(t.rebind().na(1, &[held]))
    }),
    script("Rebind with Server ID", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.to_server(kind::REBIND).na(1, &[held]))
    }),
    script("Rebind with another server's ID", |t| {
        t.ask(t.rebind().option(code::SERVER_ID, OTHER_SERVER).na(1, &[]))
    }),
    script("Rebind without Client ID", |t| t.ask(t.bare(kind::REBIND).na(1, &[]))),
    script("Rebind by unicast", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.go(Way::Unicast);
        t.ask(t.rebind().na(1, &[held]))
    }),
];
