//! Asking clients to come (RFC 9915 §18.3.11): the secret from which their keys follow, and orders in the log's order.
//!
//! Owns that there is one secret in a cluster's life, and the number and replay value of each order (SV-405). Refuses to
//! know which clients are asked and when: frontends do, each for those that it would answer. The secret is in the
//! cluster's row and in what sessions are told, and in nothing else (SEC-07).

use super::outcome::{Applied, Audience, Outcome};
use super::rows::RowKey;
use super::state::Machine;
use leasehold_proto::reconfigure::{
    ReconfigureMessage, ReconfigureOrder, ReconfigureSecret, ReconfigureWhom, replay_of_order,
};
use leasehold_proto::session::StoreEvent;
use std::sync::Arc;

/// What the machine holds of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reconfigure {
    pub(super) secret: Option<ReconfigureSecret>,
    /// Orders given in the cluster's life.
    pub(super) orders: u64,
}

/// Why clients are not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReconfigureRefusal {
    /// No link ever had `reconfigure`, so no client has a key.
    #[error("no client has a key: no link ever had `reconfigure`")]
    NoKeys,
    /// The configuration has no such link or pool.
    #[error("the link or pool is not in the configuration any more")]
    Unknown,
}

impl Machine {
    /// Keeps a secret if there is none yet: keys that clients were given must stay right.
    pub(super) fn keep_secret(&mut self, secret: &ReconfigureSecret, out: &mut Applied) -> Outcome {
        if self.cluster.is_none() {
            return Outcome::NotFounded;
        }
        let kept = self.reconfigure.secret.is_none();
        if kept {
            self.reconfigure.secret = Some(secret.clone());
            self.touch(RowKey::Cluster);
            out.tell(Audience::Everyone, StoreEvent::ReconfigureSecret(secret.clone()));
        }
        Outcome::SecretKept { kept }
    }

    /// Numbers an order and tells it to those who may know such clients.
    pub(super) fn order_reconfigure(
        &mut self,
        whom: &ReconfigureWhom,
        message: ReconfigureMessage,
        out: &mut Applied,
    ) -> Outcome {
        let Some(incarnation) = self.cluster.as_ref().map(|c| c.incarnation) else {
            return Outcome::NotFounded;
        };
        if self.reconfigure.secret.is_none() {
            return Outcome::ReconfigureRefused(ReconfigureRefusal::NoKeys);
        }
        let has_link = |id| self.network.as_ref().is_some_and(|n| n.link(id).is_some());
        let audience = match whom {
            ReconfigureWhom::Client(_) | ReconfigureWhom::Everyone => Some(Audience::Everyone),
            ReconfigureWhom::Link(id) => has_link(*id).then_some(Audience::Everyone),
            ReconfigureWhom::Pool(id) => {
                self.pools.get(id).map(|state| Audience::Relationship(state.pool.relationship))
            }
        };
        let Some(audience) = audience else {
            return Outcome::ReconfigureRefused(ReconfigureRefusal::Unknown);
        };
        self.reconfigure.orders += 1;
        self.touch(RowKey::Cluster);
        let number = self.reconfigure.orders;
        let replay = replay_of_order(incarnation, number, self.time);
        let order = ReconfigureOrder { whom: whom.clone(), message, number, replay };
        out.tell(audience, StoreEvent::Reconfigure(Arc::new(order)));
        Outcome::ReconfigureOrdered { number }
    }

    /// The secret from which clients' keys follow; nothing before a link needed it.
    #[must_use]
    pub fn reconfigure_secret(&self) -> Option<&ReconfigureSecret> {
        self.reconfigure.secret.as_ref()
    }

    /// How many orders to ask clients were given in the cluster's life.
    #[must_use]
    pub fn reconfigure_orders(&self) -> u64 {
        self.reconfigure.orders
    }
}
