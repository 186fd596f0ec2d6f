//! The machine's rows: the form in which its state is copied to disk and sent as a snapshot.
//!
//! A key is a family byte and an order-preserving key. What was touched during an apply is encoded at its end from the
//! state as it then is, so that many changes of one record are one row. [`Machine::from_rows`] rebuilds everything,
//! indexes included.

use super::command::{FORMAT_VERSION, is_known};
use super::conflicts::Conflict;
use super::outcome::Applied;
use super::reconfigure::Reconfigure;
use super::state::{Cluster, Machine, Members, PoolState, RangeState, Session};
use super::{Counters, RowChange};
use leasehold_proto::convert::{ConvertError, address};
use leasehold_proto::lease::Lease;
use leasehold_proto::lifetimes::Timing;
use leasehold_proto::network::{Network, from_format_1, pool_from_format_1};
use leasehold_proto::registration::Registration;
use leasehold_proto::session::HostProof;
use leasehold_proto::time::ClusterTime;
use leasehold_proto::v1;
use leasehold_proto::words::{
    Epoch, FrontendId, LogIndex, PoolId, Prefix, RangeId, RelationshipId, UpdateSeq,
};
use prost::Message;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What a row is about. The order of families is the order in which rows can be restored: pools before leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RowKey {
    Cluster,
    Network,
    Relationship(RelationshipId),
    Pool(PoolId),
    Session(Epoch),
    Range(RangeId),
    Lease(Prefix),
    Draining,
    Conflict(u64),
    Written,
    Registration(u128),
    History(u128),
}

/// A row that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {key:02x?}: {detail}")]
pub struct RowError {
    /// The row's key.
    pub key: Vec<u8>,
    /// What is wrong with it.
    pub detail: String,
}

impl RowKey {
    fn encode(self) -> Vec<u8> {
        let mut key = Vec::with_capacity(18);
        match self {
            Self::Cluster => key.push(1),
            Self::Network => key.push(2),
            Self::Relationship(id) => {
                key.push(3);
                key.extend(id.0.to_be_bytes());
            }
            Self::Pool(id) => {
                key.push(4);
                key.extend(id.0.to_be_bytes());
            }
            Self::Session(epoch) => {
                key.push(5);
                key.extend(epoch.0.to_be_bytes());
            }
            Self::Range(range) => {
                key.push(6);
                key.extend(range.pool.0.to_be_bytes());
                key.extend(range.slice.to_be_bytes());
            }
            Self::Lease(prefix) => {
                key.push(7);
                key.extend(prefix.bits().to_be_bytes());
                key.push(prefix.len_bits());
            }
            Self::Draining => key.push(8),
            Self::Conflict(number) => {
                key.push(9);
                key.extend(number.to_be_bytes());
            }
            Self::Written => key.push(10),
            Self::Registration(address) => {
                key.push(11);
                key.extend(address.to_be_bytes());
            }
            Self::History(first) => {
                key.push(12);
                key.extend(first.to_be_bytes());
            }
        }
        key
    }

    /// The key of these octets; nothing for one of a newer program.
    pub(super) fn decode(key: &[u8]) -> Option<Self> {
        let (family, rest) = key.split_first()?;
        let number = |octets: &[u8]| octets.try_into().map(u64::from_be_bytes).ok();
        let id = |octets: &[u8]| octets.try_into().map(u32::from_be_bytes).ok();
        Some(match family {
            1 => Self::Cluster,
            2 => Self::Network,
            3 => Self::Relationship(RelationshipId(id(rest)?)),
            4 => Self::Pool(PoolId(id(rest)?)),
            5 => Self::Session(Epoch(number(rest)?)),
            6 => {
                let (pool, slice) = rest.split_at_checked(4)?;
                Self::Range(RangeId { pool: PoolId(id(pool)?), slice: number(slice)? })
            }
            7 => {
                let (bits, length) = rest.split_at_checked(16)?;
                let bits = bits.try_into().map(u128::from_be_bytes).ok()?;
                Self::Lease(Prefix::new(bits, u32::from(*length.first()?)).ok()?)
            }
            8 => Self::Draining,
            9 => Self::Conflict(number(rest)?),
            10 => Self::Written,
            11 => Self::Registration(rest.try_into().map(u128::from_be_bytes).ok()?),
            12 => Self::History(rest.try_into().map(u128::from_be_bytes).ok()?),
            _ => return None,
        })
    }
}

