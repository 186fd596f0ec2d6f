//! Confirm: does it fit the link?

use super::{FAR, NO_POOL, OFF_LINK, Script, script};
use crate::differential::message::{at, code, kind};
use crate::differential::talk::Way;

const ON_LINK: &str = "2001:db8:1:0:1:0:e:20/128";

pub(super) const SCRIPTS: &[Script] = &[
    script("Confirm of a held address", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.confirm().na(1, &[held]))
    }),
    script("Confirm of an address that nobody holds", |t| t.ask(t.confirm().na(1, &[at(ON_LINK)]))),
    script("Confirm of another client's address", |t| {
        t.be(2);
        let taken = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.be(1);
        t.ask(t.confirm().na(1, &[taken]))
    }),
    script("Confirm of an on-link address outside the pools", |t| t.ask(t.confirm().na(1, &[at(NO_POOL)]))),
    script("Confirm of an off-link address", |t| t.ask(t.confirm().na(1, &[at(OFF_LINK)]))),
    script("Confirm of an address of another link", |t| {
        t.behind(FAR);
        t.ask(t.confirm().na(1, &[at(ON_LINK)]))
    }),
    script("Confirm of one address on and one off the link", |t| {
        t.ask(t.confirm().na(1, &[at(ON_LINK), at(OFF_LINK)]))
    }),
    script("Confirm of one address on and one off the link in two IAs", |t| {
        t.ask(t.confirm().na(1, &[at(ON_LINK)]).na(2, &[at(OFF_LINK)]))
    }),
    script("Confirm of two addresses in two IAs", |t| {
        t.ask(t.confirm().na(1, &[at(ON_LINK)]).na(2, &[at("2001:db8:1:0:1:0:e:21/128")]))
    }),
    script("Confirm of an IA without address", |t| t.ask(t.confirm().na(1, &[]))),
    script("Confirm of one IA with and one without address", |t| {
        t.ask(t.confirm().na(1, &[]).na(2, &[at(ON_LINK)]))
    }),
    script("Confirm without any IA", |t| t.ask(t.confirm())),
    script("Confirm of a prefix", |t| t.ask(t.confirm().pd(1, &[at("2001:db8:1f00:2000::/56")]))),
    script("Confirm of an address and a prefix off the link", |t| {
        t.ask(t.confirm().na(1, &[at(ON_LINK)]).pd(1, &[at("2001:db8:9900::/56")]))
    }),
    script("Confirm with options asked for", |t| {
        t.ask(t.confirm().na(1, &[at(ON_LINK)]).oro(&[code::DNS_SERVERS]))
    }),
    script("Confirm of ::", |t| t.ask(t.confirm().na(1, &[at("::/128")]))),
    script("Confirm of a link-local address", |t| t.ask(t.confirm().na(1, &[at("fe80::1/128")]))),
    script("Confirm with Server ID", |t| t.ask(t.to_server(kind::CONFIRM).na(1, &[at(ON_LINK)]))),
    script("Confirm without Client ID", |t| t.ask(t.bare(kind::CONFIRM).na(1, &[at(ON_LINK)]))),
    script("Confirm by unicast", |t| {
        t.go(Way::Unicast);
        t.ask(t.confirm().na(1, &[at(ON_LINK)]))
    }),
    script("Confirm from a link that is not configured", |t| {
        t.behind("2001:db8:77::1");
        t.ask(t.confirm().na(1, &[at(ON_LINK)]))
    }),
    script("Confirm behind a relay", |t| {
        t.behind(FAR);
        t.ask(t.confirm().na(1, &[at("2001:db8:2:0:1:0:e:20/128")]))
    }),
];
