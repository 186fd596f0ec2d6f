//! What the status socket answers, as data: field names are stable, and the same type reads it at the other end.
//!
//! Spans are whole milliseconds as of the moment that `age_ms` ago was; `null` where a span has no end.

use std::time::Duration;

use leasehold_proto::words::IaKind;
use serde::{Deserialize, Serialize};

use super::VERSION;
use crate::engine::budget::{PoolBudget, StoreReach, SurvivalBudget};

/// One answer: a budget, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Of the protocol, [`VERSION`] here.
    pub version: u32,
    /// What was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetView>,
    /// Why it is not there, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The survival budget of a frontend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetView {
    /// Whose.
    pub frontend: String,
    /// How long ago it was made.
    pub age_ms: u64,
    /// How the store is reached.
    pub store: StoreView,
    /// What it comes to, in a sentence or two.
    pub summary: String,
    /// A newer session of this frontend exists: this one serves no new client.
    pub superseded: bool,
    /// It is stopping cleanly, and serves nobody.
    pub stopping: bool,
    /// Leases promised that the store has not acknowledged.
    pub untold_leases: u64,
    /// Each pool.
    pub pools: Vec<PoolView>,
}

/// How the store is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreView {
    /// Whether a leader has the session.
    pub in_reach: bool,
    /// Whether one had it before; true while in reach.
    pub was_reached: bool,
    /// For how long none has; `null` while in reach.
    pub out_of_reach_ms: Option<u64>,
}

/// The budget of one pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolView {
    /// Its name.
    pub name: String,
    /// The link's name.
    pub link: String,
    /// `addresses` or `prefixes`.
    pub kind: String,
    /// Length of what is leased, in bits: 128 for addresses.
    pub length_bits: u8,
    /// Addresses or prefixes in the ranges granted to this session.
    pub slots_owned: u64,
    /// ... of those, free ones.
    pub slots_free: u64,
    /// New leases that can be given now without the store.
    pub new_leases: u64,
    /// New leases given over the span `of_late_ms`.
    pub new_leases_of_late: u64,
    /// That span: ten minutes at most.
    pub of_late_ms: u64,
    /// How long new clients can be served at that pace; `null` = as long as nothing changes.
    pub lasts_ms: Option<u64>,
    /// How long this frontend may give and extend without the store; `null` = unlimited.
    pub autonomy_ms: Option<u64>,
    /// What is left of that; `null` = unlimited.
    pub autonomy_left_ms: Option<u64>,
    /// How far beyond what is acknowledged an extension may go until then, in seconds; `null` = infinitely.
    pub mclt_secs: Option<u32>,
    /// Known leases; `null` before they were counted once.
    pub known: Option<KnownView>,
}

/// Leases known from a pool, whoever gave them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownView {
    /// How many are active.
    pub active: u64,
    /// How long the furthest of them is acknowledged: the most that a client can get past autonomy; `null` = for ever.
    pub acknowledged_left_ms: Option<u64>,
}

impl Answer {
    pub(super) fn budget(budget: BudgetView) -> Self {
        Self { version: VERSION, budget: Some(budget), error: None }
    }

    pub(super) fn error(error: String) -> Self {
        Self { version: VERSION, budget: None, error: Some(error) }
    }
}

impl BudgetView {
    pub(super) fn of(budget: &SurvivalBudget, age: Duration) -> Self {
        Self {
            frontend: budget.frontend.to_string(),
            age_ms: whole_ms(age),
            store: StoreView {
                in_reach: budget.store == StoreReach::InReach,
                was_reached: !matches!(budget.store, StoreReach::OutOfReach { was_reached: false, .. }),
                out_of_reach_ms: budget.out_of_reach_for().map(whole_ms),
            },
            summary: budget.sentence(),
            superseded: budget.is_superseded,
            stopping: budget.is_stopping,
            untold_leases: budget.untold_leases,
            pools: budget.pools.iter().map(PoolView::of).collect(),
        }
    }
}

impl PoolView {
    fn of(pool: &PoolBudget) -> Self {
        Self {
            name: pool.name.clone(),
            link: pool.link.clone(),
            kind: match pool.kind {
                IaKind::Na => "addresses",
                IaKind::Pd => "prefixes",
            }
            .to_owned(),
            length_bits: pool.length_bits,
            slots_owned: pool.slots_owned,
            slots_free: pool.slots_free,
            new_leases: pool.new_leases,
            new_leases_of_late: pool.pace.leases,
            of_late_ms: whole_ms(pool.pace.over),
            lasts_ms: ending_ms(pool.lasts()),
            autonomy_ms: ending_ms(pool.autonomy),
            autonomy_left_ms: ending_ms(pool.autonomy_left),
            mclt_secs: pool.mclt.finite_secs(),
            known: pool.known.map(|known| KnownView {
                active: known.active,
                acknowledged_left_ms: ending_ms(known.acknowledged_left),
            }),
        }
    }
}

fn whole_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn ending_ms(span: Duration) -> Option<u64> {
    (span != Duration::MAX).then(|| whole_ms(span))
}
