//! Answers in a form in which two servers' can be compared: by content, without what only one of them can choose.
//!
//! Owns reading an answer (on its own: the frontend's codec is under test) and its normal form, a list of lines. Left
//! out are the order of options, the words beside a status code, and which lease of a pool was chosen; a lease is told
//! by its pool and by whether the message named it. Refuses to know which server answered.
//! Source: RFC 9915 §8, §9, §21.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::Ipv6Addr;

use anyhow::{Context as _, Result, ensure};

use super::message::{ERP_DOMAIN, code, kind};
use super::site;
use crate::netns::Prefix;

/// What an answer is an answer to, as far as its normal form depends on it.
#[derive(Debug)]
pub struct Question<'a> {
    /// The client's or the outermost relay's message.
    pub sent: &'a [u8],
    /// The transaction id in it, if it has one.
    pub transaction_id: u32,
    /// The server's DUID.
    pub server_id: &'a [u8],
    /// Leases that earlier answers to this client held.
    pub known: &'a BTreeSet<Prefix>,
}

/// One level of a Relay-reply.
#[derive(Debug)]
struct RelayLevel {
    hop_count: u8,
    link: Ipv6Addr,
    peer: Ipv6Addr,
    options: Vec<Opt>,
}

/// An option of an answer.
#[derive(Clone, Debug)]
struct Opt {
    code: u16,
    data: Vec<u8>,
}

/// An answer that could be read.
#[derive(Debug)]
pub struct Answer {
    levels: Vec<RelayLevel>,
    kind: u8,
    transaction_id: u32,
    options: Vec<Opt>,
}

/// An IA of an answer.
#[derive(Debug)]
struct Ia {
    iaid: u32,
    t1: u32,
    t2: u32,
    leases: Vec<Lease>,
    others: Vec<Opt>,
}

#[derive(Debug)]
struct Lease {
    prefix: Prefix,
    preferred: u32,
    valid: u32,
    others: Vec<Opt>,
}

impl Answer {
    /// Reads a datagram from a server, Relay-replies unwrapped.
    ///
    /// # Errors
    /// When it is not sound.
    pub fn read(mut bytes: &[u8]) -> Result<Self> {
        let mut levels = Vec::new();
        while bytes.first() == Some(&kind::RELAY_REPLY) {
            let (header, body) = bytes.split_at_checked(34).context("a relay header is cut")?;
            let mut options = read_options(body)?;
            let at = options.iter().position(|option| option.code == code::RELAY_MESSAGE);
            let inner = options.remove(at.context("a Relay-reply without Relay Message")?);
            levels.push(RelayLevel {
                hop_count: *header.get(1).context("cut")?,
                link: address_at(header, 2)?,
                peer: address_at(header, 18)?,
                options,
            });
            let length = inner.data.len();
            let from = find(body, &inner.data).context("a Relay Message that is not there")?;
            bytes = body.get(from..from + length).context("cut")?;
        }
        let (header, body) = bytes.split_at_checked(4).context("a header is cut")?;
        let word = u32_at(header, 0)?;
        Ok(Self {
            levels,
            kind: *header.first().context("cut")?,
            transaction_id: word & 0x00ff_ffff,
            options: read_options(body)?,
        })
    }

    /// The transaction id.
    pub fn transaction_id(&self) -> u32 {
        self.transaction_id
    }

    /// The server's DUID.
    pub fn server_id(&self) -> Option<&[u8]> {
        self.first(code::SERVER_ID)
    }

    /// The leases with a valid lifetime in the IA of this kind and number.
    pub fn leases(&self, ia_code: u16, iaid: u32) -> Vec<Prefix> {
        let ias = self.options.iter().filter(|option| option.code == ia_code);
        let ias = ias.filter_map(|option| read_ia(option).ok()).filter(|ia| ia.iaid == iaid);
        ias.flat_map(|ia| ia.leases).filter(|lease| lease.valid > 0).map(|lease| lease.prefix).collect()
    }

    /// All leases that are listed anywhere.
    pub fn all_leases(&self) -> Vec<Prefix> {
        let ias = self.options.iter().filter(|option| is_ia(option.code));
        ias.filter_map(|option| read_ia(option).ok())
            .flat_map(|ia| ia.leases)
            .map(|lease| lease.prefix)
            .collect()
    }

