//! What real clients go through, written once for any server.
//!
//! Owns: the steps, what each must show, and the table program × case that they yield.
//! Refuses to know: the server, behind [`ServerUnderTest`], and how clients are run, behind
//! [`ScriptedClient`](super::ScriptedClient).
//! In: a lab with a running server and [`Subject`]s not yet started. Out: one [`Row`] for each subject and case.
//! All subjects go through a step together, so a step costs one wait.

use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::client::{Ask, Message, Outcome, ScriptedClient};
use super::dhclient::Dhclient;
use super::dhcpcd::Dhcpcd;
use super::event::{Prefix, Reason};
use super::lab::Lab;
use super::node::{Node, Place, Side};
use super::{uptime, wait_until};

/// Beyond its due time, how long an answer may take: four retransmissions of a first Solicit (RFC 9915 §7.6).
const PATIENCE: Duration = Duration::from_secs(30);

/// What the server was configured with, for clients to be checked against.
#[derive(Clone, Debug)]
pub struct Facts {
    /// T1 of every lease; a few seconds, since scenarios wait for it.
    pub t1: Duration,
    /// T2 of every lease. Clients repeat a Renew after about 10 s and 30 s only (RFC 9915 §18.2.4), so a partner has
    /// a second chance before clients rebind only where T2 is at least T1 + 12 s.
    pub t2: Duration,
    /// The pool of addresses on the frontends' own link.
    pub direct_addresses: Prefix,
    /// The pool of addresses behind the relay.
    pub relayed_addresses: Prefix,
    /// What all delegated prefixes lie within.
    pub delegated: Prefix,
    /// The length of each delegated prefix, bits.
    pub delegated_length: u8,
    /// The DNS servers that all clients are told.
    pub dns_servers: Vec<Ipv6Addr>,
    /// The search list that all clients are told, names without the last dot.
    pub dns_search: Vec<String>,
}

/// A server with two partner frontends, one in each frontend namespace of the lab.
pub trait ServerUnderTest {
    /// Its configuration.
    fn facts(&self) -> Facts;

    /// Which frontend answers at present.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn serving(&mut self) -> Result<Side>;

    /// Kills a frontend with SIGKILL.
    ///
    /// # Errors
    /// When it is not running.
    fn kill(&mut self, side: Side) -> Result<()>;

    /// Whether an address (length 128) or a delegated prefix is leased, as the server's records say.
    ///
    /// # Errors
    /// When the records cannot be read.
    fn holds(&mut self, leased: Prefix) -> Result<bool>;
}

/// How the serving frontend is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// SIGKILL.
    Killed,
    /// Its client-facing network is cut silently, in both directions (RFC 7031 §4.7).
    Cut,
}

/// A client and where it sits.
pub struct Subject<'lab> {
    /// Its place.
    pub place: Place,
    /// The client.
    pub client: Box<dyn ScriptedClient + 'lab>,
}

impl fmt::Debug for Subject<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.client.program(), self.place)
    }
}

/// One result: a line of the table program × case.
#[derive(Clone, Debug)]
pub struct Row {
    /// The client program.
    pub program: &'static str,
    /// Where the client sits.
    pub place: Place,
    /// The case.
    pub case: &'static str,
    /// From what the case counts from (named in `note`) to the client's own record of the answer.
    pub took: Duration,
    /// What was seen.
    pub note: String,
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        write!(out, "{:<12} {:<8} {:<28} {seconds:6.2} s  {}", self.program, self.place, self.case, self.note)
    }
}

/// Both client programs at each of the places, in namespaces of their own.
///
/// # Errors
/// When a program is not to be had or a namespace cannot be made.
pub fn subjects<'lab>(lab: &'lab Lab, places: &[Place]) -> Result<Vec<Subject<'lab>>> {
    let mut subjects = Vec::new();
    for &place in places {
        let client = Box::new(Dhclient::new(lab, lab.add_client(place)?, Ask::Both)?);
        subjects.push(Subject { place, client });
        let client = Box::new(Dhcpcd::new(lab, lab.add_client(place)?, Ask::Both)?);
        subjects.push(Subject { place, client });
    }
    Ok(subjects)
}

