//! Messages of clients that are not sound, or not quite.

use super::{OFF_LINK, Script, script};
use crate::differential::message::{
    Message, at, code, codes_data, ia_address, ia_data, ia_prefix, kind, option, option_claiming,
};
use crate::differential::talk::{Heard, Talk};

/// A Solicit whose only oddity is an option.
fn solicit_with(t: &mut Talk<'_>, code: u16, data: &[u8]) -> anyhow::Result<Heard> {
    t.ask(t.solicit().option(code, data).na(1, &[]))
}

/// A Solicit with a Client ID of so many octets.
fn duid_of(t: &mut Talk<'_>, length: usize) -> anyhow::Result<Heard> {
    t.ask(t.bare(kind::SOLICIT).option(code::CLIENT_ID, vec![0xd0; length]).na(1, &[]))
}

/// A Solicit with an IA of these octets, and a good one after it.
fn solicit_ia(t: &mut Talk<'_>, ia_code: u16, data: &[u8]) -> anyhow::Result<Heard> {
    t.ask(t.solicit().option(ia_code, data).na(9, &[]))
}

const HINT: &str = "2001:db8:1:0:1:0:e:70/128";

pub(super) const SCRIPTS: &[Script] = &[
    // Headers and types.
    script("An empty datagram", |t| t.ask(Message::exactly(&[]))),
    script("A type alone", |t| t.ask(Message::exactly(&[kind::SOLICIT]))),
    script("A header of three octets", |t| t.ask(t.solicit().cut(3))),
    script("A header alone", |t| t.ask(t.bare(kind::SOLICIT))),
    script("Type 0", |t| t.ask(t.to_all(0).na(1, &[]))),
    script("Type 255", |t| t.ask(t.to_all(255).na(1, &[]))),
    script("An Advertise", |t| t.ask(t.to_server(kind::ADVERTISE).na(1, &[]))),
    script("A Reply", |t| t.ask(t.to_server(kind::REPLY).na(1, &[]))),
    script("A Reconfigure", |t| t.ask(t.to_server(kind::RECONFIGURE).option(19, [5]))),
    // Framing.
    script("An option header that is cut", |t| t.ask(t.solicit().na(1, &[]).raw([0, 6, 0]))),
    script("An option that is cut by one octet", |t| {
        t.ask(t.solicit().na(1, &[]).raw(option_claiming(code::ORO, 3, &[0, 23])))
    }),
    script("An option that claims 65535 octets", |t| {
        t.ask(t.solicit().na(1, &[]).raw(option_claiming(code::ORO, 65_535, &[0, 23])))
    }),
    script("An unknown option that is cut", |t| {
        t.ask(t.solicit().na(1, &[]).raw(option_claiming(65_000, 9, &[1])))
    }),
    script("One octet after the last option", |t| t.ask(t.solicit().na(1, &[]).raw([0]))),
    script("A Client ID that is cut", |t| {
        t.ask(t.bare(kind::SOLICIT).raw(option_claiming(code::CLIENT_ID, 14, &[0, 1, 0, 1])))
    }),
    script("An option of code 0", |t| solicit_with(t, 0, &[])),
    script("An option of code 65535", |t| solicit_with(t, 65_535, &[1])),
    // DUIDs.
    script("A Client ID of 0 octets", |t| duid_of(t, 0)),
    script("A Client ID of 1 octet", |t| duid_of(t, 1)),
    script("A Client ID of 2 octets", |t| duid_of(t, 2)),
    script("A Client ID of 3 octets", |t| duid_of(t, 3)),
    script("A Client ID of 128 octets", |t| duid_of(t, 128)),
    script("A Client ID of 130 octets", |t| duid_of(t, 130)),
    script("A Client ID of 131 octets", |t| duid_of(t, 131)),
    script("A Client ID of 1000 octets", |t| duid_of(t, 1000)),
    script("A Client ID of zeros", |t| {
        t.ask(t.bare(kind::SOLICIT).option(code::CLIENT_ID, [0; 14]).na(1, &[]))
    }),
    script("A Client ID of a type alone, for a Request", |t| {
        let request = t.bare(kind::REQUEST).option(code::SERVER_ID, t.server_id());
        t.ask(request.option(code::CLIENT_ID, [0, 1]).na(1, &[]))
    }),
    script("A Server ID of 0 octets in a Request", |t| {
        t.ask(t.to_all(kind::REQUEST).option(code::SERVER_ID, []).na(1, &[]))
    }),
    script("A Server ID of 0 octets in an Information-request", |t| {
        t.ask(t.information().option(code::SERVER_ID, []))
    }),
    // Options with a length of their own.
    script("Option Request of an odd length", |t| solicit_with(t, code::ORO, &[0, 23, 0])),
    script("Option Request of one octet", |t| solicit_with(t, code::ORO, &[23])),
    script("Elapsed Time of one octet", |t| {
        t.ask(
            t.bare(kind::SOLICIT)
                .option(code::CLIENT_ID, t.client_id())
                .option(code::ELAPSED_TIME, [0])
                .na(1, &[]),
        )
    }),
    script("Elapsed Time of three octets", |t| {
        let solicit = t.bare(kind::SOLICIT).option(code::CLIENT_ID, t.client_id());
        t.ask(solicit.option(code::ELAPSED_TIME, [0; 3]).na(1, &[]))
    }),
    script("Rapid Commit with data", |t| {
        t.behind(super::FAR);
        solicit_with(t, code::RAPID_COMMIT, &[1])
    }),
    script("Reconfigure Accept with data", |t| solicit_with(t, code::RECONF_ACCEPT, &[1])),
    script("Preference of two octets", |t| solicit_with(t, code::PREFERENCE, &[1, 2])),
    script("Status Code of one octet", |t| solicit_with(t, code::STATUS_CODE, &[0])),
    script("User Class of 0 octets", |t| solicit_with(t, code::USER_CLASS, &[])),
    script("User Class with a length that runs over", |t| solicit_with(t, code::USER_CLASS, &[0, 9, b'x'])),
    script("User Class with half a length", |t| solicit_with(t, code::USER_CLASS, &[0])),
    script("Vendor Class of three octets", |t| solicit_with(t, code::VENDOR_CLASS, &[0, 0, 9])),
    script("Vendor Class with a length that runs over", |t| {
        solicit_with(t, code::VENDOR_CLASS, &[0, 0, 9, 191, 0, 9, b'x'])
    }),
    script("Vendor-specific Information of two octets", |t| solicit_with(t, code::VENDOR_OPTS, &[0, 0])),
    script("Vendor-specific Information with a cut sub-option", |t| {
        solicit_with(t, code::VENDOR_OPTS, &[0, 0, 9, 191, 0, 1, 0, 9, 1])
    }),
    script("Authentication of four octets", |t| solicit_with(t, code::AUTH, &[3, 1, 0, 0])),
    script("Client FQDN of 0 octets", |t| solicit_with(t, code::CLIENT_FQDN, &[])),
    script("Client FQDN with a label that runs over", |t| solicit_with(t, code::CLIENT_FQDN, b"\0\x3fabc")),
    script("Client FQDN with a compression pointer", |t| solicit_with(t, code::CLIENT_FQDN, b"\0\xc0\0")),
    // IAs.
    script("IA_NA of 0 octets", |t| solicit_ia(t, code::IA_NA, &[])),
    script("IA_NA of 11 octets", |t| solicit_ia(t, code::IA_NA, &[0; 11])),
    script("IA_PD of 11 octets", |t| solicit_ia(t, code::IA_PD, &[0; 11])),
    script("IA_TA of 3 octets", |t| solicit_ia(t, code::IA_TA, &[0; 3])),
    script("IA_NA with a cut option inside", |t| {
        solicit_ia(t, code::IA_NA, &ia_data(1, 0, 0, &option_claiming(code::IA_ADDR, 24, &[0; 16])))
    }),
    script("IA_NA with an odd octet inside", |t| solicit_ia(t, code::IA_NA, &ia_data(1, 0, 0, &[0]))),
    script("IA_NA with an unknown option inside", |t| {
        solicit_ia(t, code::IA_NA, &ia_data(1, 0, 0, &option(65_000, [1])))
    }),
    script("IAADDR of 23 octets", |t| {
        solicit_ia(t, code::IA_NA, &ia_data(1, 0, 0, &option(code::IA_ADDR, [0; 23])))
    }),
    script("IAADDR with garbage after it", |t| {
        let mut inside = at(HINT).address.octets().to_vec();
        inside.extend([0; 8]);
        inside.extend([0, 13, 0, 9, 1]);
        solicit_ia(t, code::IA_NA, &ia_data(1, 0, 0, &option(code::IA_ADDR, inside)))
    }),
    script("IAADDR with an option inside", |t| {
        let mut inside = at(HINT).address.octets().to_vec();
        inside.extend([0; 8]);
        inside.extend(option(code::STATUS_CODE, [0, 1]));
        solicit_ia(t, code::IA_NA, &ia_data(1, 0, 0, &option(code::IA_ADDR, inside)))
    }),
    script("IAADDR with a preferred above the valid lifetime", |t| {
        solicit_ia(t, code::IA_NA, &ia_data(1, 9, 5, &ia_address(at("2001:db8:1:0:1:0:e:71/128"), 9, 5)))
    }),
    script("IAADDR of a multicast address", |t| {
        solicit_ia(t, code::IA_NA, &ia_data(1, 0, 0, &ia_address(at("ff02::1/128"), 0, 0)))
    }),
    script("IAADDR at top level", |t| t.ask(t.solicit().raw(ia_address(at(HINT), 0, 0)).na(1, &[]))),
    script("IAPREFIX of 24 octets", |t| {
        solicit_ia(t, code::IA_PD, &ia_data(1, 0, 0, &option(code::IA_PREFIX, [0; 24])))
    }),
    script("IAPREFIX of length 129", |t| {
        let prefix = crate::netns::Prefix { length: 129, ..at("2001:db8:1f00:7000::/56") };
        solicit_ia(t, code::IA_PD, &ia_data(1, 0, 0, &ia_prefix(prefix, 0, 0)))
    }),
    script("IAPREFIX of length 255", |t| {
        let prefix = crate::netns::Prefix { length: 255, ..at("::/0") };
        solicit_ia(t, code::IA_PD, &ia_data(1, 0, 0, &ia_prefix(prefix, 0, 0)))
    }),
    script("IAPREFIX of length 128", |t| {
        solicit_ia(t, code::IA_PD, &ia_data(1, 0, 0, &ia_prefix(at("2001:db8:1f00:7100::1/128"), 0, 0)))
    }),
    script("IAPREFIX inside IA_NA", |t| {
        solicit_ia(t, code::IA_NA, &ia_data(1, 0, 0, &ia_prefix(at("2001:db8:1f00:7200::/56"), 0, 0)))
    }),
    script("IAADDR inside IA_PD", |t| {
        solicit_ia(t, code::IA_PD, &ia_data(1, 0, 0, &ia_address(at("2001:db8:1:0:1:0:e:72/128"), 0, 0)))
    }),
    script("IA_NA inside IA_NA", |t| {
        solicit_ia(t, code::IA_NA, &ia_data(1, 0, 0, &option(code::IA_NA, ia_data(2, 0, 0, &[]))))
    }),
    script("A hundred levels of IA_NA in IA_NA", |t| {
        let nested =
            (0..100).fold(Vec::new(), |inner, level| option(code::IA_NA, ia_data(level, 0, 0, &inner)));
        t.ask(t.solicit().raw(nested))
    }),
    // Repeats.
    script("One IAID twice, Solicit", |t| t.ask(t.solicit().na(1, &[]).na(1, &[]))),
    script("One IAID twice, Request", |t| {
        t.ask(t.request().na(1, &[]).na(1, &[at("2001:db8:1:0:1:0:e:73/128")]))
    }),
    script("One IAID twice, Renew", |t| {
        let held = t.hold(t.request().na(1, &[]))?.na(1)?;
        t.ask(t.renew().na(1, &[held]).na(1, &[held]))
    }),
    script("One IAID in IA_NA and IA_PD", |t| t.ask(t.solicit().na(1, &[]).pd(1, &[]))),
    script("Client ID twice, the same", |t| {
        t.ask(t.solicit().option(code::CLIENT_ID, t.client_id()).na(1, &[]))
    }),
    script("Client ID twice, different", |t| {
        t.ask(t.solicit().option(code::CLIENT_ID, [0, 4, 1, 2, 3, 4, 5, 6]).na(1, &[]))
    }),
    script("Server ID twice, ours first", |t| {
        t.ask(t.request().option(code::SERVER_ID, super::OTHER_SERVER).na(1, &[]))
    }),
    script("Server ID twice, ours last", |t| {
        let request = t.to_all(kind::REQUEST).option(code::SERVER_ID, super::OTHER_SERVER);
        t.ask(request.option(code::SERVER_ID, t.server_id()).na(1, &[]))
    }),
    script("Option Request twice", |t| {
        t.ask(t.solicit().oro(&[code::DNS_SERVERS]).oro(&[code::DOMAIN_LIST]).na(1, &[]))
    }),
    script("Elapsed Time twice", |t| t.ask(t.solicit().option(code::ELAPSED_TIME, [0, 9]).na(1, &[]))),
    script("Rapid Commit twice", |t| {
        t.behind(super::FAR);
        t.ask(t.solicit().option(code::RAPID_COMMIT, []).option(code::RAPID_COMMIT, []).na(1, &[]))
    }),
    script("Vendor Class twice for one enterprise", |t| {
        let class = *b"\0\0\x09\xbf\0\x01x";
        t.ask(t.solicit().option(code::VENDOR_CLASS, class).option(code::VENDOR_CLASS, class).na(1, &[]))
    }),
    // Too many.
    script("20 IAs", |t| {
        let solicit = (1..=20).fold(t.solicit(), |message, iaid| message.na(iaid, &[]));
        t.ask(solicit)
    }),
    script("40 IAs", |t| {
        let solicit = (1..=40).fold(t.solicit(), |message, iaid| message.na(iaid, &[]));
        t.ask(solicit)
    }),
    script("30 addresses in one IA", |t| {
        let many: Vec<_> = (0..30).map(|n| at(&format!("2001:db8:1:0:1:0:e:8{n:02x}/128"))).collect();
        t.ask(t.solicit().na(1, &many))
    }),
    script("30 off-link addresses in one IA of a Request", |t| t.ask(t.request().na(1, &[at(OFF_LINK); 30]))),
    script("100 unknown options", |t| {
        let solicit = (0..100).fold(t.solicit(), |message, n| message.option(60_000 + n, []));
        t.ask(solicit.na(1, &[]))
    }),
    script("300 unknown options", |t| {
        let solicit = (0..300).fold(t.solicit(), |message, n| message.option(60_000 + n, []));
        t.ask(solicit.na(1, &[]))
    }),
    script("Option Request for 200 options", |t| {
        let codes: Vec<u16> = (23..223).collect();
        t.ask(t.solicit().option(code::ORO, codes_data(&codes)).na(1, &[]))
    }),
    script("Option Request for 300 options", |t| {
        let codes: Vec<u16> = (23..323).collect();
        t.ask(t.solicit().option(code::ORO, codes_data(&codes)).na(1, &[]))
    }),
    script("A message of 1400 octets", |t| t.ask(t.solicit().option(65_000, [7; 1300]).na(1, &[]))),
    script("A message of 5000 octets in fragments", |t| {
        t.ask(t.solicit().option(65_000, [7; 4900]).na(1, &[]))
    }),
];
