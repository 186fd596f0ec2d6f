//! `leasehold admin`: looks into a running cluster and changes its network configuration.
//!
//! Owns the arguments, and what is printed for people and for programs ([`view`], [`table`]). Refuses to know how the
//! store answers: it speaks the `Admin` service. It finds a node that answers, and the leader, by itself
//! ([`connect`]). Invariants: octets that clients control are printed as hexadecimal digits or escaped; reconfigure
//! keys are never printed (SEC-07).

pub mod connect;
mod reconfigure;
mod registrations;
pub(crate) mod table;
mod trace;
mod view;

#[cfg(test)]
mod tests;

use std::net::Ipv6Addr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use leasehold_proto::network::Network;
use leasehold_proto::tls::TlsFiles;
use leasehold_proto::v1;
use leasehold_proto::words::Duid;
use serde::Serialize;

use crate::config::{AdminProfile, NetworkConfig, SecurityConfig, is_loopback, network_json, network_toml};
use crate::exit::{ExitKind, Failure};
use connect::{AdminError, StoreAccess};

/// Arguments of `leasehold admin`.
#[derive(Args, Debug)]
pub struct AdminCommand {
    /// Profile with [admin] and [tls], instead of --store and certificates.
    #[arg(short = 'c', long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A store node, as store-1:7547; may be repeated.
    #[arg(long, global = true, value_name = "ADDR:PORT", conflicts_with = "config")]
    store: Vec<String>,
    /// File with the cluster's authority.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "config")]
    ca: Option<PathBuf>,
    /// File with the administrator's certificate.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "config")]
    cert: Option<PathBuf>,
    /// File with its private key.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "config")]
    key: Option<PathBuf>,
    /// File with the authority's revocation list.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "config")]
    crl: Option<PathBuf>,
    /// Plain text; loopback addresses only.
    #[arg(long, global = true, conflicts_with_all = ["config", "ca", "cert", "key", "crl"])]
    insecure_loopback: bool,
    /// How to print.
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Take what the node asked knows, which may be old; also answered without a quorum.
    #[arg(long, global = true)]
    stale: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// For programs; field names are stable.
    Json,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The cluster at a glance.
    Status,
    /// Leases, all or some.
    Leases(LeaseFilter),
    /// The lease of an address, or of the delegated prefix that it lies in.
    Lease {
        /// The address.
        address: Ipv6Addr,
    },
    /// Addresses that clients chose themselves and registered (RFC 9686).
    Registrations(RegistrationFilter),
    /// Who owns which ranges.
    Ranges {
        /// Of this pool only.
        #[arg(long)]
        pool: Option<String>,
    },
    /// How pools stand: granted, closed and until when, free, leased.
    Pools,
    /// Frontends and their sessions.
    Frontends,
    /// Drains a frontend, or declares it down.
    #[command(subcommand)]
    Frontend(FrontendAction),
    /// What reconciliation found: one address of two clients, two addresses of one binding.
    Conflicts {
        /// Only those of a higher number.
        #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
        after: u64,
    },
    /// What the leader saw since it leads: states of relationships, operators' acts.
    Events {
        /// Only those of a higher number.
        #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
        after: u64,
    },
    /// Has clients come: asks those that accepted Reconfigure and have a lease.
    Reconfigure(reconfigure::ReconfigureCommand),
    /// One client's messages, live: what came, what was decided, and why.
    Trace(trace::TraceArguments),
    /// Store nodes.
    Nodes,
    /// The network configuration.
    #[command(subcommand)]
    Network(NetworkAction),
}

#[derive(Args, Debug)]
struct LeaseFilter {
    /// Of this client: hexadecimal digits, with or without colons.
    #[arg(long)]
    duid: Option<Duid>,
    /// On this link.
    #[arg(long)]
    link: Option<String>,
    /// From this pool.
    #[arg(long)]
    pool: Option<String>,
    /// In this state.
    #[arg(long, value_enum)]
    state: Option<StateFilter>,
    /// No more than so many.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    limit: u32,
}

