//! Request: what is given.

use super::{FAR, FULL, NO_POOL, NO_PREFIX_POOL, OFF_LINK, OTHER_SERVER, PORT, Script, script};
use crate::differential::message::{at, code, ia_address, ia_data, kind};
use crate::differential::talk::Way;

pub(super) const SCRIPTS: &[Script] = &[
    script("Request for what was offered", |t| {
        let offer = t.ask(t.solicit().na(1, &[]).pd(1, &[]))?;
        t.ask(t.request().na(1, &[offer.na(1)?]).pd(1, &[offer.pd(1)?]))
    }),
    script("Request without an offer", |t| t.ask(t.request().na(1, &[]).pd(1, &[]))),
    script("Request twice with one transaction id", |t| {
        let request = t.request().na(1, &[]);
        t.ask(request.clone())?;
        t.ask(request)
    }),
    script("Request for two addresses and two prefixes", |t| {
        t.ask(t.request().na(1, &[]).na(2, &[]).pd(1, &[]).pd(2, &[]))
    }),
    script("Request without any IA", |t| t.ask(t.request().oro(&[code::DNS_SERVERS]))),
    script("Request with options", |t| {
        t.ask(t.request().na(1, &[]).oro(&[code::DNS_SERVERS, code::DOMAIN_LIST]))
    }),
    script("Request with Rapid Commit", |t| {
        t.behind(FAR);
        t.ask(t.request().option(code::RAPID_COMMIT, []).na(1, &[]))
    }),
    script("Request with Reconfigure Accept", |t| {
        t.ask(t.request().option(code::RECONF_ACCEPT, []).na(1, &[]))
    }),
    script("Request for a temporary address", |t| t.ask(t.request().option(code::IA_TA, [0, 0, 0, 9]))),
    script("Request with a name, asking for it", |t| {
        t.ask(t.request().option(code::CLIENT_FQDN, *b"\x01\x05kea-3\0").oro(&[code::CLIENT_FQDN]).na(1, &[]))
    }),
    script("Request with times of the client's own", |t| {
        let named = ia_address(at("2001:db8:1:0:1:0:e:10/128"), 77, 99);
        t.ask(t.request().option(code::IA_NA, ia_data(1, 11, 22, &named)))
    }),
    // Validation.
    script("Request to another server", |t| {
        t.ask(t.to_all(kind::REQUEST).option(code::SERVER_ID, OTHER_SERVER).na(1, &[]))
    }),
    script("Request without Server ID", |t| t.ask(t.to_all(kind::REQUEST).na(1, &[]))),
    script("Request without Client ID", |t| {
        t.ask(t.bare(kind::REQUEST).option(code::SERVER_ID, t.server_id()).na(1, &[]))
    }),
    script("Request by unicast", |t| {
        t.go(Way::Unicast);
        t.ask(t.request().na(1, &[]))
    }),
    // Addresses.
    script("Request for a free address", |t| t.ask(t.request().na(1, &[at("2001:db8:1:0:1:0:e:11/128")]))),
    script("Request for an off-link address", |t| t.ask(t.request().na(1, &[at(OFF_LINK)]))),
    script("Request for an off-link address in one of two IAs", |t| {
        t.ask(t.request().na(1, &[at(OFF_LINK)]).na(2, &[]).pd(1, &[]))
    }),
    script("Request for an off-link and a free address in one IA", |t| {
        t.ask(t.request().na(1, &[at("2001:db8:1:0:1:0:e:12/128"), at(OFF_LINK)]))
    }),
    script("Request for an address of another link", |t| {
        t.behind(FAR);
        t.ask(t.request().na(1, &[at("2001:db8:1:0:1:0:e:13/128")]))
    }),
    script("Request for a link-local address", |t| t.ask(t.request().na(1, &[at("fe80::1234/128")]))),
    script("Request for an on-link address outside the pools", |t| t.ask(t.request().na(1, &[at(NO_POOL)]))),
    script("Request for another client's address", |t| {
        t.be(2);
        let taken = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.be(1);
        t.ask(t.request().na(1, &[taken]))
    }),
    script("Request for two addresses in one IA", |t| {
        t.ask(t.request().na(1, &[at("2001:db8:1:0:1:0:e:14/128"), at("2001:db8:1:0:1:0:e:15/128")]))
    }),
    script("Request for one address in two IAs", |t| {
        let wanted = at("2001:db8:1:0:1:0:e:16/128");
        t.ask(t.request().na(1, &[wanted]).na(2, &[wanted]))
    }),
    script("Request when bound", |t| {
        let held = t.hold(t.request().na(1, &[]).pd(1, &[]))?;
        t.ask(t.request().na(1, &[held.na(1)?]).pd(1, &[held.pd(1)?]))
    }),
    script("Request when bound, naming no lease", |t| {
        t.hold(t.request().na(1, &[]).pd(1, &[]))?;
        t.ask(t.request().na(1, &[]).pd(1, &[]))
    }),
    script("Request when bound, naming another address", |t| {
        t.hold(t.request().na(1, &[]))?;
        t.ask(t.request().na(1, &[at("2001:db8:1:0:1:0:e:17/128")]))
    }),
    script("Request for a second IA when bound", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.request().na(2, &[held]))
    }),
    script("Request when bound, from another link", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.behind(FAR);
        t.ask(t.request().na(1, &[]))?;
        t.ask(t.request().na(1, &[held]))
    }),
    // Prefixes.
    script("Request for a free prefix", |t| t.ask(t.request().pd(1, &[at("2001:db8:1f00:1000::/56")]))),
    script("Request for a prefix with host bits", |t| {
        t.ask(t.request().pd(1, &[at("2001:db8:1f00:11ff::1/56")]))
    }),
    script("Request for a prefix outside the pools", |t| t.ask(t.request().pd(1, &[at(NO_PREFIX_POOL)]))),
    script("Request for ::/60", |t| t.ask(t.request().pd(1, &[at("::/60")]))),
    script("Request for ::/62", |t| t.ask(t.request().pd(1, &[at("::/62")]))),
    script("Request for ::/48", |t| t.ask(t.request().pd(1, &[at("::/48")]))),
    script("Request for another client's prefix", |t| {
        t.be(2);
        let taken = t.hold(t.request().pd(1, &[]))?.pd(1)?;
        t.be(1);
        t.ask(t.request().pd(1, &[taken]))
    }),
    script("Request for a free prefix and a length in one IA", |t| {
        t.ask(t.request().pd(1, &[at("2001:db8:1f00:1200::/56"), at("::/60")]))
    }),
    script("Request for another client's prefix, or else a length", |t| {
        t.be(2);
        let taken = t.hold(t.request().pd(1, &[]))?.pd(1)?;
        t.be(1);
        t.ask(t.request().pd(1, &[taken, at("::/60")]))
    }),
    // What there is not.
    script("Request for an address on a full link", |t| {
        t.behind(FULL);
        t.ask_until_answered(t.request().na(1, &[]))
    }),
    script("Request for both on a full link", |t| {
        t.behind(FULL);
        t.ask_until_answered(t.request().na(1, &[]).pd(1, &[]).oro(&[code::DNS_SERVERS]))
    }),
    script("Request for the taken address of a full link", |t| {
        t.behind(FULL);
        t.ask_until_answered(t.request().na(1, &[at("2001:db8:4::10/128")]))
    }),
    script("Request for both where there are addresses only", |t| {
        t.behind(PORT);
        t.ask_until_answered(t.request().na(1, &[]).pd(1, &[]))
    }),
];
