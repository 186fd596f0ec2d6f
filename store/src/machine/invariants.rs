//! What must hold after every apply, one function each: called by tests and by the simulation, not by the service.

use super::state::Machine;
use leasehold_proto::lease::LeaseState;
use leasehold_proto::words::Prefix;

/// All properties; the first that does not hold, in words. Of rows of an old cluster, nothing holds before a new one is
/// founded from them.
///
/// # Errors
/// Names the property and the record that breaks it.
pub fn check(machine: &Machine) -> Result<(), String> {
    if machine.is_restoring() {
        return Ok(());
    }
    leases_do_not_overlap(machine)?;
    spans_of_the_past_are_apart(machine)?;
    registrations_are_of_nobodys_addresses(machine)?;
    if machine.restoring {
        // An old cluster's rows, of which nothing follows until it is founded from them.
        return Ok(());
    }
    ranges_have_owners_that_exist(machine)?;
    ended_leases_await_freeing(machine)?;
    bindings_match_leases(machine)?;
    counts_and_owners_match_rows(machine)?;
    slices_are_accounted_for(machine)?;
    owned_slices_do_not_overlap(machine)?;
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

/// What was granted once is looked for in one span only (R7): none touches the next.
///
/// # Errors
/// Names where.
pub fn spans_of_the_past_are_apart(machine: &Machine) -> Result<(), String> {
    let spans = machine.history.spans();
    match spans.clone().zip(spans.skip(1)).find(|((_, last), (next, _))| last.saturating_add(1) >= *next) {
        Some(((first, _), (next, _))) => {
            Err(format!("the spans at {} and {} touch", Prefix::address(first), Prefix::address(next)))
        }
        None => Ok(()),
    }
}

/// No registered address is leased, or ended and not free yet; and each is to end.
///
/// # Errors
/// Names the address.
pub fn registrations_are_of_nobodys_addresses(machine: &Machine) -> Result<(), String> {
    for (address, registration) in &machine.registrations {
        let at = Prefix::address(*address);
        if machine.lease_covering(*address).is_some_and(|l| l.state != LeaseState::Free) {
            return Err(format!("{at} is registered and leased"));
        }
        if registration.address != *address || registration.is_over() {
            return Err(format!("the registration of {at} is of another address, or over"));
        }
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

/// The indexes of owners and the counts of leases are what a rebuild from the records gives.
///
/// # Errors
/// Names the pool.
pub fn counts_and_owners_match_rows(machine: &Machine) -> Result<(), String> {
    let owned = machine.ranges.iter().filter(|(_, r)| !r.owner.is_none());
    let by_owner: std::collections::BTreeSet<_> = owned.clone().map(|(id, r)| (r.owner, *id)).collect();
    if by_owner != machine.by_owner || !owned.clone().map(|(id, _)| id).eq(&machine.owned) {
        return Err("the index of owners is not what the ranges say".to_owned());
    }
    for (id, pool) in &machine.pools {
        let tally = machine.tallies.get(id).cloned().unwrap_or_default();
        let mut leases = [0; 9];
        let mut cut = 0;
        for lease in machine.leases.values().filter(|l| l.pool == *id) {
            leases[lease.state as usize] += 1;
            cut += u64::from(pool.retired.is_none() && !pool.offers(lease.prefix));
        }
        if leases != tally.leases || cut != tally.leases_cut {
            return Err(format!("pool {id} counts {:?} and {} cut", tally.leases, tally.leases_cut));
        }
        let mut closed = std::collections::BTreeMap::new();
        let mut granted = 0;
        for (_, range) in owned.clone().filter(|(r, _)| r.pool == *id) {
            match range.closed {
                true => *closed.entry(range.owner).or_default() += 1,
                false => granted += 1,
            }
        }
        if (granted, &closed) != (tally.granted, &tally.closed) {
            return Err(format!("pool {id} counts {} granted and {:?} closed", tally.granted, tally.closed));
        }
    }
    Ok(())
}

/// Every slice granted or passed over so far has a record, and none past that; a lease past what is offered of a pool,
/// or of a retired one, is not free for long: only what is still to be looked through.
///
/// # Errors
/// Names the pool.
pub fn slices_are_accounted_for(machine: &Machine) -> Result<(), String> {
    for (id, pool) in machine.pools.iter().filter(|(_, p)| p.retired.is_none()) {
        let records = machine.ranges.keys().filter(|r| r.pool == *id);
        if !records.map(|r| r.slice).eq(0..pool.fresh_slices_used) {
            return Err(format!("pool {id} has not a record of each slice below {}", pool.fresh_slices_used));
        }
    }
    Ok(())
}

/// No address offered is in two ranges that have owners, of whatever pools (R1, and the configuration rule).
///
/// # Errors
/// Names the two.
pub fn owned_slices_do_not_overlap(machine: &Machine) -> Result<(), String> {
    let mut spans = Vec::new();
    for range in &machine.owned {
        let Some(pool) = machine.pools.get(&range.pool) else {
            return Err(format!("range {range} is of no pool"));
        };
        let geometry = &pool.pool.geometry;
        let Some((first, last)) = geometry.slots_of(range.slice) else {
            return Err(format!("range {range} lies past its pool's end"));
        };
        // Who was granted a slice after it was cut in two knows its first part only.
        let last = last.min(pool.offered_last_slot);
        if first <= last {
            spans.push((geometry.prefix_at(first).bits(), geometry.prefix_at(last).last_bits(), *range));
        }
    }
    spans.sort_unstable();
    match spans.windows(2).find(|pair| pair[0].1 >= pair[1].0) {
        Some(pair) => Err(format!("ranges {} and {} overlap", pair[0].2, pair[1].2)),
        None => Ok(()),
    }
}