    /// The normal form: lines that two servers' answers to one question can be compared by.
    pub fn lines(&self, question: &Question<'_>) -> Vec<String> {
        let mut lines = vec![match self.kind {
            kind::ADVERTISE => "Advertise".to_owned(),
            kind::REPLY => "Reply".to_owned(),
            other => format!("message of type {other}"),
        }];
        if self.transaction_id != question.transaction_id {
            lines.push("transaction id of another message".to_owned());
        }
        for (number, level) in self.levels.iter().enumerate() {
            let RelayLevel { hop_count, link, peer, options } = level;
            let name = format!("relay level {}", number + 1);
            lines.push(format!("{name}: hop-count {hop_count}, link {link}, peer {peer}"));
            lines.extend(options.iter().map(|option| format!("{name}: {}", plain(option))));
        }
        for id in [code::CLIENT_ID, code::SERVER_ID] {
            if self.first(id).is_none() {
                lines.push(format!("no {}", name_of(id)));
            }
        }
        for option in &self.options {
            match option.code {
                code::CLIENT_ID if find(question.sent, &option.data).is_some() => {
                    lines.push("Client ID as sent".to_owned());
                }
                code::SERVER_ID if option.data == question.server_id => {
                    lines.push("own Server ID".to_owned())
                }
                ia if is_ia(ia) => match read_ia(option) {
                    Ok(ia) => lines.extend(ia.lines(option.code, question)),
                    Err(error) => lines.push(format!("unreadable IA: {error:#}")),
                },
                _ => lines.push(plain(option)),
            }
        }
        lines.sort();
        lines
    }

    fn first(&self, code: u16) -> Option<&[u8]> {
        self.options.iter().find(|option| option.code == code).map(|option| option.data.as_slice())
    }
}

impl Ia {
    fn lines(&self, ia_code: u16, question: &Question<'_>) -> Vec<String> {
        let name = format!("{} {}", name_of(ia_code), self.iaid);
        let mut lines = vec![format!("{name}: T1 {}, T2 {}", self.t1, self.t2)];
        for lease in &self.leases {
            let pool = site::pool_of(lease.prefix);
            let place = match pool {
                Some(pool) => format!("lease of {pool}"),
                None => format!("lease {} of no pool", lease.prefix),
            };
            let origin = if names(question.sent, lease.prefix) {
                "as named"
            } else if question.known.contains(&lease.prefix) {
                "as before"
            } else {
                "new"
            };
            lines.push(format!("{name}: {place}, {origin}, {}/{} s", lease.preferred, lease.valid));
            lines
                .extend(lease.others.iter().map(|option| format!("{name}: in the lease: {}", plain(option))));
        }
        lines.extend(self.others.iter().map(|option| format!("{name}: {}", plain(option))));
        lines
    }
}

/// Whether a message names a lease: an address by its octets, a prefix with its length before them.
fn names(sent: &[u8], lease: Prefix) -> bool {
    let octets = lease.address.octets();
    match lease.length {
        128 => find(sent, &octets).is_some(),
        length => find(sent, &[&[length][..], &octets].concat()).is_some(),
    }
}

fn is_ia(code: u16) -> bool {
    matches!(code, code::IA_NA | code::IA_PD)
}

fn read_options(mut bytes: &[u8]) -> Result<Vec<Opt>> {
    let mut options = Vec::new();
    while !bytes.is_empty() {
        let (header, rest) = bytes.split_at_checked(4).context("an option header is cut")?;
        let word = u32_at(header, 0)?;
        let length = usize::try_from(word & 0xffff)?;
        let (data, rest) = rest.split_at_checked(length).context("an option runs past its container")?;
        options.push(Opt { code: u16::try_from(word >> 16)?, data: data.to_vec() });
        bytes = rest;
    }
    Ok(options)
}

