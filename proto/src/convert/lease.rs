//! Lease records and updates.

use super::{ConvertError, address, need, prefix};
use crate::lease::{Lease, LeaseExtra, LeaseState, LeaseUpdate, NameState, RelayData, UpdateKind};
use crate::time::{ClusterTime, Lifetime};
use crate::v1;
use crate::words::{BindingKey, Epoch, LogIndex, PoolId};
use std::sync::Arc;

impl From<LeaseState> for v1::LeaseState {
    fn from(state: LeaseState) -> Self {
        match state {
            LeaseState::Active => Self::Active,
            LeaseState::Expired => Self::Expired,
            LeaseState::Released => Self::Released,
            LeaseState::PendingFree => Self::PendingFree,
            LeaseState::Free => Self::Free,
            LeaseState::FreeBackup => Self::FreeBackup,
            LeaseState::Abandoned => Self::Abandoned,
            LeaseState::Reset => Self::Reset,
        }
    }
}

/// The state of a lease.
///
/// # Errors
/// When the number is none of RFC 8156 §5.5.1's.
pub(crate) fn lease_state(raw: i32) -> Result<LeaseState, ConvertError> {
    LeaseState::ALL
        .into_iter()
        .find(|s| *s as i32 == raw)
        .ok_or(ConvertError::Unknown("LeaseState", i64::from(raw)))
}

fn extra_from_wire(
    relay: Option<&v1::RelayData>,
    reconfigure: bool,
    name: Option<&v1::NameState>,
) -> Result<Option<Arc<LeaseExtra>>, ConvertError> {
    if relay.is_none() && !reconfigure && name.is_none() {
        return Ok(None);
    }
    let relay = relay
        .map(|r| {
            Ok::<_, ConvertError>(RelayData {
                peer_address: address(&r.peer_address, "peer_address")?,
                relay_chain: r.relay_chain.clone(),
                relay_source: relay_source(r)?,
            })
        })
        .transpose()?;
    let name = name.map(|n| NameState { fqdn: n.fqdn.clone(), flags: n.flags, dns_state: n.dns_state });
    Ok(Some(Arc::new(LeaseExtra { relay, reconfigure, name })))
}

fn relay_source(raw: &v1::RelayData) -> Result<Option<(u128, u16)>, ConvertError> {
    if raw.source_address.is_empty() {
        return Ok(None);
    }
    let port = u16::try_from(raw.source_port)
        .map_err(|_| ConvertError::Unknown("source_port", i64::from(raw.source_port)))?;
    Ok(Some((address(&raw.source_address, "source_address")?, port)))
}

fn extra_to_wire(extra: Option<&Arc<LeaseExtra>>) -> (Option<v1::RelayData>, bool, Option<v1::NameState>) {
    let Some(extra) = extra else { return (None, false, None) };
    let relay = extra.relay.as_ref().map(|r| v1::RelayData {
        peer_address: r.peer_address.to_be_bytes().to_vec(),
        relay_chain: r.relay_chain.clone(),
        source_address: r.relay_source.map(|(address, _)| address.to_be_bytes().to_vec()).unwrap_or_default(),
        source_port: r.relay_source.map_or(0, |(_, port)| u32::from(port)),
    });
    let name = extra.name.as_ref().map(|n| v1::NameState {
        fqdn: n.fqdn.clone(),
        flags: n.flags,
        dns_state: n.dns_state,
    });
    (relay, extra.reconfigure, name)
}

impl From<&Lease> for v1::Lease {
    fn from(lease: &Lease) -> Self {
        let (relay, reconfigure, name) = extra_to_wire(lease.extra.as_ref());
        Self {
            prefix: Some(lease.prefix.into()),
            pool: lease.pool.0,
            binding: Some((&lease.binding).into()),
            state: v1::LeaseState::from(lease.state).into(),
            state_since_ms: lease.state_since.as_millis(),
            valid_until_ms: lease.valid_until.as_millis(),
            preferred_lifetime_secs: lease.preferred.to_wire(),
            valid_lifetime_secs: lease.valid.to_wire(),
            acked_until_ms: lease.acked_until.as_millis(),
            client_last_contact_ms: lease.client_last_contact.as_millis(),
            epoch: lease.epoch.0,
            version: lease.version.0,
            others_version: lease.others_version.0,
            born: lease.born.0,
            relay,
            reconfigure,
            name,
        }
    }
}

