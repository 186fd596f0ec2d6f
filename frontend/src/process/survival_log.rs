//! The survival budget in the log: what [`Notices`] finds worth telling, as lines for people.
//!
//! Refuses to decide what is told and when. In: budgets, about one a second. Out: log lines.

use leasehold_proto::time::span_words;

use crate::engine::budget::SurvivalBudget;
use crate::engine::budget::notices::{Notice, Notices};

/// Tells of the store's absence.
#[derive(Debug, Default)]
pub(super) struct SurvivalLog {
    notices: Notices,
}

impl SurvivalLog {
    /// Tells what is due.
    pub(super) fn tell(&mut self, budget: &SurvivalBudget) {
        for notice in self.notices.look(budget) {
            match notice {
                Notice::Lost | Notice::StillLost => {
                    tracing::warn!(pools = budget.pool_words(), "{}", budget.sentence());
                }
                Notice::AutonomyBelow { pool, percent, left } => {
                    let left = words(left);
                    tracing::warn!(
                        pool,
                        left,
                        "without the store: less than {percent} % of this pool's autonomy is left"
                    );
                }
                Notice::FreeBelow { pool, percent: 0, .. } => tracing::warn!(
                    pool,
                    "without the store: nothing is free in this frontend's ranges of this pool, so new clients get nothing from it"
                ),
                Notice::FreeBelow { pool, percent, free } => tracing::warn!(
                    pool,
                    free,
                    "without the store: less than {percent} % of this frontend's ranges of this pool is free"
                ),
                Notice::Back { lasted } => {
                    let lasted = words(lasted);
                    tracing::info!(lasted, "the store is in reach again");
                }
            }
        }
    }
}

/// A span that ends: an outage, or what is left of autonomy, of which unlimited one never falls.
fn words(span: std::time::Duration) -> String {
    span_words(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}
