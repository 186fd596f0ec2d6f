//! Why a message was left without an answer: one reason for each cause, with a stable name and index.
//!
//! Owns the list of reasons, those of the decoder, of the validation table and of the engine, so that one array of
//! `Discard::COUNT` counters holds them all. Knows nothing of counting or logging. Silence is the default answer to
//! a bad message (SV-131). Names are part of the metrics contract: they are added to, never changed.
//! Source: RFC 9915 §16.

use super::options::TlvError;

macro_rules! discards {
    ($($(#[$doc:meta])* $variant:ident => $name:literal, $text:literal;)+) => {
        /// The reason why a message got no answer.
        ///
        /// Order of variants is the order of [`Discard::ALL`] and of [`Discard::index`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
        pub enum Discard {
            $($(#[$doc])* #[error($text)] $variant,)+
        }

        impl Discard {
            /// Every reason, in index order, each once.
            pub const ALL: &'static [Discard] = &[$(Discard::$variant,)+];

            /// The name used in metrics: snake_case, stable.
            pub const fn name(self) -> &'static str {
                match self { $(Discard::$variant => $name,)+ }
            }
        }
    };
}

discards! {
    /// Longer than any UDP payload (SEC-06).
    OversizedDatagram => "oversized_datagram", "the datagram is longer than 65535 octets";
    /// Ends inside the fixed header of a message or relay level.
    TruncatedHeader => "truncated_header", "the message ends inside its header";
    /// An option runs past its container, or a header of an option is cut (SV-111).
    TruncatedOption => "truncated_option", "an option runs past the end of its container";
    /// An option whose length its definition does not allow (SV-111).
    BadOptionLength => "bad_option_length", "an option has a length that its definition does not allow";
    /// A Client or Server Identifier outside 3..=130 octets (SV-106).
    BadDuidLength => "bad_duid_length", "a DUID is shorter than 3 or longer than 130 octets";
    /// A prefix length above 128.
    BadPrefixLength => "bad_prefix_length", "a prefix length is above 128";
    /// More options than [`super::wire::OPTIONS_MAX`] (SEC-06).
    TooManyOptions => "too_many_options", "the message holds more options than are read";
    /// More IAs than [`super::wire::IAS_MAX`] (SEC-06).
    TooManyIas => "too_many_ias", "the message holds more IAs than are read";
    /// A list of option codes longer than [`super::wire::CODES_MAX`] (SEC-06).
    TooManyCodes => "too_many_codes", "a list of requested options is longer than is read";
    /// More relay levels than [`super::wire::RELAY_LEVELS_MAX`] (SV-175).
    RelayTooDeep => "relay_too_deep", "more relay levels than are read";
    /// A Relay-forward without a Relay Message option.
    RelayWithoutMessage => "relay_without_message", "a Relay-forward carries no Relay Message";
    /// A message type that only servers send (requirements 3.2).
    ServerMessage => "server_message", "the message type is one that servers send";
    /// A registered message type that this server does not serve.
    UnsupportedMessage => "unsupported_message", "the message type is not served here";
    /// A message type nobody has registered (SV-108).
    UnknownMessage => "unknown_message", "the message type is unknown";
    /// No Client Identifier where one is required.
    NoClientId => "no_client_id", "a Client Identifier is required and absent";
    /// No Server Identifier where one is required.
    NoServerId => "no_server_id", "a Server Identifier is required and absent";
    /// A Server Identifier where none may stand.
    UnexpectedServerId => "unexpected_server_id", "a Server Identifier stands where none may";
    /// The Server Identifier names another server.
    OtherServer => "other_server", "the Server Identifier names another server";
    /// An Information-request with an IA_NA or IA_PD.
    IaInInformationRequest => "ia_in_information_request", "an Information-request contains an IA";
    /// An Addr-reg-inform with an Option Request (RFC 9686 §4.2).
    OroInRegistration => "oro_in_registration", "a registration asks for options";
    /// An Addr-reg-inform without an IA Address at top level, or with several.
    RegistrationAddress => "registration_address", "a registration does not name exactly one address";
    /// An Addr-reg-inform about another address than it comes from.
    RegistrationSource => "registration_source", "a registration does not come from the address that it names";
    /// An Addr-reg-inform on a link where addresses are not registered.
    RegistrationOff => "registration_off", "addresses are not registered on the link";
    /// An address outside the on-link prefixes of its client's link (RFC 9686 §4.2.1).
    RegistrationOffLink => "registration_off_link", "the address to be registered is not of the link";
    /// An address that is leased (RFC 9686 §4.2.1).
    RegistrationLeased => "registration_leased", "the address to be registered is leased";
    /// More registrations than a client may have, or than are kept.
    TooManyRegistrations => "too_many_registrations", "too many addresses are registered";
    /// Nothing can be recorded now: leases are not known yet, or the session ends.
    RegistrationNotNow => "registration_not_now", "no registration can be recorded now";
    /// A direct client message sent to a unicast address (SV-134).
    UnicastDestination => "unicast_destination", "a client message was sent to a unicast address";
    /// A Relay-forward from a source or interface where relays are not allowed (SEC-04, SEC-05).
    RelayNotAllowed => "relay_not_allowed", "Relay-forwards are not accepted from there";
    /// A client that policy shuts out (SEC-10).
    ClientNotAllowed => "client_not_allowed", "policy does not allow this client";
    /// Above the rate granted to a client or relay (SEC-01).
    RateLimited => "rate_limited", "the sender exceeds its message rate";
    /// No network configuration has come from the store yet.
    NoConfiguration => "no_configuration", "no network configuration is loaded yet";
    /// No configured link matches (SV-155).
    NoLink => "no_link", "no configured link matches the message";
    /// A Confirm whose link is unknown (SV-322).
    UnknownLinkConfirm => "unknown_link_confirm", "a Confirm came from an unknown link";
    /// A Confirm without any address (SV-322).
    ConfirmWithoutAddress => "confirm_without_address", "a Confirm names no address";
    /// Left to the partner, whose turn it is to answer.
    NotOurs => "not_ours", "the partner answers this message";
    /// The session's autonomy has ended, or its clock is in doubt: nothing may be promised (R4).
    AutonomyEnded => "autonomy_ended", "the session may not issue until it has heard from the store";
    /// Own ranges are dry and the store has not said that the pool is: silence for new clients.
    RangesDry => "ranges_dry", "own ranges are dry and the pool may not be";
    /// A lease of which nobody here has a record; the answer, if any, waits for adoption (R7).
    UnrecordedLease => "unrecorded_lease", "the lease asked for is not on record here";
    /// The store was asked to adopt the lease (R7), and the message could not be kept until it answers.
    AdoptionPending => "adoption_pending", "the store is asked to adopt the lease";
    /// No IA would hold anything worth saying (SV-342).
    NothingToSay => "nothing_to_say", "there is nothing to say in any IA";
    /// The answer does not fit what the receiver can take (SV-113).
    ReplyTooLong => "reply_too_long", "the answer does not fit into a datagram";
    /// The store refused what the answer, held for the commit, promises (FO-903).
    PromiseRefused => "promise_refused", "the store refused what the answer promised";
    /// Computed too long ago, or the deadline has passed: dropped just before sending (R4).
    SentTooLate => "sent_too_late", "the answer was ready too long ago to be sent";
    /// More came in than could be answered, and others rank higher or have had less.
    Overload => "overload", "more messages wait than are kept, and others go first";
    /// It waited, in an overload, until its client had sent again or turned elsewhere.
    WaitedTooLong => "waited_too_long", "the message waited too long to be worth an answer";
    /// A newer copy of it came while it waited, and is answered in its stead.
    Superseded => "superseded", "a newer copy of the message took its place while it waited";
}

impl Discard {
    /// How many reasons there are: the length of an array of counters.
    pub const COUNT: usize = Self::ALL.len();

    /// Position in [`Discard::ALL`], below [`Discard::COUNT`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl From<TlvError> for Discard {
    fn from(error: TlvError) -> Self {
        match error {
            TlvError::Truncated => Discard::TruncatedOption,
            TlvError::TooMany => Discard::TooManyOptions,
        }
    }
}
