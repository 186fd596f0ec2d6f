//! The states of relationships, for people: RFC 8156's names, each change with its reason and its moment.
//!
//! Owns the judgement of each relationship from how its partners stand, and a bounded journal of changes and of
//! operators' acts. Decides nothing: who answers follows from liveness, who may have an address from R1 to R9. Refuses to
//! know sessions and connections: it is given how each partner stands. No state needs a person to leave it (FO-914). It
//! is the present leader's memory: who leads next begins anew. Source: RFC 8156 §8, FO-706.

use super::links::{LinkDown, LinkDownReason};
use leasehold_proto::network::{Network, Relationship};
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{FrontendId, LinkId, RelationshipId};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// Events kept.
const EVENTS_MAX: usize = 2000;

/// How a partner stands, as far as the leader knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartnerStanding {
    /// Heard, and answers its clients.
    Serving,
    /// Heard, and loads or may promise nothing yet.
    Loading,
    /// Not heard; it may serve on by itself.
    Unheard,
    /// It hands everything back, or has done so.
    Draining,
    /// It stopped cleanly.
    Stopped,
    /// An operator says that it is down.
    DeclaredDown,
    /// It never had a session.
    NeverSeen,
}

impl PartnerStanding {
    /// Whether it certainly promises nothing to anybody new.
    fn is_down(self) -> bool {
        matches!(self, Self::Draining | Self::Stopped | Self::DeclaredDown | Self::NeverSeen)
    }

    fn words(self) -> &'static str {
        match self {
            Self::Serving => "serves",
            Self::Loading => "is back and loads",
            Self::Unheard => "is not heard, and may serve on by itself",
            Self::Draining => "is being drained",
            Self::Stopped => "stopped cleanly",
            Self::DeclaredDown => "was declared down",
            Self::NeverSeen => "was never seen",
        }
    }
}

/// RFC 8156's states that occur here; the others belong to its pairwise protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RelationshipState {
    /// Both partners serve.
    Normal,
    /// A partner is not heard, and may serve on by itself.
    CommunicationsInterrupted,
    /// A partner certainly does not serve.
    PartnerDown,
    /// A partner is back and learns what it missed.
    Recover,
}

impl RelationshipState {
    /// Every state.
    pub const ALL: [Self; 4] =
        [Self::Normal, Self::CommunicationsInterrupted, Self::PartnerDown, Self::Recover];

    /// RFC 8156's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::CommunicationsInterrupted => "COMMUNICATIONS-INTERRUPTED",
            Self::PartnerDown => "PARTNER-DOWN",
            Self::Recover => "RECOVER",
        }
    }

    /// Whether coming to it is to alarm somebody (FO-706).
    #[must_use]
    pub fn is_alarm(self) -> bool {
        matches!(self, Self::CommunicationsInterrupted | Self::PartnerDown)
    }
}

impl fmt::Display for RelationshipState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A relationship's state, since when, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The state.
    pub state: RelationshipState,
    /// Cluster time at which the present leader saw it come to that.
    pub since: ClusterTime,
    /// Why, for people.
    pub reason: String,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEvent {
    /// Grows by one with each; begins at 1 with each leader.
    pub number: u64,
    /// When.
    pub at: ClusterTime,
    /// A relationship or a frontend.
    pub subject: String,
    /// The state it came to, or what was done.
    pub what: String,
    /// Why.
    pub reason: String,
    /// Whether it is to alarm somebody.
    pub is_alarm: bool,
}

/// The states of all relationships, and the journal.
#[derive(Debug, Default)]
pub struct States {
    standings: BTreeMap<RelationshipId, Standing>,
    links_down: BTreeMap<(FrontendId, LinkId), LinkDownReason>,
    journal: VecDeque<JournalEvent>,
    last_number: u64,
}

