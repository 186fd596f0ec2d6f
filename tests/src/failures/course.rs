//! The course of one failure: calm, the failure, what comes after, the verdict.
//!
//! Owns: the order of things and what is asserted of every failure: nothing given twice, nothing committed lost, nothing
//! taken from its holder, no client without an answer, the real ones included. Refuses to know the failure, which is a
//! function of the caller. Out: a [`Line`] of the table.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use leasehold::load::Outcome;
use leasehold::load::message::ClientDuid;
use leasehold_proto::words::Prefix;

use super::site::{PREFERRED_SECS, Site, Work, now};
use super::table::{self, Line};
use super::wire::{Wait, Wanted};
use crate::interop::Setup;
use crate::netns::{Outcome as Told, Reason, in_lab, wait_until};

/// How long clients are at work once the failure is over.
const AFTER: Duration = Duration::from_secs(3);
/// How long the store may take to be there and to know everything, once the failure is over.
const HEALING: Duration = Duration::from_secs(30);
/// How long a real client's next extension may take: T1, and a Renew or Rebind sent again after some 10 s.
const REAL_CLIENT: Duration = Duration::from_secs(PREFERRED_SECS + 15);

/// One failure and what it may cost.
#[derive(Debug)]
pub struct Failure {
    /// The test's name.
    pub test: &'static str,
    /// What fails: the first column.
    pub what: &'static str,
    /// The longest that a generated client may wait for an extension.
    pub renew_max: Duration,
    /// The longest that one may wait for a first lease.
    pub new_max: Duration,
}

/// Lets a failure happen to a fresh site and judges. `failure` returns what is to be noted, once the failure is over.
///
/// # Errors
/// Whatever is asserted and does not hold; whatever stands in the way. Where namespaces are not to be had the test is
/// named as skipped.
pub fn judge(
    failure: &Failure,
    setup: impl FnOnce(&crate::netns::Lab) -> Result<Setup>,
    happen: impl FnOnce(&mut Site<'_>) -> Result<String>,
) -> Result<()> {
    in_lab(failure.test, |lab| {
        let mut site = Site::start(lab, setup(lab)?, Work::default())?;
        let before = site.calm()?;
        let told = real_clients(&site)?;
        let began = now()?;
        let note = happen(&mut site)?;
        let over = now()?;
        site.go_on(AFTER);
        let outcomes = site.end_loads()?;
        extended(&site, &told)?;
        verdict(failure, &mut site, &before, (began, over), &outcomes, note)
    })
}

/// What each real client has been told, and how many events it has reported.
fn real_clients(site: &Site<'_>) -> Result<Vec<(usize, Told)>> {
    let tell = |(_, client): &(_, Box<dyn crate::netns::ScriptedClient>)| {
        Ok((client.events()?.len(), client.wait_for(0, &Reason::Bound, Duration::ZERO)?))
    };
    site.clients.iter().map(tell).collect()
}

/// Each real client must have been given an extension of what it held, since the failure began.
fn extended(site: &Site<'_>, told: &[(usize, Told)]) -> Result<()> {
    for ((_, client), (since, before)) in site.clients.iter().zip(told) {
        let what = format!("{} to have its leases extended", client.program());
        wait_until(&what, REAL_CLIENT, || {
            let events = client.events()?;
            let news = events.get(*since..).unwrap_or_default();
            if let Some(event) = news.iter().find(|event| event.reason == Reason::Expired) {
                bail!("{} lost what it held: {event:?}", client.program());
            }
            let again = |event: &&crate::netns::ClientEvent| {
                matches!(event.reason, Reason::Renewed | Reason::Rebound)
            };
            let address = news.iter().filter(again).any(|event| event.address == Some(before.address));
            let prefix = news.iter().filter(again).any(|event| event.prefix == Some(before.prefix));
            Ok((address && prefix).then_some(()))
        })?;
    }
    Ok(())
}

fn verdict(
    failure: &Failure,
    site: &mut Site<'_>,
    before: &BTreeMap<Prefix, String>,
    (began, over): (Duration, Duration),
    outcomes: &[Outcome],
    note: String,
) -> Result<()> {
    // Leases that were committed are there from the first answer of the store on; nothing else is waited for.
    let after = wait_until("the store's list of leases", HEALING, || Ok(site.committed().ok()))?;
    let held = site.look(|wire| wire.held(over));
    let lost: Vec<_> = before.iter().filter(|(lease, duid)| after.get(*lease) != Some(duid)).collect();
    let strangers: Vec<_> =
        after.iter().filter(|(lease, duid)| held.get(*lease).is_some_and(|holder| holder != *duid)).collect();
    // What a frontend promised in the last moments of its life waits for its client's next Renew.
    let unrecorded = held.iter().filter(|(lease, duid)| after.get(*lease) != Some(duid)).count();
    let missed = site.end_capture()?;

    let waits: Vec<Wait> = site.look(|wire| wire.waits_from(began).collect());
    let end = now()?;
    let longest = |wanted: Wanted| {
        let of_loads = waits.iter().filter(|wait| wait.wanted == wanted && is_generated(&wait.duid));
        of_loads.map(|wait| wait.until.unwrap_or(end).saturating_sub(wait.since)).max().unwrap_or_default()
    };
    let (renew, new) = (longest(Wanted::Renewal), longest(Wanted::New));
    let (given_twice, taken_back, examples) =
        site.look(|wire| (wire.given_twice(), wire.taken_back(), wire.examples().to_vec()));
    let (replies, repeats) = site.look(|wire| (wire.replies(), wire.repeats_from(began)));
    let mut notes = vec![format!("{replies} Replies read, {repeats} messages sent again")];
    if !note.is_empty() {
        notes.insert(0, note);
    }
    if unrecorded > 0 {
        notes.push(format!("{unrecorded} leases promised and not on record"));
    }
    let line = Line {
        failure: failure.what.to_owned(),
        renew_ms: u64::try_from(renew.as_millis())?,
        new_ms: u64::try_from(new.as_millis())?,
        lost: lost.len(),
        given_twice,
        note: notes.join("; "),
    };
    table::add(&line)?;

    ensure!(missed == 0, "{missed} frames were not read: nothing can be concluded");
    ensure!(given_twice == 0, "given twice: {examples:#?}");
    ensure!(strangers.is_empty(), "on record for another than the holder: {strangers:?}");
    ensure!(lost.is_empty(), "committed leases were lost: {lost:?}");
    ensure!(taken_back == 0, "leases were taken from their holders: {examples:#?}");
    for outcome in outcomes {
        let report = &outcome.report;
        ensure!(report.passed, "wrong answers: {report}");
        ensure!(report.leases_lost + report.leases_expired == 0, "leases lost or expired: {report}");
        ensure!(report.clients_unanswered == 0, "clients without an answer: {report}");
    }
    ensure!(renew <= failure.renew_max, "a client waited {renew:?} for an extension: {line}");
    ensure!(new <= failure.new_max, "a client waited {new:?} for a first lease: {line}");
    Ok(())
}

/// Whether a DUID is one of generated clients, of either lot.
fn is_generated(duid: &[u8]) -> bool {
    [1, 2].into_iter().any(|run| ClientDuid::client_of(run, duid).is_some())
}
