//! What must hold after every apply, one function each: called by tests and by the simulation, not by the service.

use super::state::Machine;
use leasehold_proto::words::Prefix;

/// All properties; the first that does not hold, in words.
///
/// # Errors
/// Names the property and the record that breaks it.
pub fn check(machine: &Machine) -> Result<(), String> {
    leases_do_not_overlap(machine)?;
    ranges_have_owners_that_exist(machine)?;
    ended_leases_await_freeing(machine)?;
    bindings_match_leases(machine)?;
    acknowledgements_are_bounded(machine)
}

/// No two records overlap (PD-11): one address or prefix, one record.
///
/// # Errors
/// Names the two.
pub fn leases_do_not_overlap(machine: &Machine) -> Result<(), String> {
    let mut last: Option<Prefix> = None;
    for (prefix, lease) in &machine.leases {
        if lease.prefix != *prefix {
            return Err(format!("the record of {prefix} says {}", lease.prefix));
        }
        if let Some(before) = last.filter(|b| b.overlaps(*prefix)) {
            return Err(format!("{before} and {prefix} overlap"));
        }
        last = Some(*prefix);
    }
    Ok(())
}

/// An owned range is owned by a session that is known, and is closed if that session is gone (R6).
///
/// # Errors
/// Names the range.
pub fn ranges_have_owners_that_exist(machine: &Machine) -> Result<(), String> {
    for (range, state) in &machine.ranges {
        if state.owner.is_none() {
            continue;
        }
        let Some(session) = machine.sessions.get(&state.owner) else {
            return Err(format!("range {range} is owned by session {}, which is unknown", state.owner));
        };
        if session.is_gone() && !state.closed {
            return Err(format!("range {range} is open although its owner {} is gone", state.owner));
        }
    }
    Ok(())
}

/// A lease that ended waits in the queue for freeing, and only such leases do (R2).
///
/// # Errors
/// Names the lease.
pub fn ended_leases_await_freeing(machine: &Machine) -> Result<(), String> {
    let queues = machine.awaiting.values().chain(machine.held_back.values());
    let waiting: usize = queues.map(std::collections::BTreeSet::len).sum();
    let ended = machine.leases.values().filter(|l| l.state.awaits_freeing());
    let mut count = 0;
    for lease in ended {
        count += 1;
        let relationship = machine.pools.get(&lease.pool).map(|p| p.pool.relationship);
        let queued = relationship.is_some_and(|r| {
            let queues = machine.awaiting.get(&r).into_iter().chain(machine.held_back.get(&r));
            queues.filter(|q| q.contains(&(lease.version, lease.prefix))).count() == 1
        });
        if !queued {
            return Err(format!("{} is {} and not queued for freeing", lease.prefix, lease.state.name()));
        }
    }
    if count == waiting {
        Ok(())
    } else {
        Err(format!("{waiting} leases are queued for freeing, {count} ended"))
    }
}

/// The binding index names every lease once, under its own binding.
///
/// # Errors
/// Names the lease.
pub fn bindings_match_leases(machine: &Machine) -> Result<(), String> {
    if machine.bindings.len() != machine.leases.len() {
        return Err(format!("{} bindings for {} leases", machine.bindings.len(), machine.leases.len()));
    }
    for (prefix, lease) in &machine.leases {
        if !machine.bindings.contains(&(lease.binding.clone(), *prefix)) {
            return Err(format!("{prefix} is not in its binding's index"));
        }
    }
    Ok(())
}

/// No acknowledgement lies beyond the maximum that bounds how long sessions matter.
///
/// # Errors
/// Names the lease.
pub fn acknowledgements_are_bounded(machine: &Machine) -> Result<(), String> {
    match machine.leases.values().find(|l| l.acked_until > machine.acked_until_max) {
        Some(lease) => Err(format!("{} is acknowledged beyond the recorded maximum", lease.prefix)),
        None => Ok(()),
    }
}
