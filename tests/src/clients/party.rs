//! A cluster and the clients that a case is about, all on one set of links.
//!
//! Owns: starting both, losing the serving frontend and having it back, and what every case asks: what a client was given,
//! whether it uses it, what the store says. Refuses to know: cases.
//! In: a lab, whether one frontend serves or a pair, a [`Setup`]. Out: a [`Party`], and [`Row`]s in the end.
//! Invariants: with one frontend the partner is dead before any client starts; a pair serves whole when a case begins.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::message::kind;
use super::rows::{self, Row};
use super::sight::{Gain, Sight, now};
use crate::interop::{Deployment, Setup};
use crate::netns::scenario::{Facts, ServerUnderTest as _};
use crate::netns::{
    Ask, Dhclient, DhcpClient, Dhcpcd, Dibbler, Lab, Networkd, Node, Place, Prefix, Side, Wide, in_lab,
    wait_until,
};

/// Beyond its due time, how long an answer may take: four retransmissions of a first Solicit (RFC 9915 §7.6).
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The frontend that serves: hot standby's primary.
pub(super) const SERVING: Side = Side::A;

/// Who serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frontends {
    /// One; its partner is dead from the start.
    One,
    /// Two partners, of which the serving one is killed (SIGKILL) in the middle of each case.
    Pair,
}

impl fmt::Display for Frontends {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::One => "one",
            Self::Pair => "pair, kill -9",
        })
    }
}

/// A client program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `dhclient -6`.
    Dhclient,
    /// `dhcpcd`.
    Dhcpcd,
    /// `dibbler-client`.
    Dibbler,
    /// WIDE's `dhcp6c`.
    Wide,
    /// `systemd-networkd`.
    Networkd,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Dhclient, Self::Dhcpcd, Self::Dibbler, Self::Wide, Self::Networkd];

    fn client<'lab>(self, lab: &'lab Lab, node: Node, ask: Ask) -> Result<Box<dyn DhcpClient + 'lab>> {
        Ok(match self {
            Self::Dhclient => Box::new(Dhclient::new(lab, node, ask)?),
            Self::Dhcpcd => Box::new(Dhcpcd::new(lab, node, ask)?),
            Self::Dibbler => Box::new(Dibbler::new(lab, node, ask)?),
            Self::Wide => Box::new(Wide::new(lab, node, ask)?),
            Self::Networkd => Box::new(Networkd::new(lab, node, ask)?),
        })
    }
}

/// A client and what it was given.
pub struct Subject<'lab> {
    /// Its namespace.
    pub node: Node,
    /// Its link-local address, by which it is known on the wire.
    pub address: Ipv6Addr,
    /// What it asks for.
    pub ask: Ask,
    /// The client.
    pub client: Box<dyn DhcpClient + 'lab>,
    /// What it holds.
    pub held: BTreeSet<Prefix>,
}

impl fmt::Debug for Subject<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} in {} ({:?}, {})", self.client.program(), self.node, self.ask, self.address)
    }
}

/// A cluster, its clients and the eyes on them.
#[derive(Debug)]
pub struct Party<'lab> {
    /// Where all are.
    pub lab: &'lab Lab,
    /// Who serves.
    pub frontends: Frontends,
    /// The cluster.
    pub cluster: Deployment<'lab>,
    /// What passes.
    pub sight: Sight,
    /// The clients.
    pub subjects: Vec<Subject<'lab>>,
    rows: Vec<Row>,
}

