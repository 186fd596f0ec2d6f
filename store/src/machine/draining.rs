//! Draining a frontend: it hands everything back and gets nothing more, until it is told to serve again.
//!
//! Owns which frontends are drained, over their restarts. Refuses to know when a frontend has given everything back: it
//! says so by its ranges and its heartbeats. Its leases stay what they are, and its partners renew them (R5).

use super::outcome::{Applied, Audience, Outcome};
use super::rows::RowKey;
use super::state::Machine;
use leasehold_proto::session::StoreEvent;
use leasehold_proto::words::FrontendId;

impl Machine {
    pub(super) fn drain(&mut self, frontend: &FrontendId, on: bool, out: &mut Applied) -> Outcome {
        let changed =
            if on { self.draining.insert(frontend.clone()) } else { self.draining.remove(frontend) };
        if changed {
            self.touch(RowKey::Draining);
            if let Some(epoch) = self.current.get(frontend) {
                out.tell(Audience::Session(*epoch), StoreEvent::Draining { on });
            }
            self.respread(out);
        }
        Outcome::Drained { changed }
    }

    /// Whether a frontend is being drained.
    #[must_use]
    pub fn is_draining(&self, frontend: &FrontendId) -> bool {
        self.draining.contains(frontend)
    }

    /// The frontends that are being drained.
    pub fn draining(&self) -> impl Iterator<Item = &FrontendId> {
        self.draining.iter()
    }
}
