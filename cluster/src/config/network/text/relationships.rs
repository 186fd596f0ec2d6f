//! Relationships as a file has them.

use leasehold_proto::v1;
use serde::Serialize;

use super::millis;
use crate::config::network::identity::colons;

#[derive(Serialize)]
pub(super) struct RelationshipText {
    name: String,
    /// That of a relationship in force, or as it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_duid: Option<String>,
    primary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secondary: Option<String>,
    pools: Vec<String>,
    buckets: &'static str,
    answering: &'static str,
    takeover_after: String,
    preference: u32,
}

impl RelationshipText {
    pub(super) fn of(wire: &v1::Relationship) -> Self {
        Self {
            name: wire.name.clone(),
            server_duid: (!wire.server_duid.is_empty()).then(|| colons(&wire.server_duid)),
            primary: wire.primary.clone(),
            secondary: (!wire.secondary.is_empty()).then(|| wire.secondary.clone()),
            pools: wire.pools.clone(),
            buckets: buckets_text(wire.buckets()),
            answering: answering_text(wire.answering()),
            takeover_after: millis(wire.takeover_after_ms),
            preference: wire.preference,
        }
    }
}

#[derive(Serialize)]
pub(super) struct AutoText {
    frontends: Vec<String>,
    shards: u32,
    buckets: &'static str,
    answering: &'static str,
    takeover_after: String,
    preference: u32,
}

impl AutoText {
    pub(super) fn of(wire: &v1::Auto) -> Self {
        Self {
            frontends: wire.frontends.clone(),
            shards: wire.shards,
            buckets: buckets_text(wire.buckets()),
            answering: answering_text(wire.answering()),
            takeover_after: millis(wire.takeover_after_ms),
            preference: wire.preference,
        }
    }
}

fn buckets_text(mode: v1::BucketMode) -> &'static str {
    if mode == v1::BucketMode::LoadBalancing { "load-balancing" } else { "hot-standby" }
}

fn answering_text(answering: v1::Answering) -> &'static str {
    if answering == v1::Answering::Any { "any" } else { "buckets" }
}
