//! The table of options: which there are, what they are called in files, what their data looks like, whether clients may
//! ask for them, and how often they may stand in a message.
//!
//! Knows names and types only; the types are read by [`super::grammar`]. Source of the columns: the IANA registry of
//! DHCPv6 option codes ("Client ORO", "Singleton Option"), and of each type the document in its row. `docs/options.md`
//! has the same table; a test compares the two.

/// How many instances of an option one place may have, and how they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One: its value.
    Once,
    /// Any number: an array of values.
    Repeated,
    /// One for each enterprise, whose number opens the data: a table of values by enterprise number (OP-02).
    ByEnterprise,
}

/// An option that may be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Option code.
    pub code: u16,
    /// Its name in files.
    pub name: &'static str,
    /// What its data looks like, in the grammar of [`super::grammar`].
    pub ty: &'static str,
    /// Whether clients may ask for it by their Option Request option (SV-203).
    pub requestable: bool,
    /// How often it may stand.
    pub form: Form,
    /// Where it is defined.
    pub source: &'static str,
}

/// Codes that nobody configures as options: the protocol itself uses them, or only clients and relays send them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserved {
    /// The first code.
    pub first: u16,
    /// The last code.
    pub last: u16,
    /// Whether clients may ask for them.
    pub requestable: bool,
    /// What they are, and what to configure instead where there is something.
    pub what: &'static str,
}

const fn once(code: u16, name: &'static str, ty: &'static str, source: &'static str) -> Entry {
    Entry { code, name, ty, requestable: true, form: Form::Once, source }
}

const fn repeated(code: u16, name: &'static str, ty: &'static str, source: &'static str) -> Entry {
    Entry { code, name, ty, requestable: true, form: Form::Repeated, source }
}

/// A softwire's port parameters. Source: RFC 7598 §4.5.
const MAP_E: &str = "{89 rules+: (flags: u8, ea_length: u8(0..48), prefix4: prefix4, prefix: prefix, options: \
                     {93 ports: (offset: u8(0..15), psid_length: u8(0..16), psid: u16)}), 90 border_relays+: address}";
const MAP_T: &str = "{89 rules+: (flags: u8, ea_length: u8(0..48), prefix4: prefix4, prefix: prefix, options: \
                     {93 ports: (offset: u8(0..15), psid_length: u8(0..16), psid: u16)}), 91 default_mapping!: prefix}";
const LIGHTWEIGHT: &str = "{90 border_relays+: address, 92 binding: (address: ipv4, prefix: prefix, options: {93 \
                           ports: (offset: u8(0..15), psid_length: u8(0..16), psid: u16)})}";
const ENCRYPTED_DNS: &str = "priority: u16, name: len16(name), [addresses: len16(address+), parameters: {1 alpn: \
                             len8(string)+, 3 port: u16, 7 dohpath: string}]";

/// All options that may be configured, by code.
pub const CATALOGUE: &[Entry] = &[
    Entry {
        code: 16,
        name: "vendor_class",
        ty: "len16(opaque)+",
        requestable: false,
        form: Form::ByEnterprise,
        source: "RFC 9915 §21.16",
    },
    Entry {
        code: 17,
        name: "vendor_options",
        ty: "{}",
        requestable: true,
        form: Form::ByEnterprise,
        source: "RFC 9915 §21.17",
    },
    once(21, "sip_server_names", "name+", "RFC 3319 §3.1"),
    once(22, "sip_server_addresses", "address+", "RFC 3319 §3.2"),
    once(23, "dns_servers", "address+", "RFC 3646 §3"),
    once(24, "domain_search", "name+", "RFC 3646 §4"),
    once(27, "nis_servers", "address+", "RFC 3898 §3"),
    once(28, "nisp_servers", "address+", "RFC 3898 §4"),
    once(29, "nis_domain", "name", "RFC 3898 §5"),
    once(30, "nisp_domain", "name", "RFC 3898 §6"),
    once(31, "sntp_servers", "address+", "RFC 4075"),
    once(32, "information_refresh_time", "u32(600..)", "RFC 9915 §21.23"),
    once(33, "bcmcs_server_names", "name+", "RFC 4280"),
    once(34, "bcmcs_server_addresses", "address+", "RFC 4280"),
    once(36, "civic_address", "opaque", "RFC 4776"),
    once(40, "pana_agents", "address+", "RFC 5192"),
    once(41, "posix_timezone", "string", "RFC 4833"),
    once(42, "tzdb_timezone", "string", "RFC 4833"),
    once(51, "lost_server", "name", "RFC 5223"),
    once(52, "capwap_controllers", "address+", "RFC 5417"),
    repeated(56, "ntp_servers", "one{1 address: address, 2 multicast: address, 3 name: name}", "RFC 5908 §4"),
    once(57, "access_domain", "name", "RFC 5986"),
    once(58, "sip_ua_configuration", "name+", "RFC 6011"),
    once(59, "boot_file_url", "string", "RFC 5970 §3.1"),
    once(60, "boot_file_parameters", "len16(string)+", "RFC 5970 §3.2"),
    Entry {
        code: 61,
        name: "architectures",
        ty: "u16+",
        requestable: false,
        form: Form::Once,
        source: "RFC 5970 §3.3",
    },
    once(62, "network_interface", "type: u8, major: u8, minor: u8", "RFC 5970 §3.4"),
    once(63, "geolocation", "opaque", "RFC 6225"),
    once(64, "aftr_name", "name", "RFC 6334 §3"),
    once(65, "erp_local_domain", "name", "RFC 6440"),
    once(82, "sol_max_rt", "u32(60..86400)", "RFC 9915 §21.24"),
    once(83, "inf_max_rt", "u32(60..86400)", "RFC 9915 §21.25"),
    once(
        84,
        "address_selection",
        "flags: u8, policies: {85 rows*: (label: u8, precedence: u8, prefix: prefix)}",
        "RFC 7078",
    ),
    repeated(86, "pcp_servers", "address+", "RFC 7291"),
    once(88, "dhcp4o6_servers", "address*", "RFC 7341"),
    repeated(94, "map_e", MAP_E, "RFC 7598 §5.1"),
    once(95, "map_t", MAP_T, "RFC 7598 §5.2"),
    once(96, "lightweight_4over6", LIGHTWEIGHT, "RFC 7598 §5.3"),
    once(103, "captive_portal", "string", "RFC 8910 §2.2"),
    once(111, "softwire_priority", "u16+", "RFC 8026"),
    repeated(113, "v6_prefix64", "asm: prefix, ssm: prefix, unicast: prefix", "RFC 8115"),
    once(136, "sztp_redirect", "len16(string)+", "RFC 8572 §8.2"),
    once(137, "softwire_source_binding", "prefix", "RFC 8539"),
    once(141, "dots_name", "name", "RFC 8973"),
    once(142, "dots_addresses", "address+", "RFC 8973"),
    once(143, "andsf_addresses", "address+", "RFC 6153"),
    repeated(144, "encrypted_dns", ENCRYPTED_DNS, "RFC 9463 §4"),
    repeated(145, "registered_domain", "name", "RFC 9527 §4.1"),
    once(146, "forward_distribution_manager", "transport: u16, name: name", "RFC 9527 §4.2"),
    once(147, "reverse_distribution_manager", "transport: u16, name: name", "RFC 9527 §4.3"),
];

