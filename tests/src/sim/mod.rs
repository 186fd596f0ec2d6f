//! A deterministic simulation of the two pure cores: the store's machine and hub, and the frontend's engine.
//!
//! Owns one thread's worth of a whole cluster: three store nodes, two or three frontends, DHCPv6 clients and relays,
//! clocks that drift, a network that loses, repeats, delays and parts, and crashes of everything. The cores run
//! unchanged; whatever crosses a wire or a disk is really encoded and decoded. Raft itself is a model: a log of which
//! a committed entry is never lost and an uncommitted one may be (Raft on disk is tested elsewhere). Input: a
//! [`Plan`], drawn from a seed. Output: a [`Report`], or a [`Failure`] with the trace that led to it. The same seed
//! gives the same run. Judged by what Replies promised: the invariant of design section 5, at every step.

mod client;
mod client_talk;
mod clock;
mod connection;
mod faults;
mod frontend;
mod invariants;
mod network;
mod oracle;
mod report;
mod scenarios;
mod store;
mod world;

pub use report::{Counts, Failure, Report};
pub use scenarios::{Flavour, Plan, Sabotage};

/// Runs one plan to its end.
///
/// # Errors
/// What was violated, and the trace: the plan is run a second time to record it.
pub fn run(plan: &Plan) -> Result<Report, Box<Failure>> {
    match world::World::new(plan.clone(), false).run() {
        Ok(report) => Ok(report),
        Err(failure) => {
            // The first run kept no trace; the second is the same run.
            let Err(traced) = world::World::new(plan.clone(), true).run() else { return Err(failure) };
            Err(traced)
        }
    }
}
