//! openraft's types with ours filled in.
//!
//! Owns: the type configuration: what an entry carries, what applying it answers, what a member is. Refuses to know:
//! their encoding (`codec`).
//! Invariants: standard leader ids, so a term has at most one leader and (index, term) names one entry; an answer is
//! taken out at most once, on the node that proposed.

use std::any::Any;
use std::fmt;
use std::sync::Mutex;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What a normal entry carries. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<u8>", into = "Vec<u8>")]
pub(crate) struct Payload(pub(crate) Bytes);

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<Payload> for Vec<u8> {
    fn from(payload: Payload) -> Self {
        payload.0.into()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "payload of {} bytes", self.0.len())
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The outcome of an entry on its way to the proposer. openraft wants one type for every state machine and wants it
/// shareable and serialisable; it only ever moves it within the process, hence the box, the mutex and the skip.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Answer {
    #[serde(skip)]
    outcome: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Answer {
    /// The answer of an entry that was applied.
    pub(crate) fn of<O: Send + 'static>(outcome: O) -> Self {
        Self { outcome: Mutex::new(Some(Box::new(outcome))) }
    }

    /// Takes the outcome out, if it is there and of that type.
    pub(crate) fn take<O: Send + 'static>(self) -> Option<O> {
        let boxed = self.outcome.into_inner().ok()??;
        boxed.downcast().ok().map(|outcome| *outcome)
    }
}

/// A member as the membership entry names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct MemberNode {
    /// The node's name, the same for all its incarnations.
    pub(crate) name: String,
    /// `host:port` of its gRPC server.
    pub(crate) address: String,
}

openraft::declare_raft_types!(
    /// openraft with our types.
    pub(crate) Types:
        D = Payload,
        R = Answer,
        NodeId = u64,
        Node = MemberNode,
        Term = u64,
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>,
);

pub(crate) type CommittedLeaderId = openraft::type_config::alias::CommittedLeaderIdOf<Types>;
pub(crate) type LogId = openraft::type_config::alias::LogIdOf<Types>;
pub(crate) type Vote = openraft::type_config::alias::VoteOf<Types>;
pub(crate) type Entry = openraft::type_config::alias::EntryOf<Types>;
pub(crate) type EntryPayload = openraft::type_config::alias::PayloadOf<Types>;
pub(crate) type Membership = openraft::Membership<u64, MemberNode>;
pub(crate) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<Types>;
pub(crate) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<Types>;
