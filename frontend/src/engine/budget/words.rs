//! The budget in words for people: one sentence or two about the whole, and a phrase for each pool.

use super::{PoolBudget, StoreReach, SurvivalBudget};
use leasehold_proto::time::span_words;
use leasehold_proto::words::IaKind;
use std::time::Duration;

/// Pools named in [`SurvivalBudget::pool_words`].
const POOLS_TOLD_MAX: usize = 16;

/// A span for people; `for ever` never ends.
fn words(span: Duration) -> String {
    match u64::try_from(span.as_millis()) {
        Ok(ms) if span != Duration::MAX => span_words(ms),
        _ => "ever".to_owned(),
    }
}

impl SurvivalBudget {
    /// What it comes to: how the store is reached, who is still served and for how long, and what comes after.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut parts = vec![match (self.store, self.out_of_reach_for()) {
            (StoreReach::OutOfReach { was_reached: true, .. }, Some(span)) => {
                format!("The store has been out of reach for {}.", words(span))
            }
            (StoreReach::OutOfReach { .. }, Some(span)) => {
                format!("The store has not been reached since this frontend began, {} ago.", words(span))
            }
            _ => "The store is in reach.".to_owned(),
        }];
        if self.pools.is_empty() {
            parts.push("No pool is known, so no client is served.".to_owned());
            return parts.join(" ");
        }
        parts.push(self.new_clients());
        parts.extend(self.known_clients());
        match self.untold_leases {
            0 => {}
            1 => parts.push("The store has still to be told of 1 lease.".to_owned()),
            n => parts.push(format!("The store has still to be told of {n} leases.")),
        }
        parts.join(" ")
    }

    fn new_clients(&self) -> String {
        let serving: Vec<&PoolBudget> = self.pools.iter().filter(|pool| pool.new_leases > 0).collect();
        // The shortest span, and where room runs out first; by id where that is equal.
        let shortest = serving.iter().map(|pool| pool.autonomy_left).min();
        let least = serving.iter().min_by_key(|pool| (pool.lasts(), pool.new_leases));
        let (Some(shortest), Some(least)) = (shortest, least) else { return self.why_no_new_clients() };
        let (k, n) = (serving.len(), self.pools.len());
        let noun = if n == 1 { "pool" } else { "pools" };
        let verb = if self.out_of_reach_for().is_some() { "are" } else { "could be" };
        let without = if self.out_of_reach_for().is_some() { "" } else { " without it" };
        let at_least = if k > 1 && shortest != Duration::MAX { " at least" } else { "" };
        let span = words(shortest);
        let lasts = match least.pace.lasts(least.new_leases) {
            Some(span) => format!(", enough for {} at the pace of late", words(span)),
            None => String::new(),
        };
        format!(
            "New clients {verb} served{without} from {k} of {n} {noun}, for {span}{at_least}; {} has the least room, \
             {} free{lasts}.",
            least.name, least.new_leases
        )
    }

    fn why_no_new_clients(&self) -> String {
        let why = if self.is_stopping {
            "this frontend is stopping"
        } else if self.is_superseded {
            "a newer session of this frontend exists"
        } else if self.pools.iter().all(|pool| pool.autonomy_left.is_zero()) {
            "it may promise nothing on its own: autonomy has ended, or has not begun"
        } else {
            "no address or prefix is free in its own ranges"
        };
        format!("No new client is served: {why}.")
    }

    fn known_clients(&self) -> Option<String> {
        if self.is_stopping {
            return None;
        }
        let holding = || self.pools.iter().filter(|pool| pool.known.is_some_and(|known| known.active > 0));
        let extended = holding().map(|pool| pool.autonomy_left).max()?;
        let left = holding().filter_map(|pool| pool.known).map(|known| known.acknowledged_left).max()?;
        let rest = match left {
            Duration::ZERO => "nothing is left of the time that the store has acknowledged".to_owned(),
            left => format!(
                "they get what is left of the time that the store has acknowledged, for {} at the longest",
                words(left)
            ),
        };
        Some(match extended {
            Duration::ZERO => format!("Known leases are not extended any more: {rest}."),
            Duration::MAX => "Known leases are extended for ever.".to_owned(),
            span => format!("Known leases are extended for {} more; then {rest}.", words(span)),
        })
    }

    /// Each pool in a phrase, those whose room runs out first at the head; sixteen at most, and how many are left out.
    #[must_use]
    pub fn pool_words(&self) -> String {
        let mut pools: Vec<&PoolBudget> = self.pools.iter().collect();
        pools.sort_by_key(|pool| (pool.lasts(), pool.new_leases, pool.pool));
        let told = pools.iter().take(POOLS_TOLD_MAX).map(|pool| pool.words());
        let rest = pools.len().saturating_sub(POOLS_TOLD_MAX);
        let more = (rest > 0).then(|| format!("{rest} more"));
        told.chain(more).collect::<Vec<_>>().join("; ")
    }
}

impl PoolBudget {
    fn words(&self) -> String {
        let what = match self.kind {
            IaKind::Na => "addresses",
            IaKind::Pd => "prefixes",
        };
        format!("{}: {} new {what}, autonomy for {}", self.name, self.new_leases, words(self.autonomy_left))
    }
}