impl Machine {
    pub(super) fn take_changed_rows(&mut self, out: &mut Applied) {
        // Time and position are in one small row that changes with every entry.
        self.touch(RowKey::Cluster);
        let changed = std::mem::take(&mut self.changed);
        out.rows.reserve(changed.len());
        for key in changed {
            out.rows.push(RowChange { key: key.encode(), value: self.row(key) });
        }
    }

    /// All rows, in key order: the canonical form of the whole state.
    pub fn rows(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        let keys = [RowKey::Cluster, RowKey::Network]
            .into_iter()
            .chain(self.relationships.keys().map(|k| RowKey::Relationship(*k)))
            .chain(self.pools.keys().map(|k| RowKey::Pool(*k)))
            .chain(self.sessions.keys().map(|k| RowKey::Session(*k)))
            .chain(self.ranges.keys().map(|k| RowKey::Range(*k)))
            .chain(self.leases.keys().map(|k| RowKey::Lease(*k)))
            .chain([RowKey::Draining])
            .chain(self.conflicts.keys().map(|k| RowKey::Conflict(*k)))
            .chain([RowKey::Written])
            .chain(self.registrations.keys().map(|k| RowKey::Registration(*k)))
            .chain(self.history.spans().map(|(first, _)| RowKey::History(first)));
        keys.filter_map(|k| self.row(k).map(|value| (k.encode(), value)))
    }

    fn row(&self, key: RowKey) -> Option<Vec<u8>> {
        Some(match key {
            RowKey::Cluster => self.cluster_row().encode_to_vec(),
            RowKey::Network => self.network.as_ref()?.to_wire().encode_to_vec(),
            RowKey::Relationship(id) => members_row(id, self.relationships.get(&id)?).encode_to_vec(),
            RowKey::Pool(id) => pool_row(self.pools.get(&id)?).encode_to_vec(),
            RowKey::Session(epoch) => session_row(epoch, self.sessions.get(&epoch)?).encode_to_vec(),
            RowKey::Range(range) => {
                let state = self.ranges.get(&range)?;
                let RangeState { owner, closed, unclean, passed } = *state;
                v1::RangeRow { range: Some(range.into()), owner: owner.0, closed, unclean, passed }
                    .encode_to_vec()
            }
            RowKey::Lease(prefix) => v1::Lease::from(self.leases.get(&prefix)?.as_ref()).encode_to_vec(),
            RowKey::Draining => {
                if self.draining.is_empty() {
                    return None;
                }
                let frontends = self.draining.iter().map(|f| f.as_str().to_owned()).collect();
                v1::DrainingRow { frontends }.encode_to_vec()
            }
            RowKey::Conflict(number) => self.conflicts.get(&number)?.to_row(number).encode_to_vec(),
            RowKey::Written => self.written.as_ref()?.encode_to_vec(),
            RowKey::Registration(address) => {
                let registration = Some(self.registrations.get(&address)?.as_ref().into());
                v1::RegistrationRow { format_version: FORMAT_VERSION, registration }.encode_to_vec()
            }
            RowKey::History(first) => {
                let last = self.history.last_of(first)?.to_be_bytes().to_vec();
                v1::HistoryRow { format_version: FORMAT_VERSION, first: first.to_be_bytes().to_vec(), last }
                    .encode_to_vec()
            }
        })
    }

