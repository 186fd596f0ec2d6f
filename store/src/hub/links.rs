//! On which links a frontend does not serve its clients though it lives (RFC 7031 §4.7, FO-206, FO-708). Judged by the
//! leader out of heartbeats, allowed to be wrong: it decides who answers, never who may have an address.
//!
//! Owns: one judgement for each frontend and link, the evidence for it, and the hold-down that keeps it from flapping.
//! Refuses to know: connections, sessions, who is partner of whom, and what is done about it. Inputs: what heartbeats
//! say, and time. Invariants: a mark goes up at once and comes off only when its cause has been gone for the hold-down,
//! which doubles with each relapse up to a bound; so marks in any span are bounded, whatever is reported. That both
//! partners may be marked on one link is for who uses the marks: neither is excluded then.

use leasehold_proto::time::LocalTime;
use leasehold_proto::words::{FrontendId, LinkId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// A frontend that heard no client on a link for so long hears nobody there, if its partner does. Why: a partner sees a
/// message again 0.9 s after the first at the earliest (RFC 9915 §15), and heartbeats come each 200 ms.
const DEAF_AFTER: Duration = Duration::from_millis(900);
/// Within what span reports of unanswered clients speak of one fault, when the accused is heard to hear clients.
const MUTE_WINDOW: Duration = Duration::from_secs(2);
/// The same when it hears nobody. Why longer: a Renew comes again after 10 s (RFC 9915 §7.6).
const DEAF_WINDOW: Duration = Duration::from_secs(60);
/// Heartbeats with unanswered clients before anything follows from them: one may be a lost packet.
const REPORTS_MIN: u32 = 2;
/// Unanswered messages before a frontend that hears its clients is called mute.
const MUTE_MIN: u64 = 4;
/// One message in so many that it heard, at least, must have stayed unanswered. Why 4: of the messages of a mute
/// frontend's clients each second one is a retransmission, and half of the clients may be its partner's.
const MUTE_SHARE: u64 = 4;

/// Spans of the judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkSettings {
    /// How long the cause must be gone before a frontend is trusted with a link again.
    pub hold_down: Duration,
    /// The same after many relapses, at most.
    pub hold_down_max: Duration,
    /// After so long without a relapse the hold-down is the first one again.
    pub forgiven_after: Duration,
    /// A connected frontend whose leases stay untold for so long does not serve (FO-708).
    pub undrained_after: Duration,
}

impl Default for LinkSettings {
    /// 5 s doubling up to 5 min, forgiven after 10 min; 10 s without draining.
    fn default() -> Self {
        Self {
            hold_down: Duration::from_secs(5),
            hold_down_max: Duration::from_secs(300),
            forgiven_after: Duration::from_secs(600),
            undrained_after: Duration::from_secs(10),
        }
    }
}

/// Why a frontend does not serve a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkDownReason {
    /// None of its interfaces of the link can be used: absent, without carrier, without what serving takes.
    NoCarrier,
    /// Its partner's clients are heard there, it hears none, and its own stay unanswered.
    Deaf,
    /// It hears its clients and they stay unanswered.
    Mute,
    /// It lives but does not tell the store what it promised (FO-708); marks all its links.
    NotDraining,
}

impl fmt::Display for LinkDownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCarrier => "none of its interfaces there can be used",
            Self::Deaf => "its partner hears clients there, it hears none, and its own go unanswered",
            Self::Mute => "it hears clients there and its own go unanswered",
            Self::NotDraining => "it lives and does not tell the store what it promised",
        })
    }
}

/// A link that a frontend does not serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkDown {
    /// Who.
    pub frontend: FrontendId,
    /// Where.
    pub link: LinkId,
    /// Since when, by this leader's clock.
    pub since: LocalTime,
    /// Why.
    pub reason: LinkDownReason,
}

/// All judgements of one leader.
#[derive(Debug)]
pub(super) struct Links {
    settings: LinkSettings,
    judged: BTreeMap<(FrontendId, LinkId), Judgement>,
    changed: bool,
}