/// Runs a case in a lab of its own and keeps its rows; where namespaces are not to be had the test is named as skipped.
///
/// # Panics
/// When something that is asserted does not hold, or stands in the way.
pub fn hold(test: &str, frontends: Frontends, setup: Setup, case: impl FnOnce(&mut Party<'_>) -> Result<()>) {
    let result = in_lab(test, |lab| {
        let mut party = Party::start(lab, frontends, setup)?;
        case(&mut party)?;
        party.sight.close()?;
        rows::keep(&party.rows)
    });
    result.unwrap_or_else(|error| panic!("{error:?}"));
}

impl<'lab> Party<'lab> {
    fn start(lab: &'lab Lab, frontends: Frontends, setup: Setup) -> Result<Self> {
        let sight = Sight::open(lab)?;
        let mut cluster = Deployment::start_with(lab, setup)?;
        if frontends == Frontends::One {
            cluster.kill_node(Node::Frontend(SERVING.other()))?;
        }
        Ok(Self { lab, frontends, cluster, sight, subjects: Vec::new(), rows: Vec::new() })
    }

    /// Prepares a client on the frontends' own link.
    ///
    /// # Errors
    /// When a namespace or the program is not to be had.
    pub fn add(&mut self, program: Program, ask: Ask) -> Result<()> {
        let node = self.lab.add_client(Place::Direct)?;
        self.add_at(node, program, ask)
    }

    /// The same in a namespace that is there.
    ///
    /// # Errors
    /// When the program is not to be had.
    pub fn add_at(&mut self, node: Node, program: Program, ask: Ask) -> Result<()> {
        // Made by the kernel a moment after the interface is up.
        let address = wait_until("a link-local address", PATIENCE, || Ok(self.lab.link_local_of(node).ok()))?;
        let client = program.client(self.lab, node, ask)?;
        self.subjects.push(Subject { node, address, ask, client, held: BTreeSet::new() });
        Ok(())
    }

    /// What the cluster was configured with.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.cluster.facts()
    }

    /// In a pair, kills the serving frontend.
    ///
    /// # Errors
    /// When it is not running.
    pub fn lose(&mut self) -> Result<()> {
        match self.frontends {
            Frontends::One => Ok(()),
            Frontends::Pair => self.cluster.kill_node(Node::Frontend(SERVING)),
        }
    }

    /// The same, and waits until the store has noticed. Says who serves then.
    ///
    /// # Errors
    /// When it is not running, or the store does not notice.
    pub fn lose_noticed(&mut self) -> Result<Side> {
        self.lose()?;
        match self.frontends {
            Frontends::One => Ok(SERVING),
            Frontends::Pair => wait_until("the store to notice a frontend's loss", PATIENCE, || {
                // The store may have no leader for a moment.
                let Ok(serving) = self.cluster.serving() else { return Ok(None) };
                Ok((serving != SERVING).then_some(serving))
            }),
        }
    }

    /// In a pair, kills the serving frontend as soon as any client has sent a kind of message, from a moment on.
    ///
    /// # Errors
    /// When none does within `due` and the usual patience.
    pub fn lose_at(&mut self, asked: u8, since: Duration, due: Duration) -> Result<()> {
        if self.frontends == Frontends::Pair {
            wait_until("a message to lose a frontend at", due + PATIENCE, || {
                let sent = self.subjects.iter().any(|s| self.sight.asked(s.address, asked, since) > 0);
                Ok(sent.then_some(()))
            })?;
        }
        self.lose()
    }

    /// In a pair, starts the frontend that was lost, and waits until both serve.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn recover(&mut self) -> Result<()> {
        if self.frontends == Frontends::Pair {
            self.cluster.run(Node::Frontend(SERVING))?;
            self.cluster.wait_serving(&[SERVING, SERVING.other()])?;
        }
        Ok(())
    }

    /// Waits until a client has been given all that it asks for by Solicit or Request since a moment, and uses it. Says what
    /// it was given first, and how long that took from its first Solicit on.
    ///
    /// Two partners may both answer a Request in the moment in which one is lost: the client takes the first answer
    /// (docs/known-gaps.md, "Double answers when a partner is lost").
    ///
    /// # Errors
    /// When it is not given it in time, or does not use it.
    pub fn obtained(&mut self, index: usize, since: Duration) -> Result<Gain> {
        let subject = &self.subjects[index];
        let what = format!("leases for {subject:?}");
        let mut gain = wait_until(&what, PATIENCE, || {
            let gain = self.sight.gained(subject.address, &[kind::SOLICIT, kind::REQUEST], since);
            let has = |address: bool| gain.leases.iter().any(|lease| (lease.length == 128) == address);
            let complete =
                (!subject.ask.has_address() || has(true)) && (!subject.ask.has_prefix() || has(false));
            Ok(complete.then_some(gain))
        })?;
        let solicited = self.sight.first_asked(subject.address, kind::SOLICIT, since);
        gain.wait =
            gain.at.saturating_sub(solicited.with_context(|| format!("{subject:?} never solicited"))?);
        let first = |address: bool| gain.in_order.iter().find(|lease| (lease.length == 128) == address);
        gain.leases = [first(true), first(false)].into_iter().flatten().copied().collect();
        self.subjects[index].held.clone_from(&gain.leases);
        self.used(index)?;
        Ok(gain)
    }

    /// Waits until a client's interface has all addresses that it holds.
    ///
    /// # Errors
    /// When it does not take them in time.
    pub fn used(&self, index: usize) -> Result<()> {
        let subject = &self.subjects[index];
        let addresses: BTreeSet<Ipv6Addr> =
            subject.held.iter().filter(|lease| lease.length == 128).map(|lease| lease.address).collect();
        let what = format!("{addresses:?} to be used by {subject:?}");
        wait_until(&what, PATIENCE, || {
            Ok(self.lab.global_addresses(subject.node)?.is_superset(&addresses).then_some(()))
        })
    }

    /// Waits until a client's messages of a kind have been answered with what it holds, since a moment.
    ///
    /// # Errors
    /// When they are not within `due` and the usual patience, or something else was given.
    pub fn extended(&self, index: usize, asked: u8, since: Duration, due: Duration) -> Result<Gain> {
        let subject = &self.subjects[index];
        let what = format!("leases of {subject:?} extended by messages of type {asked}");
        let gain = wait_until(&what, due + PATIENCE, || {
            let gain = self.sight.gained(subject.address, &[asked], since);
            Ok(gain.leases.is_superset(&subject.held).then_some(gain))
        })?;
        ensure!(gain.leases == subject.held, "{subject:?} held {:?}, now {:?}", subject.held, gain.leases);
        Ok(gain)
    }

    /// Waits until what these clients hold is in one of the states in the store.
    ///
    /// # Errors
    /// When it is not in time.
    pub fn recorded(&self, of: &[usize], states: &[&str]) -> Result<()> {
        let mut last = BTreeMap::new();
        let held = of.iter().flat_map(|index| &self.subjects[*index].held).copied().collect::<Vec<_>>();
        let waited = wait_until(&format!("{states:?} in the store"), PATIENCE, || {
            // The store may have no leader for a moment.
            let Ok(known) = self.cluster.states() else { return Ok(None) };
            last = held.iter().map(|lease| (*lease, known.get(&name_of(*lease)).cloned())).collect();
            let all =
                last.values().all(|state| state.as_deref().is_some_and(|state| states.contains(&state)));
            Ok(all.then_some(()))
        });
        waited.with_context(|| format!("the store says {last:?}"))
    }

    /// The subjects of one program, by number, for all programs in their order.
    #[must_use]
    pub fn by_program(&self, of: &[usize]) -> Vec<(&'static str, Vec<usize>)> {
        let mut programs: Vec<(&'static str, Vec<usize>)> = Vec::new();
        for index in of {
            let name = self.subjects[*index].client.program();
            match programs.iter_mut().find(|(program, _)| *program == name) {
                Some((_, list)) => list.push(*index),
                None => programs.push((name, vec![*index])),
            }
        }
        programs
    }

    /// A row for each program among what clients were given: the longest wait, and in a pair who answered.
    pub fn note_gains(&mut self, case: &str, gains: &[(usize, Gain)], note: &str) {
        let of: Vec<usize> = gains.iter().map(|(index, _)| *index).collect();
        for (program, list) in self.by_program(&of) {
            let own: Vec<&Gain> =
                gains.iter().filter(|(index, _)| list.contains(index)).map(|(_, gain)| gain).collect();
            let took = own.iter().map(|gain| gain.wait).max();
            let from: BTreeSet<Ipv6Addr> = own.iter().flat_map(|gain| gain.from.iter().copied()).collect();
            let who = self.who(&from);
            self.note(program, case, took, format!("{note}{who}"));
        }
    }

    /// In a pair, at least one client must have been answered by the partner, or nothing was shown about it.
    ///
    /// # Errors
    /// When none was.
    pub fn partner_answered(&self, gains: &[(usize, Gain)]) -> Result<()> {
        let partner = SERVING.other();
        let answered = gains.iter().any(|(_, gain)| self.is_among(partner, &gain.from));
        ensure!(self.frontends == Frontends::One || answered, "the partner answered nobody");
        Ok(())
    }

    fn is_among(&self, side: Side, from: &BTreeSet<Ipv6Addr>) -> bool {
        [self.lab.link_local(side), self.lab.near_address(side)].iter().any(|address| from.contains(address))
    }

    /// Adds a row.
    pub fn note(&mut self, program: &'static str, case: &str, took: Option<Duration>, note: String) {
        self.rows.push(Row { frontends: self.frontends, program, case: case.to_owned(), took, note });
    }

    /// In words for a note, which of a pair answered.
    #[must_use]
    pub fn who(&self, from: &BTreeSet<Ipv6Addr>) -> &'static str {
        match (self.frontends, self.is_among(SERVING, from), self.is_among(SERVING.other(), from)) {
            (Frontends::One, ..) => "",
            (_, true, false) => "; answered before the kill",
            (_, false, true) => "; answered by the partner",
            (_, true, true) => "; answered by both, before and after the kill",
            (_, false, false) => "; answered by nobody",
        }
    }

    /// Now, by the clock of what passes.
    ///
    /// # Errors
    /// When the clock stands before 1970.
    pub fn mark(&self) -> Result<Duration> {
        now()
    }
}

/// A lease as the store names it.
fn name_of(lease: Prefix) -> String {
    if lease.length == 128 { lease.address.to_string() } else { lease.to_string() }
}
