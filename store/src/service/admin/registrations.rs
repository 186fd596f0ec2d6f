//! Listing registrations (RFC 9686), a piece for each call: whoever wants all asks again from where the last piece ended.

use super::super::replica::Replica;
use leasehold_proto::convert;
use leasehold_proto::registration::Registration;
use leasehold_proto::v1;
use leasehold_proto::words::{Duid, LinkId};
use tonic::Status;

/// Registrations looked at under one lock.
const PIECE_LOOKED_AT: usize = 8192;
/// Registrations in one answer.
const PIECE_LISTED: usize = 2048;

/// Which registrations are wanted.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    link: Option<LinkId>,
    duid: Option<Duid>,
    after: Option<u128>,
}

impl Filter {
    /// # Errors
    /// `NotFound` for a link that the configuration does not have, `InvalidArgument` for what cannot be.
    pub(super) fn of(request: &v1::ListRegistrationsRequest, replica: &Replica) -> Result<Self, Status> {
        let invalid = |error: &dyn std::fmt::Display| Status::invalid_argument(error.to_string());
        let link = match request.link.as_str() {
            "" => None,
            name => {
                let link = replica.machine.network().and_then(|n| n.links.iter().find(|l| l.name == name));
                Some(link.ok_or_else(|| Status::not_found(format!("there is no link `{name}`")))?.id)
            }
        };
        let duid = match request.duid.as_slice() {
            [] => None,
            octets => Some(Duid::new(octets).map_err(|e| invalid(&e))?),
        };
        let after = match request.after.as_slice() {
            [] => None,
            octets => Some(convert::address(octets, "after").map_err(|e| invalid(&e))?),
        };
        Ok(Self { link, duid, after })
    }

    fn wants(&self, registration: &Registration) -> bool {
        self.link.is_none_or(|link| registration.link == link)
            && self.duid.as_ref().is_none_or(|duid| registration.duid == *duid)
    }
}

/// The next piece of the list.
pub(super) fn piece(replica: &Replica, filter: &Filter) -> v1::ListRegistrationsAnswer {
    let mut answer =
        v1::ListRegistrationsAnswer { cluster_time_ms: replica.time().as_millis(), ..Default::default() };
    let mut last = None;
    for (looked_at, registration) in replica.machine.registrations_above(filter.after).enumerate() {
        if looked_at >= PIECE_LOOKED_AT || answer.registrations.len() >= PIECE_LISTED {
            answer.next = last.map(|address: u128| address.to_be_bytes().to_vec()).unwrap_or_default();
            break;
        }
        last = Some(registration.address);
        if filter.wants(registration) {
            answer.registrations.push(info(replica, registration));
        }
    }
    answer
}

fn info(replica: &Replica, registration: &Registration) -> v1::RegistrationInfo {
    let machine = &replica.machine;
    let link = machine.network().and_then(|n| n.link(registration.link));
    v1::RegistrationInfo {
        registration: Some(registration.into()),
        link_name: link.map(|l| l.name.clone()).unwrap_or_default(),
        frontend: machine.session(registration.epoch).map(|s| s.frontend.to_string()).unwrap_or_default(),
    }
}
