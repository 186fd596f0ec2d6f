//! Clients that want configuration only.
//!
//! Owns: this case. Refuses to know: how a program is run.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::message::{kind, option};
use super::party::{PATIENCE, Party, Program};
use crate::netns::{Ask, wait_until};

/// Every client program is told the DNS servers and given no lease; the serving frontend is lost when the first
/// Information-request passes.
///
/// # Errors
/// When one is not.
pub fn information(party: &mut Party<'_>) -> Result<()> {
    for program in Program::ALL {
        party.add(program, Ask::Information)?;
    }
    let since = party.mark()?;
    for subject in &mut party.subjects {
        subject.client.start()?;
    }
    party.lose_at(kind::INFORMATION_REQUEST, since, Duration::ZERO)?;
    for index in 0..party.subjects.len() {
        let subject = &party.subjects[index];
        let exchange = wait_until(&format!("information for {subject:?}"), PATIENCE, || {
            Ok(party.sight.answered(subject.address, kind::INFORMATION_REQUEST, since))
        })?;
        ensure!(
            exchange.reply.ias == 0 && exchange.reply.options.contains(&option::DNS_SERVERS),
            "{subject:?} was told {:?}",
            exchange.reply
        );
        let (program, who) = (subject.client.program(), party.who(&[exchange.from].into()));
        let took = exchange.at.saturating_sub(exchange.since);
        party.note(program, "stateless information", Some(took), format!("DNS servers, no lease{who}"));
    }
    party.recover()
}