impl States {
    /// Another leader, another memory.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Looks at every relationship again. Gives the events that this brought, which are in the journal too.
    pub fn judge<'r>(
        &mut self,
        at: ClusterTime,
        relationships: impl Iterator<Item = &'r Relationship>,
        standing_of: impl Fn(&FrontendId) -> PartnerStanding,
    ) -> Vec<JournalEvent> {
        let mut old = std::mem::take(&mut self.standings);
        let mut news = Vec::new();
        for relationship in relationships {
            let (state, reason) = judge(relationship, &standing_of);
            let known = old.remove(&relationship.id);
            let since = match &known {
                Some(known) if known.state == state => known.since,
                _ => at,
            };
            if known.is_none_or(|known| known.state != state || known.reason != reason) {
                news.push(self.note(at, &relationship.name, state.name(), &reason, state.is_alarm()));
            }
            self.standings.insert(relationship.id, Standing { state, since, reason });
        }
        news
    }

    /// Takes which links frontends do not serve now (RFC 7031 §4.7). Gives the events that this brought, which are in the
    /// journal too.
    pub fn judge_links(
        &mut self,
        at: ClusterTime,
        network: &Network,
        down: impl Iterator<Item = LinkDown>,
    ) -> Vec<JournalEvent> {
        let now = down.map(|d| ((d.frontend, d.link), d.reason)).collect();
        let before = std::mem::replace(&mut self.links_down, now);
        let now = self.links_down.clone();
        let subject = |frontend: &FrontendId, link: LinkId| match network.link(link) {
            Some(link) => format!("{frontend} on {}", link.name),
            None => format!("{frontend} on link {}", link.0),
        };
        let mut news = Vec::new();
        for ((frontend, link), reason) in now.iter().filter(|(place, _)| !before.contains_key(*place)) {
            let reason = format!("{reason}: its partner answers for it");
            news.push(self.note(at, &subject(frontend, *link), "LINK-DOWN", &reason, true));
        }
        for (frontend, link) in before.keys().filter(|place| !now.contains_key(*place)) {
            let reason = "the cause has been gone for long enough, or its link is configured no more";
            news.push(self.note(at, &subject(frontend, *link), "LINK-UP", reason, false));
        }
        news
    }

    /// Adds a line to the journal.
    pub fn note(
        &mut self,
        at: ClusterTime,
        subject: &str,
        what: &str,
        reason: &str,
        is_alarm: bool,
    ) -> JournalEvent {
        self.last_number += 1;
        let event = JournalEvent {
            number: self.last_number,
            at,
            subject: subject.to_owned(),
            what: what.to_owned(),
            reason: reason.to_owned(),
            is_alarm,
        };
        if self.journal.len() == EVENTS_MAX {
            self.journal.pop_front();
        }
        self.journal.push_back(event.clone());
        event
    }

    /// How a relationship stands; nothing on a node that does not lead.
    #[must_use]
    pub fn standing(&self, relationship: RelationshipId) -> Option<&Standing> {
        self.standings.get(&relationship)
    }

    /// The journal above a number, oldest first.
    pub fn events_after(&self, number: u64) -> impl Iterator<Item = &JournalEvent> {
        self.journal.iter().filter(move |e| e.number > number)
    }
}

