//! Messages built from a script: of the parts that clients and relays use, with any of them mutated, repeated, missing,
//! of a forbidden length, or cut.

use crate::networks::{OTHER_SERVER_DUID, SERVER_DUID};
use crate::script::Script;
use leasehold_frontend::codec::wire::{DATAGRAM_LEN_MAX, RELAY_HEADER_LEN, msg, opt};
use leasehold_proto::words::Prefix;

/// The clients that come again, so that their leases can be renewed, claimed by others and given back.
pub(crate) const CLIENTS: [&[u8]; 6] = [
    &[0, 3, 0, 1, 2, 0, 0, 0, 0, 1],
    &[0, 3, 0, 1, 2, 0, 0, 0, 0, 2],
    &[0, 3, 0, 1, 2, 0, 0, 0, 0, 3],
    &[0, 1, 0],
    &[0xff; 130],
    b"\0\x02\x1b[2J\r\n\"}\\",
];

/// Lengths at which readers of DUIDs went wrong.
const LENGTHS: [u16; 16] = [0, 1, 2, 3, 4, 127, 128, 129, 130, 131, 255, 256, 1024, 4096, 32_768, 65_535];

/// Addresses and prefixes that mean something to the configurations: in each pool, in each owner's ranges, off link,
/// of no pool, and of no kind that anybody leases.
pub(crate) const PREFIXES: [(&str, u32); 24] = [
    ("2001:db8:1::1042", 128),
    ("2001:db8:1::1043", 128),
    ("2001:db8:1::1210", 128),
    ("2001:db8:1::1810", 128),
    ("2001:db8:1::1811", 128),
    ("2001:db8:1::1c10", 128),
    ("2001:db8:1::1e10", 128),
    ("2001:db8:1::1fff", 128),
    ("2001:db8:1::2001", 128),
    ("2001:db8:1::7", 128),
    ("2001:db8:11::7", 128),
    ("2001:db8:77::1", 128),
    ("::", 128),
    ("fe80::1", 128),
    ("2001:db8:8000:100::", 56),
    ("2001:db8:8000:200::", 56),
    ("2001:db8:8000:8000::", 56),
    ("2001:db8:8000:f000::", 56),
    ("2001:db8:8000::", 60),
    ("2001:db8:8000::", 33),
    ("::", 0),
    ("::", 60),
    ("2001:db8:77::", 48),
    ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 128),
];

/// One of [`PREFIXES`].
pub(crate) fn prefix(which: u8) -> Prefix {
    let (address, length) = PREFIXES[usize::from(which) % PREFIXES.len()];
    let bits = address.parse::<std::net::Ipv6Addr>().expect("an address").to_bits();
    Prefix::containing(bits, length).expect("a length up to 128")
}

/// A message in the making.
struct Builder<'g> {
    bytes: Vec<u8>,
    /// Where the last option begins.
    last: usize,
    /// What clients were given lately.
    given: &'g [Prefix],
}

/// A whole datagram; never longer than the network could bring.
pub(crate) fn build(script: &mut Script<'_>, given: &[Prefix]) -> Vec<u8> {
    let kind = match script.octet() {
        // The eight that are served, more often than the others.
        octet @ 0..=191 => [
            msg::SOLICIT,
            msg::REQUEST,
            msg::CONFIRM,
            msg::RENEW,
            msg::REBIND,
            msg::RELEASE,
            msg::DECLINE,
            msg::INFORMATION_REQUEST,
        ][usize::from(octet & 7)],
        octet => octet - 192,
    };
    let mut message = Builder { bytes: vec![kind, 7, 7, script.below(4)], last: 4, given };
    for _ in 0..script.below(24) {
        message.part(script);
    }
    let levels = script.below(42);
    for _ in 0..levels {
        message.wrap(script);
    }
    let mut bytes = message.bytes;
    bytes.truncate(DATAGRAM_LEN_MAX);
    bytes
}

