//! Registrations of addresses (RFC 9686), both ways.

use super::{ConvertError, address};
use crate::registration::{Registration, RegistrationUpdate};
use crate::time::ClusterTime;
use crate::v1;
use crate::words::{Duid, Epoch, LinkId, LogIndex};

impl From<&RegistrationUpdate> for v1::Registration {
    fn from(update: &RegistrationUpdate) -> Self {
        Self {
            address: update.address.to_be_bytes().to_vec(),
            link: update.link.0,
            duid: update.duid.as_bytes().to_vec(),
            valid_until_ms: update.valid_until.as_millis(),
            ..Self::default()
        }
    }
}

impl TryFrom<&v1::Registration> for RegistrationUpdate {
    type Error = ConvertError;

    fn try_from(raw: &v1::Registration) -> Result<Self, ConvertError> {
        Ok(Self {
            address: address(&raw.address, "address")?,
            link: LinkId(raw.link),
            duid: Duid::new(&raw.duid)?,
            valid_until: ClusterTime::from_millis(raw.valid_until_ms),
        })
    }
}

impl From<&Registration> for v1::Registration {
    fn from(registration: &Registration) -> Self {
        Self {
            address: registration.address.to_be_bytes().to_vec(),
            link: registration.link.0,
            duid: registration.duid.as_bytes().to_vec(),
            valid_until_ms: registration.valid_until.as_millis(),
            since_ms: registration.since.as_millis(),
            epoch: registration.epoch.0,
            version: registration.version.0,
        }
    }
}

impl TryFrom<&v1::Registration> for Registration {
    type Error = ConvertError;

    fn try_from(raw: &v1::Registration) -> Result<Self, ConvertError> {
        let RegistrationUpdate { address, link, duid, valid_until } = raw.try_into()?;
        Ok(Self {
            address,
            link,
            duid,
            valid_until,
            since: ClusterTime::from_millis(raw.since_ms),
            epoch: Epoch(raw.epoch),
            version: LogIndex(raw.version),
        })
    }
}
