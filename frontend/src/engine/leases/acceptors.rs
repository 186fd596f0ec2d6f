//! Leases whose clients accepted Reconfigure and were given a key (SV-401): who can be asked to come, and how reached.
//!
//! Owns nothing but the question. Refuses to know who is asked, and when.

use super::Leases;
use super::records::Record;
use leasehold_proto::lease::{LeaseExtra, LeaseState, RelayData};
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{BindingKey, Epoch, PoolId, Prefix};

/// An Active lease whose client can be asked to come.
#[derive(Debug, Clone, Copy)]
pub struct Acceptor<'a> {
    /// What is leased.
    pub prefix: Prefix,
    /// The pool generation it came from.
    pub pool: PoolId,
    /// Whose it is.
    pub binding: &'a BindingKey,
    /// How its client was last reached.
    pub relay: &'a RelayData,
    /// When its client was last heard about it.
    pub contact: ClusterTime,
    /// The store does not know yet of what it was promised last: where Replies wait for their commit, that one may.
    pub is_untold: bool,
}

impl Leases {
    /// The session whose records have these numbers: another knows the same leases by others.
    #[must_use]
    pub fn records_epoch(&self) -> Epoch {
        self.session.epoch
    }

    /// One above the highest number of a record, for [`Leases::acceptor_at`].
    #[must_use]
    pub fn records_end(&self) -> u32 {
        self.records.end()
    }

    /// The record of this number, if its client can be asked.
    #[must_use]
    pub fn acceptor_at(&self, at: u32) -> Option<Acceptor<'_>> {
        let record: &Record = self.records.get(at)?;
        let extra = record.extra().map(AsRef::as_ref).filter(|extra| extra.reconfigure)?;
        if record.state() != LeaseState::Active {
            return None;
        }
        Some(Acceptor {
            prefix: record.prefix(),
            pool: record.pool,
            binding: self.records.binding_of(at)?,
            relay: extra.relay.as_ref()?,
            contact: record.contact,
            is_untold: self.has_own_promise(at),
        })
    }

    /// The same of a lease by its address or prefix.
    #[must_use]
    pub fn acceptor(&self, prefix: Prefix) -> Option<Acceptor<'_>> {
        self.acceptor_at(self.records.find(prefix)?)
    }

    /// The rare fields of a lease, if it has any.
    #[must_use]
    pub fn extra_of(&self, prefix: Prefix) -> Option<&LeaseExtra> {
        self.records.of(prefix)?.extra().map(AsRef::as_ref)
    }

    /// Whether this process is the one to ask clients: it knows them all, and no newer session of its name asks them.
    #[must_use]
    pub fn asks_clients(&self) -> bool {
        self.load.loaded && !self.session.is_superseded() && !self.session.stopping
    }

    /// The cluster's incarnation by this session; 0 before there is one.
    #[must_use]
    pub fn incarnation(&self) -> u16 {
        self.session.epoch.incarnation()
    }
}
