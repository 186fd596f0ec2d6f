//! When the budget is worth a line in the log: the store lost, each minute without it, a threshold crossed, the store
//! back.
//!
//! Owns what was told last. Refuses to write: the shell puts [`Notice`]s into words. In: budgets, each with its moment.
//! Out: notices. Invariants: silence while the store is in reach, and about interruptions shorter than [`GRACE`];
//! a threshold is told once in an outage, and the loss itself tells of those that were crossed before it.

use super::{PoolBudget, StoreReach, SurvivalBudget};
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::PoolId;
use std::collections::BTreeMap;
use std::time::Duration;

/// Interruptions shorter than this are not told: the store elects a leader meanwhile.
pub const GRACE: Duration = Duration::from_secs(2);
/// Between lines that tell the whole budget.
pub const TELL_EVERY: Duration = Duration::from_secs(60);
/// Shares of autonomy, in percent, below which a line is due.
pub const AUTONOMY_BELOW_PERCENT: [u8; 3] = [50, 20, 5];
/// Shares of the slots owned that are free, in percent, below which a line is due; and another when none is left.
pub const FREE_BELOW_PERCENT: [u8; 2] = [25, 5];

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The store was lost: tell the whole budget.
    Lost,
    /// It is still out of reach: tell the whole budget.
    StillLost,
    /// A pool's autonomy has fallen below a share.
    AutonomyBelow {
        /// The pool's name.
        pool: String,
        /// The share, in percent.
        percent: u8,
        /// What is left.
        left: Duration,
    },
    /// A pool's free slots have fallen below a share of those owned.
    FreeBelow {
        /// The pool's name.
        pool: String,
        /// The share, in percent; 0 = none is left.
        percent: u8,
        /// How many are left.
        free: u64,
    },
    /// The store is in reach again.
    Back {
        /// For how long it was not.
        lasted: Duration,
    },
}

/// How many thresholds a pool is below.
#[derive(Debug, Clone, Copy, Default)]
struct Levels {
    autonomy: usize,
    free: usize,
}

impl Levels {
    fn of(pool: &PoolBudget) -> Self {
        let free_levels = FREE_BELOW_PERCENT.into_iter().chain([0]);
        Self {
            autonomy: if pool.autonomy_left == Duration::MAX {
                0
            } else {
                let (left, all) = (pool.autonomy_left.as_millis(), pool.autonomy.as_millis());
                AUTONOMY_BELOW_PERCENT.iter().filter(|share| is_below(left, all, **share)).count()
            },
            free: free_levels
                .filter(|share| is_below(pool.slots_free.into(), pool.slots_owned.into(), *share))
                .count(),
        }
    }
}

/// Whether a part is below a share of the whole; below 0 % is nothing at all.
fn is_below(part: u128, whole: u128, percent: u8) -> bool {
    part == 0 || part.saturating_mul(100) < whole.saturating_mul(percent.into())
}

/// An outage that was told.
#[derive(Debug)]
struct Outage {
    since: LocalTime,
    told_at: LocalTime,
    levels: BTreeMap<PoolId, Levels>,
}

/// Decides what is told, and when.
#[derive(Debug, Default)]
pub struct Notices {
    outage: Option<Outage>,
}

impl Notices {
    /// What is to be told of this budget, in order. To be called about once a second.
    pub fn look(&mut self, budget: &SurvivalBudget) -> Vec<Notice> {
        let mut notices = Vec::new();
        let now = budget.as_of;
        let lost = match budget.store {
            StoreReach::InReach => None,
            StoreReach::OutOfReach { since, .. } => Some(since),
        };
        if let Some(outage) = self.outage.take_if(|outage| lost != Some(outage.since)) {
            // It may have been in reach and be lost again since the last look.
            let end = lost.unwrap_or(now);
            notices.push(Notice::Back { lasted: end.saturating_since(outage.since) });
        }
        let Some(since) = lost.filter(|since| now.saturating_since(*since) >= GRACE) else { return notices };
        let levels = budget.pools.iter().map(|pool| (pool.pool, Levels::of(pool))).collect();
        let Some(outage) = &mut self.outage else {
            self.outage = Some(Outage { since, told_at: now, levels });
            notices.push(Notice::Lost);
            return notices;
        };
        let before = std::mem::replace(&mut outage.levels, levels);
        for pool in &budget.pools {
            // A pool that was not there before was not told of: all it is below is news.
            let told = before.get(&pool.pool).copied().unwrap_or_default();
            let levels = outage.levels.entry(pool.pool).or_default();
            notices.extend(crossed(pool, told, *levels));
            // What was told once is not told again when it comes and goes.
            levels.autonomy = levels.autonomy.max(told.autonomy);
            levels.free = levels.free.max(told.free);
        }
        if now.saturating_since(outage.told_at) >= TELL_EVERY {
            outage.told_at = now;
            notices.push(Notice::StillLost);
        }
        notices
    }
}

fn crossed(pool: &PoolBudget, told: Levels, now: Levels) -> impl Iterator<Item = Notice> {
    let lowest = |shares: &[u8], level: usize| shares.get(level.wrapping_sub(1)).copied().unwrap_or(0);
    let autonomy = (now.autonomy > told.autonomy).then(|| Notice::AutonomyBelow {
        pool: pool.name.clone(),
        percent: lowest(&AUTONOMY_BELOW_PERCENT, now.autonomy),
        left: pool.autonomy_left,
    });
    let free = (now.free > told.free).then(|| Notice::FreeBelow {
        pool: pool.name.clone(),
        percent: lowest(&FREE_BELOW_PERCENT, now.free),
        free: pool.slots_free,
    });
    autonomy.into_iter().chain(free)
}
