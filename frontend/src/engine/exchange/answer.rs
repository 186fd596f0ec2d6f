//! Is this message ours to answer? Buckets, what the store says of both partners' service, and when a partner answers
//! for the other (design section 3, RFC 7031 §4.7).
//!
//! Owns the bucket of a client, the spread of clients over the relationships of one link, and [`decide`], the one
//! place where "now, or left to the partner" is judged. A pure function of its arguments: it refuses to know leases,
//! links and time. Both partners must come to the same buckets, so their hashes are keyed by what both know: the
//! relationship's server DUID, or a constant. Invariant: partners that were told the same and hear the same message
//! early, of whom one at least is live, do not both park it, and one alone decides [`Answer::Now`] (FO-910).

use crate::engine::leases::Service;
use leasehold_proto::network::{Answering, BucketMode, Relationship};
use leasehold_proto::words::FrontendId;
use siphasher::sip::SipHasher24;

/// Number of buckets. Why a power of two that fits an octet: the bucket is the low octet of the hash.
const BUCKETS: u64 = 256;
/// Key of the spread over relationships: a constant, since relationships of one link share nothing else. It need
/// not be secret: who picks a DUID to choose a bucket chooses his own server and nobody else's.
const SPREAD_KEY: (u64, u64) = (0x6c65_6173_6568_6f6c, 0x6420_7370_7265_6164);

/// Key of one relationship's buckets: the same on both partners, and stable for the life of the server DUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct BucketKey(u64, u64);

impl BucketKey {
    /// The key that follows from a server DUID.
    pub(in crate::engine) fn of_server(server_duid: &[u8]) -> Self {
        Self(
            SipHasher24::new_with_keys(0, 0).hash(server_duid),
            SipHasher24::new_with_keys(0, 1).hash(server_duid),
        )
    }

    /// The bucket of a client: by its DUID, or by its address when it has sent none.
    pub(in crate::engine) fn bucket(self, client: &[u8]) -> u8 {
        let hash = SipHasher24::new_with_keys(self.0, self.1).hash(client) % BUCKETS;
        u8::try_from(hash).expect("a remainder of 256 fits an octet")
    }
}

/// Which of `count` relationships of a link serves a client first; 0 when there is at most one.
pub(in crate::engine) fn spread(client: &[u8], count: usize) -> usize {
    let Ok(count) = u64::try_from(count) else { return 0 };
    if count < 2 {
        return 0;
    }
    let hash = SipHasher24::new_with_keys(SPREAD_KEY.0, SPREAD_KEY.1).hash(client);
    usize::try_from(hash % count).unwrap_or(0)
}

/// Why this frontend answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// The client's bucket is its own.
    Bucket,
    /// The Request asks for an address out of its own range.
    RangeOwner,
    /// `answering = "any"`: whoever gets a message answers it.
    Any,
    /// The relationship has no partner.
    Standalone,
    /// The store says that the partner is not live, or it is partner no more.
    PartnerDown,
    /// The store says that the partner does not serve this link (RFC 7031 §4.7).
    PartnerLinkDown,
    /// The partner does not hear the relay that forwarded the message.
    RelayUnheard,
    /// The client has waited longer than `takeover_after`.
    Elapsed,
    /// The message was left to the partner before, and came again.
    SeenAgain,
    /// A Release or Decline was left to the partner, and nothing came of it.
    Unhandled,
}

impl Cause {
    /// Every cause, in index order.
    pub const ALL: [Self; 10] = [
        Self::Bucket,
        Self::RangeOwner,
        Self::Any,
        Self::Standalone,
        Self::PartnerDown,
        Self::PartnerLinkDown,
        Self::RelayUnheard,
        Self::Elapsed,
        Self::SeenAgain,
        Self::Unhandled,
    ];

    /// The name used in metrics: snake_case, stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bucket => "bucket",
            Self::RangeOwner => "range_owner",
            Self::Any => "any",
            Self::Standalone => "standalone",
            Self::PartnerDown => "partner_down",
            Self::PartnerLinkDown => "partner_link_down",
            Self::RelayUnheard => "relay_unheard",
            Self::Elapsed => "elapsed",
            Self::SeenAgain => "seen_again",
            Self::Unhandled => "unhandled",
        }
    }

    /// Position in [`Cause::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether it answers what by rule would have been the partner's.
    #[must_use]
    pub const fn is_takeover(self) -> bool {
        matches!(
            self,
            Self::PartnerDown
                | Self::PartnerLinkDown
                | Self::RelayUnheard
                | Self::Elapsed
                | Self::SeenAgain
                | Self::Unhandled
        )
    }
}