/// One relationship's state, from how its partners stand.
fn judge(
    relationship: &Relationship,
    standing_of: &impl Fn(&FrontendId) -> PartnerStanding,
) -> (RelationshipState, String) {
    use PartnerStanding::{Loading, Serving};
    let first = standing_of(&relationship.primary);
    let Some(secondary) = &relationship.secondary else {
        let state = match first {
            Serving => RelationshipState::Normal,
            Loading => RelationshipState::Recover,
            down if down.is_down() => RelationshipState::PartnerDown,
            _ => RelationshipState::CommunicationsInterrupted,
        };
        return (state, format!("{} {}; there is no partner", relationship.primary, first.words()));
    };
    let second = standing_of(secondary);
    let state = match (first, second) {
        (Serving, Serving) => RelationshipState::Normal,
        (Loading, _) | (_, Loading) => RelationshipState::Recover,
        (Serving, other) | (other, Serving) if other.is_down() => RelationshipState::PartnerDown,
        _ => RelationshipState::CommunicationsInterrupted,
    };
    let reason = format!("{} {}; {} {}", relationship.primary, first.words(), secondary, second.words());
    (state, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_proto::network::{Answering, BucketMode};
    use leasehold_proto::words::Duid;

    fn relationship(secondary: bool) -> Relationship {
        Relationship {
            id: RelationshipId(1),
            name: "ab".to_owned(),
            server_duid: Duid::new(&[0, 4, 1]).unwrap(),
            primary: FrontendId::new("a").unwrap(),
            secondary: secondary.then(|| FrontendId::new("b").unwrap()),
            pools: Vec::new(),
            buckets: BucketMode::HotStandby,
            answering: Answering::Buckets,
            takeover_after_ms: 500,
            preference: 0,
        }
    }

    /// Every pair of standings.
    #[test]
    fn fo_706_the_state_follows_from_how_both_partners_stand() {
        use PartnerStanding::{DeclaredDown, Draining, Loading, NeverSeen, Serving, Stopped, Unheard};
        use RelationshipState::{CommunicationsInterrupted, Normal, PartnerDown, Recover};
        let all = [Serving, Loading, Unheard, Draining, Stopped, DeclaredDown, NeverSeen];
        let pair = relationship(true);
        for first in all {
            for second in all {
                let expected = match (first, second) {
                    (Serving, Serving) => Normal,
                    (Loading, _) | (_, Loading) => Recover,
                    (Serving, Unheard) | (Unheard, Serving) => CommunicationsInterrupted,
                    (Serving, _) | (_, Serving) => PartnerDown,
                    _ => CommunicationsInterrupted,
                };
                let standing = |f: &FrontendId| if f.as_str() == "a" { first } else { second };
                let (state, reason) = judge(&pair, &standing);
                assert_eq!(state, expected, "{first:?} {second:?}: {reason}");
                assert!(reason.contains(first.words()) && reason.contains(second.words()));
            }
        }
    }

    #[test]
    fn fo_204_a_standalone_relationship_is_normal_while_it_serves() {
        let alone = relationship(false);
        let judged = |standing| judge(&alone, &|_: &FrontendId| standing).0;
        assert_eq!(judged(PartnerStanding::Serving), RelationshipState::Normal);
        assert_eq!(judged(PartnerStanding::Loading), RelationshipState::Recover);
        assert_eq!(judged(PartnerStanding::Unheard), RelationshipState::CommunicationsInterrupted);
        assert_eq!(judged(PartnerStanding::Stopped), RelationshipState::PartnerDown);
    }

    #[test]
    fn fo_706_each_transition_is_told_once_with_reason_and_time_and_none_needs_a_person() {
        let mut states = States::default();
        let pair = [relationship(true)];
        let at = ClusterTime::from_millis;
        let mut look = |ms, standing| {
            let of = |f: &FrontendId| if f.as_str() == "a" { PartnerStanding::Serving } else { standing };
            let news = states.judge(at(ms), pair.iter(), of);
            news.into_iter().map(|e| (e.what, e.is_alarm)).collect::<Vec<_>>()
        };
        assert_eq!(look(1, PartnerStanding::Serving), [("NORMAL".to_owned(), false)]);
        assert_eq!(look(2, PartnerStanding::Serving), []);
        assert_eq!(look(3, PartnerStanding::Unheard), [("COMMUNICATIONS-INTERRUPTED".to_owned(), true)]);
        assert_eq!(look(4, PartnerStanding::DeclaredDown), [("PARTNER-DOWN".to_owned(), true)]);
        assert_eq!(look(5, PartnerStanding::Loading), [("RECOVER".to_owned(), false)]);
        assert_eq!(look(6, PartnerStanding::Serving), [("NORMAL".to_owned(), false)]);
        let standing = states.standing(RelationshipId(1)).unwrap();
        assert_eq!((standing.state, standing.since), (RelationshipState::Normal, at(6)));
        let numbers: Vec<u64> = states.events_after(2).map(|e| e.number).collect();
        assert_eq!(numbers, [3, 4, 5]);
    }

    #[test]
    fn fo_206_each_mark_of_a_link_is_told_once_and_so_is_its_end() {
        let mut wire = leasehold_proto::v1::Network {
            links: vec![leasehold_proto::v1::Link { name: "lan".into(), id: 1, ..Default::default() }],
            ..Default::default()
        };
        leasehold_proto::network::fill_defaults(&mut wire);
        let network = Network::from_wire(&wire).unwrap();
        let mut states = States::default();
        let mut look = |down: bool| {
            let mark = LinkDown {
                frontend: FrontendId::new("fe-a").unwrap(),
                link: LinkId(1),
                since: leasehold_proto::time::LocalTime::ZERO,
                reason: LinkDownReason::Deaf,
            };
            let marks = down.then_some(mark).into_iter();
            let news = states.judge_links(ClusterTime::ZERO, &network, marks);
            news.into_iter().map(|e| (e.subject, e.what)).collect::<Vec<_>>()
        };
        let event = |what: &str| ("fe-a on lan".to_owned(), what.to_owned());
        assert_eq!(look(true), [event("LINK-DOWN")]);
        assert_eq!(look(true), []);
        assert_eq!(look(false), [event("LINK-UP")]);
        assert_eq!(look(false), []);
    }

    #[test]
    fn the_journal_is_bounded() {
        let mut states = States::default();
        for n in 0..EVENTS_MAX + 10 {
            states.note(ClusterTime::ZERO, "fe-a", "drained", &n.to_string(), false);
        }
        assert_eq!(states.events_after(0).count(), EVENTS_MAX);
        assert_eq!(states.events_after(0).next().map(|e| e.number), Some(11));
    }
}
