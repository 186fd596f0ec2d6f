//! While the load runs: asking the store about clients that are not known yet. Bounded; each client is asked about
//! once. Nothing is asked once everything is known.

use super::Leases;
use leasehold_proto::lease::Lease;
use leasehold_proto::session::ToStore;
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::{Duid, LinkId};
use smallvec::SmallVec;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Asked,
    Answered,
}

/// The look-ups of one connection.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    by_client: BTreeMap<Duid, SmallVec<[(LinkId, Stage); 1]>>,
    to_send: VecDeque<(LinkId, Duid)>,
    count: usize,
}

impl Lookups {
    /// Everything is known, or the connection is gone.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn stage(&self, link: LinkId, duid: &[u8]) -> Option<Stage> {
        self.by_client.get(duid)?.iter().find(|(l, _)| *l == link).map(|(_, stage)| *stage)
    }

    fn ask(&mut self, link: LinkId, duid: Duid) {
        self.by_client.entry(duid.clone()).or_default().push((link, Stage::Asked));
        self.to_send.push_back((link, duid));
        self.count += 1;
    }

    fn answered(&mut self, link: LinkId, duid: &Duid) {
        if let Some((_, stage)) =
            self.by_client.get_mut(duid).and_then(|links| links.iter_mut().find(|(l, _)| *l == link))
        {
            *stage = Stage::Answered;
        }
    }

    pub(super) fn drain(&mut self, out: &mut Vec<ToStore>) {
        out.extend(self.to_send.drain(..).map(|(link, duid)| ToStore::Lookup { link, duid }));
    }
}

impl Leases {
    /// Whether to wait for what the store knows of a client: true while the load runs, the client is unknown and an
    /// answer is to come; the question is queued on the first call. False when nothing is to be waited for:
    /// everything is loaded, the client is known or was asked about, there is no connection, or too many are waiting
    /// (bounded by [`Limits::parked_messages_max`](crate::engine::Limits::parked_messages_max)).
    pub fn lookup_pending_or_request(&mut self, _now: LocalTime, link: LinkId, duid: &[u8]) -> bool {
        if self.load.loaded || !self.session.is_welcomed() {
            return false;
        }
        match self.lookups.stage(link, duid) {
            Some(Stage::Asked) => return true,
            Some(Stage::Answered) => return false,
            None => {}
        }
        // A first load goes by address: of a client whose first lease has come, the second may be missing.
        if (self.load.is_again && self.knows_client(link, duid))
            || self.lookups.count >= self.limits.parked_messages_max
        {
            return false;
        }
        let Ok(duid) = Duid::new(duid) else { return false };
        self.lookups.ask(link, duid);
        true
    }

    pub(super) fn take_lookup(&mut self, link: LinkId, duid: &Duid, leases: &[Arc<Lease>]) {
        // Once everything is loaded the stream knows better.
        if !self.load.loaded {
            for lease in leases {
                self.take_lease(lease);
            }
            self.lookups.answered(link, duid);
        }
    }
}
