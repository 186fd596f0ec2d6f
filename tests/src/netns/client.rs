//! What scenarios ask of any DHCPv6 client.
//!
//! Owns: the trait that the drivers of all client programs implement ([`DhcpClient`]), the one of those that run a
//! script and tell it everything ([`ScriptedClient`]), and waiting for what they report.
//! Refuses to know: servers, and how a client is run. In: events of the client's script and its own log.
//! Out: an [`Outcome`], an address and a prefix obtained or extended.

use std::net::Ipv6Addr;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::event::{ClientEvent, Prefix, Reason};
use super::wait_until;

/// Messages whose sending a client logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Solicit.
    Solicit,
    /// Renew, to the server that gave the lease.
    Renew,
    /// Rebind, to any server.
    Rebind,
    /// Release.
    Release,
}

/// An address and a prefix that a client holds, as it was told last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// When the later of the two was told, since boot.
    pub at: Duration,
    /// The address of the IA_NA.
    pub address: Ipv6Addr,
    /// The prefix of the IA_PD.
    pub prefix: Prefix,
    /// The address's valid lifetime, seconds.
    pub valid_secs: u32,
    /// The server's DUID.
    pub server_id: Vec<u8>,
    /// DNS servers.
    pub dns_servers: Vec<Ipv6Addr>,
    /// Search list, names without the last dot.
    pub dns_search: Vec<String>,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// One address: an IA_NA.
    Address,
    /// One prefix: an IA_PD.
    Prefix,
    /// One of each.
    Both,
    /// Configuration only, by Information-request.
    Information,
}

impl Ask {
    /// Whether an IA_NA is asked for.
    pub fn has_address(self) -> bool {
        matches!(self, Self::Address | Self::Both)
    }

    /// Whether an IA_PD is asked for.
    pub fn has_prefix(self) -> bool {
        matches!(self, Self::Prefix | Self::Both)
    }
}

/// What not every program can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// Sends a Confirm for an address that it finds in its files when it starts (RFC 9915 §18.2.3).
    Confirm,
    /// Sends a Decline for an address that duplicate address detection finds in use (RFC 9915 §18.2.8).
    Decline,
    /// Sends a Release when it is told to end (RFC 9915 §18.2.7).
    Release,
    /// Accepts Reconfigure, and comes with a Renew where one asks for it (RFC 9915 §18.2.11).
    Reconfigure,
    /// Comes with a Rebind or an Information-request where a Reconfigure asks for that.
    ReconfigureOtherwise,
    /// Refuses a Reconfigure that it was sent before (RFC 9915 §20.3).
    RefuseReplay,
}

/// What a client's own log says of the Reconfigures that it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// How many it found genuine.
    pub genuine: usize,
    /// How many it refused for their digest or replay value.
    pub refused: usize,
}

/// A client on `eth0` of its namespace.
pub trait DhcpClient {
    /// The program's name, for tables.
    fn program(&self) -> &'static str;

    /// Why the program cannot do something, or `None` if it can.
    fn lacks(&self, ability: Ability) -> Option<&'static str>;

    /// What the client says of Reconfigures since it was started; nothing where it takes none.
    fn verdicts(&self) -> Verdicts {
        Verdicts::default()
    }

    /// Starts the client without a lease: it solicits. It keeps the DUID that it may have had before.
    ///
    /// # Errors
    /// When it runs already or cannot be started.
    fn start(&mut self) -> Result<()>;

    /// Ends the client at once, as a loss of power does: no message is sent, its files are kept.
    ///
    /// # Errors
    /// When it is not running, or has ended by itself.
    fn crash(&mut self) -> Result<()>;

    /// Whether the client, started before, has ended by itself; it may be started again then.
    ///
    /// # Errors
    /// When the kernel does not say.
    fn has_ended(&mut self) -> Result<bool>;

    /// Starts a client that has crashed, with the files that it left.
    ///
    /// # Errors
    /// When it runs already or cannot be started.
    fn restart(&mut self) -> Result<()>;

    /// Makes the client release what it holds and end; returns when it has ended.
    ///
    /// # Errors
    /// When it is not running, cannot release, or does not end in time.
    fn release(&mut self) -> Result<()>;
}

/// A client that runs a script at every change, which keeps a record, and that can be told to rebind.
pub trait ScriptedClient: DhcpClient {
    /// Makes the client send a Rebind now for what it holds.
    ///
    /// # Errors
    /// When it is not running or cannot be started anew.
    fn rebind_now(&mut self) -> Result<()>;

    /// How often the client has sent a message since [`DhcpClient::start`].
    fn sent(&self, message: Message) -> usize;

    /// All runs of the client's script since [`DhcpClient::start`], oldest first.
    ///
    /// # Errors
    /// When the record cannot be read.
    fn events(&self) -> Result<Vec<ClientEvent>>;

    /// Waits until events with `reason`, of those after the first `since`, have told of an address and a prefix.
    ///
    /// # Errors
    /// When `timeout` passes; the message holds the events.
    fn wait_for(&self, since: usize, reason: &Reason, timeout: Duration) -> Result<Outcome> {
        let what = format!("{reason:?} in {}", self.program());
        let outcome = wait_until(&what, timeout, || Ok(outcome(self.events()?.get(since..), reason)));
        outcome.with_context(|| {
            format!("events since then: {:#?}", self.events().unwrap_or_default().get(since..))
        })
    }
}

/// The address and the prefix last told by events with `reason`, once both are known.
fn outcome(events: Option<&[ClientEvent]>, reason: &Reason) -> Option<Outcome> {
    let told = || events.unwrap_or_default().iter().rev().filter(|event| event.reason == *reason);
    let with_address = told().find(|event| event.address.is_some())?;
    let with_prefix = told().find(|event| event.prefix.is_some())?;
    Some(Outcome {
        at: with_address.at.max(with_prefix.at),
        address: with_address.address?,
        prefix: with_prefix.prefix?,
        valid_secs: with_address.valid_secs?,
        server_id: with_address.server_id.clone(),
        dns_servers: with_address.dns_servers.clone(),
        dns_search: with_address.dns_search.clone(),
    })
}