/// What to do with a message of one of this frontend's relationships.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Answer {
    /// Answer it now.
    Now(Cause),
    /// Leave it to the partner, and keep it in case that one dies.
    Park,
}

/// Whose range the first offered address of a Request lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum OfferedBy {
    /// This frontend's.
    Me,
    /// Its partner's.
    Partner,
}

/// All that the decision rests on.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Claim<'a> {
    /// The logical server that is spoken to; `me` is one of its partners.
    pub(in crate::engine) relationship: &'a Relationship,
    /// This frontend.
    pub(in crate::engine) me: &'a FrontendId,
    /// The store leader's word on this frontend's service of this message.
    pub(in crate::engine) mine: Service,
    /// The same of the partner; of no account without one.
    pub(in crate::engine) partners: Service,
    /// The client's bucket.
    pub(in crate::engine) bucket: u8,
    /// For a Request: who offered what it asks for, if that can be told.
    pub(in crate::engine) offered: Option<OfferedBy>,
    /// The client's Elapsed Time, in milliseconds.
    pub(in crate::engine) elapsed_ms: u32,
    /// Whether the same message was left to the partner a while ago.
    pub(in crate::engine) seen_again: bool,
}

/// Judges whether this frontend answers. Order of the rules: what needs no partner, whose turn it is, and only then
/// what makes a partner step in.
pub(in crate::engine) fn decide(claim: &Claim<'_>) -> Answer {
    if claim.relationship.partner_of(claim.me).is_none() {
        return Answer::Now(Cause::Standalone);
    }
    if claim.relationship.answering == Answering::Any {
        return Answer::Now(Cause::Any);
    }
    if let Some(cause) = my_turn(claim) {
        Answer::Now(cause)
    } else if claim.elapsed_ms > claim.relationship.takeover_after_ms {
        Answer::Now(Cause::Elapsed)
    } else if claim.seen_again {
        Answer::Now(Cause::SeenAgain)
    } else {
        Answer::Park
    }
}

/// Whether a client is this frontend's to turn to, without a message of its own: as [`decide`], but where both answer all
/// they get, one of them turns to it.
pub(in crate::engine) fn is_mine(claim: &Claim<'_>) -> bool {
    claim.relationship.partner_of(claim.me).is_none() || my_turn(claim).is_some()
}

/// Why it is this frontend's turn; nothing if it is its partner's. A partner that is not live is never left anything.
/// Otherwise what tells the two apart decides: who hears the relay and who serves the link, since the other does not get
/// the message at all, and then whether this frontend is live itself; where both are found wanting alike neither is
/// excluded, and the bucket decides as in the normal case.
fn my_turn(claim: &Claim<'_>) -> Option<Cause> {
    let (mine, partners) = (claim.mine, claim.partners);
    let by_rule = by_rule(claim);
    if !partners.is_live {
        return by_rule.or(Some(Cause::PartnerDown));
    }
    match (mine.hears_relay, partners.hears_relay) {
        (true, false) => return by_rule.or(Some(Cause::RelayUnheard)),
        (false, true) => return None,
        _ => {}
    }
    match (mine.is_link_up, partners.is_link_up) {
        (true, false) => by_rule.or(Some(Cause::PartnerLinkDown)),
        (false, true) => None,
        _ if !mine.is_live => None,
        _ => by_rule,
    }
}

/// Why a message would be this frontend's while both partners serve; nothing if it would be its partner's.
fn by_rule(claim: &Claim<'_>) -> Option<Cause> {
    match claim.offered {
        Some(OfferedBy::Me) => Some(Cause::RangeOwner),
        // The offer of a partner that serves no more goes by the bucket.
        Some(OfferedBy::Partner) if claim.partners.is_live => None,
        _ => (bucket_owner(claim.relationship, claim.bucket) == claim.me).then_some(Cause::Bucket),
    }
}

/// The partner to which a bucket is assigned.
fn bucket_owner(relationship: &Relationship, bucket: u8) -> &FrontendId {
    match (relationship.buckets, &relationship.secondary) {
        (BucketMode::LoadBalancing, Some(secondary)) if bucket & 1 == 1 => secondary,
        _ => &relationship.primary,
    }
}
