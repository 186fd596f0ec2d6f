//! The session's messages, both ways.

use super::{ConvertError, address, need, prefix};
use crate::lease::{Lease, LeaseUpdate};
use crate::network::Network;
use crate::registration::{Registration, RegistrationUpdate};
use crate::session::{
    BatchOutcome, FromStore, Heartbeat, Hello, HostProof, InterfaceHealth, LinkReport, Liveness, LoadChunk,
    PROTOCOL_VERSION, RangeRecord, RangeRequest, RefusalReason, Refused, SessionBatch, StoreEvent,
    StreamEntry, ToStore, UpdateOutcome, UpdateRefusal, Welcome,
};
use crate::time::ClusterTime;
use crate::trace::TraceFilter;
use crate::v1;
use crate::v1::{frontend_message, store_event, store_message};
use crate::words::{Duid, Epoch, FrontendId, LinkId, LogIndex, PoolId, RangeId, UpdateSeq};
use std::sync::Arc;

impl From<&SessionBatch> for v1::SessionBatch {
    fn from(b: &SessionBatch) -> Self {
        Self {
            epoch: b.epoch.0,
            sequence: b.sequence.0,
            updates: b.updates.iter().map(Into::into).collect(),
            requests: b
                .requests
                .iter()
                .map(|r| v1::RangeRequest { pool: r.pool.0, ranges: r.ranges })
                .collect(),
            returned: b.returned.iter().map(|r| (*r).into()).collect(),
            acked_index: b.acked_index.0,
            closing: b.closing,
            registrations: b.registrations.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<&v1::SessionBatch> for SessionBatch {
    type Error = ConvertError;

    fn try_from(raw: &v1::SessionBatch) -> Result<Self, ConvertError> {
        let requests = raw.requests.iter().map(|r| RangeRequest { pool: PoolId(r.pool), ranges: r.ranges });
        Ok(Self {
            epoch: Epoch(raw.epoch),
            sequence: UpdateSeq(raw.sequence),
            updates: raw.updates.iter().map(LeaseUpdate::try_from).collect::<Result<_, _>>()?,
            requests: requests.collect(),
            returned: raw.returned.iter().map(RangeId::from).collect(),
            acked_index: LogIndex(raw.acked_index),
            closing: raw.closing,
            registrations: raw
                .registrations
                .iter()
                .map(RegistrationUpdate::try_from)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl From<&ToStore> for v1::FrontendMessage {
    fn from(message: &ToStore) -> Self {
        let body = match message {
            ToStore::Hello(h) => frontend_message::Body::Hello(v1::Hello {
                protocol_version: PROTOCOL_VERSION,
                frontend: h.frontend.as_str().to_owned(),
                resume_epoch: h.resume_epoch.0,
                resume_index: h.resume_index.0,
                loaded: h.loaded,
                host: h.host.as_ref().map(Into::into),
            }),
            ToStore::Batch(b) => frontend_message::Body::Batch(b.as_ref().into()),
            ToStore::Heartbeat(h) => frontend_message::Body::Heartbeat(v1::Heartbeat {
                epoch: h.epoch.0,
                network_version: h.network_version,
                dirty_leases: h.dirty_leases,
                interfaces: h.interfaces.iter().map(interface_to_wire).collect(),
                relays_heard: h.relays_heard.iter().map(|r| r.to_be_bytes().to_vec()).collect(),
                serving: h.serving,
                links: h
                    .links
                    .iter()
                    .map(|l| v1::LinkReport { link: l.link.0, heard: l.heard, unanswered: l.unanswered })
                    .collect(),
            }),
            ToStore::Lookup { link, duid } => {
                frontend_message::Body::Lookup(v1::Lookup { link: link.0, duid: duid.as_bytes().to_vec() })
            }
            ToStore::Trace(report) => frontend_message::Body::Trace(report.into()),
        };
        Self { body: Some(body) }
    }
}

impl From<&HostProof> for v1::HostProof {
    fn from(proof: &HostProof) -> Self {
        Self { boot_id: proof.boot_id.to_vec(), lock_id: proof.lock_id.to_vec(), holding: proof.holding }
    }
}

impl TryFrom<&v1::HostProof> for HostProof {
    type Error = ConvertError;

    fn try_from(raw: &v1::HostProof) -> Result<Self, ConvertError> {
        Ok(Self {
            boot_id: address(&raw.boot_id, "boot_id")?.to_be_bytes(),
            lock_id: address(&raw.lock_id, "lock_id")?.to_be_bytes(),
            holding: raw.holding,
        })
    }
}

fn interface_to_wire(i: &InterfaceHealth) -> v1::InterfaceHealth {
    v1::InterfaceHealth {
        name: i.name.clone(),
        link: i.link.clone(),
        present: i.present,
        carrier: i.carrier,
        packets_seen: i.packets_seen,
        errors: i.errors,
    }
}

impl TryFrom<&v1::FrontendMessage> for ToStore {
    type Error = ConvertError;

    fn try_from(raw: &v1::FrontendMessage) -> Result<Self, ConvertError> {
        Ok(match need(raw.body.as_ref(), "frontend message")? {
            frontend_message::Body::Hello(h) => {
                if h.protocol_version != PROTOCOL_VERSION {
                    return Err(ConvertError::Unknown("protocol_version", i64::from(h.protocol_version)));
                }
                Self::Hello(Hello {
                    frontend: FrontendId::new(&h.frontend)?,
                    resume_epoch: Epoch(h.resume_epoch),
                    resume_index: LogIndex(h.resume_index),
                    loaded: h.loaded,
                    host: h.host.as_ref().map(HostProof::try_from).transpose()?,
                })
            }
            frontend_message::Body::Batch(b) => Self::Batch(Arc::new(b.try_into()?)),
            frontend_message::Body::Heartbeat(h) => Self::Heartbeat(Heartbeat {
                epoch: Epoch(h.epoch),
                network_version: h.network_version,
                dirty_leases: h.dirty_leases,
                interfaces: h.interfaces.iter().map(interface_from_wire).collect(),
                relays_heard: h.relays_heard.iter().map(|r| address(r, "relay")).collect::<Result<_, _>>()?,
                serving: h.serving,
                links: h
                    .links
                    .iter()
                    .map(|l| LinkReport { link: LinkId(l.link), heard: l.heard, unanswered: l.unanswered })
                    .collect(),
            }),
            frontend_message::Body::Lookup(l) => {
                Self::Lookup { link: LinkId(l.link), duid: Duid::new(&l.duid)? }
            }
            frontend_message::Body::Trace(report) => Self::Trace(report.into()),
        })
    }
}

fn interface_from_wire(i: &v1::InterfaceHealth) -> InterfaceHealth {
    InterfaceHealth {
        name: i.name.clone(),
        link: i.link.clone(),
        present: i.present,
        carrier: i.carrier,
        packets_seen: i.packets_seen,
        errors: i.errors,
    }
}

impl From<&RangeRecord> for v1::RangeRecord {
    fn from(r: &RangeRecord) -> Self {
        Self {
            range: Some(r.range.into()),
            owner: r.owner.0,
            frontend: r.frontend.as_ref().map(|f| f.as_str().to_owned()).unwrap_or_default(),
            closed: r.closed,
            fresh: r.fresh,
        }
    }
}

impl TryFrom<&v1::RangeRecord> for RangeRecord {
    type Error = ConvertError;

    fn try_from(raw: &v1::RangeRecord) -> Result<Self, ConvertError> {
        Ok(Self {
            range: need(raw.range.as_ref(), "range")?.into(),
            owner: Epoch(raw.owner),
            frontend: if raw.frontend.is_empty() { None } else { Some(FrontendId::new(&raw.frontend)?) },
            closed: raw.closed,
            fresh: raw.fresh,
        })
    }
}

fn refusal_to_wire(refusal: UpdateRefusal) -> v1::UpdateRefusal {
    match refusal {
        UpdateRefusal::NotGranted => v1::UpdateRefusal::NotGranted,
        UpdateRefusal::OtherClient => v1::UpdateRefusal::OtherClient,
        UpdateRefusal::ChangedSince => v1::UpdateRefusal::ChangedSince,
        UpdateRefusal::UnknownLease => v1::UpdateRefusal::UnknownLease,
        UpdateRefusal::UnknownPool => v1::UpdateRefusal::UnknownPool,
        UpdateRefusal::Fenced => v1::UpdateRefusal::Fenced,
        UpdateRefusal::NotAdopted => v1::UpdateRefusal::NotAdopted,
    }
}

fn refusal_from_wire(raw: i32) -> Result<UpdateRefusal, ConvertError> {
    Ok(match v1::UpdateRefusal::try_from(raw) {
        Ok(v1::UpdateRefusal::NotGranted) => UpdateRefusal::NotGranted,
        Ok(v1::UpdateRefusal::OtherClient) => UpdateRefusal::OtherClient,
        Ok(v1::UpdateRefusal::ChangedSince) => UpdateRefusal::ChangedSince,
        Ok(v1::UpdateRefusal::UnknownLease) => UpdateRefusal::UnknownLease,
        Ok(v1::UpdateRefusal::UnknownPool) => UpdateRefusal::UnknownPool,
        Ok(v1::UpdateRefusal::Fenced) => UpdateRefusal::Fenced,
        Ok(v1::UpdateRefusal::NotAdopted) => UpdateRefusal::NotAdopted,
        _ => return Err(ConvertError::Unknown("UpdateRefusal", i64::from(raw))),
    })
}

impl From<&StoreEvent> for v1::StoreEvent {
    fn from(event: &StoreEvent) -> Self {
        let body = match event {
            StoreEvent::Batch(b) => store_event::Body::Batch(v1::BatchOutcome {
                sequence: b.sequence.0,
                stamp_ms: b.stamp.as_millis(),
                extended: b.extended,
                refused: b
                    .refused
                    .iter()
                    .map(|o| v1::UpdateOutcome {
                        prefix: Some(o.prefix.into()),
                        refusal: refusal_to_wire(o.refusal).into(),
                    })
                    .collect(),
            }),
            StoreEvent::Lease(l) => store_event::Body::Lease(l.as_ref().into()),
            StoreEvent::Range(r) => store_event::Body::Range(r.into()),
            StoreEvent::PoolDry { pool, dry } => {
                store_event::Body::PoolDry(v1::PoolDry { pool: pool.0, dry: *dry })
            }
            StoreEvent::Network(n) => store_event::Body::Network(n.to_wire().clone()),
            StoreEvent::Superseded { by, at } => {
                store_event::Body::Superseded(v1::Superseded { by: by.0, at: at.0 })
            }
            StoreEvent::GiveBack { pool, ranges } => {
                store_event::Body::GiveBack(v1::GiveBack { pool: pool.0, ranges: *ranges })
            }
            StoreEvent::Draining { on } => store_event::Body::Draining(v1::Draining { on: *on }),
            StoreEvent::ReconfigureSecret(s) => store_event::Body::ReconfigureSecret(s.into()),
            StoreEvent::Reconfigure(order) => store_event::Body::Reconfigure(order.as_ref().into()),
            StoreEvent::Registration(r) => store_event::Body::Registration(r.as_ref().into()),
        };
        Self { body: Some(body) }
    }
}

/// A configuration that must be consistent, since the store checked it.
fn network(raw: &v1::Network) -> Result<Arc<Network>, ConvertError> {
    Network::from_wire(raw).map(Arc::new).map_err(|errors| {
        ConvertError::Network(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })
}

impl TryFrom<&v1::StoreEvent> for StoreEvent {
    type Error = ConvertError;

    fn try_from(raw: &v1::StoreEvent) -> Result<Self, ConvertError> {
        Ok(match need(raw.body.as_ref(), "store event")? {
            store_event::Body::Batch(b) => {
                let refused = b.refused.iter().map(|o| {
                    Ok::<_, ConvertError>(UpdateOutcome {
                        prefix: prefix(need(o.prefix.as_ref(), "refused.prefix")?)?,
                        refusal: refusal_from_wire(o.refusal)?,
                    })
                });
                Self::Batch(BatchOutcome {
                    sequence: UpdateSeq(b.sequence),
                    stamp: ClusterTime::from_millis(b.stamp_ms),
                    extended: b.extended,
                    refused: refused.collect::<Result<_, _>>()?,
                })
            }
            store_event::Body::Lease(l) => Self::Lease(Arc::new(Lease::try_from(l)?)),
            store_event::Body::Range(r) => Self::Range(r.try_into()?),
            store_event::Body::PoolDry(p) => Self::PoolDry { pool: PoolId(p.pool), dry: p.dry },
            store_event::Body::Network(n) => Self::Network(network(n)?),
            store_event::Body::Superseded(s) => Self::Superseded { by: Epoch(s.by), at: LogIndex(s.at) },
            store_event::Body::GiveBack(g) => Self::GiveBack { pool: PoolId(g.pool), ranges: g.ranges },
            store_event::Body::Draining(d) => Self::Draining { on: d.on },
            store_event::Body::ReconfigureSecret(s) => Self::ReconfigureSecret(s.try_into()?),
            store_event::Body::Reconfigure(order) => Self::Reconfigure(Arc::new(order.try_into()?)),
            store_event::Body::Registration(r) => Self::Registration(Arc::new(r.try_into()?)),
        })
    }
}

fn leases_from_wire(raw: &[v1::Lease]) -> Result<Vec<Arc<Lease>>, ConvertError> {
    raw.iter().map(|l| Lease::try_from(l).map(Arc::new)).collect()
}

impl From<&FromStore> for v1::StoreMessage {
    fn from(message: &FromStore) -> Self {
        let body = match message {
            FromStore::Welcome(w) => store_message::Body::Welcome(v1::Welcome {
                epoch: w.epoch.0,
                index: w.index.0,
                resumed: w.resumed,
                applied_sequence: w.applied_sequence.0,
                network: w.network.as_ref().map(|n| n.to_wire().clone()),
                supersedes: w.supersedes.0,
                draining: w.draining,
                reconfigure_secret: w.reconfigure_secret.as_ref().map(Into::into),
                reconfigure_orders: w.reconfigure_orders,
            }),
            FromStore::Refused(r) => store_message::Body::Refused(v1::Refused {
                reason: match r.reason {
                    RefusalReason::NotLeader => v1::RefusalReason::NotLeader,
                    RefusalReason::Superseded => v1::RefusalReason::Superseded,
                    RefusalReason::UnknownSession => v1::RefusalReason::UnknownSession,
                    RefusalReason::Protocol => v1::RefusalReason::Protocol,
                    RefusalReason::Forbidden => v1::RefusalReason::Forbidden,
                }
                .into(),
                detail: r.detail.clone(),
                leader_address: r.leader_address.clone().unwrap_or_default(),
            }),
            FromStore::Load(c) => store_message::Body::Load(v1::LoadChunk {
                leases: c.leases.iter().map(|l| l.as_ref().into()).collect(),
                ranges: c.ranges.iter().map(Into::into).collect(),
                registrations: c.registrations.iter().map(|r| r.as_ref().into()).collect(),
                done: c.done.is_some(),
                index: c.done.unwrap_or_default().0,
            }),
            FromStore::Entry(e) => store_message::Body::Entry(v1::StreamEntry {
                index: e.index.0,
                events: e.events.iter().map(Into::into).collect(),
            }),
            FromStore::HeartbeatAnswer { log_index } => {
                store_message::Body::Heartbeat(v1::HeartbeatAnswer { log_index: log_index.0 })
            }
            FromStore::Liveness(l) => store_message::Body::Liveness(v1::PartnerLiveness {
                frontend: l.frontend.as_str().to_owned(),
                live: l.live,
                links_down: l.links_down.iter().map(|link| link.0).collect(),
                relays_heard: l
                    .relays_heard
                    .iter()
                    .flatten()
                    .map(|relay| relay.to_be_bytes().to_vec())
                    .collect(),
                relays_known: l.relays_heard.is_some(),
            }),
            FromStore::Lookup { link, duid, leases, index } => {
                store_message::Body::Lookup(v1::LookupAnswer {
                    link: link.0,
                    duid: duid.as_bytes().to_vec(),
                    leases: leases.iter().map(|l| l.as_ref().into()).collect(),
                    index: index.0,
                })
            }
            FromStore::Traces(traces) => {
                store_message::Body::Traces(v1::Traces { traces: traces.iter().map(Into::into).collect() })
            }
        };
        Self { body: Some(body) }
    }
}

impl TryFrom<&v1::StoreMessage> for FromStore {
    type Error = ConvertError;

    fn try_from(raw: &v1::StoreMessage) -> Result<Self, ConvertError> {
        Ok(match need(raw.body.as_ref(), "store message")? {
            store_message::Body::Welcome(w) => Self::Welcome(Welcome {
                epoch: Epoch(w.epoch),
                index: LogIndex(w.index),
                resumed: w.resumed,
                applied_sequence: UpdateSeq(w.applied_sequence),
                network: w.network.as_ref().map(network).transpose()?,
                supersedes: Epoch(w.supersedes),
                draining: w.draining,
                reconfigure_secret: w.reconfigure_secret.as_ref().map(TryInto::try_into).transpose()?,
                reconfigure_orders: w.reconfigure_orders,
            }),
            store_message::Body::Refused(r) => Self::Refused(Refused {
                reason: match v1::RefusalReason::try_from(r.reason) {
                    Ok(v1::RefusalReason::NotLeader) => RefusalReason::NotLeader,
                    Ok(v1::RefusalReason::Superseded) => RefusalReason::Superseded,
                    Ok(v1::RefusalReason::UnknownSession) => RefusalReason::UnknownSession,
                    Ok(v1::RefusalReason::Protocol) => RefusalReason::Protocol,
                    Ok(v1::RefusalReason::Forbidden) => RefusalReason::Forbidden,
                    _ => return Err(ConvertError::Unknown("RefusalReason", i64::from(r.reason))),
                },
                detail: r.detail.clone(),
                leader_address: (!r.leader_address.is_empty()).then(|| r.leader_address.clone()),
            }),
            store_message::Body::Load(c) => Self::Load(LoadChunk {
                leases: leases_from_wire(&c.leases)?,
                ranges: c.ranges.iter().map(RangeRecord::try_from).collect::<Result<_, _>>()?,
                registrations: c
                    .registrations
                    .iter()
                    .map(|r| Registration::try_from(r).map(Arc::new))
                    .collect::<Result<_, _>>()?,
                done: c.done.then_some(LogIndex(c.index)),
            }),
            store_message::Body::Entry(e) => Self::Entry(StreamEntry {
                index: LogIndex(e.index),
                events: e.events.iter().map(StoreEvent::try_from).collect::<Result<_, _>>()?,
            }),
            store_message::Body::Heartbeat(h) => Self::HeartbeatAnswer { log_index: LogIndex(h.log_index) },
            store_message::Body::Liveness(l) => {
                let relays = l.relays_heard.iter().map(|r| address(r, "relay")).collect::<Result<_, _>>()?;
                Self::Liveness(Liveness {
                    frontend: FrontendId::new(&l.frontend)?,
                    live: l.live,
                    links_down: l.links_down.iter().map(|link| LinkId(*link)).collect(),
                    relays_heard: l.relays_known.then_some(relays),
                })
            }
            store_message::Body::Lookup(l) => Self::Lookup {
                link: LinkId(l.link),
                duid: Duid::new(&l.duid)?,
                leases: leases_from_wire(&l.leases)?,
                index: LogIndex(l.index),
            },
            store_message::Body::Traces(t) => {
                Self::Traces(t.traces.iter().map(TraceFilter::try_from).collect::<Result<_, _>>()?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    fn hello(protocol_version: u32) -> v1::FrontendMessage {
        let hello = v1::Hello { protocol_version, frontend: "fe-a".into(), ..Default::default() };
        v1::FrontendMessage { body: Some(frontend_message::Body::Hello(hello)) }
    }

    /// What a newer partner adds is passed over; what it means otherwise than we do is refused, never misread.
    #[test]
    fn fo_110_unknown_fields_are_passed_over_and_unknown_kinds_and_versions_refused() {
        let mut bytes = hello(PROTOCOL_VERSION).encode_to_vec();
        // Field 1000, a varint.
        bytes.extend([0xc0, 0x3e, 0x07]);
        let read = v1::FrontendMessage::decode(&bytes[..]).unwrap();
        assert!(matches!(ToStore::try_from(&read), Ok(ToStore::Hello(_))));
        // A kind of message that only a newer program knows.
        let unknown = v1::FrontendMessage::decode(&[0xc2, 0x3e, 0x00][..]).unwrap();
        assert!(matches!(ToStore::try_from(&unknown), Err(ConvertError::Missing(_))));
        let newer = ToStore::try_from(&hello(PROTOCOL_VERSION + 1)).unwrap_err();
        assert_eq!(newer, ConvertError::Unknown("protocol_version", i64::from(PROTOCOL_VERSION + 1)));
        // And of numbers that are not known yet: an update of a new kind is no promise.
        let update = v1::LeaseUpdate { kind: 99, ..Default::default() };
        assert!(LeaseUpdate::try_from(&update).is_err());
    }
}