const fn no(first: u16, last: u16, what: &'static str) -> Reserved {
    Reserved { first, last, requestable: false, what }
}

const fn asked(code: u16, what: &'static str) -> Reserved {
    Reserved { first: code, last: code, requestable: true, what }
}

/// All codes that may not be configured, by code.
pub const RESERVED: &[Reserved] = &[
    no(0, 0, "no option"),
    no(1, 2, "identifiers: see `server_duid`"),
    no(3, 6, "leases and requests for options"),
    no(7, 7, "Preference: see `preference`"),
    no(8, 9, "Elapsed Time and Relay Message"),
    no(11, 11, "Authentication: see `reconfigure`"),
    no(12, 12, "Server Unicast, which is obsolete"),
    no(13, 13, "Status Code"),
    no(14, 14, "Rapid Commit: see `rapid_commit`"),
    no(15, 15, "User Class, which clients send"),
    no(18, 18, "Interface-Id, which relays send"),
    no(19, 20, "Reconfigure: see `reconfigure`"),
    no(25, 26, "leases"),
    no(37, 38, "Remote-Id and Subscriber-Id, which relays send"),
    asked(39, "Client FQDN, which answers the client's own"),
    no(43, 43, "Echo Request, which relays send"),
    no(44, 48, "leasequery"),
    no(53, 53, "Relay-Id, which relays send"),
    no(66, 66, "options that relays supply: see `relay_supplied`"),
    asked(67, "PD Exclude: see `exclude_length`"),
    no(68, 68, "virtual subnets, which relays choose"),
    no(79, 81, "what relays and leasequery tell"),
    asked(85, "a row of `address_selection`"),
    no(87, 87, "DHCPv4 over DHCPv6"),
    no(89, 93, "parts of `map_e`, `map_t` and `lightweight_4over6`"),
    no(100, 102, "leasequery"),
    no(105, 110, "access networks, which relays tell"),
    no(112, 112, "MUD URL, which clients send"),
    no(114, 134, "failover between servers"),
    no(135, 135, "Relay Source Port"),
    no(138, 140, "link-layer addresses as leases"),
    asked(148, "Address Registration: see `register_addresses`"),
];

/// The entry of a code.
#[must_use]
pub fn by_code(code: u16) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.code == code)
}

/// The entry of a name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.name == name)
}

/// Why a code may not be configured, if it may not be.
#[must_use]
pub fn reserved(code: u16) -> Option<&'static Reserved> {
    RESERVED.iter().find(|row| (row.first..=row.last).contains(&code))
}

/// Whether clients may ask for a code by their Option Request option (SV-203). Codes that nobody has told to be
/// otherwise may be.
#[must_use]
pub fn is_requestable(code: u16) -> bool {
    let configured = by_code(code).map(|entry| entry.requestable);
    configured.or_else(|| reserved(code).map(|row| row.requestable)).unwrap_or(true)
}