impl TryFrom<&v1::Lease> for Lease {
    type Error = ConvertError;

    fn try_from(raw: &v1::Lease) -> Result<Self, ConvertError> {
        Ok(Self {
            prefix: prefix(need(raw.prefix.as_ref(), "lease.prefix")?)?,
            pool: PoolId(raw.pool),
            binding: BindingKey::try_from(need(raw.binding.as_ref(), "lease.binding")?)?,
            state: lease_state(raw.state)?,
            state_since: ClusterTime::from_millis(raw.state_since_ms),
            valid_until: ClusterTime::from_millis(raw.valid_until_ms),
            preferred: Lifetime::from_wire(raw.preferred_lifetime_secs),
            valid: Lifetime::from_wire(raw.valid_lifetime_secs),
            acked_until: ClusterTime::from_millis(raw.acked_until_ms),
            client_last_contact: ClusterTime::from_millis(raw.client_last_contact_ms),
            epoch: Epoch(raw.epoch),
            version: LogIndex(raw.version),
            others_version: LogIndex(raw.others_version),
            born: LogIndex(raw.born),
            extra: extra_from_wire(raw.relay.as_ref(), raw.reconfigure, raw.name.as_ref())?,
        })
    }
}

impl From<&LeaseUpdate> for v1::LeaseUpdate {
    fn from(update: &LeaseUpdate) -> Self {
        let (relay, reconfigure, name) = extra_to_wire(update.extra.as_ref());
        let kind = match update.kind {
            UpdateKind::Promise => v1::UpdateKind::Promise,
            UpdateKind::Release => v1::UpdateKind::Release,
            UpdateKind::Decline => v1::UpdateKind::Decline,
            UpdateKind::Adopt => v1::UpdateKind::Adopt,
        };
        Self {
            kind: kind.into(),
            prefix: Some(update.prefix.into()),
            pool: update.pool.0,
            binding: Some((&update.binding).into()),
            valid_until_ms: update.valid_until.as_millis(),
            preferred_lifetime_secs: update.preferred.to_wire(),
            valid_lifetime_secs: update.valid.to_wire(),
            ack_until_ms: update.ack_until.as_millis(),
            client_last_contact_ms: update.client_last_contact.as_millis(),
            base_version: update.base_version.0,
            relay,
            reconfigure,
            name,
        }
    }
}

impl TryFrom<&v1::LeaseUpdate> for LeaseUpdate {
    type Error = ConvertError;

    fn try_from(raw: &v1::LeaseUpdate) -> Result<Self, ConvertError> {
        let kind = match v1::UpdateKind::try_from(raw.kind) {
            Ok(v1::UpdateKind::Promise) => UpdateKind::Promise,
            Ok(v1::UpdateKind::Release) => UpdateKind::Release,
            Ok(v1::UpdateKind::Decline) => UpdateKind::Decline,
            Ok(v1::UpdateKind::Adopt) => UpdateKind::Adopt,
            _ => return Err(ConvertError::Unknown("UpdateKind", i64::from(raw.kind))),
        };
        Ok(Self {
            kind,
            prefix: prefix(need(raw.prefix.as_ref(), "update.prefix")?)?,
            pool: PoolId(raw.pool),
            binding: BindingKey::try_from(need(raw.binding.as_ref(), "update.binding")?)?,
            valid_until: ClusterTime::from_millis(raw.valid_until_ms),
            preferred: Lifetime::from_wire(raw.preferred_lifetime_secs),
            valid: Lifetime::from_wire(raw.valid_lifetime_secs),
            ack_until: ClusterTime::from_millis(raw.ack_until_ms),
            client_last_contact: ClusterTime::from_millis(raw.client_last_contact_ms),
            base_version: LogIndex(raw.base_version),
            extra: extra_from_wire(raw.relay.as_ref(), raw.reconfigure, raw.name.as_ref())?,
        })
    }
}
