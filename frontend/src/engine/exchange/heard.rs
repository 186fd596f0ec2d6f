//! What was heard on each link since the last heartbeat, and who of the partner's clients went unanswered.
//!
//! Owns the counts between two heartbeats (RFC 7031 §4.7). Refuses to judge anybody: the store's leader does, which hears
//! both partners. Bounded by the links of the configuration.

use leasehold_proto::session::LinkReport;
use leasehold_proto::words::LinkId;
use std::collections::BTreeMap;

/// Counts by link.
#[derive(Debug, Default)]
pub(super) struct HeardOnLinks(BTreeMap<LinkId, LinkReport>);

impl HeardOnLinks {
    /// A client's message came from a link.
    pub(super) fn heard(&mut self, link: LinkId) {
        self.of(link).heard += 1;
    }

    /// It was left to the partner, came again or was never acted on, and was answered here.
    pub(super) fn unanswered(&mut self, link: LinkId) {
        self.of(link).unanswered += 1;
    }

    /// The counts since this was asked last, by link.
    pub(super) fn take(&mut self) -> Vec<LinkReport> {
        std::mem::take(&mut self.0).into_values().collect()
    }

    fn of(&mut self, link: LinkId) -> &mut LinkReport {
        self.0.entry(link).or_insert(LinkReport { link, heard: 0, unanswered: 0 })
    }
}
