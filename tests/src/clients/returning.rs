//! Clients that come back, to the same link or to another one, and clients that leave.
//!
//! Owns: Confirm and Release. Refuses to know: how a program is run, how the leases were had ([`super::lifecycle`]).

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::lifecycle::addresses;
use super::message::{kind, status};
use super::party::{PATIENCE, Party};
use super::sight::Exchange;
use crate::netns::{Ability, Ask, Place, wait_until};

/// Clients with an address whose machines restart: those that can confirm it, and are told that it is right for the link;
/// the others solicit, and are given the same. The serving frontend is lost while they are down.
///
/// # Errors
/// When one is told anything else.
pub fn confirm(party: &mut Party<'_>) -> Result<()> {
    let (able, unable) = with_addresses(party);
    let all = [&able[..], &unable].concat();
    reboot(party, &all, None)?;
    let since = party.mark()?;
    party.lose()?;
    for index in &all {
        party.subjects[*index].client.restart()?;
    }
    for index in &able {
        let exchange = answered(party, *index, kind::CONFIRM, since)?;
        let subject = &party.subjects[*index];
        ensure!(
            exchange.reply.status == Some(status::SUCCESS) && exchange.reply.ias == 0,
            "{subject:?} was told {:?}",
            exchange.reply
        );
        party.used(*index)?;
        note(party, *index, "confirm after reboot", &exchange, "Success, address used again");
    }
    for index in &unable {
        let before = party.subjects[*index].held.clone();
        let gain = party.obtained(*index, since)?;
        let subject = &party.subjects[*index];
        ensure!(gain.leases == before, "{subject:?} held {before:?}, now {:?}", gain.leases);
        let (program, lacks) = (subject.client.program(), subject.client.lacks(Ability::Confirm));
        let why = lacks.unwrap_or_default();
        let who = party.who(&gain.from);
        let note = format!("no Confirm: {why}; its Solicit was given the same address{who}");
        party.note(program, "confirm after reboot", None, note);
    }
    party.recover()
}

/// Clients that can confirm restart on the link behind the relay: they are told NotOnLink, and obtain an address of that
/// link. The serving frontend is lost while they are carried over.
///
/// # Errors
/// When one is told anything else.
pub fn confirm_elsewhere(party: &mut Party<'_>) -> Result<()> {
    let (able, unable) = with_addresses(party);
    reboot(party, &able, Some(Place::Relayed))?;
    let since = party.mark()?;
    party.lose()?;
    for index in &able {
        party.subjects[*index].client.restart()?;
    }
    let pool = party.facts().relayed_addresses;
    for index in &able {
        let exchange = answered(party, *index, kind::CONFIRM, since)?;
        let subject = &party.subjects[*index];
        ensure!(
            exchange.reply.status == Some(status::NOT_ON_LINK) && exchange.reply.ias == 0,
            "{subject:?} was told {:?}",
            exchange.reply
        );
        let gain = party.obtained(*index, since)?;
        let subject = &party.subjects[*index];
        ensure!(gain.leases.iter().all(|lease| pool.contains(*lease)), "{subject:?} holds {:?}", gain.leases);
        note(party, *index, "confirm on another link", &exchange, "NotOnLink, then an address of that link");
    }
    for index in unable {
        let subject = &party.subjects[index];
        let why = subject.client.lacks(Ability::Confirm).unwrap_or_default();
        let (program, note) = (subject.client.program(), format!("not run: {why}"));
        party.note(program, "confirm on another link", None, note);
    }
    party.recover()
}

/// Every client that can releases what it holds, and the store shows it; the serving frontend is lost before.
///
/// # Errors
/// When one does not, or what it held stays active.
pub fn release(party: &mut Party<'_>) -> Result<()> {
    let since = party.mark()?;
    party.lose()?;
    let all: Vec<usize> = (0..party.subjects.len()).collect();
    for (program, list) in party.by_program(&all) {
        let lacks = party.subjects[list[0]].client.lacks(Ability::Release);
        if let Some(why) = lacks {
            party.note(program, "release", None, format!("not run: {why}"));
            continue;
        }
        for index in &list {
            let subject = &mut party.subjects[*index];
            let released = subject.client.release();
            released.with_context(|| format!("{subject:?} could not release"))?;
        }
        for index in &list {
            let exchange = answered(party, *index, kind::RELEASE, since)?;
            let (subject, reply) = (&party.subjects[*index], &exchange.reply);
            ensure!(
                reply.status == Some(status::SUCCESS) && reply.ias == 0,
                "{subject:?} was told {reply:?}"
            );
        }
        party.recorded(&list, &["RELEASED", "PENDING-FREE", "FREE", "FREE-BACKUP"])?;
        let gains: Vec<_> = list
            .iter()
            .map(|index| {
                (*index, party.sight.gained(party.subjects[*index].address, &[kind::RELEASE], since))
            })
            .collect();
        party.note_gains("release", &gains, "the store shows it");
    }
    party.recover()
}

/// The subjects that hold an address only: those that can confirm it, and those that cannot.
fn with_addresses(party: &Party<'_>) -> (Vec<usize>, Vec<usize>) {
    let subjects = party.subjects.iter().enumerate();
    let with = subjects.filter(|(_, subject)| subject.ask == Ask::Address).map(|(index, _)| index);
    with.partition(|index| party.subjects[*index].client.lacks(Ability::Confirm).is_none())
}

/// Machines lose their power, and their cables are put in elsewhere if need be.
fn reboot(party: &mut Party<'_>, of: &[usize], place: Option<Place>) -> Result<()> {
    for index in of {
        let subject = &mut party.subjects[*index];
        ensure!(addresses(&subject.held).len() == 1, "{subject:?} holds {:?}", subject.held);
        subject.client.crash()?;
        party.lab.forget_addresses(subject.node)?;
        if let Some(place) = place {
            party.lab.carry(subject.node, place)?;
        }
    }
    Ok(())
}

/// The first Reply to a client's messages of a kind, waited for.
fn answered(party: &Party<'_>, index: usize, asked: u8, since: Duration) -> Result<Exchange> {
    let subject = &party.subjects[index];
    wait_until(&format!("an answer to a message of type {asked} of {subject:?}"), PATIENCE, || {
        Ok(party.sight.answered(subject.address, asked, since))
    })
}

fn note(party: &mut Party<'_>, index: usize, case: &str, exchange: &Exchange, what: &str) {
    let program = party.subjects[index].client.program();
    let who = party.who(&[exchange.from].into());
    let took = exchange.at.saturating_sub(exchange.since);
    party.note(program, case, Some(took), format!("{what}{who}"));
}
