//! A deterministic simulation of the two pure cores: the store's machine and hub, and the frontend's engine.
//!
//! Owns one thread's worth of a whole cluster: three or five store nodes, two to five frontends, DHCPv6 clients and relays,
//! clocks that drift, a network that loses, repeats, delays and parts, and crashes of everything. The cores run
//! unchanged; whatever crosses a wire or a disk is really encoded and decoded. Raft itself is a model: a log of which
//! a committed entry is never lost and an uncommitted one may be (Raft on disk is tested elsewhere). Wall clocks are not
//! modelled, since the cores never see one: a jump of it is a jump between clocks, told to the engine. Input: a
//! [`Plan`], drawn from a seed. Output: a [`Report`], or a [`Failure`] with the trace that led to it. The same seed
//! gives the same run. Judged by what Replies promised: the invariant of design section 5, at every step.

mod changes;
mod claims;
mod client;
mod client_talk;
mod clock;
mod connection;
mod directed;
mod entries;
mod faults;
mod frontend;
mod healed;
mod invariants;
mod many;
mod network;
mod networks;
mod odd;
mod operator;
mod oracle;
mod orders;
mod plan;
mod reconfigured;
mod registered;
mod registering;
mod report;
mod rkap;
mod sabotaged;
mod scripted;
mod services;
mod store;
mod world;

pub use many::{first_failure, run_all};
pub use plan::{Flavour, Operator, Plan};
pub use report::{Counts, Failure, Kind, Report};
pub use sabotaged::Sabotage;

/// Runs one plan to its end.
///
/// # Errors
/// What was violated, and the trace: the plan is run a second time to record it.
pub fn run(plan: &Plan) -> Result<Report, Box<Failure>> {
    plan.switch();
    match world::World::new(plan.clone(), false).run() {
        Ok(report) => Ok(report),
        Err(failure) => {
            // The first run kept no trace; the second is the same run.
            let Err(traced) = world::World::new(plan.clone(), true).run() else { return Err(failure) };
            Err(traced)
        }
    }
}
