//! The numbers of DHCPv6 as they stand on the wire: message types, option codes, status codes, ports, sizes.
//!
//! Owns names for IANA values and the bounds that the codec puts on what it reads. Knows nothing of how a message
//! is laid out beyond header sizes, and nothing of policy: whether an option may be sent is decided elsewhere.
//! All integers on the wire are big-endian. Source: RFC 9915 §7, §21 and the IANA DHCPv6 registry.

/// UDP port on which clients listen. Source: RFC 9915 §7.2.
pub const CLIENT_PORT: u16 = 546;
/// UDP port on which servers and relays listen. Source: RFC 9915 §7.2.
pub const SERVER_PORT: u16 = 547;
/// Lifetime, T1 or T2 meaning "for ever". Source: RFC 9915 §7.7.
pub const INFINITY_SECS: u32 = u32::MAX;
/// Octets before the options of a client or server message: type(1), transaction id(3).
pub const CLIENT_HEADER_LEN: usize = 4;
/// Octets before the options of a relay message: type(1), hop-count(1), link-address(16), peer-address(16).
pub const RELAY_HEADER_LEN: usize = 34;

/// Longest datagram read, in octets; no UDP payload is longer (SEC-06).
pub const DATAGRAM_LEN_MAX: usize = 65_535;
/// Shortest DUID option, in octets: type(2) and one octet (SV-106). Source: RFC 9915 §11.1.
pub const DUID_LEN_MIN: usize = 3;
/// Longest DUID option, in octets: type(2) and 128 octets (SV-106). Source: RFC 9915 §11.1.
pub const DUID_LEN_MAX: usize = 130;
/// Options read from one datagram, those of all relay levels, IAs, leases and vendor containers included.
///
/// Why 256: a busy CE router sends about 25, nine relay levels add some 50; a packet of 16,000 empty options is an
/// attack on the packet thread (SEC-06).
pub const OPTIONS_MAX: u16 = 256;
/// Relay-forward levels read. Why 32: the hop limit of RFC 3315; today's is 8, so 9 levels (SV-175).
pub const RELAY_LEVELS_MAX: usize = 32;
/// IAs read from one message, IA_NA and IA_PD together. Why 32: four times the leases a client may hold by default.
pub const IAS_MAX: usize = 32;
/// Codes read from one Option Request or Echo Request option. Why 256: every registered code fits; a list of 32,000
/// would be walked again for each option that we could send.
pub const CODES_MAX: usize = 256;

/// Message types. Source: RFC 9915 §7.3 and IANA.
pub mod msg {
    /// Solicit: client to servers.
    pub const SOLICIT: u8 = 1;
    /// Advertise: server to client.
    pub const ADVERTISE: u8 = 2;
    /// Request: client to one server.
    pub const REQUEST: u8 = 3;
    /// Confirm: client to servers.
    pub const CONFIRM: u8 = 4;
    /// Renew: client to one server.
    pub const RENEW: u8 = 5;
    /// Rebind: client to servers.
    pub const REBIND: u8 = 6;
    /// Reply: server to client.
    pub const REPLY: u8 = 7;
    /// Release: client to one server.
    pub const RELEASE: u8 = 8;
    /// Decline: client to one server.
    pub const DECLINE: u8 = 9;
    /// Reconfigure: server to client.
    pub const RECONFIGURE: u8 = 10;
    /// Information-request: client to servers.
    pub const INFORMATION_REQUEST: u8 = 11;
    /// Relay-forward: relay towards server.
    pub const RELAY_FORWARD: u8 = 12;
    /// Relay-reply: server towards relay.
    pub const RELAY_REPLY: u8 = 13;
    /// Leasequery-reply: server to requestor.
    pub const LEASEQUERY_REPLY: u8 = 15;
    /// Addr-reg-inform: client to servers (RFC 9686).
    pub const ADDR_REG_INFORM: u8 = 36;
    /// Addr-reg-reply: server to client (RFC 9686).
    pub const ADDR_REG_REPLY: u8 = 37;
    /// Highest type that IANA has assigned (Addr-reg-reply); anything above is unknown.
    pub const HIGHEST_ASSIGNED: u8 = 37;
}

