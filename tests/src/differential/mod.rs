//! The same messages to us and to Kea, and what differs in the answers.
//!
//! Owns both servers ([`ours`], [`kea`]) with one configuration ([`site`]), the [`scripts`], the [`talk`] of a script
//! with a server, the comparison, and what is said of each difference ([`verdicts`], [`report`]). Refuses to know the
//! frontend's codec: messages and answers are written and read here ([`message`], [`answer`]).
//! In: nothing but the programs. Out: an [`Outcome`] for each script.
//! Each server has a lab of its own, so that neither hears what is meant for the other.
//! To add a script, write it into its group's file; to add configuration, into [`site`], once for both.

pub mod answer;
mod kea;
pub mod message;
mod ours;
pub mod report;
pub mod scripts;
pub mod site;
pub mod talk;
pub mod verdicts;

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::netns::{Lab, Proc, wait_until};
use scripts::{Group, Script};
use talk::{Step, Talk, Wire};

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server in its lab, which answers.
#[derive(Debug)]
pub struct Server {
    wire: Wire,
    server_id: Vec<u8>,
    /// They end with this.
    processes: Vec<Proc>,
}

impl Server {
    /// Leasehold.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn ours(lab: &Lab) -> Result<Self> {
        let processes = ours::start(lab)?;
        Self::new(lab, processes).context("Leasehold")
    }

    /// Kea.
    ///
    /// # Errors
    /// When it is not to be had, or does not come up.
    pub fn kea(lab: &Lab) -> Result<Self> {
        let processes = vec![kea::start(lab)?];
        Self::new(lab, processes).context("Kea")
    }

    /// Waits for the first answer, takes the leases of the link that is to be full, and waits until the server knows that
    /// it is.
    fn new(lab: &Lab, processes: Vec<Proc>) -> Result<Self> {
        let wire = Wire::open(lab)?;
        let server_id = wire.server_id(PATIENCE)?;
        wait_until("a client to take the leases of the full link", PATIENCE, || {
            let mut talk = Talk::new(&wire, &server_id, 0);
            talk.behind("2001:db8:4::1");
            let heard = talk.hold(talk.request().na(1, &[]).pd(1, &[]));
            Ok(heard.is_ok_and(|heard| heard.na(1).is_ok() && heard.pd(1).is_ok()).then_some(()))
        })?;
        // Each time another client, since servers bound the messages of one.
        let mut others = 2..=u8::MAX;
        wait_until("the server to know that the link is full", PATIENCE, || {
            let mut talk = Talk::new(&wire, &server_id, 0);
            talk.be(others.next().context("the link is never full")?);
            talk.behind("2001:db8:4::1");
            Ok(talk.hold(talk.solicit().na(1, &[]).pd(1, &[])).is_ok().then_some(()))
        })?;
        Ok(Self { wire, server_id, processes })
    }

    /// Plays a script; `number` tells it from all others, and is above 0.
    ///
    /// # Errors
    /// When the server ended.
    fn play(&mut self, number: u32, script: &Script) -> Result<Vec<Step>> {
        let mut talk = Talk::new(&self.wire, &self.server_id, number);
        if let Err(error) = (script.play)(&mut talk) {
            talk.stopped(&error);
        }
        for process in &mut self.processes {
            let status = process.status()?;
            anyhow::ensure!(
                status.is_none(),
                "a server ended in `{}`: {status:?}\n{}",
                script.name,
                process.output()
            );
        }
        Ok(talk.into_steps())
    }
}

/// A step whose answers differ: the lines that only one side's has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The message.
    pub message: String,
    /// What only our answer holds.
    pub ours: Vec<String>,
    /// What only Kea's holds.
    pub kea: Vec<String>,
}

/// What a script came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The script's group.
    pub group: &'static str,
    /// Its name, which is unique.
    pub script: &'static str,
    /// What we answered, message by message.
    pub answers: Vec<Step>,
    /// Messages whose answers were compared.
    pub messages: usize,
    /// Neither talk came to its end, so that the script shows nothing.
    pub is_stopped: bool,
    /// What differs; nothing if all is alike.
    pub differences: Vec<Difference>,
}

/// Plays all scripts to both servers.
///
/// # Errors
/// When a server ends.
pub fn compare(ours: &mut Server, kea: &mut Server, groups: &[Group]) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    let scripts =
        groups.iter().flat_map(|group| group.scripts.iter().map(move |script| (group.name, script)));
    for (number, (group, script)) in (1..).zip(scripts) {
        let steps = ours.play(number, script).with_context(|| format!("{group}: {}", script.name))?;
        let others = kea.play(number, script).with_context(|| format!("{group}: {}, Kea", script.name))?;
        outcomes.push(Outcome {
            group,
            script: script.name,
            messages: steps.len().max(others.len()),
            is_stopped: steps.iter().chain(&others).filter(|step| step.is_end()).count() == 2,
            differences: differences(&steps, &others),
            answers: steps,
        });
    }
    Ok(outcomes)
}

fn differences(ours: &[Step], kea: &[Step]) -> Vec<Difference> {
    let missing = || vec!["not reached".to_owned()];
    let mut found = Vec::new();
    for at in 0..ours.len().max(kea.len()) {
        let (we, they) = (ours.get(at), kea.get(at));
        let message = we.or(they).map(|step| step.message.clone()).unwrap_or_default();
        let we = we.map_or_else(missing, |step| step.answer.clone());
        let they = they.map_or_else(missing, |step| step.answer.clone());
        let (only_ours, only_kea) = (without(&we, &they), without(&they, &we));
        if !(only_ours.is_empty() && only_kea.is_empty()) {
            found.push(Difference { message, ours: only_ours, kea: only_kea });
        }
    }
    found
}

/// The lines of the first that the second lacks; a line that stands twice must stand twice in both.
fn without(lines: &[String], others: &[String]) -> Vec<String> {
    let mut others = others.to_vec();
    let mut rest = lines.to_vec();
    rest.retain(|line| match others.iter().position(|other| other == line) {
        Some(at) => {
            others.swap_remove(at);
            false
        }
        None => true,
    });
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(message: &str, answer: &[&str]) -> Step {
        Step { message: message.into(), answer: answer.iter().map(|line| (*line).into()).collect() }
    }

    #[test]
    fn only_what_differs_is_told() {
        let ours = [step("1 Solicit", &["Advertise", "a", "a"]), step("2 Request", &["silence"])];
        let kea = [step("1 Solicit", &["Advertise", "a", "b"])];
        let found = differences(&ours, &kea);
        assert_eq!(found.len(), 2);
        assert_eq!((&found[0].ours[..], &found[0].kea[..]), (&["a".to_owned()][..], &["b".to_owned()][..]));
        assert_eq!(found[1].kea, ["not reached"]);
        assert!(differences(&ours, &ours).is_empty());
    }
}
