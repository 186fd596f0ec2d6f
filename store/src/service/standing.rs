//! Keeping the states of relationships up to date while this node leads, and telling them.
//!
//! Owns the way from machine and hub to how each partner stands, and the log lines. Refuses to judge: `hub::States`
//! does. Called whenever liveness or sessions may have changed; costs as much as there are relationships.

use super::replica::Replica;
use crate::hub::{JournalEvent, PartnerStanding};
use leasehold_proto::words::FrontendId;
use std::collections::BTreeMap;

impl Replica {
    /// Looks at the states of all relationships, if anything happened that they may follow from.
    pub(super) fn look_at_states(&mut self) {
        if !self.hub.is_leading() {
            self.states.clear();
            return;
        }
        let Some(network) = self.machine.network().cloned() else { return };
        let standings = self.partner_standings();
        let standing_of = |f: &FrontendId| standings.get(f).copied().unwrap_or(PartnerStanding::NeverSeen);
        let at = self.time();
        let news = self.states.judge(at, network.relationships.iter(), standing_of);
        news.iter().for_each(tell);
        let news = self.states.judge_links(at, &network, self.hub.links());
        news.iter().for_each(tell);
    }

    /// Writes an operator's act, or another event, into the journal and the log.
    pub(super) fn note_event(&mut self, subject: &str, what: &str, reason: &str, is_alarm: bool) {
        let at = self.time();
        tell(&self.states.note(at, subject, what, reason, is_alarm));
    }

    fn partner_standings(&self) -> BTreeMap<FrontendId, PartnerStanding> {
        let live: BTreeMap<FrontendId, bool> = self.hub.liveness().collect();
        let sessions = self.machine.sessions().filter(|s| s.current);
        let standing = sessions.map(|s| {
            let standing = if self.machine.is_draining(&s.frontend) {
                PartnerStanding::Draining
            } else if live.get(&s.frontend).copied().unwrap_or(false) {
                PartnerStanding::Serving
            } else if s.closed {
                PartnerStanding::Stopped
            } else if s.declared_down.is_some() {
                PartnerStanding::DeclaredDown
            } else if self.hub.heartbeat_of(s.epoch).is_some() {
                PartnerStanding::Loading
            } else {
                PartnerStanding::Unheard
            };
            (s.frontend, standing)
        });
        standing.collect()
    }
}

fn tell(event: &JournalEvent) {
    let JournalEvent { subject, what, reason, .. } = event;
    if event.is_alarm {
        tracing::warn!(subject, what, reason, "a state, or an operator's act");
    } else {
        tracing::info!(subject, what, reason, "a state, or an operator's act");
    }
}