fn read_ia(option: &Opt) -> Result<Ia> {
    let (header, body) = option.data.split_at_checked(12).context("an IA is cut")?;
    let mut ia = Ia {
        iaid: u32_at(header, 0)?,
        t1: u32_at(header, 4)?,
        t2: u32_at(header, 8)?,
        leases: Vec::new(),
        others: Vec::new(),
    };
    for inner in read_options(body)? {
        let data = &inner.data;
        match (option.code, inner.code) {
            (code::IA_NA, code::IA_ADDR) => ia.leases.push(Lease {
                prefix: Prefix::host(address_at(data, 0)?),
                preferred: u32_at(data, 16)?,
                valid: u32_at(data, 20)?,
                others: read_options(data.get(24..).context("cut")?)?,
            }),
            (code::IA_PD, code::IA_PREFIX) => ia.leases.push(Lease {
                preferred: u32_at(data, 0)?,
                valid: u32_at(data, 4)?,
                prefix: Prefix { length: *data.get(8).context("cut")?, address: address_at(data, 9)? },
                others: read_options(data.get(25..).context("cut")?)?,
            }),
            _ => ia.others.push(inner),
        }
    }
    for lease in &ia.leases {
        ensure!(lease.prefix.length <= 128, "a prefix length of {}", lease.prefix.length);
    }
    Ok(ia)
}

/// An option in a line: a status by its code alone, well-known ones in words, the rest in hexadecimal.
fn plain(option: &Opt) -> String {
    let Opt { code, data } = option;
    let name = name_of(*code);
    match *code {
        code::STATUS_CODE => match data.split_first_chunk::<2>() {
            Some((status, _)) => status_name(u16::from_be_bytes(*status)),
            None => "Status Code that is cut".to_owned(),
        },
        code::DNS_SERVERS if data.len().is_multiple_of(16) => {
            let (servers, _) = data.as_chunks::<16>();
            let servers: Vec<String> =
                servers.iter().map(|octets| Ipv6Addr::from(*octets).to_string()).collect();
            format!("{name}: {}", servers.join(", "))
        }
        code::DOMAIN_LIST => format!("{name}: {}", domain_names(data)),
        code::INFO_REFRESH_TIME | code::SOL_MAX_RT | code::INF_MAX_RT if data.len() == 4 => {
            format!("{name}: {}", u32_at(data, 0).unwrap_or_default())
        }
        _ if data.is_empty() => name,
        _ => format!("{name}: {}", hexadecimal(data)),
    }
}

fn domain_names(mut data: &[u8]) -> String {
    let mut text = String::new();
    while let Some((length, rest)) = data.split_first() {
        let Some((label, rest)) = rest.split_at_checked(usize::from(*length)) else { break };
        text += &String::from_utf8_lossy(label);
        text += if label.is_empty() { " " } else { "." };
        data = rest;
    }
    text.trim_end().to_owned()
}

fn hexadecimal(data: &[u8]) -> String {
    data.iter().fold(String::new(), |mut text, octet| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}

fn status_name(status: u16) -> String {
    let known =
        ["Success", "UnspecFail", "NoAddrsAvail", "NoBinding", "NotOnLink", "UseMulticast", "NoPrefixAvail"];
    known.get(usize::from(status)).map_or_else(|| format!("status {status}"), |name| (*name).to_owned())
}

fn name_of(code: u16) -> String {
    let name = match code {
        code::CLIENT_ID => "Client ID",
        code::SERVER_ID => "Server ID",
        code::IA_NA => "IA_NA",
        code::IA_TA => "IA_TA",
        code::IA_PD => "IA_PD",
        code::PREFERENCE => "Preference",
        code::SERVER_UNICAST => "Server Unicast",
        code::RAPID_COMMIT => "Rapid Commit",
        code::INTERFACE_ID => "Interface-Id",
        code::DNS_SERVERS => "DNS servers",
        code::DOMAIN_LIST => "search list",
        code::INFO_REFRESH_TIME => "Information Refresh Time",
        code::REMOTE_ID => "Remote-Id",
        code::SUBSCRIBER_ID => "Subscriber-Id",
        code::CLIENT_FQDN => "Client FQDN",
        code::RELAY_ID => "Relay-Id",
        ERP_DOMAIN => "ERP domain",
        code::SOL_MAX_RT => "SOL_MAX_RT",
        code::INF_MAX_RT => "INF_MAX_RT",
        code::RELAY_SOURCE_PORT => "Relay Source Port",
        _ => return format!("option {code}"),
    };
    name.to_owned()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() {
        return Some(0);
    }
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    let octets = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()).context("a number is cut")?;
    Ok(u32::from_be_bytes(*octets))
}