    fn cluster_row(&self) -> v1::ClusterRow {
        let (cluster, incarnation, seed) = match &self.cluster {
            Some(c) => (c.name.clone(), u32::from(c.incarnation), c.server_duid_seed.to_vec()),
            None => Default::default(),
        };
        v1::ClusterRow {
            format_version: FORMAT_VERSION,
            cluster,
            incarnation,
            time_ms: self.time.as_millis(),
            epoch_counter: self.epoch_counter,
            server_duid_seed: seed,
            next_id: self.next_id,
            acked_until_max_ms: self.acked_until_max.as_millis(),
            applied_index: self.applied.0,
            grants_held_until_ms: self.grants_held_until.as_millis(),
            restoring: self.restoring,
            timing_max: self.timing_max.map(timing_row),
            reconfigure_secret: self.reconfigure.secret.as_ref().map(Into::into),
            reconfigure_orders: self.reconfigure.orders,
        }
    }

    /// Rebuilds a machine from rows in key order. No rows give a machine that was never founded.
    ///
    /// # Errors
    /// When a row was written by a newer program or makes no sense.
    pub fn from_rows(rows: &mut dyn Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Result<Self, RowError> {
        let mut machine = Self::default();
        for (key, value) in rows {
            machine.restore_row(&key, &value).map_err(|detail| RowError { key, detail })?;
        }
        // Pieces of an old cluster's rows have no indexes yet: a node that took them all makes these at the founding.
        if !machine.restoring {
            machine.rebuild_tables();
            machine.rebuild_due();
        }
        machine.counters = Counters::default();
        Ok(machine)
    }

    pub(super) fn restore_cluster_row(&mut self, value: &[u8]) -> Result<(), String> {
        self.restore_cluster(&decode(value)?)
    }

    pub(super) fn restore_row(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let text = |e: ConvertError| e.to_string();
        match key.first() {
            Some(1) => self.restore_cluster(&decode(value)?),
            Some(2) => {
                let network = Network::from_wire(&decode_network(value)?)
                    .map_err(|e| e.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
                self.network = Some(Arc::new(network));
                Ok(())
            }
            Some(3) => self.restore_members(&decode(value)?),
            Some(4) => self.restore_pool(&decode(value)?),
            Some(5) => self.restore_session(&decode(value)?),
            Some(6) => {
                let row: v1::RangeRow = decode(value)?;
                let range = RangeId::from(row.range.as_ref().ok_or("`range` is missing")?);
                let v1::RangeRow { closed, unclean, passed, .. } = row;
                self.ranges.insert(range, RangeState { owner: Epoch(row.owner), closed, unclean, passed });
                Ok(())
            }
            Some(7) => {
                let lease = Lease::try_from(&decode::<v1::Lease>(value)?).map_err(text)?;
                self.bindings.insert((lease.binding.clone(), lease.prefix));
                self.leases.insert(lease.prefix, Arc::new(lease));
                Ok(())
            }
            Some(8) => {
                let row: v1::DrainingRow = decode(value)?;
                for frontend in &row.frontends {
                    self.draining.insert(FrontendId::new(frontend).map_err(|e| e.to_string())?);
                }
                Ok(())
            }
            Some(9) => {
                let row: v1::ConflictRow = decode(value)?;
                self.conflicts.insert(row.number, Conflict::from_row(&row).map_err(text)?);
                Ok(())
            }
            Some(10) => {
                self.written = Some(Arc::new(decode_network(value)?));
                Ok(())
            }
            Some(11) => self.restore_registration(&decode(value)?),
            Some(12) => {
                let (first, last) = history_span(value)?;
                self.history.add(first, last);
                Ok(())
            }
            _ => Err("of a family this program does not know: written by a newer one?".to_owned()),
        }
    }

    fn restore_cluster(&mut self, row: &v1::ClusterRow) -> Result<(), String> {
        known(row.format_version)?;
        if !row.cluster.is_empty() {
            self.cluster = Some(Cluster {
                name: row.cluster.clone(),
                incarnation: u16::try_from(row.incarnation).map_err(|_| "`incarnation` is out of bounds")?,
                server_duid_seed: row
                    .server_duid_seed
                    .as_slice()
                    .try_into()
                    .map_err(|_| "`server_duid_seed` is not 16 octets")?,
            });
        }
        self.time = ClusterTime::from_millis(row.time_ms);
        self.epoch_counter = row.epoch_counter;
        self.next_id = row.next_id;
        self.acked_until_max = ClusterTime::from_millis(row.acked_until_max_ms);
        self.applied = LogIndex(row.applied_index);
        self.grants_held_until = ClusterTime::from_millis(row.grants_held_until_ms);
        self.restoring = row.restoring;
        self.timing_max = row.timing_max.map(timing);
        let secret = row.reconfigure_secret.as_ref().map(TryInto::try_into).transpose();
        let secret = secret.map_err(|e: ConvertError| e.to_string())?;
        self.reconfigure = Reconfigure { secret, orders: row.reconfigure_orders };
        Ok(())
    }

    fn restore_registration(&mut self, row: &v1::RegistrationRow) -> Result<(), String> {
        known(row.format_version)?;
        let raw = row.registration.as_ref().ok_or("`registration` is missing")?;
        let registration = Registration::try_from(raw).map_err(|e| e.to_string())?;
        self.registrations.insert(registration.address, Arc::new(registration));
        Ok(())
    }

    fn restore_members(&mut self, row: &v1::RelationshipRow) -> Result<(), String> {
        let mut members = Members::default();
        for member in &row.members {
            let frontend = FrontendId::new(&member.frontend).map_err(|e| e.to_string())?;
            if member.left_index == 0 {
                members.joined.insert(frontend.clone(), LogIndex(member.joined_index));
            }
            members
                .frontends
                .insert(frontend, (member.left_index != 0).then_some(LogIndex(member.left_index)));
        }
        self.relationships.insert(RelationshipId(row.id), members);
        Ok(())
    }

    fn restore_pool(&mut self, row: &v1::PoolRow) -> Result<(), String> {
        let mut wire = row.pool.clone().ok_or("`pool` is missing")?;
        pool_from_format_1(&mut wire);
        let pool = leasehold_proto::network::stored_pool(
            &wire,
            leasehold_proto::words::LinkId(row.link),
            RelationshipId(row.relationship),
        )
        .map_err(|e| e.to_string())?;
        let sweep_from = match row.sweep_from.as_slice() {
            [] => None,
            octets => Some(address(octets, "sweep_from").map_err(|e| e.to_string())?),
        };
        self.pools.insert(
            pool.id,
            PoolState {
                offered_last_slot: row.offered_last_slot.unwrap_or(pool.geometry.last_slot()),
                cut: (row.cut_index != 0).then_some(LogIndex(row.cut_index)),
                unclean_below: row.unclean_below,
                sweep_from,
                look_from: row.look_from,
                asked_for: Epoch(row.asked_for),
                passed_slices: BTreeSet::new(),
                pool: Arc::new(pool),
                wire,
                retired: (row.retired_index != 0).then_some(LogIndex(row.retired_index)),
                mclt_max: Duration::from_secs(u64::from(row.mclt_secs_max)),
                autonomy_max: span(row.autonomy_ms_max),
                fresh_slices_used: row.fresh_slices_used,
                asked_back_at: ClusterTime::from_millis(row.asked_back_ms),
                free_slices: BTreeSet::new(),
            },
        );
        Ok(())
    }

    fn restore_session(&mut self, row: &v1::SessionRow) -> Result<(), String> {
        let frontend = FrontendId::new(&row.frontend).map_err(|e| e.to_string())?;
        let epoch = Epoch(row.epoch);
        let superseded_by = (row.superseded_by != 0).then_some(Epoch(row.superseded_by));
        if superseded_by.is_none() {
            self.current.insert(frontend.clone(), epoch);
        }
        self.sessions.insert(
            epoch,
            Session {
                frontend,
                applied_sequence: UpdateSeq(row.applied_sequence),
                extended_at: ClusterTime::from_millis(row.extended_at_ms),
                acked_index: LogIndex(row.acked_index),
                superseded_by,
                superseded_index: LogIndex(row.superseded_index),
                host: row.host.as_ref().map(HostProof::try_from).transpose().map_err(|e| e.to_string())?,
                proven_gone: row.proven_gone_ms.map(ClusterTime::from_millis),
                declared_down: row.declared_down_ms.map(ClusterTime::from_millis),
                closed: row.closed,
                ended: row.ended,
                opened_at: ClusterTime::from_millis(row.opened_at_ms),
            },
        );
        Ok(())
    }
}

fn known(format: u32) -> Result<(), String> {
    if is_known(format) {
        Ok(())
    } else {
        Err(format!("format {format} is not this program's {FORMAT_VERSION}"))
    }
}

/// First and last address of a span of the past.
fn history_span(value: &[u8]) -> Result<(u128, u128), String> {
    let row: v1::HistoryRow = decode(value)?;
    known(row.format_version)?;
    let text = |e: ConvertError| e.to_string();
    let (first, last) =
        (address(&row.first, "first").map_err(text)?, address(&row.last, "last").map_err(text)?);
    if first <= last { Ok((first, last)) } else { Err("`last` is before `first`".to_owned()) }
}

/// A network row, which may be of a former format.
fn decode_network(value: &[u8]) -> Result<v1::Network, String> {
    let mut network = decode(value)?;
    from_format_1(&mut network);
    Ok(network)
}

fn decode<M: Message + Default>(value: &[u8]) -> Result<M, String> {
    M::decode(value).map_err(|e| e.to_string())
}

fn timing(row: v1::Timing) -> Timing {
    Timing { rho_ppm: row.rho_ppm, flight_ms: row.flight_ms, send_ms: row.send_ms }
}

fn timing_row(timing: Timing) -> v1::Timing {
    v1::Timing { rho_ppm: timing.rho_ppm, flight_ms: timing.flight_ms, send_ms: timing.send_ms }
}

fn span(ms: u64) -> Duration {
    if ms == u64::MAX { Duration::MAX } else { Duration::from_millis(ms) }
}

fn span_row(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn members_row(id: RelationshipId, members: &Members) -> v1::RelationshipRow {
    let members = members.frontends.iter().map(|(frontend, left)| v1::Member {
        frontend: frontend.as_str().to_owned(),
        left_index: left.unwrap_or_default().0,
        joined_index: members.joined.get(frontend).copied().unwrap_or_default().0,
    });
    v1::RelationshipRow { id: id.0, members: members.collect() }
}

fn pool_row(state: &PoolState) -> v1::PoolRow {
    v1::PoolRow {
        pool: Some(state.wire.clone()),
        relationship: state.pool.relationship.0,
        link: state.pool.link.0,
        retired_index: state.retired.unwrap_or_default().0,
        mclt_secs_max: u32::try_from(state.mclt_max.as_secs()).unwrap_or(u32::MAX),
        autonomy_ms_max: span_row(state.autonomy_max),
        fresh_slices_used: state.fresh_slices_used,
        asked_back_ms: state.asked_back_at.as_millis(),
        asked_for: state.asked_for.0,
        offered_last_slot: Some(state.offered_last_slot),
        cut_index: state.cut.unwrap_or_default().0,
        unclean_below: state.unclean_below,
        sweep_from: state.sweep_from.map(|bits| bits.to_be_bytes().to_vec()).unwrap_or_default(),
        look_from: state.look_from,
    }
}

fn session_row(epoch: Epoch, session: &Session) -> v1::SessionRow {
    v1::SessionRow {
        epoch: epoch.0,
        frontend: session.frontend.as_str().to_owned(),
        applied_sequence: session.applied_sequence.0,
        extended_at_ms: session.extended_at.as_millis(),
        acked_index: session.acked_index.0,
        superseded_by: session.superseded_by.unwrap_or_default().0,
        closed: session.closed,
        ended: session.ended,
        opened_at_ms: session.opened_at.as_millis(),
        superseded_index: session.superseded_index.0,
        host: session.host.as_ref().map(Into::into),
        proven_gone_ms: session.proven_gone.map(ClusterTime::as_millis),
        declared_down_ms: session.declared_down.map(ClusterTime::as_millis),
    }
}
