//! Reading the store's messages, in the order in which they come.

use super::ports::PortKinds;
use super::{Leases, News};
use leasehold_proto::network::Network;
use leasehold_proto::session::{FromStore, RangeRecord, StoreEvent, StreamEntry};
use leasehold_proto::time::LocalTime;
use std::sync::Arc;

impl Leases {
    /// Takes one message of the store; what others wait for is appended to `news`.
    pub fn apply(&mut self, now: LocalTime, message: FromStore, news: &mut Vec<News>) {
        match message {
            FromStore::Welcome(welcome) => self.take_welcome(now, &welcome, news),
            FromStore::Refused(refused) => self.take_refusal(&refused, news),
            // A rest of a connection that is gone.
            _ if !self.session.is_welcomed() => {}
            FromStore::Load(chunk) => self.take_chunk(now, &chunk, news),
            FromStore::Entry(entry) => self.take_entry(now, &entry, news),
            FromStore::HeartbeatAnswer { .. } | FromStore::Traces(_) => {}
            FromStore::Liveness(word) => self.partners.take(word, news),
            FromStore::Lookup { link, duid, leases, index: _ } => {
                self.take_lookup(link, &duid, &leases);
                news.push(News::LookedUp { link, duid });
            }
        }
        self.work();
    }

    fn take_entry(&mut self, now: LocalTime, entry: &StreamEntry, news: &mut Vec<News>) {
        if entry.index <= self.session.last_index {
            return;
        }
        let mut is_waited_for = false;
        for event in &entry.events {
            match event {
                StoreEvent::Batch(outcome) => self.take_outcome(now, entry.index, outcome, news),
                StoreEvent::Lease(lease) => {
                    is_waited_for |= lease.state.awaits_freeing();
                    self.take_lease(lease);
                }
                StoreEvent::Range(range) => {
                    is_waited_for = true;
                    self.take_range(now, range, news);
                }
                StoreEvent::PoolDry { pool, dry } => {
                    if let Some(ranges) = self.ranges.pool_mut(*pool) {
                        ranges.demand.word(now, *dry);
                    }
                    news.push(News::PoolWord(*pool));
                }
                StoreEvent::Network(network) => {
                    is_waited_for = true;
                    self.take_network(now, network, news);
                }
                StoreEvent::Superseded { at, .. } => self.superseded(*at, news),
                StoreEvent::GiveBack { pool, ranges } => self.ranges.wish_back(now, *pool, *ranges),
                StoreEvent::Registration(word) => self.take_registration(word),
                StoreEvent::Draining { on } => {
                    self.set_draining(*on);
                    news.push(News::Draining { on: *on });
                }
                // No order is given before there is a secret.
                StoreEvent::ReconfigureSecret(secret) => {
                    news.push(News::ReconfigureSecret { secret: secret.clone(), orders: 0 });
                }
                StoreEvent::Reconfigure(order) => news.push(News::Reconfigure(Arc::clone(order))),
            }
        }
        self.session.last_index = entry.index;
        if self.load.loaded {
            self.dirty.mark(entry.index);
            // An entry that brings nothing but answers is not worth an acknowledgement: it would be answered again.
            if is_waited_for {
                self.session.need_ack = entry.index;
            }
        }
        self.note_session_over(now, news);
    }

    pub(super) fn take_range(&mut self, now: LocalTime, range: &RangeRecord, news: &mut Vec<News>) {
        if self.ranges.take(now, range, self.session.epoch, self.load.loaded) {
            self.take_registered_places(range.range);
            news.push(News::RangeGranted(range.range.pool));
        }
    }

    pub(super) fn take_network(&mut self, now: LocalTime, network: &Arc<Network>, news: &mut Vec<News>) {
        // R4: the store may have judged by the old autonomy, so a deadline that is past stays past, however long the
        // new one is.
        let is_new = self.names.version() != network.version;
        if is_new && self.names.pools().any(|p| self.autonomy.deadline(p).is_some_and(|d| d <= now)) {
            self.autonomy.expire();
        }
        self.names.set(Arc::clone(network), &self.frontend);
        self.records.count_ports(PortKinds::of(self.names.all_limits()));
        self.ranges.configure(self.names.pools(), self.session.epoch, self.load.loaded);
        news.push(News::Network);
    }
}