fn address_at(bytes: &[u8], at: usize) -> Result<Ipv6Addr> {
    let octets = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()).context("an address is cut")?;
    Ok(Ipv6Addr::from(*octets))
}

#[cfg(test)]
mod tests {
    use super::super::message::{Level, Message, at, ia_address, ia_data, option};
    use super::*;

    fn lines(answer: &[u8], sent: &[u8]) -> Vec<String> {
        let known = BTreeSet::from([at("2001:db8:1:0:1::8/128")]);
        let question = Question { sent, transaction_id: 7, server_id: &[0, 2, 9], known: &known };
        Answer::read(answer).unwrap().lines(&question)
    }

    #[test]
    fn a_lease_is_told_by_its_pool_and_by_who_named_it() {
        let sent = Message::new(kind::REQUEST, 7)
            .option(code::CLIENT_ID, [0, 3, 1])
            .na(1, &[at("2001:db8:1:0:1::7/128")]);
        let inner: Vec<u8> = ["2001:db8:1:0:1::7/128", "2001:db8:1:0:1::8/128", "2001:db8:1:0:1::9/128"]
            .iter()
            .flat_map(|address| ia_address(at(address), 10, 20))
            .collect();
        let reply = Message::new(kind::REPLY, 7)
            .option(code::SERVER_ID, [0, 2, 9])
            .option(code::IA_NA, ia_data(1, 5, 8, &[inner, option(code::STATUS_CODE, [0, 0, 65])].concat()))
            .option(code::CLIENT_ID, [0, 3, 1]);
        let expected = [
            "Client ID as sent",
            "IA_NA 1: Success",
            "IA_NA 1: T1 5, T2 8",
            "IA_NA 1: lease of lan-addresses, as before, 10/20 s",
            "IA_NA 1: lease of lan-addresses, as named, 10/20 s",
            "IA_NA 1: lease of lan-addresses, new, 10/20 s",
            "Reply",
            "own Server ID",
        ];
        assert_eq!(lines(reply.bytes(), sent.bytes()), expected);
    }

    #[test]
    fn what_is_wrong_with_an_answer_is_in_its_lines() {
        let sent = Message::new(kind::SOLICIT, 7).option(code::CLIENT_ID, [0, 3, 1]);
        let reply =
            Message::new(kind::ADVERTISE, 8).option(code::SERVER_ID, [0, 2, 8]).option(code::IA_NA, [0; 11]);
        let lines = lines(reply.bytes(), sent.bytes());
        for fault in ["transaction id of another message", "no Client ID", "Server ID: 000208"] {
            assert!(lines.iter().any(|line| line == fault), "{fault}: {lines:?}");
        }
        assert!(lines.iter().any(|line| line.starts_with("unreadable IA")), "{lines:?}");
        assert!(Answer::read(&[7, 0, 0]).is_err());
        assert!(Answer::read(&[7, 0, 0, 1, 0, 1, 0, 9, 1]).is_err());
    }

    #[test]
    fn relay_levels_are_unwrapped_outermost_first() {
        let inner = Message::new(kind::REPLY, 7);
        let level = |hop, link: &str| Level::on(link).hop(hop).option(code::INTERFACE_ID, [hop]);
        let message =
            Message::relayed(&level(1, "::"), &Message::relayed(&level(0, "2001:db8:2::1"), &inner));
        // The same layout as a Relay-reply's, but for the type.
        let mut bytes = message.bytes().to_vec();
        let second = find(&bytes[1..], &[kind::RELAY_FORWARD, 0]).unwrap() + 1;
        bytes[0] = kind::RELAY_REPLY;
        bytes[second] = kind::RELAY_REPLY;
        let lines = lines(&bytes, &[]);
        let wanted = [
            "relay level 1: hop-count 1, link ::, peer fe80::77",
            "relay level 1: Interface-Id: 01",
            "relay level 2: hop-count 0, link 2001:db8:2::1, peer fe80::77",
            "relay level 2: Interface-Id: 00",
        ];
        for line in wanted {
            assert!(lines.iter().any(|found| found == line), "{line}: {lines:?}");
        }
    }
}
