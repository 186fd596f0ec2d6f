//! Clients that an administrator has come before their time, by Reconfigure.
//!
//! Owns: this case, and a stranger on the link that sends Reconfigures which are not genuine. Refuses to know: how a program
//! is run, and how a digest is made: the programs judge those themselves ([`Verdicts`]).
//! Leases must be so long that no Renew is due within the case. Source: RFC 9915 §18.2.11, §18.3.11, §20.4.

use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::message::{kind, option};
use super::party::{Frontends, PATIENCE, Party, Program, SERVING};
use super::sight::{Gain, Prompt};
use crate::netns::relay::{self, Upstream};
use crate::netns::{Ability, Ask, Node, Place, Side, Verdicts, wait_until};

const CASE: &str = "reconfigure";
/// Replay value, type and digest: what the option ends with, and so the message.
const REPLAY_FROM_END: usize = 8 + 1 + 16;

/// A client that was asked and came.
struct Visit {
    index: usize,
    prompt: Prompt,
    gain: Gain,
}

impl Visit {
    fn is_relayed(&self) -> bool {
        self.prompt.message.levels > 0
    }
}

/// Each client that can is ordered to renew, finds the Reconfigure genuine, renews at once and keeps what it has; it refuses
/// one that was altered, and the same one again; it comes by a second order too. The others never accept and are never
/// asked. Those that can are on the frontends' link and behind a relay. The serving frontend is lost before the first
/// order, and is back for the second.
///
/// # Errors
/// When one does otherwise.
pub fn reconfigure(party: &mut Party<'_>) -> Result<()> {
    for program in Program::ALL {
        party.add(program, Ask::Address)?;
        let far = party.lab.add_client(Place::Relayed)?;
        party.add_at(far, program, Ask::Address)?;
    }
    let servers = [Side::A, Side::B].map(|side| party.lab.near_address(side)).to_vec();
    let _relay = relay::start(party.lab, &Upstream::Unicast(servers))?;
    let stranger = party.lab.add_client(Place::Direct)?;
    let began = party.mark()?;
    for subject in &mut party.subjects {
        subject.client.start()?;
    }
    let all: Vec<usize> = (0..party.subjects.len()).collect();
    for index in &all {
        party.obtained(*index, began)?;
    }
    party.recorded(&all, &["ACTIVE"])?;
    let (able, unable): (Vec<usize>, Vec<usize>) = all
        .into_iter()
        .partition(|index| party.subjects[*index].client.lacks(Ability::Reconfigure).is_none());
    for index in &able {
        given_a_key(party, *index, began)?;
    }

    let sender = party.lose_noticed()?;
    let first = come(party, &able, sender, began)?;
    for visit in first.iter().filter(|visit| !visit.is_relayed()) {
        refuses(party, visit, stranger, &altered(&visit.prompt.payload)?)?;
        if party.subjects[visit.index].client.lacks(Ability::RefuseReplay).is_none() {
            refuses(party, visit, stranger, &visit.prompt.payload)?;
        }
    }
    for visit in &first {
        let forged = if visit.is_relayed() { "" } else { "; an altered one refused" };
        note(party, visit, CASE, &format!("genuine by its own check, renewed before T1{forged}"));
    }
    party.recover()?;
    let second = come(party, &able, SERVING, began)?;
    for (first, second) in first.iter().zip(&second) {
        asked_again(party, first, second, began)?;
    }

    for message in ["rebind", "information-request"] {
        taken_otherwise(party, &able, message)?;
    }
    for index in &able {
        does_not_come_otherwise(party, *index, began)?;
    }
    for index in &unable {
        never_asked(party, *index, began)?;
    }
    for (program, of) in party.by_program(&able) {
        let why = party.subjects[of[0]].client.lacks(Ability::ReconfigureOtherwise).unwrap_or_default();
        let note = format!("genuine by its own check, and not done: {why}");
        party.note(program, "reconfigure for Rebind or Information-request", None, note);
    }
    for (program, of) in party.by_program(&unable) {
        let why = party.subjects[of[0]].client.lacks(Ability::Reconfigure).unwrap_or_default();
        party.note(
            program,
            CASE,
            None,
            format!("no Reconfigure Accept, so neither key nor Reconfigure: {why}"),
        );
    }
    Ok(())
}

