//! Renew: what is extended, added, withdrawn.

use super::{FAR, FULL, NO_POOL, NO_PREFIX_POOL, OFF_LINK, OTHER_SERVER, Script, script};
use crate::differential::message::{at, code, ia_address, ia_data, kind};
use crate::differential::talk::Way;

pub(super) const SCRIPTS: &[Script] = &[
    script("Renew of an address", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.renew().na(1, &[held]))
    }),
    script("Renew of a prefix", |t| {
        let held = t.hold(t.request().pd(1, &[]))?.pd(1)?;
        t.ask(t.renew().pd(1, &[held]))
    }),
    script("Renew of an address and a prefix, with options", |t| {
        let held = t.hold(t.request().na(1, &[]).pd(1, &[]))?;
        let renew = t.renew().na(1, &[held.na(1)?]).pd(1, &[held.pd(1)?]);
        t.ask(renew.oro(&[code::DNS_SERVERS, code::DOMAIN_LIST]))
    }),
    script("Renew of two addresses in two IAs", |t| {
        let held = t.hold(t.request().na(1, &[]).na(2, &[]))?;
        t.ask(t.renew().na(1, &[held.na(1)?]).na(2, &[held.na(2)?]))
    }),
    script("Renew with times of the client's own", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.renew().option(code::IA_NA, ia_data(1, 11, 22, &ia_address(held, 77, 99))))
    }),
    script("Renew of an IA, naming no address", |t| {
        t.hold(t.request().na(1, &[]))?;
        t.ask(t.renew().na(1, &[]))
    }),
    script("Renew without any IA", |t| {
        t.hold(t.request().na(1, &[]))?;
        t.ask(t.renew())
    }),
    script("Renew naming an address twice", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.renew().na(1, &[held, held]))
    }),
    // More than is held.
    script("Renew with an IA_NA more", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.renew().na(1, &[held]).na(2, &[]))
    }),
    script("Renew with an IA_PD more", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.renew().na(1, &[held]).pd(1, &[]))
    }),
    script("Renew with an IA_PD more, hinting at ::/60", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.renew().na(1, &[held]).pd(1, &[at("::/60")]))
    }),
    script("Renew of a prefix, hinting at another length", |t| {
        let held = t.hold(t.request().pd(1, &[]))?.pd(1)?;
        t.ask(t.renew().pd(1, &[held, at("::/60")]))
    }),
    script("Renew of an address and a free one", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.renew().na(1, &[held, at("2001:db8:1:0:1:0:e:30/128")]))
    }),
    script("Renew of an address and another client's", |t| {
        t.be(2);
        let taken = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.be(1);
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.renew().na(1, &[held, taken]))
    }),
    script("Renew of an address and one outside the pools", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.renew().na(1, &[held, at(NO_POOL)]))
    }),
    script("Renew of an address and an off-link one", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.renew().na(1, &[held, at(OFF_LINK)]))
    }),
    script("Renew of a prefix and one outside the pools", |t| {
        let held = t.hold(t.request().pd(1, &[]))?.pd(1)?;
        t.ask(t.renew().pd(1, &[held, at(NO_PREFIX_POOL)]))
    }),
    script("Renew of a bound IA, naming another address", |t| {
        t.hold(t.request().na(1, &[]))?;
        t.ask(t.renew().na(1, &[at("2001:db8:1:0:1:0:e:31/128")]))
    }),
    script("Renew of an address under another IAID", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.renew().na(2, &[held]))
    }),
    script("Renew with an IA more on a full link", |t| {
        t.behind(FULL);
        t.ask_until_answered(t.renew().na(1, &[]).pd(1, &[]))
    }),
    // What is not held.
    script("Renew by an unknown client, naming no address", |t| t.ask(t.renew().na(1, &[]))),
    script("Renew by an unknown client of a free address", |t| {
        t.ask(t.renew().na(1, &[at("2001:db8:1:0:1:0:e:32/128")]))
    }),
    script("Renew by an unknown client of a free prefix", |t| {
        t.ask(t.renew().pd(1, &[at("2001:db8:1f00:3000::/56")]))
    }),
    script("Renew by an unknown client of another's address", |t| {
        t.be(2);
        let taken = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.be(1);
        t.ask(t.renew().na(1, &[taken]))
    }),
    script("Renew by an unknown client of an address outside the pools", |t| {
        t.ask(t.renew().na(1, &[at(NO_POOL)]))
    }),
    script("Renew by an unknown client of an off-link address", |t| t.ask(t.renew().na(1, &[at(OFF_LINK)]))),
    script("Renew by an unknown client of a prefix outside the pools", |t| {
        t.ask(t.renew().pd(1, &[at(NO_PREFIX_POOL)]))
    }),
    script("Renew after Release", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.hold(t.release().na(1, &[held]))?;
        t.ask_and_wait(t.renew().na(1, &[held]))
    }),
    script("Renew after Decline", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.hold(t.decline().na(1, &[held]))?;
        t.ask(t.renew().na(1, &[held]))
    }),
    script("Renew from another link", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.behind(FAR);
        t.ask(t.renew().na(1, &[held]))
    }),
    script("Renew of a prefix from another link", |t| {
        let held = t.hold(t.request().pd(1, &[]))?.pd(1)?;
        t.behind(FAR);
        t.ask(t.renew().pd(1, &[held]))
    }),
    // Validation.
    script("Renew to another server", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.to_all(kind::RENEW).option(code::SERVER_ID, OTHER_SERVER).na(1, &[held]))
    }),
    script("Renew without Server ID", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.to_all(kind::RENEW).na(1, &[held]))
    }),
    script("Renew without Client ID", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.bare(kind::RENEW).option(code::SERVER_ID, t.server_id()).na(1, &[held]))
    }),
    script("Renew by unicast", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.go(Way::Unicast);
        t.ask(t.renew().na(1, &[held]))
    }),
    script("Renew of a temporary address", |t| t.ask(t.renew().option(code::IA_TA, [0, 0, 0, 9]))),
];
