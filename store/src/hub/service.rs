//! What heartbeats say about service, and telling the frontends how it is judged.
//!
//! Owns the way from a heartbeat to the judgements (`liveness`, `links`, `relays`), and which session is told of whom: of
//! each partner, and of its own frontend, so that both partners decide by the same words who answers (FO-910). Refuses
//! to judge. Invariant: a session is told whatever differs from what it was told last, and nothing else.

use super::connection::Connection;
use super::{ConnectionId, Hub, HubOutput};
use crate::machine::{Machine, SessionView};
use leasehold_proto::session::{FromStore, Heartbeat, InterfaceHealth, Liveness};
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::{FrontendId, LinkId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a session must have been connected before it is held against it that it reports no client.
const REPORTS_COUNT_AFTER: Duration = Duration::from_secs(2);

impl Hub {
    /// A session's heartbeat. One that was superseded or closed says nothing about its frontend.
    pub(super) fn heartbeat(
        &mut self,
        now: LocalTime,
        id: ConnectionId,
        frontend: &FrontendId,
        heartbeat: Heartbeat,
        machine: &Machine,
    ) {
        if let Some(session) = machine.session(heartbeat.epoch).filter(|s| s.current && !s.closed) {
            if heartbeat.serving {
                self.liveness.heard(frontend, now);
            } else {
                self.liveness.lost(frontend);
            }
            self.judge_interfaces(now, frontend, &heartbeat.interfaces);
            self.judge_reports(now, frontend, &heartbeat);
            self.judge_draining(now, id, &session, &heartbeat);
            self.relays.said(frontend, &heartbeat.relays_heard, now);
        }
        if let Some(stream) = self.connections.get_mut(&id).and_then(|c| c.stream.as_mut()) {
            stream.heartbeat = Some(heartbeat);
        }
    }

    /// A link is served while one of its interfaces can be used. A frontend without any usable interface serves none,
    /// by relays neither; links for which it has no interface are otherwise not judged by this.
    fn judge_interfaces(&mut self, now: LocalTime, frontend: &FrontendId, interfaces: &[InterfaceHealth]) {
        let is_usable = |i: &InterfaceHealth| i.present && i.carrier;
        let Some(network) = self.network.clone().filter(|_| !interfaces.is_empty()) else { return };
        let cut_off = !interfaces.iter().any(is_usable);
        let mut usable: BTreeMap<LinkId, bool> = BTreeMap::new();
        if cut_off {
            usable.extend(network.links.iter().map(|link| (link.id, false)));
        }
        for interface in interfaces {
            if let Some(link) = network.links.iter().find(|l| l.name == interface.link) {
                *usable.entry(link.id).or_default() |= is_usable(interface);
            }
        }
        for (link, usable) in usable {
            self.links.carrier(frontend, link, usable, now);
        }
    }

    /// What was heard speaks for the sender; what it saw unanswered, against its partner there. A frontend that shares
    /// a link with several partners cannot tell whose clients it saw: only those are accused that hear nobody.
    fn judge_reports(&mut self, now: LocalTime, frontend: &FrontendId, heartbeat: &Heartbeat) {
        let network = self.network.clone();
        let is_known = |link: LinkId| network.as_ref().is_some_and(|n| n.link(link).is_some());
        for report in heartbeat.links.iter().filter(|r| is_known(r.link)) {
            if report.heard > 0 {
                self.links.heard(frontend, report.link, report.heard, now);
            }
            let partners = self.partners_on(frontend, report.link);
            for partner in &partners {
                if report.heard > 0 {
                    self.links.partner_hears(partner, report.link, now);
                }
                let is_clear = partners.len() == 1 || self.links.is_deaf(partner, report.link, now);
                if report.unanswered > 0 && is_clear && self.has_reported(partner, now) {
                    self.links.accuse(partner, report.link, report.unanswered, now);
                }
            }
        }
    }

    /// FO-708: a frontend that lives and does not drain loses its buckets. While the store still owes it an outcome, it
    /// is the store that is slow.
    fn judge_draining(
        &mut self,
        now: LocalTime,
        id: ConnectionId,
        session: &SessionView,
        heartbeat: &Heartbeat,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let owes_outcome = connection.unanswered > 0;
        let Some(progress) = connection.stream.as_mut().map(|s| &mut s.draining) else { return };
        let drains = progress.applied != session.applied_sequence || heartbeat.dirty_leases == 0;
        if drains || owes_outcome || !heartbeat.serving {
            progress.applied = session.applied_sequence;
            progress.at = now;
        } else if now.saturating_since(progress.at) >= self.settings.links.undrained_after {
            let links: Vec<LinkId> = self.network.iter().flat_map(|n| n.links.iter()).map(|l| l.id).collect();
            self.links.not_draining(&session.frontend, &links, now);
        }
    }

    /// The partners of a frontend in relationships that have pools on a link.
    fn partners_on(&self, frontend: &FrontendId, link: LinkId) -> BTreeSet<FrontendId> {
        let Some(network) = &self.network else { return BTreeSet::new() };
        let relationships = network.relationships.iter();
        let there = relationships
            .filter(|r| r.pools.iter().any(|pool| network.pool(*pool).is_some_and(|p| p.link == link)));
        there.filter_map(|r| r.partner_of(frontend)).cloned().collect()
    }

    /// Whether a frontend is live and has been connected long enough to have said what it hears.
    fn has_reported(&self, frontend: &FrontendId, now: LocalTime) -> bool {
        let mut connections = self.by_epoch.values().filter_map(|id| self.connections.get(id));
        let is_known = |c: &Connection| {
            let since = c.stream.as_ref().map(|s| s.welcomed_at);
            c.frontend == *frontend && since.is_some_and(|at| now.saturating_since(at) >= REPORTS_COUNT_AFTER)
        };
        self.liveness.is_live(frontend) && connections.any(is_known)
    }

    /// Lets the judgements go on with time, and tells what changed.
    pub(super) fn judge(&mut self, now: LocalTime) {
        self.liveness.turn(now);
        self.links.turn(now);
        self.relays.turn(now);
        self.tell_service();
    }

    /// Tells every session what changed about its partners and itself.
    pub(super) fn tell_service(&mut self) {
        let changed = [self.liveness.take_flipped(), self.links.take_changed(), self.relays.take_changed()];
        if !changed.contains(&true) {
            return;
        }
        self.judgements += 1;
        let ids: Vec<ConnectionId> = self.by_epoch.values().copied().collect();
        for id in ids {
            self.tell_partners(id);
        }
    }

    /// Tells one session of each partner and of its own frontend whatever it was not told yet.
    pub(super) fn tell_partners(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(stream) = connection.stream.as_mut() else { return };
        let relationships = self.network.iter().flat_map(|n| n.relationships.iter());
        let partners = relationships.filter_map(|r| r.partner_of(&connection.frontend));
        for frontend in partners.chain([&connection.frontend]) {
            let news = Liveness {
                frontend: frontend.clone(),
                live: self.liveness.is_live(frontend),
                links_down: self.links.down_of(frontend),
                relays_heard: self.relays.told_of(frontend),
            };
            if stream.told.get(frontend) != Some(&news) {
                stream.told.insert(frontend.clone(), news.clone());
                self.out.push(HubOutput::Send(id, FromStore::Liveness(news)));
            }
        }
    }
}