#[derive(Args, Debug)]
struct RegistrationFilter {
    /// Of this client: hexadecimal digits, with or without colons.
    #[arg(long)]
    duid: Option<Duid>,
    /// On this link.
    #[arg(long)]
    link: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StateFilter {
    Active,
    Expired,
    Released,
    PendingFree,
    Free,
    FreeBackup,
    Abandoned,
    Reset,
}

impl From<StateFilter> for v1::LeaseState {
    fn from(state: StateFilter) -> Self {
        match state {
            StateFilter::Active => Self::Active,
            StateFilter::Expired => Self::Expired,
            StateFilter::Released => Self::Released,
            StateFilter::PendingFree => Self::PendingFree,
            StateFilter::Free => Self::Free,
            StateFilter::FreeBackup => Self::FreeBackup,
            StateFilter::Abandoned => Self::Abandoned,
            StateFilter::Reset => Self::Reset,
        }
    }
}

#[derive(Debug, Subcommand)]
enum FrontendAction {
    /// Have it hand everything back and leave its clients to its partners; until `undrain`.
    Drain {
        /// Its name.
        frontend: String,
    },
    /// Let it serve again.
    Undrain {
        /// Its name.
        frontend: String,
    },
    /// Say that it is down: its ranges open as soon as its last promises are over. If it lives and is only cut off, an
    /// address may get two owners.
    DeclareDown {
        /// Its name.
        frontend: String,
        /// You have made sure that it does not run, or cannot reach any client.
        #[arg(long, required = true)]
        i_made_sure: bool,
    },
    /// Take that back, before anything followed from it.
    WithdrawDown {
        /// Its name.
        frontend: String,
    },
}

#[derive(Debug, Subcommand)]
enum NetworkAction {
    /// Check a network file and put it in force.
    Apply {
        /// The file.
        file: PathBuf,
        /// Let the store check it, and change nothing.
        #[arg(long)]
        dry_run: bool,
        /// Only if this version is in force.
        #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
        expected_version: u64,
    },
    /// Print what is in force, defaults filled in: as a network file, or with --output json.
    Show,
}

/// Runs `leasehold admin`.
///
/// # Errors
/// What is in the way, with the exit code of its kind.
pub fn run(command: AdminCommand) -> Result<(), Failure> {
    let access = access(&command)?;
    // Before any call, so that a bad file is told even when no store is reached.
    let file = match &command.action {
        Action::Network(NetworkAction::Apply { file, .. }) => {
            Some(NetworkConfig::load(file).map_err(|errors| Failure::new(ExitKind::Configuration, errors))?)
        }
        _ => None,
    };
    let text = crate::cli::runtime()?.block_on(act(&command, &access, file.as_ref()))?;
    if !text.is_empty() {
        println!("{}", text.trim_end_matches('\n'));
    }
    Ok(())
}

fn access(command: &AdminCommand) -> Result<StoreAccess, Failure> {
    let usage = |message: String| Failure::new(ExitKind::Usage, message);
    let (store, security) = match &command.config {
        Some(file) => {
            let profile =
                AdminProfile::load(file).map_err(|errors| Failure::new(ExitKind::Configuration, errors))?;
            (profile.store, profile.security)
        }
        None => {
            if command.store.is_empty() {
                return Err(usage(
                    "no store node is known: give --store ADDR:PORT, or a profile with -c FILE".into(),
                ));
            }
            (command.store.clone(), security(command).map_err(usage)?)
        }
    };
    let security = security.open().map_err(|error| Failure::new(ExitKind::Configuration, error))?;
    Ok(StoreAccess::new(store, security))
}

fn security(command: &AdminCommand) -> Result<SecurityConfig, String> {
    if command.insecure_loopback {
        return match command.store.iter().find(|address| !is_loopback(address)) {
            Some(address) => {
                Err(format!("`{address}` is not a loopback address, and --insecure-loopback allows no other"))
            }
            None => Ok(SecurityConfig::InsecureLoopback),
        };
    }
    match (&command.ca, &command.cert, &command.key) {
        (Some(ca), Some(cert), Some(key)) => Ok(SecurityConfig::Tls(TlsFiles {
            ca: ca.clone(),
            cert: cert.clone(),
            key: key.clone(),
            crl: command.crl.clone(),
        })),
        _ => Err("give --ca, --cert and --key (made by `leasehold certs issue --role admin`), or a profile with -c FILE".into()),
    }
}

async fn act(
    command: &AdminCommand,
    access: &StoreAccess,
    file: Option<&NetworkConfig>,
) -> Result<String, Failure> {
    let stale = command.stale;
    match &command.action {
        Action::Status => {
            let answer =
                access.call(async |mut store| store.status(v1::StatusRequest { stale }).await).await?;
            print(command, &view::StatusView::of(&answer), table::status)
        }
        Action::Leases(filter) => {
            let request = v1::ListLeasesRequest {
                stale,
                link: filter.link.clone().unwrap_or_default(),
                pool: filter.pool.clone().unwrap_or_default(),
                duid: filter.duid.as_ref().map(|duid| duid.as_bytes().to_vec()).unwrap_or_default(),
                state: filter.state.map_or(0, |state| v1::LeaseState::from(state).into()),
                limit: filter.limit,
            };
            let leases = access.leases(&request).await?;
            let views: Vec<_> = leases.iter().map(view::LeaseView::of).collect();
            print(command, &views, |views| table::leases(views))
        }
        Action::Lease { address } => {
            let request = v1::FindLeaseRequest { stale, address: address.octets().to_vec() };
            let answer = access.call(async |mut store| store.find_lease(request.clone()).await).await?;
            print(command, &view::LeaseView::of(&answer), table::lease)
        }
        Action::Registrations(filter) => {
            let request = v1::ListRegistrationsRequest {
                stale,
                link: filter.link.clone().unwrap_or_default(),
                duid: filter.duid.as_ref().map(|duid| duid.as_bytes().to_vec()).unwrap_or_default(),
                after: Vec::new(),
            };
            let views = registrations::list(access, request).await?;
            print(command, &views, |views| registrations::table(views))
        }
        Action::Ranges { pool } => {
            let request = v1::ListRangesRequest { stale, pool: pool.clone().unwrap_or_default() };
            let answer = access.call(async |mut store| store.list_ranges(request.clone()).await).await?;
            let views: Vec<_> = answer.ranges.iter().map(view::RangeView::of).collect();
            print(command, &views, |views| table::ranges(views))
        }
        Action::Frontends => {
            let request = v1::ListFrontendsRequest { stale };
            let answer = access.call(async |mut store| store.list_frontends(request).await).await?;
            let views: Vec<_> = answer.frontends.iter().map(view::FrontendView::of).collect();
            print(command, &views, |views| table::frontends(views))
        }
        Action::Frontend(action) => change_frontend(command, access, action).await,
        Action::Pools => {
            let request = v1::ListPoolsRequest { stale };
            let answer = access.call(async |mut store| store.list_pools(request).await).await?;
            let views = view::pools(&answer);
            print(command, &views, |views| table::pools(views))
        }
        Action::Conflicts { after } => {
            let request = v1::ListConflictsRequest { stale, after: *after };
            let answer = access.call(async |mut store| store.list_conflicts(request).await).await?;
            let views = view::conflicts(&answer);
            print(command, &views, |views| table::conflicts(views))
        }
        Action::Events { after } => {
            let request = v1::ListEventsRequest { after: *after };
            let answer = access.call(async |mut store| store.list_events(request).await).await?;
            let views = view::events(&answer);
            print(command, &views, |views| table::events(views))
        }
        Action::Reconfigure(order) => {
            print(command, &reconfigure::order(order, access).await?, table::reconfigure)
        }
        Action::Trace(arguments) => {
            trace::run(command.output, access, arguments, &mut std::io::stdout()).await?;
            Ok(String::new())
        }
        Action::Nodes => {
            let request = v1::ListStoreNodesRequest {};
            let answer = access.call(async |mut store| store.list_store_nodes(request).await).await?;
            let views: Vec<_> = answer.nodes.iter().map(view::NodeView::of).collect();
            print(command, &views, |views| table::nodes(views))
        }
        Action::Network(NetworkAction::Show) => show_network(command, access).await,
        Action::Network(NetworkAction::Apply { dry_run, expected_version, .. }) => {
            let request = v1::ApplyNetworkRequest {
                network: file.map(|file| file.to_wire()),
                expected_version: *expected_version,
                dry_run: *dry_run,
            };
            let answer = access.call(async |mut store| store.apply_network(request.clone()).await).await?;
            print(command, &view::AppliedView { version: answer.version, dry_run: *dry_run }, table::applied)
        }
    }
}

async fn change_frontend(
    command: &AdminCommand,
    access: &StoreAccess,
    action: &FrontendAction,
) -> Result<String, Failure> {
    let (frontend, done, sessions) = match action {
        FrontendAction::Drain { frontend } | FrontendAction::Undrain { frontend } => {
            let on = matches!(action, FrontendAction::Drain { .. });
            let request = v1::DrainFrontendRequest { frontend: frontend.clone(), on };
            let answer = access.call(async |mut store| store.drain_frontend(request.clone()).await).await?;
            let done = match (on, answer.changed) {
                (true, true) => "draining",
                (true, false) => "was draining already",
                (false, true) => "serves again",
                (false, false) => "was not draining",
            };
            (frontend, done, Vec::new())
        }
        FrontendAction::DeclareDown { frontend, .. } | FrontendAction::WithdrawDown { frontend } => {
            let withdraw = matches!(action, FrontendAction::WithdrawDown { .. });
            let request = v1::DeclareFrontendDownRequest { frontend: frontend.clone(), withdraw };
            let answer =
                access.call(async |mut store| store.declare_frontend_down(request.clone()).await).await?;
            (frontend, if withdraw { "not down after all" } else { "declared down" }, answer.epochs)
        }
    };
    let view = view::ActView { frontend: frontend.clone(), done: done.to_owned(), sessions };
    print(command, &view, table::act)
}

async fn show_network(command: &AdminCommand, access: &StoreAccess) -> Result<String, Failure> {
    let request = v1::ShowNetworkRequest { stale: command.stale };
    let answer = access.call(async |mut store| store.show_network(request).await).await?;
    if answer.links.is_empty() && answer.version == 0 {
        let message = "no network configuration was applied yet: use `leasehold admin network apply FILE`";
        return Err(Failure::new(ExitKind::Other, message));
    }
    let network = Network::from_wire(&answer).map_err(|errors| {
        let list: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let message =
            format!("the store's configuration is not one this version understands: {}", list.join("; "));
        Failure::new(ExitKind::Other, message)
    })?;
    let other = |error: String| Failure::new(ExitKind::Other, error);
    match command.output {
        Output::Table => network_toml(&network).map_err(|error| other(error.to_string())),
        Output::Json => network_json(&network).map_err(|error| other(error.to_string())),
    }
}

fn print<V: Serialize>(
    command: &AdminCommand,
    view: &V,
    table: impl FnOnce(&V) -> String,
) -> Result<String, Failure> {
    match command.output {
        Output::Table => Ok(table(view)),
        Output::Json => serde_json::to_string_pretty(view)
            .map_err(|error| Failure::new(ExitKind::Other, format!("cannot write JSON: {error}"))),
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        let kind = match &error {
            AdminError::Unreachable { .. } => ExitKind::Unreachable,
            AdminError::Refused { .. } => ExitKind::Refused,
            AdminError::NotFound { .. } => ExitKind::Other,
        };
        Self::new(kind, error)
    }
}

/// Octets as pairs of hexadecimal digits.
pub(crate) fn hex(octets: &[u8]) -> String {
    use std::fmt::Write;
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, octet| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}