#[derive(Debug, Default)]
struct Judgement {
    down: Option<Down>,
    /// The hold-down of the last mark; zero before the first one.
    last_hold: Duration,
    /// The last mark came off.
    up_since: Option<LocalTime>,
    /// One of its interfaces there could be used. Until then there is nothing to distrust: it has only begun.
    has_served: bool,
    heard_at: Option<LocalTime>,
    /// Client messages heard, in this window of [`MUTE_WINDOW`] and the one before.
    heard: [u64; 2],
    heard_window: LocalTime,
    accused: Option<Accused>,
}

#[derive(Debug)]
struct Down {
    since: LocalTime,
    reason: LinkDownReason,
    /// The cause was last seen.
    cause_at: LocalTime,
    hold: Duration,
}

/// Reports of the partner about clients that were left unanswered.
#[derive(Debug)]
struct Accused {
    first: LocalTime,
    reports: u32,
    unanswered: u64,
}

impl Links {
    pub(super) fn new(settings: LinkSettings) -> Self {
        Self { settings, judged: BTreeMap::new(), changed: false }
    }

    /// Forgets everything: everyone is presumed to serve.
    pub(super) fn clear(&mut self) {
        self.judged.clear();
        self.changed = true;
    }

    /// Forgets what is not configured any more.
    pub(super) fn retain(&mut self, frontends: &BTreeSet<FrontendId>, links: &BTreeSet<LinkId>) {
        self.judged.retain(|(frontend, link), _| frontends.contains(frontend) && links.contains(link));
        self.changed = true;
    }

    /// A frontend reports whether any of its interfaces of a link can be used.
    pub(super) fn carrier(&mut self, frontend: &FrontendId, link: LinkId, usable: bool, now: LocalTime) {
        if !usable {
            self.mark(frontend, link, LinkDownReason::NoCarrier, now);
            return;
        }
        let judgement = self.judged.entry((frontend.clone(), link)).or_default();
        if !std::mem::replace(&mut judgement.has_served, true)
            && judgement.down.take_if(|d| d.reason == LinkDownReason::NoCarrier).is_some()
        {
            judgement.last_hold = Duration::ZERO;
            self.changed = true;
        }
    }

    /// A frontend heard so many client messages on a link since its last report.
    pub(super) fn heard(&mut self, frontend: &FrontendId, link: LinkId, messages: u64, now: LocalTime) {
        let judgement = self.judged.entry((frontend.clone(), link)).or_default();
        judgement.slide(now);
        judgement.heard[0] = judgement.heard[0].saturating_add(messages);
        judgement.heard_at = Some(now);
    }

    /// A partner reports clients of this frontend that it saw unanswered on a link.
    pub(super) fn accuse(&mut self, frontend: &FrontendId, link: LinkId, unanswered: u64, now: LocalTime) {
        let judgement = self.judged.entry((frontend.clone(), link)).or_default();
        judgement.slide(now);
        let is_deaf = judgement.is_deaf(now);
        let window = if is_deaf { DEAF_WINDOW } else { MUTE_WINDOW };
        let recent = judgement.accused.take().filter(|a| now.saturating_since(a.first) <= window);
        let mut accused = recent.unwrap_or(Accused { first: now, reports: 0, unanswered: 0 });
        accused.reports += 1;
        accused.unanswered = accused.unanswered.saturating_add(unanswered);
        let heard = judgement.heard[0].saturating_add(judgement.heard[1]);
        let is_mute =
            accused.unanswered >= MUTE_MIN && accused.unanswered.saturating_mul(MUTE_SHARE) >= heard;
        let reported = accused.reports >= REPORTS_MIN;
        judgement.accused = Some(accused);
        match (reported, is_deaf, is_mute) {
            (true, true, _) => self.mark(frontend, link, LinkDownReason::Deaf, now),
            (true, false, true) => self.mark(frontend, link, LinkDownReason::Mute, now),
            _ => {}
        }
    }

