//! Reconfigure: an operator has clients asked for a message.
//!
//! Owns drawing the cluster's secret when a configuration needs one for the first time, and finding what names mean.
//! Refuses to know keys and who is asked by whom: frontends do that. The secret goes into a command and nowhere else
//! (SEC-07).

use super::super::replica::lock;
use super::{AdminService, leases};
use crate::machine::{Command, Outcome};
use leasehold_proto::convert::reconfigure_message;
use leasehold_proto::reconfigure::{ReconfigureSecret, ReconfigureWhom};
use leasehold_proto::v1;
use leasehold_proto::v1::reconfigure_request::Whom;
use leasehold_proto::words::Duid;
use tonic::Status;

impl AdminService {
    /// Has a secret drawn and kept before a link needs one.
    pub(super) async fn provide_secret(&self, network: &v1::Network) -> Result<(), Status> {
        let has_one = lock(&self.replica).machine.reconfigure_secret().is_some();
        if has_one || !network.links.iter().any(|link| link.reconfigure) {
            return Ok(());
        }
        let mut octets = [0; ReconfigureSecret::LEN];
        getrandom::fill(&mut octets).map_err(|error| {
            Status::unavailable(format!("the system gives no random numbers for clients' keys: {error}"))
        })?;
        match self.propose(Command::KeepSecret(ReconfigureSecret::new(octets))).await? {
            Outcome::SecretKept { .. } => Ok(()),
            other => Err(Status::internal(format!("the store answered {other:?}"))),
        }
    }

    pub(super) async fn order_reconfigure(
        &self,
        request: &v1::ReconfigureRequest,
        by: &str,
    ) -> Result<v1::ReconfigureAnswer, Status> {
        let message = reconfigure_message(request.message)
            .map_err(|_| Status::invalid_argument("ask for renew, rebind or information-request"))?;
        self.read(false).await?;
        let (whom, subject) = self.whom(request)?;
        let mut filter = v1::ListLeasesRequest { state: v1::LeaseState::Active.into(), ..Default::default() };
        match &request.whom {
            Some(Whom::Duid(duid)) => filter.duid.clone_from(duid),
            Some(Whom::Link(link)) => filter.link.clone_from(link),
            Some(Whom::Pool(pool)) => filter.pool.clone_from(pool),
            Some(Whom::Everyone(_)) | None => {}
        }
        let filter = leases::Filter::of(&filter, &lock(&self.replica).machine)?;
        let leases = leases::count_reconfigurable(&self.replica, &filter).await;
        match self.propose(Command::Reconfigure { whom, message }).await? {
            Outcome::ReconfigureOrdered { number } => {
                let what = format!("asked for message type {}", message.msg_type());
                lock(&self.replica).note_event(&subject, &what, by, false);
                Ok(v1::ReconfigureAnswer { number, leases })
            }
            Outcome::ReconfigureRefused(refusal) => Err(Status::failed_precondition(refusal.to_string())),
            other => Err(Status::internal(format!("the store answered {other:?}"))),
        }
    }

    /// Whom a request means, and in words.
    fn whom(&self, request: &v1::ReconfigureRequest) -> Result<(ReconfigureWhom, String), Status> {
        let replica = lock(&self.replica);
        let network = replica.machine.network();
        match &request.whom {
            None | Some(Whom::Everyone(false)) => {
                Err(Status::invalid_argument("name a client, a link or a pool, or all clients"))
            }
            Some(Whom::Everyone(true)) => Ok((ReconfigureWhom::Everyone, "all clients".to_owned())),
            Some(Whom::Duid(octets)) => {
                let duid = Duid::new(octets).map_err(|e| Status::invalid_argument(e.to_string()))?;
                Ok((ReconfigureWhom::Client(duid), "a client".to_owned()))
            }
            Some(Whom::Link(name)) => {
                let link = network.and_then(|n| n.links.iter().find(|l| l.name == *name));
                let link = link.ok_or_else(|| Status::not_found(format!("there is no link `{name}`")))?;
                if !link.reconfigure {
                    let reason = format!("link `{name}` has no `reconfigure`: its clients are not asked");
                    return Err(Status::failed_precondition(reason));
                }
                Ok((ReconfigureWhom::Link(link.id), format!("clients of link {name}")))
            }
            Some(Whom::Pool(name)) => {
                let pool = network.and_then(|n| n.pools.iter().find(|p| p.name == *name));
                let pool = pool.ok_or_else(|| Status::not_found(format!("there is no pool `{name}`")))?;
                Ok((ReconfigureWhom::Pool(pool.id), format!("clients of pool {name}")))
            }
        }
    }
}
