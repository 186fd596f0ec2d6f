//! What a log entry asks the machine to do, and its Protobuf form.

use leasehold_proto::convert::{ConvertError, reconfigure_message};
use leasehold_proto::network::from_format_1;
use leasehold_proto::reconfigure::{ReconfigureMessage, ReconfigureSecret, ReconfigureWhom};
use leasehold_proto::session::{HostProof, SessionBatch};
use leasehold_proto::time::ClusterTime;
use leasehold_proto::v1;
use leasehold_proto::words::{Epoch, FrontendId};
use std::sync::Arc;

/// Version of the form in which commands and rows are written, and of what the machine makes of them. All from 1 on are
/// read; entries of a former one do what they did on every node then. 2: options by code, orders to ask clients,
/// registrations, pools that come back, what pools had granted that are no more.
pub const FORMAT_VERSION: u32 = 2;
/// Since this format a pool that was taken out can come back, and keeps its slices for that.
pub(super) const FORMAT_REVIVING: u32 = 2;
/// Since this format nothing is adopted where a pool that is no more had granted (`history`), however long ago.
pub(super) const FORMAT_HISTORY: u32 = 2;
/// Since this format a pool grows only if no slice of it with an owner comes to have what is another pool's.
pub(super) const FORMAT_CLIPPED: u32 = 2;
/// Since this format the ranges of a session that is dead for certain are taken from it before its late batch is.
pub(super) const FORMAT_DEAD_FIRST: u32 = 2;

/// The content of one log entry.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandBatch {
    /// The format in which it was written: an entry of a former one does what it did then.
    pub format: u32,
    /// The leader's cluster time when it made the batch.
    pub stamp: ClusterTime,
    /// Applied in this order. May be empty: then only time passes.
    pub commands: Vec<Command>,
}

/// One command.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// The first of a cluster's life.
    Found(Found),
    /// A frontend starts a new session (R6).
    OpenSession {
        /// Whose.
        frontend: FrontendId,
        /// Where it runs, if it told.
        host: Option<HostProof>,
    },
    /// The next batch of a session's one sequence.
    Session(Arc<SessionBatch>),
    /// A new network configuration.
    ApplyNetwork {
        /// The version that it was made from; 0 = whatever is there.
        expected_version: u64,
        /// Names, not numbers: the machine numbers what is new.
        network: Box<v1::Network>,
    },
    /// Rows of an old cluster, key and value, before one is founded from them (FO-907).
    RestoreRows {
        /// Nothing of an earlier attempt is left.
        first: bool,
        /// Keys and values.
        rows: OldRows,
    },
    /// An operator says that a frontend is down: its autonomy ends now (R4). An override: if he is wrong, an address
    /// may get a second owner.
    DeclareDown {
        /// Which.
        frontend: FrontendId,
        /// The newest session of any frontend when he said so: what was opened since is not meant.
        newest: Epoch,
    },
    /// The operator takes it back, before anything followed from it.
    WithdrawDown {
        /// Which.
        frontend: FrontendId,
    },
    /// A frontend hands everything back and gets nothing more; or serves again.
    Drain {
        /// Which.
        frontend: FrontendId,
        /// Whether it is drained from now on.
        on: bool,
    },
    /// The next step of relationships that are left to the store, if there is one.
    Respread,
    /// The secret from which clients' reconfigure keys follow, fresh from a system's entropy: kept if there is none yet.
    KeepSecret(ReconfigureSecret),
    /// An operator wants clients asked for a message.
    Reconfigure {
        /// Whom.
        whom: ReconfigureWhom,
        /// For what.
        message: ReconfigureMessage,
    },
}

/// Rows, key and value. Their `Debug` form gives their number: one of them holds the cluster's secret (SEC-07).
#[derive(Clone, PartialEq, Eq, Default)]
pub struct OldRows(pub Vec<(Vec<u8>, Vec<u8>)>);

impl std::fmt::Debug for OldRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rows", self.0.len())
    }
}

/// What a cluster is given at its founding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name, as in certificates.
    pub cluster: String,
    /// 1, or above that of the cluster whose backup was restored.
    pub incarnation: u16,
    /// Random octets from which server DUIDs are made.
    pub server_duid_seed: [u8; 16],
    /// Founded from the rows of an old cluster, which were taken before.
    pub restored: Option<Restored>,
}

/// How a cluster is founded from an old one's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// An operator's override: ranges are granted at once, though the old cluster's promises may be in force.
    pub without_waiting: bool,
}

/// An entry that this program cannot carry out. The node must stop rather than go another way than its peers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Written by a newer program.
    #[error("command format {0} is newer than this program's {FORMAT_VERSION}: upgrade this node")]
    Version(u32),
    /// Not Protobuf.
    #[error("the entry cannot be decoded: {0}")]
    Decode(String),
    /// A command this program does not know, or one that says nonsense.
    #[error("the entry cannot be carried out: {0}")]
    Content(#[from] ConvertError),
}

/// Whether this program reads what was written in a format.
pub(super) fn is_known(format: u32) -> bool {
    (1..=FORMAT_VERSION).contains(&format)
}

impl CommandBatch {
    /// A batch to be written now.
    #[must_use]
    pub fn new(stamp: ClusterTime, commands: Vec<Command>) -> Self {
        Self { format: FORMAT_VERSION, stamp, commands }
    }

