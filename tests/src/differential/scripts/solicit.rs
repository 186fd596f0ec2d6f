//! Solicit: what is offered, and by whose wishes.

use super::{FAR, FULL, NO_POOL, NO_PREFIX_POOL, OFF_LINK, OTHER_SERVER, PORT, Script, script};
use crate::differential::message::{at, code, ia_address, ia_data, kind, option};
use crate::differential::talk::Way;

pub(super) const SCRIPTS: &[Script] = &[
    script("Solicit for an address", |t| t.ask(t.solicit().na(1, &[]))),
    script("Solicit for a prefix", |t| t.ask(t.solicit().pd(1, &[]))),
    script("Solicit for an address and a prefix", |t| t.ask(t.solicit().na(1, &[]).pd(1, &[]))),
    script("Solicit for two addresses", |t| t.ask(t.solicit().na(1, &[]).na(2, &[]))),
    script("Solicit for two prefixes", |t| t.ask(t.solicit().pd(1, &[]).pd(2, &[]))),
    script("Solicit for two of each", |t| t.ask(t.solicit().na(1, &[]).na(2, &[]).pd(1, &[]).pd(2, &[]))),
    script("Solicit without any IA", |t| t.ask(t.solicit().oro(&[code::DNS_SERVERS]))),
    script("Solicit twice with one transaction id", |t| {
        let solicit = t.solicit().na(1, &[]);
        t.ask(solicit.clone())?;
        t.ask(solicit)
    }),
    script("Solicit with times of the client's own", |t| {
        let hint = ia_address(at("2001:db8:1:0:1:0:e:1/128"), 77, 99);
        t.ask(t.solicit().option(code::IA_NA, ia_data(1, 11, 22, &hint)))
    }),
    script("Solicit with an IAID of all ones and one of 0", |t| {
        t.ask(t.solicit().na(u32::MAX, &[]).na(0, &[]))
    }),
    // Rapid Commit.
    script("Solicit with Rapid Commit where it is off", |t| {
        t.ask(t.solicit().option(code::RAPID_COMMIT, []).na(1, &[]))
    }),
    script("Solicit with Rapid Commit where it is on", |t| {
        t.behind(FAR);
        t.ask(t.solicit().option(code::RAPID_COMMIT, []).na(1, &[]).pd(1, &[]))
    }),
    script("Solicit without Rapid Commit where it is on", |t| {
        t.behind(FAR);
        t.ask(t.solicit().na(1, &[]))
    }),
    script("Solicit with Rapid Commit, then Renew", |t| {
        t.behind(FAR);
        let heard = t.hold(t.solicit().option(code::RAPID_COMMIT, []).na(1, &[]))?;
        t.ask(t.renew().na(1, &[heard.na(1)?]))
    }),
    script("Solicit with Rapid Commit on a full link", |t| {
        t.behind(FULL);
        t.ask_until_answered(t.solicit().option(code::RAPID_COMMIT, []).na(1, &[]))
    }),
    // Hints.
    script("Solicit hinting at a free address", |t| {
        t.ask(t.solicit().na(1, &[at("2001:db8:1:0:1:0:e:2/128")]))
    }),
    script("Solicit hinting at another client's address", |t| {
        t.be(2);
        let taken = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.be(1);
        t.ask(t.solicit().na(1, &[taken]))
    }),
    script("Solicit hinting at an address outside the pools", |t| t.ask(t.solicit().na(1, &[at(NO_POOL)]))),
    script("Solicit hinting at an off-link address", |t| t.ask(t.solicit().na(1, &[at(OFF_LINK)]))),
    script("Solicit hinting at ::", |t| t.ask(t.solicit().na(1, &[at("::/128")]))),
    script("Solicit hinting at two addresses in one IA", |t| {
        t.ask(t.solicit().na(1, &[at("2001:db8:1:0:1:0:e:3/128"), at("2001:db8:1:0:1:0:e:4/128")]))
    }),
    script("Solicit hinting at an off-link and a free address", |t| {
        t.ask(t.solicit().na(1, &[at(OFF_LINK), at("2001:db8:1:0:1:0:e:5/128")]))
    }),
    script("Solicit hinting at one address in two IAs", |t| {
        let hint = at("2001:db8:1:0:1:0:e:6/128");
        t.ask(t.solicit().na(1, &[hint]).na(2, &[hint]))
    }),
    script("Solicit hinting at a free prefix", |t| t.ask(t.solicit().pd(1, &[at("2001:db8:1f00:100::/56")]))),
    script("Solicit hinting at a prefix outside the pools", |t| {
        t.ask(t.solicit().pd(1, &[at(NO_PREFIX_POOL)]))
    }),
    script("Solicit hinting at a longer prefix than the pool has", |t| {
        t.ask(t.solicit().pd(1, &[at("2001:db8:1f00:210::/60")]))
    }),
    script("Solicit hinting at ::/56", |t| t.ask(t.solicit().pd(1, &[at("::/56")]))),
    script("Solicit hinting at ::/60", |t| t.ask(t.solicit().pd(1, &[at("::/60")]))),
    script("Solicit hinting at ::/58", |t| t.ask(t.solicit().pd(1, &[at("::/58")]))),
    script("Solicit hinting at ::/64", |t| t.ask(t.solicit().pd(1, &[at("::/64")]))),
    script("Solicit hinting at ::/48", |t| t.ask(t.solicit().pd(1, &[at("::/48")]))),
    script("Solicit hinting at ::/0", |t| t.ask(t.solicit().pd(1, &[at("::/0")]))),
    script("Solicit hinting at ::/128", |t| t.ask(t.solicit().pd(1, &[at("::/128")]))),
    script("Solicit hinting at two lengths in two IAs", |t| {
        t.ask(t.solicit().pd(1, &[at("::/60")]).pd(2, &[at("::/56")]))
    }),
    // Validation.
    script("Solicit without Client ID", |t| t.ask(t.bare(kind::SOLICIT).na(1, &[]))),
    script("Solicit with Server ID", |t| t.ask(t.to_server(kind::SOLICIT).na(1, &[]))),
    script("Solicit with another server's ID", |t| {
        t.ask(t.solicit().option(code::SERVER_ID, OTHER_SERVER).na(1, &[]))
    }),
    script("Solicit by unicast", |t| {
        t.go(Way::Unicast);
        t.ask(t.solicit().na(1, &[]))
    }),
    // Other options.
    script("Solicit with unknown options", |t| {
        t.ask(t.solicit().option(65_000, [1, 2, 3]).option(150, []).na(1, &[]))
    }),
    script("Solicit with User Class", |t| {
        t.ask(t.solicit().option(code::USER_CLASS, *b"\0\x04iPXE").na(1, &[]))
    }),
    script("Solicit with Vendor Class", |t| {
        t.ask(t.solicit().option(code::VENDOR_CLASS, *b"\0\0\x0d\xe9\0\x0adocsis3.99").na(1, &[]))
    }),
    script("Solicit with Vendor-specific Information", |t| {
        let inner = option(1, [0, 17]);
        t.ask(t.solicit().option(code::VENDOR_OPTS, [&[0, 0, 0x11, 0x8b][..], &inner].concat()).na(1, &[]))
    }),
    script("Solicit with Reconfigure Accept", |t| {
        t.ask(t.solicit().option(code::RECONF_ACCEPT, []).na(1, &[]))
    }),
    script("Solicit with Server Unicast", |t| {
        t.ask(t.solicit().option(code::SERVER_UNICAST, [0; 16]).na(1, &[]))
    }),
    script("Solicit with Preference", |t| t.ask(t.solicit().option(code::PREFERENCE, [255]).na(1, &[]))),
    script("Solicit with Status Code", |t| {
        t.ask(t.solicit().option(code::STATUS_CODE, [0, 1, b'x']).na(1, &[]))
    }),
    script("Solicit with the greatest Elapsed Time", |t| {
        let solicit = t.bare(kind::SOLICIT).option(code::CLIENT_ID, t.client_id());
        t.ask(solicit.option(code::ELAPSED_TIME, [0xff, 0xff]).na(1, &[]))
    }),
    script("Solicit without Elapsed Time", |t| {
        t.ask(t.bare(kind::SOLICIT).option(code::CLIENT_ID, t.client_id()).na(1, &[]))
    }),
    script("Solicit for a temporary address", |t| t.ask(t.solicit().option(code::IA_TA, [0, 0, 0, 9]))),
    script("Solicit for a temporary and another address", |t| {
        t.ask(t.solicit().option(code::IA_TA, [0, 0, 0, 9]).na(1, &[]))
    }),
    script("Solicit with a name", |t| {
        t.ask(t.solicit().option(code::CLIENT_FQDN, *b"\0\x05kea-1").na(1, &[]))
    }),
    script("Solicit with a name, asking for it", |t| {
        t.ask(t.solicit().option(code::CLIENT_FQDN, *b"\x01\x05kea-2\0").oro(&[code::CLIENT_FQDN]).na(1, &[]))
    }),
    // Options on request.
    script("Solicit asking for DNS servers", |t| t.ask(t.solicit().oro(&[code::DNS_SERVERS]).na(1, &[]))),
    script("Solicit asking for DNS servers and search list", |t| {
        t.ask(t.solicit().oro(&[code::DOMAIN_LIST, code::DNS_SERVERS]).na(1, &[]))
    }),
    script("Solicit asking for one option twice", |t| {
        t.ask(t.solicit().oro(&[code::DNS_SERVERS, code::DNS_SERVERS]).na(1, &[]))
    }),
    script("Solicit asking for nothing", |t| t.ask(t.solicit().oro(&[]).na(1, &[]))),
    script("Solicit asking for what may not be asked for", |t| {
        let codes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 18, 19, 20, 25, 26];
        t.ask(t.solicit().oro(&codes).na(1, &[]))
    }),
    script("Solicit asking for what is not configured", |t| {
        t.ask(t.solicit().oro(&[21, 31, 82, 65_000]).na(1, &[]))
    }),
    script("Solicit asking for DNS servers where a link has its own", |t| {
        t.behind(FAR);
        t.ask(t.solicit().oro(&[code::DNS_SERVERS, code::DOMAIN_LIST]).na(1, &[]))
    }),
    // What there is.
    script("Solicit when bound", |t| {
        t.hold(t.request().na(1, &[]).pd(1, &[]))?;
        t.ask(t.solicit().na(1, &[]).pd(1, &[]))
    }),
    script("Solicit when bound, hinting at another address", |t| {
        t.hold(t.request().na(1, &[]))?;
        t.ask(t.solicit().na(1, &[at("2001:db8:1:0:1:0:e:7/128")]))
    }),
    script("Solicit for a second address when bound", |t| {
        t.hold(t.request().na(1, &[]))?;
        t.ask(t.solicit().na(2, &[]))
    }),
    script("Solicit for an address on a full link", |t| {
        t.behind(FULL);
        t.ask_until_answered(t.solicit().na(1, &[]))
    }),
    script("Solicit for a prefix on a full link", |t| {
        t.behind(FULL);
        t.ask_until_answered(t.solicit().pd(1, &[]))
    }),
    script("Solicit for both on a full link, with options", |t| {
        t.behind(FULL);
        t.ask_until_answered(t.solicit().na(1, &[]).pd(1, &[]).oro(&[code::DNS_SERVERS]))
    }),
    script("Solicit for a prefix where there are addresses only", |t| {
        t.behind(PORT);
        t.ask_until_answered(t.solicit().pd(1, &[]))
    }),
    script("Solicit for both where there are addresses only", |t| {
        t.behind(PORT);
        t.ask_until_answered(t.solicit().na(1, &[]).pd(1, &[]))
    }),
];
