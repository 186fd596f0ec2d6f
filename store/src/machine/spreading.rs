//! Relationships left to the store: from the network as written to the concrete one in force, a step at a time.
//!
//! Owns the network as written, and when a step may be taken: a partner comes or goes only where another stays that is
//! up and knows all leases of that logical server, so that no renewal is lost. Refuses to know who should be partner of
//! whom (`leasehold_proto::network::auto`). Steps are taken when a configuration is applied, when a frontend is drained
//! or serves again, and whenever the leader sees that one is wanted ([`Machine::respread_wanted`]).

use super::network::invalid;
use super::outcome::{Applied, NetworkRefusal, Outcome};
use super::rows::RowKey;
use super::state::Machine;
use leasehold_proto::network::{Network, auto, check_complete};
use leasehold_proto::v1;
use leasehold_proto::words::FrontendId;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Machine {
    /// The concrete form of a network as written, not numbered yet.
    pub(super) fn made_concrete(&self, wire: &v1::Network) -> Result<v1::Network, NetworkRefusal> {
        check_complete(wire).map_err(invalid)?;
        if wire.auto.is_none() {
            return Ok(wire.clone());
        }
        let mut unnumbered = wire.clone();
        clear_numbers(&mut unnumbered);
        Network::from_wire(&unnumbered).map_err(invalid)?;
        let before = self.network.as_ref().map(|n| n.to_wire());
        Ok(self.with_standing(wire, |standing| auto::expand(wire, before, standing)))
    }

    /// Whether a configuration may be proposed, its version aside: defaults filled in, fit to be accepted, and consistent
    /// once what is left to the store is made concrete. Stricter than applying it, which takes whatever an earlier
    /// release let into the log.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_network(&self, wire: &v1::Network) -> Result<(), NetworkRefusal> {
        let mut concrete = self.made_concrete(wire)?;
        let mut unnumbered = wire.clone();
        clear_numbers(&mut unnumbered);
        Network::accept(&unnumbered).map_err(invalid)?;
        // The store numbers items itself, by name.
        clear_numbers(&mut concrete);
        Network::from_wire(&concrete).map(drop).map_err(invalid)
    }

    /// Remembers what was written, if it says more than what is in force.
    pub(super) fn keep_written(&mut self, wire: &v1::Network) {
        let written = wire.auto.is_some().then(|| {
            let mut written = wire.clone();
            clear_numbers(&mut written);
            written.version = 0;
            Arc::new(written)
        });
        if self.written != written {
            self.written = written;
            self.touch(RowKey::Written);
        }
    }

    /// The configuration as it was written, with the numbers and server DUIDs that the store gave.
    #[must_use]
    pub fn written_network(&self) -> Option<v1::Network> {
        let concrete = self.network.as_ref()?.to_wire();
        let Some(written) = &self.written else { return Some(concrete.clone()) };
        let mut out = v1::Network::clone(written);
        out.version = concrete.version;
        for link in &mut out.links {
            link.id = concrete.links.iter().find(|l| l.name == link.name).map_or(0, |l| l.id);
        }
        for pool in &mut out.pools {
            pool.id = concrete.pools.iter().find(|p| p.name == pool.name).map_or(0, |p| p.id);
        }
        for relationship in &mut out.relationships {
            if let Some(numbered) = concrete.relationships.iter().find(|r| r.name == relationship.name) {
                relationship.id = numbered.id;
                relationship.server_duid.clone_from(&numbered.server_duid);
            }
        }
        Some(out)
    }

    /// Takes a step of the relationships that are left to the store, if there is one to take.
    pub(super) fn respread(&mut self, out: &mut Applied) -> Outcome {
        let Some(next) = self.next_spread() else { return Outcome::Respread(None) };
        let version = self.network.as_ref().map_or(0, |n| n.version) + 1;
        match self.number(next, version) {
            Ok(network) => Outcome::Respread(Some(self.take_network(network, out))),
            Err(refusal) => Outcome::NetworkRefused(refusal),
        }
    }

    /// Whether relationships left to the store have a step to take: the leader then proposes
    /// [`Command::Respread`](super::Command::Respread). Costs some tens of microseconds: not to be asked for each entry.
    #[must_use]
    pub fn respread_wanted(&self) -> bool {
        self.next_spread().is_some()
    }

    /// Whether relationships are left to the store.
    #[must_use]
    pub fn spreads(&self) -> bool {
        self.written.is_some()
    }

    fn next_spread(&self) -> Option<v1::Network> {
        let (written, network) = (self.written.as_ref()?, self.network.as_ref()?);
        self.with_standing(written, |standing| auto::next_step(written, network.to_wire(), standing))
    }

    fn with_standing<R>(&self, written: &v1::Network, f: impl FnOnce(&auto::Standing<'_>) -> R) -> R {
        let listed = written.auto.iter().flat_map(|a| &a.frontends);
        let is_draining = |name: &str| self.draining.iter().any(|f| f.as_str() == name);
        let usable: BTreeSet<String> = listed.filter(|name| !is_draining(name)).cloned().collect();
        let up = |server: &str, frontend: &str| {
            FrontendId::new(frontend).is_ok_and(|frontend| self.knows_all(server, &frontend))
        };
        f(&auto::Standing { usable: &usable, up: &up })
    }

    /// Whether a frontend's session issues and has loaded all leases of a relationship: it acknowledges nothing before.
    fn knows_all(&self, relationship: &str, frontend: &FrontendId) -> bool {
        let session = self.current.get(frontend).and_then(|epoch| self.sessions.get(epoch));
        let id = self.network.as_ref().and_then(|n| n.relationships.iter().find(|r| r.name == relationship));
        let joined = id.and_then(|r| self.relationships.get(&r.id)).and_then(|m| m.joined.get(frontend));
        session.zip(joined).is_some_and(|(s, joined)| self.may_extend(s) && s.acked_index >= *joined)
    }
}

fn clear_numbers(wire: &mut v1::Network) {
    wire.links.iter_mut().for_each(|l| l.id = 0);
    wire.pools.iter_mut().for_each(|p| p.id = 0);
    wire.relationships.iter_mut().for_each(|r| r.id = 0);
}
