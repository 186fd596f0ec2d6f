//! `leasehold admin reconfigure`: has clients come before their time.
//!
//! Owns the arguments and the call. Refuses to know which clients can be asked: the store counts them, frontends ask them.

use clap::{Args, ValueEnum};
use leasehold_proto::v1;
use leasehold_proto::v1::reconfigure_request::Whom;
use leasehold_proto::words::Duid;

use super::connect::{AdminError, StoreAccess};
use super::view::ReconfigureView;

/// Whom, and for what.
#[derive(Args, Debug)]
pub(super) struct ReconfigureCommand {
    #[command(flatten)]
    whom: WhomArgs,
    /// What they are to send.
    #[arg(long, value_enum)]
    message: Message,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct WhomArgs {
    /// This client: hexadecimal digits, with or without colons.
    #[arg(long)]
    duid: Option<Duid>,
    /// All on this link.
    #[arg(long)]
    link: Option<String>,
    /// All with a lease of this pool.
    #[arg(long)]
    pool: Option<String>,
    /// All of them.
    #[arg(long)]
    all: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Message {
    /// Leases are extended, options given anew.
    Renew,
    /// The same of any server.
    Rebind,
    /// Options only.
    InformationRequest,
}

impl Message {
    fn wire(self) -> v1::ReconfigureMessage {
        match self {
            Self::Renew => v1::ReconfigureMessage::Renew,
            Self::Rebind => v1::ReconfigureMessage::Rebind,
            Self::InformationRequest => v1::ReconfigureMessage::InformationRequest,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Renew => "Renew",
            Self::Rebind => "Rebind",
            Self::InformationRequest => "Information-request",
        }
    }
}

impl ReconfigureCommand {
    fn request(&self) -> v1::ReconfigureRequest {
        let WhomArgs { duid, link, pool, all } = &self.whom;
        let duid = duid.as_ref().map(|duid| Whom::Duid(duid.as_bytes().to_vec()));
        let link = link.clone().map(Whom::Link);
        let pool = pool.clone().map(Whom::Pool);
        let whom = duid.or(link).or(pool).or_else(|| all.then_some(Whom::Everyone(true)));
        v1::ReconfigureRequest { whom, message: self.message.wire().into() }
    }
}

/// Gives the order.
///
/// # Errors
/// The store is out of reach, or refuses.
pub(super) async fn order(
    command: &ReconfigureCommand,
    access: &StoreAccess,
) -> Result<ReconfigureView, AdminError> {
    let request = command.request();
    let answer = access.call(async |mut store| store.reconfigure(request.clone()).await).await?;
    Ok(ReconfigureView { number: answer.number, leases: answer.leases, message: command.message.name() })
}