/// The client said that it accepts, and was given a key in the Reply to its Request.
fn given_a_key(party: &Party<'_>, index: usize, since: Duration) -> Result<()> {
    let subject = &party.subjects[index];
    ensure!(party.sight.accepts_reconfigure(subject.address), "{subject:?} does not accept Reconfigure");
    let exchange = party.sight.answered(subject.address, kind::REQUEST, since);
    let reply = exchange.with_context(|| format!("no Reply to a Request of {subject:?}"))?.reply;
    ensure!(
        reply.options.contains(&option::RECONFIGURE_ACCEPT)
            && reply.authentication.is_some_and(|authentication| authentication.gives_key),
        "{subject:?} was given no key: {reply:?}"
    );
    Ok(())
}

/// Orders all clients to renew, and waits until those that can have done so, none of which has reached its T1. Those on the
/// frontends' link are asked and answered by this frontend; those behind the relay by any that lives, since one that has
/// come back has not heard the relay yet.
fn come(party: &Party<'_>, able: &[usize], sender: Side, began: Duration) -> Result<Vec<Visit>> {
    let before: Vec<Verdicts> = able.iter().map(|index| party.subjects[*index].client.verdicts()).collect();
    let since = party.mark()?;
    order(party, "renew", able.len())?;
    let mut visits = Vec::new();
    for (index, before) in able.iter().zip(before) {
        let subject = &party.subjects[*index];
        let gain = party.extended(*index, kind::RENEW, since, Duration::ZERO)?;
        ensure!(gain.at < began + party.facts().t1, "{subject:?} may have renewed by itself");
        let prompt = party.sight.prompts(subject.address, since).into_iter().next();
        let prompt = prompt.with_context(|| format!("{subject:?} was not asked"))?;
        let mut senders = addresses(party, sender).to_vec();
        if prompt.message.levels > 0 {
            senders.extend(addresses(party, sender.other()));
        }
        ensure!(
            gain.from.iter().all(|from| senders.contains(from)),
            "{subject:?} was answered by {:?}, not {senders:?}",
            gain.from
        );
        ensure!(
            senders.contains(&prompt.from)
                && prompt.message.wants == Some(kind::RENEW)
                && prompt.message.authentication.is_some_and(|authentication| !authentication.gives_key),
            "{subject:?} was asked by {prompt:?}"
        );
        let renewed = party.sight.first_asked(subject.address, kind::RENEW, since);
        ensure!(renewed > Some(prompt.at), "{subject:?} renewed before it was asked");
        wait_until(&format!("{subject:?} to call a Reconfigure genuine"), PATIENCE, || {
            Ok((subject.client.verdicts().genuine > before.genuine).then_some(()))
        })?;
        visits.push(Visit { index: *index, prompt, gain });
    }
    Ok(visits)
}

/// Gives the order by the ordinary command; as many leases as there are clients that can be asked must be meant.
fn order(party: &Party<'_>, message: &str, clients: usize) -> Result<()> {
    let answer = party.cluster.admin(&["reconfigure", "--all", "--message", message])?;
    ensure!(answer["leases"].as_u64() == u64::try_from(clients).ok(), "{clients} can be asked, not {answer}");
    Ok(())
}

/// A Reconfigure with the next higher replay value, and with the digest of what it was before.
fn altered(genuine: &[u8]) -> Result<Vec<u8>> {
    let mut payload = genuine.to_vec();
    let last_of_value = payload.len().checked_sub(REPLAY_FROM_END).map(|at| at + 7);
    let octet = last_of_value.and_then(|at| payload.get_mut(at)).context("a Reconfigure too short")?;
    *octet = octet.wrapping_add(1);
    Ok(payload)
}

/// A stranger, who has no key, sends a client what it must refuse.
fn refuses(party: &Party<'_>, visit: &Visit, stranger: Node, payload: &[u8]) -> Result<()> {
    let subject = &party.subjects[visit.index];
    let before = subject.client.verdicts();
    send(party, stranger, subject.address, payload)?;
    wait_until(&format!("{subject:?} to refuse a Reconfigure of a stranger"), PATIENCE, || {
        let after = subject.client.verdicts();
        ensure!(after.genuine == before.genuine, "{subject:?} took a Reconfigure of a stranger");
        Ok((after.refused > before.refused).then_some(()))
    })
}

fn send(party: &Party<'_>, stranger: Node, client: Ipv6Addr, payload: &[u8]) -> Result<()> {
    let sent = party.lab.inside(stranger, || -> Result<usize> {
        let socket = UdpSocket::bind("[::]:0").context("a stranger has no socket")?;
        let interface = nix::net::if_::if_nametoindex("eth0")?;
        Ok(socket.send_to(payload, SocketAddrV6::new(client, 546, 0, interface))?)
    })?;
    sent.map(drop)
}

