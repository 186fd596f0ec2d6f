//! Every arrangement of relays, with a client of every program behind it.
//!
//! Owns: this case. Refuses to know: how relays and clients are run.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};

use super::message::kind;
use super::party::{Party, Program};
use super::sight::Gain;
use crate::netns::relays::{ARRANGEMENTS, Arrangement, arrange};
use crate::netns::{Ability, Ask};

/// Behind each arrangement every program obtains an address and a prefix, renews both, and releases them if it can. Each
/// Reply passes as many relays as there are. The serving frontend is lost between the first two.
///
/// # Errors
/// When one is not answered, or a Reply takes another way.
pub fn through_relays(party: &mut Party<'_>) -> Result<()> {
    let lab = party.lab;
    let mut relays = Vec::new();
    let mut behind: Vec<Vec<usize>> = Vec::new();
    for (number, arrangement) in (1..).zip(&ARRANGEMENTS) {
        let running = arrange(lab, number, arrangement).with_context(|| format!("{arrangement:?}"))?;
        let mut clients = Vec::new();
        for program in Program::ALL {
            clients.push(party.subjects.len());
            party.add_at(lab.add_client_on(&running.bridge)?, program, Ask::Both)?;
        }
        behind.push(clients);
        relays.push(running);
    }
    let since = party.mark()?;
    for subject in &mut party.subjects {
        subject.client.start()?;
    }
    let pool = party.facts().relayed_addresses;
    for (arrangement, clients) in ARRANGEMENTS.iter().zip(&behind) {
        let mut gains = Vec::new();
        for index in clients {
            let gain = party.obtained(*index, since).with_context(|| format!("{arrangement:?}"))?;
            let right = gain.leases.iter().all(|lease| lease.length != 128 || pool.contains(*lease));
            ensure!(right, "{:?} holds {:?}", party.subjects[*index], gain.leases);
            gains.push(gain);
        }
        noted(party, arrangement, "obtain", &gains, "all programs, an address and a prefix each")?;
    }
    let all: Vec<usize> = behind.iter().flatten().copied().collect();
    party.recorded(&all, &["ACTIVE"])?;

    party.lose()?;
    let since = party.mark()?;
    let due = party.facts().t2;
    for (arrangement, clients) in ARRANGEMENTS.iter().zip(&behind) {
        let mut gains = Vec::new();
        for index in clients {
            gains.push(
                party
                    .extended(*index, kind::RENEW, since, due)
                    .with_context(|| format!("{arrangement:?}"))?,
            );
        }
        noted(party, arrangement, "renew", &gains, "all programs, same leases")?;
    }

    for (arrangement, clients) in ARRANGEMENTS.iter().zip(&behind) {
        let able: Vec<usize> = clients
            .iter()
            .copied()
            .filter(|index| party.subjects[*index].client.lacks(Ability::Release).is_none())
            .collect();
        let since = party.mark()?;
        for index in &able {
            party.subjects[*index].client.release()?;
        }
        party.recorded(&able, &["RELEASED", "PENDING-FREE", "FREE", "FREE-BACKUP"])?;
        let released =
            |index: &usize| party.sight.gained(party.subjects[*index].address, &[kind::RELEASE], since);
        let gains: Vec<Gain> = able.iter().map(released).collect();
        noted(party, arrangement, "release", &gains, "all programs that can; the store shows it")?;
    }
    drop(relays);
    party.recover()
}

/// A row for an arrangement; all that was answered came through as many relays as there are.
fn noted(
    party: &mut Party<'_>,
    arrangement: &Arrangement,
    step: &str,
    gains: &[Gain],
    note: &str,
) -> Result<()> {
    for gain in gains {
        let levels = usize::from(arrangement.levels);
        ensure!(gain.levels == levels, "{arrangement:?}, {step}: {gain:?}");
    }
    let took = gains.iter().map(|gain| gain.wait).max();
    let from: BTreeSet<_> = gains.iter().flat_map(|gain| gain.from.iter().copied()).collect();
    let who = party.who(&from);
    let levels = if arrangement.levels == 1 { "one level" } else { "two levels" };
    let way = if arrangement.unicast { "unicast" } else { "multicast" };
    party.note(arrangement.name(), &format!("{levels}, {way}: {step}"), took, format!("{note}{who}"));
    Ok(())
}
