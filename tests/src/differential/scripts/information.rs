//! Information-request: configuration without leases.

use super::{FAR, OTHER_SERVER, Script, script};
use crate::differential::message::{code, kind};
use crate::differential::talk::Way;

pub(super) const SCRIPTS: &[Script] = &[
    script("Information-request without Client ID", |t| {
        t.ask(t.bare(kind::INFORMATION_REQUEST).oro(&[code::DNS_SERVERS]))
    }),
    script("Information-request with Client ID", |t| t.ask(t.information().oro(&[code::DNS_SERVERS]))),
    script("Information-request asking for nothing", |t| t.ask(t.information())),
    script("Information-request with an empty Option Request", |t| t.ask(t.information().oro(&[]))),
    script("Information-request for DNS servers and search list", |t| {
        t.ask(t.information().oro(&[code::DNS_SERVERS, code::DOMAIN_LIST]))
    }),
    script("Information-request for the refresh time", |t| {
        t.ask(t.information().oro(&[code::INFO_REFRESH_TIME]))
    }),
    script("Information-request for SOL_MAX_RT and INF_MAX_RT", |t| {
        t.ask(t.information().oro(&[code::SOL_MAX_RT, code::INF_MAX_RT]))
    }),
    script("Information-request for what may not be asked for", |t| {
        t.ask(t.information().oro(&[1, 2, 3, 5, 6, 7, 8, 9, 11, 13, 14, 18, 25, 26]))
    }),
    script("Information-request to this server", |t| {
        t.ask(t.to_server(kind::INFORMATION_REQUEST).oro(&[code::DNS_SERVERS]))
    }),
    script("Information-request to another server", |t| {
        t.ask(t.information().option(code::SERVER_ID, OTHER_SERVER).oro(&[code::DNS_SERVERS]))
    }),
    script("Information-request with IA_NA", |t| t.ask(t.information().na(1, &[]).oro(&[code::DNS_SERVERS]))),
    script("Information-request with IA_PD", |t| t.ask(t.information().pd(1, &[]).oro(&[code::DNS_SERVERS]))),
    script("Information-request with IA_TA", |t| {
        t.ask(t.information().option(code::IA_TA, [0, 0, 0, 9]).oro(&[code::DNS_SERVERS]))
    }),
    script("Information-request with Rapid Commit", |t| {
        t.ask(t.information().option(code::RAPID_COMMIT, []).oro(&[code::DNS_SERVERS]))
    }),
    script("Information-request with Reconfigure Accept", |t| {
        t.ask(t.information().option(code::RECONF_ACCEPT, []).oro(&[code::DNS_SERVERS]))
    }),
    script("Information-request where a link has its own DNS servers", |t| {
        t.behind(FAR);
        t.ask(t.information().oro(&[code::DNS_SERVERS, code::DOMAIN_LIST]))
    }),
    script("Information-request from a link that is not configured", |t| {
        t.behind("2001:db8:77::1");
        t.ask(t.information().oro(&[code::DNS_SERVERS]))
    }),
    script("Information-request by a bound client", |t| {
        t.hold(t.request().na(1, &[]))?;
        t.ask(t.information().oro(&[code::DNS_SERVERS]))
    }),
    script("Information-request by unicast", |t| {
        t.go(Way::Unicast);
        t.ask(t.information().oro(&[code::DNS_SERVERS]))
    }),
];
