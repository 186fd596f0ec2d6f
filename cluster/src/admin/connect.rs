//! Finding a store node that answers.
//!
//! Owns which node is asked next: the given ones in turn, then, when a node says that only the leader can do it and
//! where that is, the leader. Refuses to know what is asked. Bounded: each address is tried once, a leader is
//! followed [`FOLLOWED_MAX`] times at most, a call ends after [`CALL_TIMEOUT`]. Reads may go to any node, for they are
//! linearizable unless stale ones are asked for.

use std::collections::VecDeque;
use std::time::Duration;

use leasehold_proto::tls::{ExpectedServer, Security, channel};
use leasehold_proto::v1;
use leasehold_proto::v1::admin_client::AdminClient;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

/// How long one node may take to answer.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a pointer to the leader is followed: an election may move it once or twice meanwhile.
pub const FOLLOWED_MAX: usize = 4;

/// The metadata key in which a node names the leader's address.
pub const LEADER_METADATA: &str = "leasehold-leader";

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// No node could be reached, or none reached could answer.
    #[error("no store node answered:\n{}", tried.join("\n"))]
    Unreachable {
        /// Each address with its reason.
        tried: Vec<String>,
    },
    /// A node refused.
    #[error("refused by {address}: {message}")]
    Refused {
        /// The node.
        address: String,
        /// Its reason.
        message: String,
    },
    /// What was asked for is not there.
    #[error("{message}")]
    NotFound {
        /// What is not there.
        message: String,
    },
}

/// Where the store is and how to connect to it.
#[derive(Clone, Debug)]
pub struct StoreAccess {
    addresses: Vec<String>,
    security: Security,
}

impl StoreAccess {
    /// Access to the store whose nodes are at these addresses, at least one.
    #[must_use]
    pub fn new(addresses: Vec<String>, security: Security) -> Self {
        Self { addresses, security }
    }

    fn client(&self, address: &str) -> Result<AdminClient<Channel>, String> {
        // In plain text nobody has an identity, and none is expected.
        let cluster = self.security.identity().map(|own| own.cluster().to_owned()).unwrap_or_default();
        let channel = channel(address, &self.security, ExpectedServer::any_store(cluster))
            .map_err(|error| error.to_string())?;
        Ok(AdminClient::new(channel))
    }

    /// Makes one call, at whichever node answers it.
    ///
    /// # Errors
    /// When no node answers, or one refuses.
    pub async fn call<T>(
        &self,
        ask: impl AsyncFn(AdminClient<Channel>) -> Result<Response<T>, Status>,
    ) -> Result<T, AdminError> {
        let mut next: VecDeque<String> = self.addresses.iter().cloned().collect();
        let mut tried = Vec::new();
        let mut followed = 0;
        while let Some(address) = next.pop_front() {
            let client = match self.client(&address) {
                Ok(client) => client,
                Err(message) => {
                    tried.push(format!("  {address}: {message}"));
                    continue;
                }
            };
            let status = match tokio::time::timeout(CALL_TIMEOUT, ask(client)).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded(format!("no answer within {} s", CALL_TIMEOUT.as_secs())),
            };
            match leader_of(&status) {
                Some(leader) if followed < FOLLOWED_MAX => {
                    followed += 1;
                    tried.push(format!("  {address}: names {leader} as the leader"));
                    next.push_front(leader);
                }
                _ if is_passing(status.code()) => tried.push(format!("  {address}: {}", status.message())),
                _ if status.code() == Code::NotFound => {
                    return Err(AdminError::NotFound { message: status.message().to_owned() });
                }
                _ => return Err(AdminError::Refused { address, message: status.message().to_owned() }),
            }
        }
        Err(AdminError::Unreachable { tried })
    }

    /// Lists leases: the whole stream from one node.
    ///
    /// # Errors
    /// As [`StoreAccess::call`]; a stream that breaks is begun anew at the next node.
    pub async fn leases(&self, request: &v1::ListLeasesRequest) -> Result<Vec<v1::LeaseInfo>, AdminError> {
        self.call(async |mut store| {
            let mut stream = store.list_leases(request.clone()).await?.into_inner();
            let mut leases = Vec::new();
            while let Some(lease) = stream.message().await? {
                leases.push(lease);
            }
            Ok(Response::new(leases))
        })
        .await
    }
}

/// Another node, or another moment, may do better.
fn is_passing(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown)
}

fn leader_of(status: &Status) -> Option<String> {
    if !matches!(status.code(), Code::FailedPrecondition | Code::Unavailable) {
        return None;
    }
    let leader = status.metadata().get(LEADER_METADATA)?.to_str().ok()?;
    (!leader.is_empty()).then(|| leader.to_owned())
}
