//! Release: what is given back.

use super::{FAR, OFF_LINK, OTHER_SERVER, Script, script};
use crate::differential::message::{at, code, kind};
use crate::differential::talk::Way;

pub(super) const SCRIPTS: &[Script] = &[
    script("Release of an address", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.release().na(1, &[held]))
    }),
    script("Release of a prefix", |t| {
        let held = t.hold(t.request().pd(1, &[]))?.pd(1)?;
        t.ask(t.release().pd(1, &[held]))
    }),
    script("Release of an address and a prefix, with options", |t| {
        let held = t.hold(t.request().na(1, &[]).pd(1, &[]))?;
        t.ask(t.release().na(1, &[held.na(1)?]).pd(1, &[held.pd(1)?]).oro(&[code::DNS_SERVERS]))
    }),
    script("Release of one known and one unknown IA", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.release().na(1, &[held]).na(2, &[at("2001:db8:1:0:1:0:e:50/128")]))
    }),
    script("Release by an unknown client of a free address", |t| {
        t.ask(t.release().na(1, &[at("2001:db8:1:0:1:0:e:51/128")]))
    }),
    script("Release by an unknown client of a prefix", |t| {
        t.ask(t.release().pd(1, &[at("2001:db8:1f00:5000::/56")]))
    }),
    script("Release by an unknown client of another's address", |t| {
        t.be(2);
        let taken = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.be(1);
        t.ask(t.release().na(1, &[taken]))?;
        t.be(2);
        t.ask(t.renew().na(1, &[taken]))
    }),
    script("Release of a held and another client's address in one IA", |t| {
        t.be(2);
        let taken = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.be(1);
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.release().na(1, &[held, taken]))?;
        t.be(2);
        t.ask(t.renew().na(1, &[taken]))
    }),
    script("Release of an off-link address", |t| t.ask(t.release().na(1, &[at(OFF_LINK)]))),
    script("Release of a bound IA, naming no address", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.release().na(1, &[]))?;
        t.ask(t.renew().na(1, &[held]))
    }),
    script("Release of a bound IA, naming another address", |t| {
        t.hold(t.request().na(1, &[]))?;
        t.ask(t.release().na(1, &[at("2001:db8:1:0:1:0:e:52/128")]))
    }),
    script("Release of an address under another IAID", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.release().na(2, &[held]))?;
        t.ask(t.renew().na(1, &[held]))
    }),
    script("Release without any IA", |t| {
        t.hold(t.request().na(1, &[]))?;
        t.ask(t.release())
    }),
    script("Release twice with one transaction id", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        let release = t.release().na(1, &[held]);
        t.ask(release.clone())?;
        t.ask(release)
    }),
    script("Release, then Solicit", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.hold(t.release().na(1, &[held]))?;
        t.ask(t.solicit().na(1, &[]))
    }),
    script("Release, then Request naming the address", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.hold(t.release().na(1, &[held]))?;
        t.ask_and_wait(t.request().na(1, &[held]))
    }),
    script("Release from another link", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.behind(FAR);
        t.ask(t.release().na(1, &[held]))
    }),
    script("Release from a link that is not configured", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.behind("2001:db8:77::1");
        t.ask(t.release().na(1, &[held]))
    }),
    script("Release behind a relay", |t| {
        t.behind(FAR);
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.release().na(1, &[held]))
    }),
    script("Release to another server", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.to_all(kind::RELEASE).option(code::SERVER_ID, OTHER_SERVER).na(1, &[held]))
    }),
    script("Release without Server ID", |t| t.ask(t.to_all(kind::RELEASE).na(1, &[at(OFF_LINK)]))),
    script("Release without Client ID", |t| {
        t.ask(t.bare(kind::RELEASE).option(code::SERVER_ID, t.server_id()).na(1, &[at(OFF_LINK)]))
    }),
    script("Release by unicast", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.go(Way::Unicast);
        t.ask(t.release().na(1, &[held]))
    }),
];
