//! Relationships, as written or left to the store.

use leasehold_proto::v1;

use super::fields::{answering, buckets, millis, narrow, preference};
use super::identity::server_duid;
use super::place::Places;
use super::{Form, names};
use crate::config::document::Table;

impl Form {
    pub(super) fn read_relationship(&mut self, mut table: Table<'_>) {
        let fields = [
            "name",
            "primary",
            "secondary",
            "pools",
            "buckets",
            "answering",
            "takeover_after",
            "preference",
            "server_duid",
        ];
        let places = Places::of(&table, &fields);
        let name = self.name(&mut table, "name", "name the relationship");
        let primary = self.name(&mut table, "primary", "name the frontend that is the primary");
        let secondary = table.string("secondary").map(|s| s.value).unwrap_or_default();
        let wire = v1::Relationship {
            id: 0,
            name,
            server_duid: server_duid(&mut table),
            primary,
            secondary,
            pools: names(&mut table, "pools"),
            buckets: buckets(&mut table),
            answering: answering(&mut table),
            takeover_after_ms: millis(&mut table, "takeover_after"),
            preference: preference(&mut table),
        };
        table.done();
        self.relationships.push(places);
        self.wire.relationships.push(wire);
    }

    /// Relationships left to the store.
    pub(super) fn read_auto(&mut self, mut table: Table<'_>) {
        let fields = ["frontends", "shards", "buckets", "answering", "takeover_after", "preference"];
        self.auto = Some(Places::of(&table, &fields));
        self.wire.auto = Some(v1::Auto {
            frontends: names(&mut table, "frontends"),
            shards: table.number("shards", 2, 16).map_or(0, |n| narrow(n.value)),
            buckets: buckets(&mut table),
            answering: answering(&mut table),
            takeover_after_ms: millis(&mut table, "takeover_after"),
            preference: preference(&mut table),
        });
        table.done();
    }
}
