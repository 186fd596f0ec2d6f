//! What a run of the load generator is to do, from the command line or from code.
//!
//! Owns the arguments, their checks and defaults. Refuses to open sockets. Output: [`Plan`].

use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::avalanche::Avalanche;
use super::client::Behaviour;
use super::transport::Target;
use crate::config::parse_span;

/// Clients in one run at most: a million take some 400 MB.
pub const CLIENTS_MAX: u32 = 10_000_000;

/// Clients that wait for answers at once, when neither a rate nor a number is given.
pub const IN_FLIGHT_DEFAULT: u32 = 64;

/// Clients of a run, when no number is given.
const CLIENTS_DEFAULT: u32 = 1_000;
/// Clients of an avalanche, when no number is given.
pub const AVALANCHE_CLIENTS_DEFAULT: u32 = 100_000;

/// How long exchanges are begun, when it is not said.
const DURATION_DEFAULT: Duration = Duration::from_secs(10);
/// How long an avalanche may take, when it is not said: ten times the first retransmission of a Renew.
pub const AVALANCHE_DURATION_DEFAULT: Duration = Duration::from_secs(100);

/// Long enough for a message to be sent again once or twice.
const GRACE_DEFAULT: Duration = Duration::from_secs(5);

/// What a run does.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Where the clients are.
    pub target: Target,
    /// How many there are.
    pub clients: u32,
    /// How they behave.
    pub behaviour: Behaviour,
    /// Exchanges (new leases, renewals, releases) begun in a second at most; `None` is no limit.
    pub rate_per_sec: Option<f64>,
    /// Clients that wait for answers at most; `None` is no limit.
    pub in_flight: Option<u32>,
    /// How long exchanges are begun; an avalanche ends when all are bound, and then at the latest.
    pub duration: Duration,
    /// All clients begin at once, some of them with leases; pace and limit are for the time before it.
    pub avalanche: Option<Avalanche>,
    /// Each client gives its leases back and begins anew, again and again.
    pub cycle: bool,
    /// All leases are given back at the end.
    pub release_at_end: bool,
    /// How long answers are awaited once no exchange begins any more.
    pub grace: Duration,
    /// Decides DUIDs, transaction ids and retransmission times. Runs with the same seed are the same clients.
    pub seed: u64,
}

impl Plan {
    /// Clients behind one relay that sends to all servers, each with an address, as fast as
    /// [`IN_FLIGHT_DEFAULT`] at a time allow, for 10 s.
    #[must_use]
    pub fn relayed(servers: Vec<SocketAddrV6>, link_address: Ipv6Addr, clients: u32) -> Self {
        Self {
            target: Target::Relay { servers, link_address },
            clients,
            behaviour: Behaviour { addresses: true, prefixes: false, rapid_commit: false, renew_after: None },
            rate_per_sec: None,
            in_flight: Some(IN_FLIGHT_DEFAULT),
            duration: DURATION_DEFAULT,
            avalanche: None,
            cycle: false,
            release_at_end: false,
            grace: GRACE_DEFAULT,
            seed: 1,
        }
    }

    /// The number of the run that stands in every DUID.
    #[must_use]
    pub fn run(&self) -> u32 {
        let folded = (self.seed ^ (self.seed >> 32)) & u64::from(u32::MAX);
        u32::try_from(folded).unwrap_or(0)
    }
}

/// Which IAs clients ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Ia {
    /// An address.
    Na,
    /// A delegated prefix.
    Pd,
    /// Both.
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Human,
    /// For programs.
    Json,
}