impl Builder<'_> {
    fn option(&mut self, code: u16, data: &[u8]) {
        let data = &data[..data.len().min(usize::from(u16::MAX))];
        if self.bytes.len() + 4 + data.len() > DATAGRAM_LEN_MAX {
            return;
        }
        self.last = self.bytes.len();
        self.bytes.extend(code.to_be_bytes());
        self.bytes.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
        self.bytes.extend(data);
    }

    fn part(&mut self, script: &mut Script<'_>) {
        match script.below(20) {
            0 => self.option(opt::CLIENT_ID, script.pick(&CLIENTS)),
            1 => self.option(opt::SERVER_ID, script.pick(&[SERVER_DUID, SERVER_DUID, OTHER_SERVER_DUID])),
            2 => {
                let code = script.pick(&[opt::CLIENT_ID, opt::SERVER_ID]);
                let length = script.pick(&LENGTHS);
                self.option(code, &vec![script.octet(); usize::from(length)]);
            }
            3 | 4 => self.ia(script, opt::IA_NA),
            5 | 6 => self.ia(script, opt::IA_PD),
            7 => self.option(opt::ELAPSED_TIME, &script.short().to_be_bytes()),
            8 => {
                let count = script.pick(&[0, 1, 2, 3, 8, 255, 256, 257]);
                let codes = script.take(8);
                let codes = codes.iter().cycle().take(if codes.is_empty() { 0 } else { count });
                self.option(opt::ORO, &codes.flat_map(|code| [0, *code]).collect::<Vec<_>>());
            }
            9 => self.option(opt::RAPID_COMMIT, &[]),
            10 => {
                let code = u16::from(script.octet());
                let length = script.below(40);
                self.option(code, script.take(usize::from(length)));
            }
            11 => {
                let code = script.short();
                let length = script.pick(&LENGTHS);
                self.option(code, &vec![script.octet(); usize::from(length)]);
            }
            12 => self.repeat(script.octet()),
            13 => {
                let at = usize::from(script.short()) % self.bytes.len();
                self.bytes[at] = script.octet();
            }
            14 => {
                let at = usize::from(script.short()) % (self.bytes.len() + 1);
                self.bytes.truncate(at.max(4));
                self.last = self.last.min(self.bytes.len());
            }
            15 => {
                let length = script.short();
                if let Some(field) = self.bytes.get_mut(self.last + 2..self.last + 4) {
                    field.copy_from_slice(&length.to_be_bytes());
                }
            }
            16 => {
                // What stands last goes into a container.
                let code =
                    script.pick(&[opt::IA_NA, opt::IA_PD, opt::IA_TA, opt::VENDOR_OPTS, opt::USER_CLASS]);
                let inner = self.bytes.split_off(self.last.min(self.bytes.len()));
                self.option(code, &[vec![0; usize::from(script.below(16))], inner].concat());
            }
            17 => {
                for iaid in 0..script.below(40) {
                    let (code, leases) = (script.pick(&[opt::IA_NA, opt::IA_PD]), script.below(4));
                    let data = self.ia_data(script, code, u32::from(iaid), leases);
                    self.option(code, &data);
                }
            }
            18 => {
                // As many leases in one IA as its client likes to name.
                let (code, count) = (script.pick(&[opt::IA_NA, opt::IA_PD]), script.octet());
                let data = self.ia_data(script, code, 1, count);
                self.option(code, &data);
            }
            _ => self.name(script),
        }
    }

    fn ia(&mut self, script: &mut Script<'_>, code: u16) {
        let (iaid, leases) = (u32::from(script.below(4)), script.below(4));
        let data = self.ia_data(script, code, iaid, leases);
        self.option(code, &data);
    }

    fn ia_data(&self, script: &mut Script<'_>, code: u16, iaid: u32, leases: u8) -> Vec<u8> {
        let mut data = [iaid.to_be_bytes(), 55u32.to_be_bytes(), 66u32.to_be_bytes()].concat();
        for n in 0..leases {
            let prefix = match script.octet() {
                choice @ 0..=127 => prefix(choice),
                choice @ 128..=223 if !self.given.is_empty() => {
                    self.given[usize::from(choice) % self.given.len()]
                }
                // Many in a pool, and many on the link that are in none.
                choice => {
                    let first = prefix(if choice < 240 { 0 } else { 9 });
                    Prefix::address(first.bits() + u128::from(choice) * 4 + u128::from(n))
                }
            };
            let address = prefix.ip().octets();
            if code == opt::IA_NA {
                data.extend([0, 5, 0, 24]);
                data.extend(address);
                data.extend([0, 0, 0, 77, 0, 0, 0, 88]);
            } else {
                data.extend([0, 26, 0, 25, 0, 0, 0, 77, 0, 0, 0, 88, prefix.len_bits()]);
                data.extend(address);
            }
        }
        data
    }

    /// The last option again, so many times.
    fn repeat(&mut self, times: u8) {
        let last = self.bytes[self.last.min(self.bytes.len())..].to_vec();
        for _ in 0..times {
            if last.is_empty() || self.bytes.len() + last.len() > DATAGRAM_LEN_MAX {
                break;
            }
            self.last = self.bytes.len();
            self.bytes.extend(&last);
        }
    }

    /// A host name, or what somebody sends for one.
    fn name(&mut self, script: &mut Script<'_>) {
        const NAMES: [&[u8]; 8] = [
            b"\x04host\x07example\x03com\0",
            b"\x04host",
            b"\x3f\x1b[2J\x1b]0;owned\x07",
            b"\x02\r\n\x02\"}\0",
            b"\xc0\x0c",
            b"\xff\xfe\x80",
            b"\x01.\x01.\x00\x00",
            b"",
        ];
        let flags = script.octet();
        self.option(opt::CLIENT_FQDN, &[&[flags][..], script.pick(&NAMES)].concat());
    }

    /// Puts what there is into one more relay level.
    fn wrap(&mut self, script: &mut Script<'_>) {
        const LINK_ADDRESSES: [&str; 8] = [
            "::",
            "::",
            "2001:db8:1::1",
            "2001:db8:11::1",
            "2001:db8:2::1",
            "2001:db8:3::1",
            "fe80::1",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ];
        const CODES: [u16; 16] = [
            opt::INTERFACE_ID,
            opt::INTERFACE_ID,
            opt::RELAY_SOURCE_PORT,
            opt::REMOTE_ID,
            opt::SUBSCRIBER_ID,
            opt::RELAY_ID,
            opt::CLIENT_LINKLAYER_ADDR,
            opt::ECHO_REQUEST,
            opt::ECHO_REQUEST,
            opt::RSOO,
            opt::RELAY_MESSAGE,
            opt::CLIENT_ID,
            opt::IA_NA,
            opt::VENDOR_OPTS,
            opt::AUTH,
            0xfff0,
        ];
        let inner = std::mem::take(&mut self.bytes);
        self.bytes.push(msg::RELAY_FORWARD);
        self.bytes.push(script.octet());
        self.bytes
            .extend(script.pick(&LINK_ADDRESSES).parse::<std::net::Ipv6Addr>().expect("an address").octets());
        self.bytes.extend(prefix(13).ip().octets());
        debug_assert_eq!(self.bytes.len(), RELAY_HEADER_LEN);
        self.last = self.bytes.len();
        let form = script.octet();
        for _ in 0..form & 3 {
            let (code, length) = (script.pick(&CODES), script.octet());
            match length {
                0..=31 => self.option(code, script.take(usize::from(length))),
                32 => self.option(code, b"port-7"),
                33..=63 => {
                    self.option(code, &[0, 37, 0, 18, 0, 53, 0, 9, 0xff, 0xf0][..usize::from(length) % 11])
                }
                64.. => self.option(code, &vec![length; usize::from(length - 63) * 64]),
            }
        }
        if form & 0xf0 != 0xf0 {
            self.option(opt::RELAY_MESSAGE, &inner);
        }
        if form & 0x0c == 0x0c {
            self.bytes.truncate(self.bytes.len() - usize::from(form >> 4).min(self.bytes.len()));
        }
    }
}
