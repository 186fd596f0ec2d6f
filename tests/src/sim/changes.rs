//! Changes of the network configuration, one at a time, as operators make them.
//!
//! Owns what may change and how; a changed configuration is consistent. Everything that the configuration rule of
//! design section 5 speaks of is here: pools removed, cut anew, grown, shrunk and moved, spans changed up and down,
//! partners swapped and replaced.

use leasehold_proto::v1;
use rand::Rng;
use rand::rngs::SmallRng;

/// Changes one thing; says what.
pub(super) fn change(
    network: &mut v1::Network,
    frontends: &[&'static str],
    rng: &mut SmallRng,
) -> &'static str {
    let pool = rng.random_range(0..network.pools.len().max(1));
    let relationship = rng.random_range(0..network.relationships.len());
    if network.pools.len() < 2 {
        return "nothing";
    }
    match rng.random_range(0..11) {
        0 => {
            let gone = network.pools.remove(pool).name;
            network.relationships.iter_mut().for_each(|r| r.pools.retain(|p| *p != gone));
            "a pool is removed"
        }
        1 => {
            let pool = &mut network.pools[pool];
            pool.range_bits = Some((pool.range_bits.unwrap_or(0) + rng.random_range(1..3)) % 4);
            "a pool is cut anew"
        }
        2 => {
            resize(&mut network.pools[pool], rng.random_range(1..=3), true);
            "a pool is shrunk"
        }
        3 => {
            resize(&mut network.pools[pool], rng.random_range(1..=3), false);
            "a pool is grown"
        }
        4 if network.relationships.len() > 1 => {
            let name = network.pools[pool].name.clone();
            network.relationships.iter_mut().for_each(|r| r.pools.retain(|p| *p != name));
            network.relationships[relationship].pools.push(name);
            "a pool is moved"
        }
        5 if !network.relationships[relationship].secondary.is_empty() => {
            let r = &mut network.relationships[relationship];
            std::mem::swap(&mut r.primary, &mut r.secondary);
            "partners are swapped"
        }
        6 if frontends.len() > 2 => {
            let r = &mut network.relationships[relationship];
            let other = frontends[rng.random_range(0..frontends.len())];
            if r.primary != other {
                other.clone_into(&mut r.secondary);
            }
            "a partner is replaced"
        }
        7 => {
            let r = &mut network.relationships[relationship];
            r.secondary.clear();
            "a relationship is standalone"
        }
        8 => {
            let pool = &mut network.pools[pool];
            pool.decline_quarantine_secs = rng.random_range(10..200);
            "a quarantine is changed"
        }
        _ => {
            spans(&mut network.pools[pool], rng);
            "spans are changed"
        }
    }
}

/// Lifetimes, MCLT and autonomy, up or down, within what a run has time for.
fn spans(pool: &mut v1::Pool, rng: &mut SmallRng) {
    let valid_secs: u32 = rng.random_range(60..300);
    if pool.valid_lifetime_secs != u32::MAX {
        pool.valid_lifetime_secs = valid_secs;
    }
    pool.preferred_lifetime_secs = rng.random_range(valid_secs / 2..=valid_secs);
    pool.mclt_secs = rng.random_range(20..=60);
    if pool.autonomy_ms != u64::MAX {
        pool.autonomy_ms = rng.random_range(40..300) * 1000;
    }
}

/// Moves the end of a pool by so many leases; a pool keeps at least one.
fn resize(pool: &mut v1::Pool, by: u32, down: bool) {
    let bound = |octets: &[u8]| octets.try_into().map(u128::from_be_bytes).unwrap_or_default();
    let step = u128::from(by) << (128 - pool.length_bits);
    let (first, last) = (bound(&pool.first), bound(&pool.last));
    let moved = if down { last.saturating_sub(step).max(first) } else { last + step };
    pool.last = moved.to_be_bytes().to_vec();
}