/// Arguments of `leasehold load`.
#[derive(Args, Debug)]
pub struct LoadCommand {
    /// Act as a relay: send each message to every --server.
    #[arg(long, requires = "server", conflicts_with = "interface", required_unless_present = "interface")]
    relay: bool,
    /// Server to relay to, as [::1]:1547; may be repeated.
    #[arg(long, value_name = "[ADDR]:PORT")]
    server: Vec<SocketAddrV6>,
    /// The relay's address on the clients' link.
    #[arg(long, value_name = "ADDR", requires = "relay", required_if_eq("relay", "true"))]
    link_address: Option<Ipv6Addr>,
    /// Be clients on this interface: multicast from port 546 (needs a privilege).
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
    /// How many clients; 1000 if not given, 100000 in an avalanche.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(CLIENTS_MAX)))]
    clients: Option<u32>,
    /// What clients ask for.
    #[arg(long, value_enum, default_value_t = Ia::Na)]
    ia: Ia,
    /// Ask for Rapid Commit.
    #[arg(long)]
    rapid_commit: bool,
    /// Exchanges to begin in a second, as 500/s.
    #[arg(long, value_parser = parse_rate, value_name = "N/s")]
    rate: Option<f64>,
    /// Clients that wait for answers at once; 64 if there is no --rate either.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    in_flight: Option<u32>,
    /// How long to begin exchanges, 10s if not given; how long an avalanche may take, 100s.
    #[arg(long, value_parser = parse_span)]
    duration: Option<Duration>,
    /// A network comes back: first the returning clients get leases, then all clients begin within this span.
    #[arg(long, value_name = "WINDOW", value_parser = parse_span, conflicts_with_all = ["rate", "renew_interval", "cycle"])]
    avalanche: Option<Duration>,
    /// Clients of a hundred that return with leases.
    #[arg(long, default_value_t = 50, requires = "avalanche", value_parser = clap::value_parser!(u32).range(0..=100))]
    returning: u32,
    /// Returning clients of a hundred that send Rebind; the others send Renew.
    #[arg(long, default_value_t = 50, requires = "avalanche", value_parser = clap::value_parser!(u32).range(0..=100))]
    rebinding: u32,
    /// Renew so long after each Reply instead of at T1; 0s renews without a pause.
    #[arg(long, value_parser = parse_span)]
    renew_interval: Option<Duration>,
    /// Each client releases what it got and begins anew, until the end.
    #[arg(long, conflicts_with = "renew_interval")]
    cycle: bool,
    /// Give all leases back at the end.
    #[arg(long)]
    release_at_end: bool,
    /// Other clients for another number; a random one if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Report the CPU time of these processes, for each exchange.
    #[arg(long, num_args = 1.., value_name = "PID")]
    pub(super) report_cpu: Vec<u32>,
    /// How to report.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    pub(super) output: Output,
}

impl LoadCommand {
    /// The plan that the arguments describe.
    ///
    /// # Errors
    /// In words, when an interface does not exist or a source of randomness is missing.
    pub(super) fn plan(&self) -> Result<Plan, String> {
        let target = match (&self.interface, self.link_address) {
            (Some(name), _) => {
                let index = nix::net::if_::if_nametoindex(name.as_str())
                    .map_err(|errno| format!("interface {name}: {errno}; `ip link` lists what there is"))?;
                Target::Direct { interface_index: index }
            }
            (None, Some(link_address)) => Target::Relay { servers: self.server.clone(), link_address },
            (None, None) => {
                return Err("say --interface, or --relay with --server and --link-address".to_owned());
            }
        };
        let seed = match self.seed {
            Some(seed) => seed,
            None => {
                getrandom::u64().map_err(|error| format!("no randomness for a seed: {error}; give --seed"))?
            }
        };
        let in_flight = match (self.in_flight, self.rate) {
            (None, None) => Some(IN_FLIGHT_DEFAULT),
            (given, _) => given,
        };
        let avalanche = self.avalanche.map(|window| Avalanche {
            window,
            returning_percent: self.returning,
            rebinding_percent: self.rebinding,
        });
        let (clients, duration) = match avalanche {
            None => (CLIENTS_DEFAULT, DURATION_DEFAULT),
            Some(_) => (AVALANCHE_CLIENTS_DEFAULT, AVALANCHE_DURATION_DEFAULT),
        };
        Ok(Plan {
            target,
            clients: self.clients.unwrap_or(clients),
            behaviour: Behaviour {
                addresses: self.ia != Ia::Pd,
                prefixes: self.ia != Ia::Na,
                rapid_commit: self.rapid_commit,
                renew_after: self.renew_interval,
            },
            rate_per_sec: self.rate,
            in_flight,
            duration: self.duration.unwrap_or(duration),
            avalanche,
            cycle: self.cycle,
            release_at_end: self.release_at_end,
            grace: GRACE_DEFAULT,
            seed,
        })
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    match number.parse::<f64>() {
        Ok(rate) if (0.001..=10_000_000.0).contains(&rate) => Ok(rate),
        _ => Err(format!("`{text}` is not a rate: write 0.001/s to 10000000/s")),
    }
}