/// Obtain, renew, rebind when told to; lose the serving frontend; renew and rebind with the partner; release.
///
/// A killed frontend stays dead; one that was cut off is back before clients release.
///
/// # Errors
/// When a client is left without an answer, gets another address or prefix than before, had to rebind where a Renew
/// should have been answered, or the server's records disagree.
pub fn lifecycle(
    lab: &Lab,
    server: &mut dyn ServerUnderTest,
    subjects: &mut [Subject<'_>],
    loss: Loss,
) -> Result<Vec<Row>> {
    let mut run = Run::obtain(server, subjects)?;
    run.renewed("renewed", "since the last answer")?;
    run.told_to_rebind("rebound when told")?;

    let side = run.server.serving()?;
    let (case, note) = match loss {
        Loss::Killed => {
            run.server.kill(side)?;
            ("renewed by the partner", format!("after kill -9 of frontend {side:?}"))
        }
        Loss::Cut => {
            lab.cut(Node::Frontend(side), "eth0")?;
            ("renewed by the partner", format!("after frontend {side:?} was cut off"))
        }
    };
    run.renewed(case, &format!("since the last answer, {note}"))?;
    run.told_to_rebind("rebound by the partner")?;
    if loss == Loss::Cut {
        // Both clients send a Release once and never again, and the partner may leave it to a frontend that is live in
        // the store's eyes: it would be lost, which RFC 9915 §18.2.7 lets clients avoid by sending it again.
        lab.heal(Node::Frontend(side))?;
    }
    run.released()?;
    Ok(run.rows)
}

/// Obtain; cut both frontends off until each client, past its T2, rebinds by itself; heal: the same leases.
///
/// # Errors
/// As [`lifecycle`].
pub fn rebind_after_outage(
    lab: &Lab,
    server: &mut dyn ServerUnderTest,
    subjects: &mut [Subject<'_>],
) -> Result<Vec<Row>> {
    let mut run = Run::obtain(server, subjects)?;
    let frontends = [Side::A, Side::B].map(Node::Frontend);
    for frontend in frontends {
        lab.cut(frontend, "eth0")?;
    }
    let marks = run.marks()?;
    let t2 = run.facts.t2;
    for subject in run.subjects.iter() {
        let what = format!("{subject:?} to send a Rebind at T2");
        wait_until(&what, t2 + PATIENCE, || Ok((subject.client.sent(Message::Rebind) > 0).then_some(())))?;
    }
    let healed = uptime()?;
    for frontend in frontends {
        lab.heal(frontend)?;
    }
    for (index, mark) in marks.into_iter().enumerate() {
        let outcome = run.subjects[index].client.wait_for(mark, &Reason::Rebound, PATIENCE)?;
        let took = outcome.at.saturating_sub(healed);
        run.same(index, outcome, "rebound after an outage", took, "since the network was healed")?;
    }
    run.released()?;
    Ok(run.rows)
}

/// A scenario under way.
struct Run<'a, 'lab> {
    server: &'a mut dyn ServerUnderTest,
    subjects: &'a mut [Subject<'lab>],
    facts: Facts,
    /// For each subject, what it was last told.
    held: Vec<Outcome>,
    rows: Vec<Row>,
}

impl<'a, 'lab> Run<'a, 'lab> {
    /// Starts all clients; each must obtain an address and a prefix from the right pools, none twice.
    fn obtain(server: &'a mut dyn ServerUnderTest, subjects: &'a mut [Subject<'lab>]) -> Result<Self> {
        let facts = server.facts();
        let started = uptime()?;
        for subject in subjects.iter_mut() {
            subject.client.start()?;
        }
        let mut run = Self { server, subjects, facts, held: Vec::new(), rows: Vec::new() };
        for subject in run.subjects.iter() {
            let outcome = subject.client.wait_for(0, &Reason::Bound, PATIENCE)?;
            let pool = match subject.place {
                Place::Direct => run.facts.direct_addresses,
                Place::Relayed => run.facts.relayed_addresses,
            };
            let (address, prefix) = (Prefix::host(outcome.address), outcome.prefix);
            ensure!(pool.contains(address), "{subject:?} got {address}, which is not in {pool}");
            ensure!(
                run.facts.delegated.contains(prefix) && prefix.length == run.facts.delegated_length,
                "{subject:?} got {prefix}, which is no /{} of {}",
                run.facts.delegated_length,
                run.facts.delegated
            );
            let twice =
                run.held.iter().any(|other| other.address == outcome.address || other.prefix == prefix);
            ensure!(!twice, "{subject:?} got {address} and {prefix}, one of which another client holds");
            let (servers, search) = (&outcome.dns_servers, &outcome.dns_search);
            ensure!(
                (servers, search) == (&run.facts.dns_servers, &run.facts.dns_search),
                "{subject:?} was told the DNS servers {servers:?} and the search list {search:?}"
            );
            let note = format!("{address} and {prefix}, {} s", outcome.valid_secs);
            run.rows.push(row(subject, "obtained", outcome.at.saturating_sub(started), note));
            run.held.push(outcome);
        }
        for outcome in &run.held {
            for leased in [Prefix::host(outcome.address), outcome.prefix] {
                let what = format!("{leased} in the server's records");
                let server = &mut run.server;
                wait_until(&what, PATIENCE, || Ok(server.holds(leased)?.then_some(())))?;
            }
        }
        Ok(run)
    }

    /// For each subject, how many events it has reported.
    fn marks(&self) -> Result<Vec<usize>> {
        self.subjects.iter().map(|subject| Ok(subject.client.events()?.len())).collect()
    }

    /// Each client's next Renew must be answered, without a Rebind in between.
    fn renewed(&mut self, case: &'static str, note: &str) -> Result<()> {
        let marks = self.marks()?;
        let rebinds: Vec<usize> =
            self.subjects.iter().map(|subject| subject.client.sent(Message::Rebind)).collect();
        for (index, mark) in marks.into_iter().enumerate() {
            let subject = &self.subjects[index];
            let outcome = subject.client.wait_for(mark, &Reason::Renewed, self.facts.t1 + PATIENCE)?;
            let more = subject.client.sent(Message::Rebind) - rebinds[index];
            ensure!(more == 0, "{subject:?} had to rebind ({case}, {note})");
            let took = outcome.at.saturating_sub(self.held[index].at);
            self.same(index, outcome, case, took, note)?;
        }
        Ok(())
    }

    /// Each client, told to send a Rebind, must get the same leases.
    fn told_to_rebind(&mut self, case: &'static str) -> Result<()> {
        let marks = self.marks()?;
        let told = uptime()?;
        for subject in self.subjects.iter_mut() {
            subject.client.rebind_now()?;
        }
        for (index, mark) in marks.into_iter().enumerate() {
            let outcome = self.subjects[index].client.wait_for(mark, &Reason::Rebound, PATIENCE)?;
            let took = outcome.at.saturating_sub(told);
            self.same(index, outcome, case, took, "since it was told to")?;
        }
        Ok(())
    }

    /// Each client releases, and the server's records must show it.
    fn released(&mut self) -> Result<()> {
        for (subject, outcome) in self.subjects.iter_mut().zip(&self.held) {
            let start = uptime()?;
            subject.client.release().with_context(|| format!("{subject:?} could not release"))?;
            for leased in [Prefix::host(outcome.address), outcome.prefix] {
                let what = format!("{leased} to be free in the server's records");
                let server = &mut self.server;
                wait_until(&what, PATIENCE, || Ok((!server.holds(leased)?).then_some(())))?;
            }
            let took = uptime()?.saturating_sub(start);
            self.rows.push(row(subject, "released", took, "until the server's records showed it".to_owned()));
        }
        Ok(())
    }

    /// Takes in what a client was told; it must hold what it held before, from the same server.
    fn same(
        &mut self,
        index: usize,
        outcome: Outcome,
        case: &'static str,
        took: Duration,
        note: &str,
    ) -> Result<()> {
        let subject = &self.subjects[index];
        let before = &self.held[index];
        ensure!(
            (before.address, before.prefix) == (outcome.address, outcome.prefix),
            "{subject:?} ({case}) held {} and {}, and now {} and {}",
            before.address,
            before.prefix,
            outcome.address,
            outcome.prefix
        );
        ensure!(
            before.server_id == outcome.server_id,
            "{subject:?} ({case}) was answered with another server DUID: {:02x?}, before {:02x?}",
            outcome.server_id,
            before.server_id
        );
        self.rows.push(row(subject, case, took, note.to_owned()));
        self.held[index] = outcome;
        Ok(())
    }
}

fn row(subject: &Subject<'_>, case: &'static str, took: Duration, note: String) -> Row {
    Row { program: subject.client.program(), place: subject.place, case, took, note }
}
