//! What is said of each difference: who is right, and by which section.
//!
//! Owns the reasons and the table of scripts in which they show. A script that differs and is not in the table, and
//! one in the table that does not differ, both fail the test.

/// Who has to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Our answer is right, or both are allowed.
    Ours,
    /// We are to be mended.
    Mend,
}

/// Why answers differ.
#[derive(Debug)]
pub struct Reason {
    /// In a few words.
    pub title: &'static str,
    /// Who has to change.
    pub verdict: Verdict,
    /// What decides: sections of RFCs, requirement ids.
    pub decided_by: &'static str,
    /// The argument.
    pub why: &'static str,
}

/// A reason and the scripts in which it shows.
#[derive(Debug)]
pub struct Entry {
    /// The reason.
    pub reason: Reason,
    /// Names of scripts.
    pub scripts: &'static [&'static str],
    /// What stands in a line of the difference of each of these scripts, the line being led by `ours: ` or `Kea: `. For
    /// scripts that have several reasons, so that each can be seen to be there still.
    pub sign: &'static str,
}

impl Entry {
    /// The same, told from other reasons of the same scripts by this sign.
    const fn told_by(self, sign: &'static str) -> Self {
        Self { sign, ..self }
    }
}

/// All reasons, those that are to be mended first.
pub const TABLE: &[Entry] = &[
    mend(
        "Names are not answered",
        "RFC 4704 §6; DN-02 to DN-04",
        "The client sent option 39 and asked for it. It comes with the work on DNS names, which is not done.",
        &["Solicit with a name, asking for it", "Request with a name, asking for it"],
    ),
    ours(
        "A name that was not asked for is not answered",
        "RFC 4704 §6; DN-02",
        "Option 39 is answered only if it stands in the client's Option Request. Kea sends it always.",
        &["Solicit with a name"],
    ),
    ours(
        "A relay's option that the client did not ask for stays out",
        "SV-202",
        "Kea sends what the relay supplied whether it was asked for or not.",
        &["Relay-supplied ERP domain, not asked for"],
    ),
    ours(
        "One offer as long as nothing changes",
        "RFC 9915 §18.3.9; SV-303",
        "An Advertise shows what a Request would get. Kea's iterator has moved on and offers another \
         address to the same client, that of the first Advertise staying free.",
        &["Solicit twice with one transaction id"],
    ),
    ours(
        "The first hint that fits counts",
        "RFC 9915 §18.3.9; SV-304",
        "Hints may be honoured. Kea looks at the first hint of an IA only.",
        &["Solicit hinting at an off-link and a free address"],
    ),
    ours(
        "Two IAs are offered two addresses",
        "RFC 9915 §21.4; SV-212",
        "Kea offers one address in both IAs, and could not keep that.",
        &["Solicit hinting at one address in two IAs"],
    ),
    ours(
        "Who comes back is offered what it had",
        "SV-363",
        "The client gave its lease back and solicits again. Kea offers it another, though nobody else has taken the first.",
        &["Release, then Solicit"],
    ),
    ours(
        "A hint of a length is followed",
        "RFC 8168 §3.2; PD-04",
        "The pool of that length comes first, else the one of the longest prefixes that are still \
         shorter. Kea 2.2 takes its first pool whatever the hint.",
        &[
            "Solicit hinting at ::/60",
            "Solicit hinting at ::/64",
            "Solicit hinting at ::/128",
            "Solicit hinting at two lengths in two IAs",
            "Request for ::/60",
            "Request for ::/62",
            "Renew with an IA_PD more, hinting at ::/60",
            "Request for another client's prefix, or else a length",
        ],
    ),
    ours(
        "An empty Option Request is an Option Request",
        "RFC 9915 §21.7",
        "Its length is twice the number of codes, and none is a number. Kea drops the message.",
        &["Solicit asking for nothing", "Information-request with an empty Option Request"],
    ),
    ours(
        "Clients do not send by unicast",
        "RFC 9915 §16; SV-134",
        "Kea serves what RFC 9915 has servers not accept. A switch for the old behaviour is SV-135.",
        &["Request by unicast", "Renew by unicast", "Release by unicast"],
    ),
    ours(
        "NotOnLink for an address that does not fit the link",
        "RFC 9915 §18.3.2; SV-311",
        "The IA must come back with NotOnLink, in a Reply to a Request. Kea assigns another address instead.",
        &[
            "Request for an off-link address",
            "Request for an off-link address in one of two IAs",
            "Request for an off-link and a free address in one IA",
            "Request for an address of another link",
            "Request for a link-local address",
            "Request when bound, from another link",
            "30 off-link addresses in one IA of a Request",
        ],
    ),
    ours(
        "`::` is no address",
        "RFC 9915 §18.3.3; RFC 4291 §2.5.2; SV-322",
        "A Confirm without addresses must not be answered. Kea says NotOnLink.",
        &["Confirm of ::"],
    ),
    ours(
        "Links that are not configured are not served",
        "RFC 9915 §18.3.1, §18.3.3, §18.3.5; SV-155, SV-322",
        "Of a link of which nothing is known nothing can be said, and a Confirm must go unanswered. Kea \
         says NotOnLink, NoAddrsAvail, NoBinding, releases by address alone, and gives out global \
         options.",
        &[
            "Confirm from a link that is not configured",
            "Rebind from a link that is not configured",
            "Release from a link that is not configured",
            "Information-request from a link that is not configured",
            "Link-address of no link",
            "Link-address of no link inside, of a link outside",
        ],
    ),
    ours(
        "A Rebind with nothing in it has no answer",
        "RFC 9915 §18.3.5; SV-342",
        "Nothing is to be said of any IA. Kea replies without any.",
        &["Rebind without any IA"],
    ),
    ours(
        "No new bindings by Rebind where Rapid Commit is off",
        "RFC 9915 §18.3.5; SV-343",
        "Several servers may answer one Rebind, so bindings are made by it only where they are by a \
         Solicit with Rapid Commit; else NoBinding, or lifetimes 0 for what is certainly not the \
         client's. Kea makes them always.",
        &[
            "Rebind with an IA_NA more",
            "Rebind by an unknown client, naming no address",
            "Rebind by an unknown client of a free address",
            "Rebind by an unknown client of a free prefix",
            "Rebind by an unknown client of another's address",
            "Rebind by an unknown client of an address outside the pools",
            "Rebind by an unknown client of an off-link address",
            "Rebind by an unknown client of a prefix outside the pools",
            "Rebind by an unknown client on a full link",
            "Rebind after Decline",
        ],
    ),
    ours(
        "What was given back is not listed",
        "RFC 9915 §18.3.7, §18.3.8; SV-361, SV-371, SV-206",
        "The Reply lists IAs without binding only. Kea lists the others too, with Success in each.",
        &[
            "Release of an address",
            "Release of a prefix",
            "Release of an address and a prefix, with options",
            "Release of one known and one unknown IA",
            "Release of a held and another client's address in one IA",
            "Release twice with one transaction id",
            "Release behind a relay",
            "Release from another link",
            "Through one relay, all four messages",
            "Decline of an address",
            "Decline of two addresses in two IAs",
            "Decline of one known and one unknown IA",
            "Decline of an address and a prefix",
            "Decline twice with one transaction id",
            "Decline with options asked for",
            "Decline behind a relay",
        ],
    )
    .told_by("1: Success"),
    ours(
        "Success at top level, always",
        "RFC 9915 §18.3.7, §18.3.8; SV-361, SV-371",
        "Kea puts NoBinding at the top level of the Reply to a Release, beside that in the IA, and no \
         status at all into the Reply to a Decline.",
        &[
            "Release of one known and one unknown IA",
            "Release by an unknown client of a free address",
            "Release by an unknown client of a prefix",
            "Release by an unknown client of another's address",
            "Release of an off-link address",
            "Release of a bound IA, naming no address",
            "Release of a bound IA, naming another address",
            "Release of an address under another IAID",
            "Release twice with one transaction id",
            "Decline of an address",
            "Decline of two addresses in two IAs",
            "Decline of one known and one unknown IA",
            "Decline by an unknown client of a free address",
            "Decline by an unknown client of another's address",
            "Decline of an off-link address",
            "Decline of a bound IA, naming no address",
            "Decline of a bound IA, naming another address",
            "Decline of an address under another IAID",
            "Decline of a prefix",
            "Decline of an address and a prefix",
            "Decline without any IA",
            "Decline twice with one transaction id",
            "Decline with options asked for",
            "Decline behind a relay",
        ],
    )
    .told_by("ours: Success"),
    ours(
        "NoBinding for IAs without a binding only",
        "RFC 9915 §18.3.7, §18.3.8; SV-361, SV-371",
        "The IA has a binding, though the message does not name its address, or named it a moment ago: a \
         message sent again is answered as it was the first time. Kea says NoBinding.",
        &[
            "Release of a bound IA, naming no address",
            "Release of a bound IA, naming another address",
            "Release twice with one transaction id",
            "Decline of a bound IA, naming no address",
            "Decline of a bound IA, naming another address",
            "Decline twice with one transaction id",
        ],
    )
    .told_by("1: NoBinding"),
    ours(
        "No options in the Reply to a Confirm",
        "RFC 9915 §18.3.3, §21.7",
        "An Option Request belongs into Solicit, Request, Renew, Rebind and Information-request, and the Reply to a \
         Confirm holds a status. Kea sends options with it, as it does not with those to Release and Decline.",
        &["Confirm with options asked for"],
    ),
    ours(
        "Bindings are of a link",
        "RFC 8987 §4.1; SV-107",
        "The same DUID on another link is another binding, so that clients that roam, and copied DUIDs, \
         do no harm there. Kea releases by address alone.",
        &["Release from another link"],
    )
    .told_by("ours: IA_NA 1: NoBinding"),
    ours(
        "No IAs in an Information-request",
        "RFC 9915 §16.12",
        "The message must be dropped. Kea answers it.",
        &["Information-request with IA_NA", "Information-request with IA_PD"],
    ),
    ours(
        "Relays nested 33 deep",
        "RFC 9915 §7.6; SV-175",
        "Nine levels are legal, 32 are read.",
        &["Through 33 relays"],
    ),
    ours(
        "A link-local link-address tells no link",
        "RFC 9915 §19.1.1; RFC 7969 §3.2; SV-153",
        "It may be on any link, so configuration must say which. Kea goes by where the relay's packet \
         came in, or by the level outside.",
        &["Link-address that is link-local", "Link-address that is link-local inside, an address outside"],
    ),
    ours(
        "Interface-Id selects a link where the link-address cannot",
        "RFC 9915 §13.1; SV-152, SV-153",
        "The link-address of the relay nearest the client comes first, an Interface-Id counts where that \
         is `::` or link-local. Kea 2.2 does it the other way round, and with `::` does not look at it.",
        &["Interface-Id of a link, link-address ::", "Interface-Id of a link, link-address of another"],
    ),
    ours(
        "Echo Request is honoured",
        "RFC 4994 §5; SV-174",
        "Listed options that are there come back at their level, known or not. Kea 2.2 does not know the \
         option.",
        &[
            "Echo Request for Remote-Id and Subscriber-Id",
            "Echo Request for an unknown option",
            "Echo Request for the Relay Message and for itself",
            "Echo Request at the outer level",
        ],
    ),
    ours(
        "Cut options make a message void",
        "SV-111",
        "What runs past the end cannot be told from an attack, and what it hides may matter. Kea uses \
         what stands before.",
        &[
            "An option header that is cut",
            "An option that is cut by one octet",
            "An option that claims 65535 octets",
            "An unknown option that is cut",
            "One octet after the last option",
            "IA_NA with a cut option inside",
            "IA_NA with an odd octet inside",
            "IAADDR with garbage after it",
            "A cut option behind the Relay Message",
            "Relay-supplied options that are cut",
        ],
    ),
    ours(
        "Wrong lengths make a message void",
        "RFC 9915 §21; SV-111",
        "An option of fixed size has that size, and lengths inside fit. Kea passes over the excess, or \
         over the option; with Vendor-specific Information it even loses the IA behind it.",
        &[
            "Elapsed Time of three octets",
            "Rapid Commit with data",
            "Reconfigure Accept with data",
            "Preference of two octets",
            "User Class with a length that runs over",
            "User Class with half a length",
            "Vendor-specific Information of two octets",
            "Vendor-specific Information with a cut sub-option",
            "Authentication of four octets",
            "IAPREFIX of length 129",
            "IAPREFIX of length 255",
            "A Client Link-Layer Address of 1 octet",
        ],
    ),
    ours(
        "A DUID is a type and 128 octets at most",
        "RFC 9915 §11.1; SV-106",
        "130 octets in all. Kea counts the type among the 128.",
        &["A Client ID of 130 octets"],
    ),
    ours(
        "Options that are not served are not judged",
        "RFC 9915 §16; V-01, SV-108",
        "Names are ignored as long as they are not served, IA_TA because it is obsolete. Kea drops the \
         message.",
        &[
            "Client FQDN with a label that runs over",
            "Client FQDN with a compression pointer",
            "IA_TA of 3 octets",
        ],
    ),
    ours(
        "What is misplaced is passed over",
        "RFC 9915 §16; OP-01, SV-132",
        "An IA inside an IA means nothing, and the outer one is served. Kea reads 1500 octets of a \
         datagram, so that it does not see the IA whole.",
        &["A hundred levels of IA_NA in IA_NA"],
    ),
    ours(
        "Of what may stand once the first counts",
        "RFC 9915 §16, §21; SV-109, SV-110",
        "Kea drops the message with a second Client ID or Server ID, answers each IA of an IAID, both \
         with one lease, and takes the last Relay Message.",
        &[
            "One IAID twice, Solicit",
            "One IAID twice, Request",
            "One IAID twice, Renew",
            "Client ID twice, the same",
            "Client ID twice, different",
            "Server ID twice, ours first",
            "Two Relay Messages",
        ],
    ),
    ours(
        "Bounds on what one datagram may cost",
        "SEC-06",
        "32 IAs, 256 options, 256 codes, 4096 octets. Kea has no such bounds but one: it reads 1500 \
         octets of a datagram and answers by what is left of it.",
        &[
            "40 IAs",
            "300 unknown options",
            "Option Request for 300 options",
            "A message of 5000 octets in fragments",
        ],
    ),
    ours(
        "Leases of one client on a link",
        "SEC-02, SV-303",
        "A client may hold eight there unless it is configured otherwise, and is offered no more in one \
         message. Kea has no such bound.",
        &["20 IAs"],
    ),
    ours(
        "A Relay-reply is no message to a server",
        "RFC 9915 §16.14",
        "It is dropped, wherever it stands. Kea reads it as a Relay-forward.",
        &["A Relay-forward in a Relay-reply"],
    ),
];

const fn mend(
    title: &'static str,
    decided_by: &'static str,
    why: &'static str,
    scripts: &'static [&'static str],
) -> Entry {
    Entry { reason: Reason { title, verdict: Verdict::Mend, decided_by, why }, scripts, sign: "" }
}

const fn ours(
    title: &'static str,
    decided_by: &'static str,
    why: &'static str,
    scripts: &'static [&'static str],
) -> Entry {
    Entry { reason: Reason { title, verdict: Verdict::Ours, decided_by, why }, scripts, sign: "" }
}