    /// A partner hears clients on a link: one that was found deaf there stays so until it hears some too.
    pub(super) fn partner_hears(&mut self, frontend: &FrontendId, link: LinkId, now: LocalTime) {
        let Some(judgement) = self.judged.get_mut(&(frontend.clone(), link)) else { return };
        let is_deaf = judgement.is_deaf(now);
        if let Some(down) = judgement.down.as_mut().filter(|d| is_deaf && d.reason == LinkDownReason::Deaf) {
            down.cause_at = now;
        }
    }

    /// Whether a frontend hears nobody on a link.
    pub(super) fn is_deaf(&self, frontend: &FrontendId, link: LinkId, now: LocalTime) -> bool {
        self.judged.get(&(frontend.clone(), link)).is_none_or(|j| j.is_deaf(now))
    }

    /// A frontend does not drain: it serves none of these links (FO-708).
    pub(super) fn not_draining(&mut self, frontend: &FrontendId, links: &[LinkId], now: LocalTime) {
        for link in links {
            self.mark(frontend, *link, LinkDownReason::NotDraining, now);
        }
    }

    /// Marks a link, or takes note that the cause of a mark lasts.
    fn mark(&mut self, frontend: &FrontendId, link: LinkId, reason: LinkDownReason, now: LocalTime) {
        let settings = self.settings;
        let judgement = self.judged.entry((frontend.clone(), link)).or_default();
        if let Some(down) = &mut judgement.down {
            down.cause_at = now;
            return;
        }
        let relapse = judgement.up_since.is_some_and(|up| now.saturating_since(up) < settings.forgiven_after);
        let hold = if relapse { judgement.last_hold * 2 } else { Duration::ZERO };
        let hold = hold.clamp(settings.hold_down, settings.hold_down_max);
        judgement.last_hold = hold;
        judgement.accused = None;
        judgement.down = Some(Down { since: now, reason, cause_at: now, hold });
        self.changed = true;
    }

    /// Takes off the marks whose hold-down is over.
    pub(super) fn turn(&mut self, now: LocalTime) {
        for judgement in self.judged.values_mut() {
            if judgement.down.take_if(|d| d.ends() <= now).is_some() {
                judgement.up_since = Some(now);
                self.changed = true;
            }
        }
    }

    /// When [`Links::turn`] has something to do, unless causes are seen again.
    pub(super) fn next_deadline(&self) -> Option<LocalTime> {
        self.judged.values().filter_map(|j| j.down.as_ref()).map(Down::ends).min()
    }

    /// Whether marks changed since this was asked last.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// The links that a frontend does not serve, sorted.
    pub(super) fn down_of(&self, frontend: &FrontendId) -> Vec<LinkId> {
        self.all().filter(|d| d.frontend == *frontend).map(|d| d.link).collect()
    }

    /// All marks, by frontend and link.
    pub(super) fn all(&self) -> impl Iterator<Item = LinkDown> {
        self.judged.iter().filter_map(|((frontend, link), judgement)| {
            let down = judgement.down.as_ref()?;
            Some(LinkDown { frontend: frontend.clone(), link: *link, since: down.since, reason: down.reason })
        })
    }
}

impl Judgement {
    fn is_deaf(&self, now: LocalTime) -> bool {
        self.heard_at.is_none_or(|at| now.saturating_since(at) >= DEAF_AFTER)
    }

    /// Moves the windows of what was heard up to now.
    fn slide(&mut self, now: LocalTime) {
        let past = now.saturating_since(self.heard_window);
        if past < MUTE_WINDOW {
            return;
        }
        self.heard = [0, if past < MUTE_WINDOW * 2 { self.heard[0] } else { 0 }];
        self.heard_window = now;
    }
}

impl Down {
    fn ends(&self) -> LocalTime {
        self.cause_at + self.hold
    }
}