    /// Reads an entry's payload.
    ///
    /// # Errors
    /// When it was written by a newer program or makes no sense.
    pub fn decode(payload: &[u8]) -> Result<Self, CommandError> {
        let raw: v1::CommandBatch =
            prost::Message::decode(payload).map_err(|e| CommandError::Decode(e.to_string()))?;
        let format = raw.format_version;
        if !is_known(format) {
            return Err(CommandError::Version(format));
        }
        let mut commands: Vec<Command> =
            raw.commands.into_iter().map(Command::from_wire).collect::<Result<_, _>>()?;
        for command in &mut commands {
            if let Command::ApplyNetwork { network, .. } = command
                && format == 1
            {
                from_format_1(network);
            }
        }
        Ok(Self { format, stamp: ClusterTime::from_millis(raw.stamp_ms), commands })
    }

    /// Writes an entry's payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let raw = v1::CommandBatch {
            format_version: self.format,
            stamp_ms: self.stamp.as_millis(),
            commands: self.commands.iter().map(Command::to_wire).collect(),
        };
        prost::Message::encode_to_vec(&raw)
    }
}

impl Command {
    fn from_wire(raw: v1::Command) -> Result<Self, CommandError> {
        use v1::command::Body;
        Ok(match raw.body.ok_or(ConvertError::Missing("command"))? {
            Body::Found(f) => Self::Found(Found {
                cluster: f.cluster,
                incarnation: u16::try_from(f.incarnation)
                    .map_err(|_| ConvertError::Unknown("incarnation", i64::from(f.incarnation)))?,
                server_duid_seed: leasehold_proto::convert::address(&f.server_duid_seed, "server_duid_seed")?
                    .to_be_bytes(),
                restored: f.restored.map(|r| Restored { without_waiting: r.without_waiting }),
            }),
            Body::Open(o) => Self::OpenSession {
                frontend: FrontendId::new(&o.frontend).map_err(ConvertError::from)?,
                host: o.host.as_ref().map(HostProof::try_from).transpose()?,
            },
            Body::Restore(r) => {
                let rows = r.rows.into_iter().map(|row| (row.key, row.value)).collect();
                Self::RestoreRows { first: r.first, rows: OldRows(rows) }
            }
            Body::DeclareDown(d) => {
                let frontend = FrontendId::new(&d.frontend).map_err(ConvertError::from)?;
                if d.withdraw {
                    Self::WithdrawDown { frontend }
                } else {
                    Self::DeclareDown { frontend, newest: Epoch(d.newest) }
                }
            }
            Body::Drain(d) => {
                Self::Drain { frontend: FrontendId::new(&d.frontend).map_err(ConvertError::from)?, on: d.on }
            }
            Body::Respread(v1::Respread {}) => Self::Respread,
            Body::KeepSecret(secret) => Self::KeepSecret((&secret).try_into()?),
            Body::Reconfigure(r) => Self::Reconfigure {
                whom: r.whom.as_ref().ok_or(ConvertError::Missing("whom"))?.try_into()?,
                message: reconfigure_message(r.message)?,
            },
            Body::Session(b) => Self::Session(Arc::new(SessionBatch::try_from(&b)?)),
            Body::Network(n) => Self::ApplyNetwork {
                expected_version: n.expected_version,
                network: Box::new(n.network.ok_or(ConvertError::Missing("network"))?),
            },
        })
    }

    fn to_wire(&self) -> v1::Command {
        use v1::command::Body;
        let body = match self {
            Self::Found(f) => Body::Found(v1::Found {
                cluster: f.cluster.clone(),
                incarnation: u32::from(f.incarnation),
                server_duid_seed: f.server_duid_seed.to_vec(),
                restored: f.restored.map(|r| v1::Restored { without_waiting: r.without_waiting }),
            }),
            Self::OpenSession { frontend, host } => Body::Open(v1::OpenSession {
                frontend: frontend.as_str().to_owned(),
                host: host.as_ref().map(Into::into),
            }),
            Self::RestoreRows { first, rows } => Body::Restore(v1::RestoreRows {
                first: *first,
                rows: rows
                    .0
                    .iter()
                    .map(|(key, value)| v1::OldRow { key: key.clone(), value: value.clone() })
                    .collect(),
            }),
            Self::DeclareDown { frontend, newest } => Body::DeclareDown(v1::DeclareDown {
                frontend: frontend.as_str().to_owned(),
                withdraw: false,
                newest: newest.0,
            }),
            Self::WithdrawDown { frontend } => Body::DeclareDown(v1::DeclareDown {
                frontend: frontend.as_str().to_owned(),
                withdraw: true,
                newest: Epoch::NONE.0,
            }),
            Self::Drain { frontend, on } => {
                Body::Drain(v1::DrainFrontend { frontend: frontend.as_str().to_owned(), on: *on })
            }
            Self::Respread => Body::Respread(v1::Respread {}),
            Self::KeepSecret(secret) => Body::KeepSecret(secret.into()),
            Self::Reconfigure { whom, message } => Body::Reconfigure(v1::AskReconfigure {
                whom: Some(whom.into()),
                message: v1::ReconfigureMessage::from(*message).into(),
            }),
            Self::Session(batch) => Body::Session(batch.as_ref().into()),
            Self::ApplyNetwork { expected_version, network } => Body::Network(v1::ApplyNetwork {
                expected_version: *expected_version,
                network: Some(network.as_ref().clone()),
            }),
        };
        v1::Command { body: Some(body) }
    }
}
