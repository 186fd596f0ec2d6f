//! What reconciliation finds: R8, one address and two clients; R9, one binding and two addresses.
//!
//! Owns the record of both, for people (`admin conflicts`); it decides nothing. R8 can happen only after an override or
//! a clock outside rho: the lease committed first stays, and the other client is told by its next Renew (FO-810). R9 is
//! ordinary after a partition: the client's next Renew tells which of the two it uses. A late update of a session that
//! is dead for certain is neither: it is fenced. The latest [`CONFLICTS_MAX`] are kept.

use super::rows::RowKey;
use super::state::Machine;
use leasehold_proto::convert::{self, ConvertError};
use leasehold_proto::lease::{Lease, LeaseState, LeaseUpdate};
use leasehold_proto::time::ClusterTime;
use leasehold_proto::v1;
use leasehold_proto::words::{BindingKey, Epoch, FrontendId, Prefix};

/// How many are kept.
const CONFLICTS_MAX: usize = 1000;

/// Which kind of conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConflictKind {
    /// Two clients were promised one address (R8): the one committed first keeps it.
    TwoClients {
        /// Who has to do without it.
        lost: BindingKey,
        /// Until when that client was promised it.
        valid_until: ClusterTime,
    },
    /// One binding was given two addresses by two sessions (R9).
    TwoAddresses {
        /// The one on record before.
        earlier: Prefix,
    },
}

/// One conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// When the store found it.
    pub at: ClusterTime,
    /// Which address; with two of one binding, the later one.
    pub prefix: Prefix,
    /// Whose it is by the record.
    pub kept: BindingKey,
    /// Whose update brought it to light.
    pub frontend: FrontendId,
    /// In which session.
    pub epoch: Epoch,
    /// What is in conflict.
    pub kind: ConflictKind,
}

impl Machine {
    /// R8: an update promised an address that another client holds by the record. Committed first stays.
    pub(super) fn note_two_clients(&mut self, epoch: Epoch, update: &LeaseUpdate, record: &Lease) {
        let kind = ConflictKind::TwoClients { lost: update.binding.clone(), valid_until: update.valid_until };
        self.note_conflict(epoch, update.prefix, record.binding.clone(), kind);
    }

    /// R9: another session gave the binding an address that it still holds.
    pub(super) fn note_two_addresses(&mut self, epoch: Epoch, lease: &Lease) {
        let first = (lease.binding.clone(), Prefix::address(0));
        let earlier = self
            .bindings
            .range(first..)
            .take_while(|(binding, _)| *binding == lease.binding)
            .filter(|(_, prefix)| *prefix != lease.prefix)
            .filter_map(|(_, prefix)| self.leases.get(prefix))
            .find(|l| l.state == LeaseState::Active && l.epoch != epoch)
            .map(|l| l.prefix);
        if let Some(earlier) = earlier {
            self.note_conflict(
                epoch,
                lease.prefix,
                lease.binding.clone(),
                ConflictKind::TwoAddresses { earlier },
            );
        }
    }

    fn note_conflict(&mut self, epoch: Epoch, prefix: Prefix, kept: BindingKey, kind: ConflictKind) {
        let Some(frontend) = self.sessions.get(&epoch).map(|s| s.frontend.clone()) else { return };
        match kind {
            ConflictKind::TwoClients { .. } => self.counters.conflicts_two_clients += 1,
            ConflictKind::TwoAddresses { .. } => self.counters.conflicts_two_addresses += 1,
        }
        let number = self.conflicts.last_key_value().map_or(1, |(last, _)| last + 1);
        let conflict = Conflict { at: self.time, prefix, kept, frontend, epoch, kind };
        self.conflicts.insert(number, conflict);
        self.touch(RowKey::Conflict(number));
        if self.conflicts.len() > CONFLICTS_MAX
            && let Some((oldest, _)) = self.conflicts.pop_first()
        {
            self.touch(RowKey::Conflict(oldest));
        }
    }

    /// The latest conflicts by number, oldest first. Numbers only grow.
    pub fn conflicts(&self) -> impl Iterator<Item = (u64, &Conflict)> {
        self.conflicts.iter().map(|(number, conflict)| (*number, conflict))
    }
}

impl Conflict {
    pub(super) fn to_row(&self, number: u64) -> v1::ConflictRow {
        let (kind, other_prefix, lost, valid_until) = match &self.kind {
            ConflictKind::TwoClients { lost, valid_until } => {
                (v1::ConflictKind::TwoClients, None, Some(lost.into()), *valid_until)
            }
            ConflictKind::TwoAddresses { earlier } => {
                (v1::ConflictKind::TwoAddresses, Some((*earlier).into()), None, ClusterTime::ZERO)
            }
        };
        v1::ConflictRow {
            number,
            at_ms: self.at.as_millis(),
            kind: kind.into(),
            prefix: Some(self.prefix.into()),
            other_prefix,
            kept: Some((&self.kept).into()),
            lost,
            frontend: self.frontend.as_str().to_owned(),
            epoch: self.epoch.0,
            valid_until_ms: valid_until.as_millis(),
        }
    }

    pub(super) fn from_row(row: &v1::ConflictRow) -> Result<Self, ConvertError> {
        let missing = |name| ConvertError::Missing(name);
        let kind = match v1::ConflictKind::try_from(row.kind) {
            Ok(v1::ConflictKind::TwoClients) => ConflictKind::TwoClients {
                lost: BindingKey::try_from(row.lost.as_ref().ok_or(missing("lost"))?)?,
                valid_until: ClusterTime::from_millis(row.valid_until_ms),
            },
            Ok(v1::ConflictKind::TwoAddresses) => ConflictKind::TwoAddresses {
                earlier: convert::prefix(row.other_prefix.as_ref().ok_or(missing("other_prefix"))?)?,
            },
            _ => return Err(ConvertError::Unknown("ConflictKind", i64::from(row.kind))),
        };
        Ok(Self {
            at: ClusterTime::from_millis(row.at_ms),
            prefix: convert::prefix(row.prefix.as_ref().ok_or(missing("prefix"))?)?,
            kept: BindingKey::try_from(row.kept.as_ref().ok_or(missing("kept"))?)?,
            frontend: FrontendId::new(&row.frontend)?,
            epoch: Epoch(row.epoch),
            kind,
        })
    }
}
