//! What a store node is told, and why it may not start.

use super::founding::RestoreFrom;
use crate::raft::{self, NodeAddress, NodeConfig, OnDamage};
use crate::rocks::DiskLimits;
use leasehold_proto::identity::{Identity, IdentityError, Role};
use leasehold_proto::tls::{Security, TlsError, TlsFiles};
use std::net::SocketAddr;
use std::path::PathBuf;

/// How a store node's connections are protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreSecurity {
    /// Mutual TLS with these files.
    Tls(TlsFiles),
    /// Plain text between processes of one host; refused on any address that is not a loopback one.
    InsecureLoopback,
}

/// All that a store node is told.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The cluster's name, as in all certificates.
    pub cluster: String,
    /// This node's name, as in its certificate; one of `nodes`.
    pub name: String,
    /// The data folder, of this node alone.
    pub data_dir: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where the others, frontends and administrators reach it: `HOST:PORT` or `[IPV6]:PORT`.
    pub advertise: String,
    /// All store nodes, this one included. The first founds the cluster.
    pub nodes: Vec<NodeAddress>,
    /// How connections are protected.
    pub security: StoreSecurity,
    /// How fast store nodes notice each other's silence.
    pub timing: raft::Timing,
    /// What to do when the log on disk is damaged.
    pub on_damage: OnDamage,
    /// Memory of the databases.
    pub limits: DiskLimits,
    /// Found a blank cluster from the export of an old one, whose quorum is lost for good.
    pub restore: Option<RestoreFrom>,
}

/// Why a store node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A name that cannot be.
    #[error(transparent)]
    Name(#[from] IdentityError),
    /// The certificate is somebody else's.
    #[error(
        "the certificate is {found}, but this node is configured as {wanted}: use that node's certificate, or correct the configuration"
    )]
    WrongCertificate {
        /// Who the configuration says this is.
        wanted: String,
        /// Who the certificate says it is.
        found: String,
    },
    /// The address to listen on.
    #[error("cannot listen on {address}: {detail}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        detail: String,
    },
    /// Configuration, disk or Raft.
    #[error(transparent)]
    Raft(#[from] raft::StartError),
    /// The service descriptors built into this program.
    #[error("the gRPC services cannot be described: {0}")]
    Descriptors(String),
}

impl StoreConfig {
    /// For Raft: a node's own address is the one it advertises.
    pub(super) fn raft(&self) -> NodeConfig {
        let members = self.nodes.iter().map(|node| {
            let own = node.name == self.name;
            let address = if own { self.advertise.clone() } else { node.address.clone() };
            NodeAddress { name: node.name.clone(), address }
        });
        let mut config = NodeConfig::new(&self.cluster, &self.name, members.collect(), self.data_dir.clone());
        config.timing = self.timing;
        config.on_damage = self.on_damage;
        config.limits = self.limits;
        config
    }

    /// Opens the certificates and checks that they are this node's.
    pub(super) fn open_security(&self) -> Result<Security, StartError> {
        let wanted = Identity::new(self.cluster.clone(), Role::Store, self.name.clone())?;
        let security = match &self.security {
            StoreSecurity::Tls(files) => Security::open(files.clone())?,
            StoreSecurity::InsecureLoopback => Security::InsecureLoopback,
        };
        match security.identity() {
            Some(found) if found != wanted => {
                Err(StartError::WrongCertificate { wanted: wanted.to_string(), found: found.to_string() })
            }
            _ => Ok(security),
        }
    }
}