/// The second order's replay value is above the first one's, and nothing but the two made the client renew.
fn asked_again(party: &mut Party<'_>, first: &Visit, second: &Visit, began: Duration) -> Result<()> {
    let subject = &party.subjects[first.index];
    let values = [first, second].map(|visit| visit.prompt.message.authentication.map(|a| a.replay));
    ensure!(values[0] < values[1], "{subject:?} was sent the replay values {values:?}");
    // Of what it refused, a Renew would have passed before the one that it was asked for after that.
    let frontends = [Side::A, Side::B].map(|side| addresses(party, side)).concat();
    let prompts = party.sight.prompts(subject.address, began);
    let genuine = prompts.iter().filter(|prompt| frontends.contains(&prompt.from)).count();
    let renews = party.sight.begun(subject.address, kind::RENEW, began);
    ensure!(renews <= genuine, "{subject:?} was asked {genuine} times, and sent {renews} Renews");
    let what = match subject.client.lacks(Ability::RefuseReplay) {
        None if second.is_relayed() => "taken, its replay value higher".to_owned(),
        None => "the first one sent again refused; the next, its replay value higher, taken".to_owned(),
        Some(why) => format!("taken, its replay value higher, though {why}"),
    };
    note(party, second, "reconfigure, second order", &what);
    Ok(())
}

/// An order for another message: every client that takes Reconfigures finds it genuine.
fn taken_otherwise(party: &Party<'_>, able: &[usize], message: &str) -> Result<()> {
    let before: Vec<Verdicts> = able.iter().map(|index| party.subjects[*index].client.verdicts()).collect();
    order(party, message, able.len())?;
    for (index, before) in able.iter().zip(before) {
        let subject = &party.subjects[*index];
        wait_until(&format!("{subject:?} to find a Reconfigure for {message} genuine"), PATIENCE, || {
            Ok((subject.client.verdicts().genuine > before.genuine).then_some(()))
        })?;
    }
    Ok(())
}

/// The client was asked for a Rebind and an Information-request, and sends none: its driver says why.
fn does_not_come_otherwise(party: &Party<'_>, index: usize, began: Duration) -> Result<()> {
    let subject = &party.subjects[index];
    let lacks = subject.client.lacks(Ability::ReconfigureOtherwise);
    let why = lacks.with_context(|| format!("{subject:?} can: wait for what it sends"))?;
    for asked in [kind::REBIND, kind::INFORMATION_REQUEST] {
        let count = party.sight.asked(subject.address, asked, began);
        ensure!(count == 0, "{subject:?} came with type {asked}, though {why}");
    }
    Ok(())
}

/// The client never accepted, and so was given no key and not asked.
fn never_asked(party: &Party<'_>, index: usize, began: Duration) -> Result<()> {
    let subject = &party.subjects[index];
    let exchange = party.sight.answered(subject.address, kind::REQUEST, began);
    let reply = exchange.with_context(|| format!("no Reply to a Request of {subject:?}"))?.reply;
    ensure!(
        !party.sight.accepts_reconfigure(subject.address)
            && !reply.options.contains(&option::RECONFIGURE_ACCEPT)
            && !reply.options.contains(&option::AUTHENTICATION)
            && party.sight.prompts(subject.address, began).is_empty(),
        "{subject:?} was told of Reconfigure: {reply:?}"
    );
    Ok(())
}

/// A row with the time from the Reconfigure to the Reply.
fn note(party: &mut Party<'_>, visit: &Visit, case: &str, what: &str) {
    let program = party.subjects[visit.index].client.program();
    let place = if visit.is_relayed() { ", through dhcrelay" } else { "" };
    let who = match (party.frontends, addresses(party, SERVING).contains(&visit.prompt.from)) {
        (Frontends::One, _) => "",
        (Frontends::Pair, true) => "; asked by the one that is back",
        (Frontends::Pair, false) => "; asked by the partner",
    };
    let took = visit.gain.at.saturating_sub(visit.prompt.at);
    party.note(program, &format!("{case}{place}"), Some(took), format!("{what}{who}"));
}

/// Where a frontend sends from: its own link, and to the relay.
fn addresses(party: &Party<'_>, side: Side) -> [Ipv6Addr; 2] {
    [party.lab.link_local(side), party.lab.near_address(side)]
}