/// Option codes. Source: RFC 9915 §21 and IANA.
pub mod opt {
    /// Client Identifier: DUID.
    pub const CLIENT_ID: u16 = 1;
    /// Server Identifier: DUID.
    pub const SERVER_ID: u16 = 2;
    /// Identity association for non-temporary addresses: IAID, T1, T2, options.
    pub const IA_NA: u16 = 3;
    /// Identity association for temporary addresses: IAID, options; obsolete, ignored unless RFC 8415 is to be obeyed
    /// (V-01, SV-135).
    pub const IA_TA: u16 = 4;
    /// IA Address: address, preferred, valid, options; inside IA_NA, or alone in an
    /// Addr-reg-inform.
    pub const IA_ADDR: u16 = 5;
    /// Option Request: list of codes.
    pub const ORO: u16 = 6;
    /// Preference: one octet.
    pub const PREFERENCE: u16 = 7;
    /// Elapsed Time: 1/100 s.
    pub const ELAPSED_TIME: u16 = 8;
    /// Relay Message: a whole message; in relay messages only.
    pub const RELAY_MESSAGE: u16 = 9;
    /// Authentication.
    pub const AUTH: u16 = 11;
    /// Server Unicast: obsolete, ignored (V-01).
    pub const SERVER_UNICAST: u16 = 12;
    /// Status Code: code and text.
    pub const STATUS_CODE: u16 = 13;
    /// Rapid Commit: empty.
    pub const RAPID_COMMIT: u16 = 14;
    /// User Class: (length, data) items.
    pub const USER_CLASS: u16 = 15;
    /// Vendor Class: enterprise number, (length, data) items; one per enterprise.
    pub const VENDOR_CLASS: u16 = 16;
    /// Vendor-specific Information: enterprise number, sub-options; one per enterprise.
    pub const VENDOR_OPTS: u16 = 17;
    /// Interface-Id: opaque; in relay messages only.
    pub const INTERFACE_ID: u16 = 18;
    /// Reconfigure Message: one octet.
    pub const RECONF_MSG: u16 = 19;
    /// Reconfigure Accept: empty.
    pub const RECONF_ACCEPT: u16 = 20;
    /// SIP server names.
    pub const SIP_NAMES: u16 = 21;
    /// SIP server addresses.
    pub const SIP_SERVERS: u16 = 22;
    /// DNS recursive name servers: addresses.
    pub const DNS_SERVERS: u16 = 23;
    /// Domain search list: names.
    pub const DOMAIN_LIST: u16 = 24;
    /// Identity association for prefix delegation: IAID, T1, T2, options.
    pub const IA_PD: u16 = 25;
    /// IA Prefix: preferred, valid, length, prefix, options; inside IA_PD only.
    pub const IA_PREFIX: u16 = 26;
    /// SNTP servers: addresses.
    pub const SNTP_SERVERS: u16 = 31;
    /// Information Refresh Time: seconds.
    pub const INFO_REFRESH_TIME: u16 = 32;
    /// Relay agent Remote-Id: enterprise number, opaque.
    pub const REMOTE_ID: u16 = 37;
    /// Relay agent Subscriber-Id: opaque.
    pub const SUBSCRIBER_ID: u16 = 38;
    /// Client FQDN: flags, name.
    pub const CLIENT_FQDN: u16 = 39;
    /// Echo Request: list of codes that a relay wants back.
    pub const ECHO_REQUEST: u16 = 43;
    /// Relay-Id: DUID of a relay.
    pub const RELAY_ID: u16 = 53;
    /// NTP servers: sub-options.
    pub const NTP_SERVER: u16 = 56;
    /// Boot file URL.
    pub const BOOTFILE_URL: u16 = 59;
    /// Client system architecture types: list of u16.
    pub const CLIENT_ARCH_TYPE: u16 = 61;
    /// Client network interface identifier: three octets.
    pub const CLIENT_NII: u16 = 62;
    /// Relay-supplied options.
    pub const RSOO: u16 = 66;
    /// Address Family Transition Router's name (DS-Lite).
    pub const AFTR_NAME: u16 = 64;
    /// Prefix Exclude; inside IA Prefix only.
    pub const PD_EXCLUDE: u16 = 67;
    /// Client link-layer address: hardware type, address; innermost Relay-forward only.
    pub const CLIENT_LINKLAYER_ADDR: u16 = 79;
    /// Highest retransmission time of Solicit, seconds.
    pub const SOL_MAX_RT: u16 = 82;
    /// Highest retransmission time of Information-request, seconds.
    pub const INF_MAX_RT: u16 = 83;
    /// MAP-E container.
    pub const S46_CONT_MAPE: u16 = 94;
    /// MAP-T container.
    pub const S46_CONT_MAPT: u16 = 95;
    /// Lightweight 4over6 container.
    pub const S46_CONT_LW: u16 = 96;
    /// Captive portal URI.
    pub const CAPTIVE_PORTAL: u16 = 103;
    /// Relay Source Port: u16. Source: RFC 8357.
    pub const RELAY_SOURCE_PORT: u16 = 135;
    /// Addresses may be registered here: empty. Source: RFC 9686.
    pub const ADDR_REG_ENABLE: u16 = 148;
}

/// Status codes. Source: RFC 9915 §21.13.
pub mod status {
    /// All went well.
    pub const SUCCESS: u16 = 0;
    /// A failure that has no code of its own.
    pub const UNSPEC_FAIL: u16 = 1;
    /// No address for this IA_NA.
    pub const NO_ADDRS_AVAIL: u16 = 2;
    /// The server has no binding for this IA.
    pub const NO_BINDING: u16 = 3;
    /// The address does not fit the client's link.
    pub const NOT_ON_LINK: u16 = 4;
    /// The client is to use multicast: obsolete, for RFC 8415's clients alone (SV-135). Source: RFC 8415 §21.13.
    pub const USE_MULTICAST: u16 = 5;
    /// No prefix for this IA_PD.
    pub const NO_PREFIX_AVAIL: u16 = 6;
}
