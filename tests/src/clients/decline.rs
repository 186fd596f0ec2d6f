//! An address that another host of the link uses, found by the client's own duplicate address detection.
//!
//! Owns: this case. Refuses to know: how a program is run.
//! The address is one that the client was given before and that the server will give it again; meanwhile its machine is off
//! and another host takes the address. Leases are without end: a duplicate that has a lifetime is removed by the kernel,
//! which `dibbler-client` does not understand, and one that has none stays and is marked.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::lifecycle::addresses;
use super::message::{kind, status};
use super::party::{PATIENCE, Party, Program};
use crate::netns::{Ability, Ask, Place, wait_until};

/// Each client that can declines a duplicate, obtains another address, and the store holds the first one back; the serving
/// frontend is lost between the Reply and the Decline.
///
/// # Errors
/// When one does not.
pub fn decline(party: &mut Party<'_>) -> Result<()> {
    for program in Program::ALL {
        party.add(program, Ask::Address)?;
    }
    let all: Vec<usize> = (0..party.subjects.len()).collect();
    let (able, unable): (Vec<usize>, Vec<usize>) =
        all.into_iter().partition(|index| party.subjects[*index].client.lacks(Ability::Decline).is_none());
    for index in unable {
        let subject = &party.subjects[index];
        let why = subject.client.lacks(Ability::Decline).unwrap_or_default();
        let (program, note) = (subject.client.program(), format!("not run: {why}"));
        party.note(program, "decline of a duplicate", None, note);
    }

    let since = party.mark()?;
    for index in &able {
        party.lab.detect_duplicates(party.subjects[*index].node)?;
        party.subjects[*index].client.start()?;
    }
    let mut duplicates: Vec<(usize, Ipv6Addr)> = Vec::new();
    for index in &able {
        let gain = party.obtained(*index, since)?;
        let address = addresses(&gain.leases).first().copied().context("an address")?;
        duplicates.push((*index, address.address));
    }
    party.recorded(&able, &["ACTIVE"])?;
    let rival = party.lab.add_client(Place::Direct)?;
    for (index, address) in &duplicates {
        let subject = &mut party.subjects[*index];
        subject.client.crash()?;
        party.lab.forget_addresses(subject.node)?;
        party.lab.own(rival, *address)?;
    }

    let since = party.mark()?;
    for index in &able {
        party.subjects[*index].client.start()?;
    }
    // Each has a Reply, and none has found out yet: detection takes a second at least.
    for (index, address) in &duplicates {
        let subject = &party.subjects[*index];
        wait_until(&format!("{address} for {subject:?} once more"), PATIENCE, || {
            let gain = party.sight.gained(subject.address, &[kind::SOLICIT, kind::REQUEST], since);
            Ok(gain.leases.iter().any(|lease| lease.address == *address).then_some(()))
        })?;
    }
    party.lose()?;
    for (index, address) in &duplicates {
        declined(party, *index, *address, since)?;
    }
    party.recover()
}

/// One client's part, once it was given the duplicate.
fn declined(party: &mut Party<'_>, index: usize, duplicate: Ipv6Addr, since: Duration) -> Result<()> {
    let subject = &party.subjects[index];
    let exchange = wait_until(&format!("an answer to a Decline of {subject:?}"), PATIENCE, || {
        Ok(party.sight.answered(subject.address, kind::DECLINE, since))
    })?;
    ensure!(
        exchange.reply.status == Some(status::SUCCESS) && exchange.reply.ias == 0,
        "{subject:?} was told {:?}",
        exchange.reply
    );
    let mut died = false;
    let address = party.subjects[index].address;
    let others = wait_until("another address after a Decline", PATIENCE, || {
        let client = &mut party.subjects[index].client;
        if client.has_ended()? {
            died = true;
            client.start()?;
        }
        let gain = party.sight.gained(address, &[kind::SOLICIT, kind::REQUEST], exchange.at);
        let others: BTreeSet<_> =
            gain.leases.into_iter().filter(|lease| lease.address != duplicate).collect();
        Ok((!others.is_empty()).then_some(others))
    })?;
    party.subjects[index].held = others;
    party.used(index)?;
    party.recorded(&[index], &["ACTIVE"])?;
    let name = duplicate.to_string();
    wait_until(&format!("{name} to be ABANDONED in the store"), PATIENCE, || {
        let Ok(states) = party.cluster.states() else { return Ok(None) };
        Ok((states.get(&name).map(String::as_str) == Some("ABANDONED")).then_some(()))
    })?;
    let program = party.subjects[index].client.program();
    let who = party.who(&[exchange.from].into());
    let took = exchange.at.saturating_sub(exchange.since);
    let fate = if died { "the program died and was started again, " } else { "" };
    let note = format!("Success, {fate}another address used, the first one ABANDONED in the store{who}");
    party.note(program, "decline of a duplicate", Some(took), note);
    Ok(())
}
