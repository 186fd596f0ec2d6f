//! Obtaining, renewing and rebinding addresses, prefixes and both; many at once.
//!
//! Owns: these cases. Refuses to know: how a program is run, what comes after ([`super::returning`]).
//! All clients go through a step together, so a step costs one wait.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::message::kind;
use super::party::{Party, Program};
use crate::netns::{Ask, Node, Prefix, Side};

/// Lets both frontends overhear every Renew of a client on their own link: UDP to port 547 whose first octet is 5.
const DEAF_TO_RENEW: &str = "add rule inet lab in iifname \"eth0\" udp dport 547 @th,64,8 5 drop\n";

/// How late `systemd-networkd`'s timers may be.
const LATE: Duration = Duration::from_secs(10);

/// Starts all clients of the party, which must be given what they ask for, from the right pools and none twice; the serving
/// frontend is lost when the first Request passes.
///
/// # Errors
/// When one is not given it, or the store does not show it.
pub fn obtain(party: &mut Party<'_>, case: impl Fn(Ask) -> &'static str) -> Result<()> {
    let since = party.mark()?;
    for subject in &mut party.subjects {
        subject.client.start()?;
    }
    party.lose_at(kind::REQUEST, since, Duration::ZERO)?;
    let all: Vec<usize> = (0..party.subjects.len()).collect();
    let mut gains = Vec::new();
    for index in &all {
        gains.push((*index, party.obtained(*index, since)?));
    }
    right_and_distinct(party)?;
    party.partner_answered(&gains)?;
    party.recorded(&all, &["ACTIVE"])?;
    for ask in [Ask::Address, Ask::Prefix, Ask::Both] {
        let of_ask: Vec<_> =
            gains.iter().filter(|(index, _)| party.subjects[*index].ask == ask).cloned().collect();
        if !of_ask.is_empty() {
            let clients = of_ask.len() / party.by_program(&all).len();
            // That a prefix is used shows in its renewal only.
            let used = if ask.has_address() { "used, on record" } else { "on record" };
            let many = if clients == 1 { String::new() } else { format!("{clients} clients, distinct, ") };
            let note = format!("{many}{used}");
            party.note_gains(case(ask), &of_ask, &note);
        }
    }
    party.recover()
}

/// Every lease lies in its pool, and nobody else has it.
fn right_and_distinct(party: &Party<'_>) -> Result<()> {
    let facts = party.facts();
    let mut seen = BTreeSet::new();
    for subject in &party.subjects {
        for lease in &subject.held {
            let pools = [facts.direct_addresses, facts.relayed_addresses, facts.delegated];
            ensure!(pools.iter().any(|pool| pool.contains(*lease)), "{subject:?} holds {lease}, of no pool");
            let length = if facts.delegated.contains(*lease) { facts.delegated_length } else { 128 };
            ensure!(lease.length == length, "{subject:?} holds {lease}, whose length is wrong");
            ensure!(seen.insert(*lease), "{subject:?} holds {lease}, and so does another client");
        }
        let expected = usize::from(subject.ask.has_address()) + usize::from(subject.ask.has_prefix());
        ensure!(subject.held.len() == expected, "{subject:?} holds {:?}", subject.held);
    }
    Ok(())
}

/// Each client's next Renew must be answered with what it holds, without a Rebind in between; the serving frontend is lost
/// before any is due.
///
/// # Errors
/// When one is not.
pub fn renew(party: &mut Party<'_>) -> Result<()> {
    let since = party.mark()?;
    party.lose()?;
    let due = party.facts().t1 + LATE;
    let mut gains = Vec::new();
    for index in 0..party.subjects.len() {
        gains.push((index, party.extended(index, kind::RENEW, since, due)?));
        let subject = &party.subjects[index];
        let rebinds = party.sight.asked(subject.address, kind::REBIND, since);
        ensure!(rebinds == 0, "{subject:?} had to rebind");
    }
    party.partner_answered(&gains)?;
    party.note_gains("renew", &gains, "same leases");
    party.recover()
}

/// Renews pass unheard until each client rebinds by itself at T2, which must give it what it holds; the serving frontend is
/// lost when the first Rebind passes.
///
/// # Errors
/// When one is not answered.
pub fn rebind(party: &mut Party<'_>) -> Result<()> {
    for side in [Side::A, Side::B] {
        party.lab.firewall(Node::Frontend(side), DEAF_TO_RENEW)?;
    }
    let since = party.mark()?;
    let due = party.facts().t2 + LATE;
    party.lose_at(kind::REBIND, since, due)?;
    let mut gains = Vec::new();
    for index in 0..party.subjects.len() {
        gains.push((index, party.extended(index, kind::REBIND, since, due)?));
    }
    for side in [Side::A, Side::B] {
        party.lab.heal(Node::Frontend(side))?;
    }
    party.partner_answered(&gains)?;
    party.note_gains("rebind", &gains, "at T2, same leases");
    party.recover()
}

/// Clients of every program for an address, for a prefix and for both.
///
/// # Errors
/// When a program or a namespace is not to be had.
pub fn invite_all(party: &mut Party<'_>) -> Result<()> {
    for ask in [Ask::Address, Ask::Prefix, Ask::Both] {
        for program in Program::ALL {
            party.add(program, ask)?;
        }
    }
    Ok(())
}

/// The addresses among leases.
pub(super) fn addresses(leases: &BTreeSet<Prefix>) -> Vec<Prefix> {
    leases.iter().filter(|lease| lease.length == 128).copied().collect()
}
