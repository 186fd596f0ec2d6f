//! openraft's types as protobuf, on the wire and on disk.
//!
//! Owns: the conversions both ways, the checksum and the format number of entries. Refuses to know: files, sockets.
//! Inputs: messages from disk or from another node, never trusted. Outputs: openraft's types, or what is missing.
//! Invariants: `entry_from(entry_to(e)) == e`; an entry with one bit changed is refused, never misread.

use std::collections::{BTreeMap, BTreeSet};

use leasehold_proto::v1;
use leasehold_proto::v1::raft_entry::Kind;
use prost::Message;

use super::types::{
    CommittedLeaderId, Entry, EntryPayload, LogId, MemberNode, Membership, Payload, StoredMembership, Vote,
};

const ENTRY_FORMAT: u32 = 1;

/// Why a message is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodecError {
    /// Not protobuf, or of another message.
    #[error("cannot be decoded: {0}")]
    Undecodable(String),
    /// A field that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Written by another version.
    #[error("has format {0}, this program reads format {ENTRY_FORMAT}")]
    Format(u32),
    /// Bits changed since it was written.
    #[error("has checksum {found:08x}, its content gives {computed:08x}")]
    Checksum {
        /// What stands there.
        found: u32,
        /// What the content gives.
        computed: u32,
    },
    /// The membership contradicts itself.
    #[error("names an impossible membership: {0}")]
    Membership(String),
}

impl From<prost::DecodeError> for CodecError {
    fn from(error: prost::DecodeError) -> Self {
        Self::Undecodable(error.to_string())
    }
}

pub(crate) fn log_id_to(id: &LogId) -> v1::RaftLogId {
    v1::RaftLogId { term: id.leader_id.term, index: id.index }
}

pub(crate) fn log_id_from(id: &v1::RaftLogId) -> LogId {
    LogId::new(CommittedLeaderId::new(id.term), id.index)
}

pub(crate) fn vote_to(vote: &Vote) -> v1::RaftBallot {
    v1::RaftBallot { term: vote.leader_id.term, raft_id: vote.leader_id.voted_for, committed: vote.committed }
}

pub(crate) fn vote_from(ballot: Option<&v1::RaftBallot>) -> Result<Vote, CodecError> {
    let ballot = ballot.ok_or(CodecError::Missing("the ballot"))?;
    Ok(match ballot.committed {
        true => Vote::new_committed(ballot.term, ballot.raft_id),
        false => Vote::new(ballot.term, ballot.raft_id),
    })
}

pub(crate) fn member_to(raft_id: u64, node: &MemberNode) -> v1::RaftMember {
    v1::RaftMember { raft_id, name: node.name.clone(), address: node.address.clone() }
}

pub(crate) fn membership_to(membership: &Membership) -> v1::RaftMembership {
    v1::RaftMembership {
        configs: membership
            .get_joint_config()
            .iter()
            .map(|voters| v1::RaftVoters { raft_ids: voters.iter().copied().collect() })
            .collect(),
        members: membership.nodes().map(|(id, node)| member_to(*id, node)).collect(),
    }
}

pub(crate) fn membership_from(message: &v1::RaftMembership) -> Result<Membership, CodecError> {
    let configs: Vec<BTreeSet<u64>> =
        message.configs.iter().map(|voters| voters.raft_ids.iter().copied().collect()).collect();
    let nodes: BTreeMap<u64, MemberNode> = message
        .members
        .iter()
        .map(|member| {
            (member.raft_id, MemberNode { name: member.name.clone(), address: member.address.clone() })
        })
        .collect();
    if configs.is_empty() && nodes.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, nodes).map_err(|error| CodecError::Membership(error.to_string()))
}

pub(crate) fn stored_membership_to(stored: &StoredMembership) -> v1::RaftStoredMembership {
    v1::RaftStoredMembership {
        log_id: stored.log_id().as_ref().map(log_id_to),
        membership: Some(membership_to(stored.membership())),
    }
}

pub(crate) fn stored_membership_from(
    message: Option<&v1::RaftStoredMembership>,
) -> Result<StoredMembership, CodecError> {
    let message = message.ok_or(CodecError::Missing("the membership"))?;
    let membership = message.membership.as_ref().ok_or(CodecError::Missing("the membership"))?;
    Ok(StoredMembership::new(message.log_id.as_ref().map(log_id_from), membership_from(membership)?))
}

/// The entry as a message, with its checksum.
pub(crate) fn entry_to(entry: &Entry) -> v1::RaftEntry {
    let kind = match &entry.payload {
        EntryPayload::Blank => Kind::Blank(v1::RaftBlank {}),
        EntryPayload::Normal(payload) => Kind::Payload(payload.0.clone()),
        EntryPayload::Membership(membership) => Kind::Membership(membership_to(membership)),
    };
    let mut message = v1::RaftEntry {
        format: ENTRY_FORMAT,
        term: entry.log_id.leader_id.term,
        index: entry.log_id.index,
        kind: Some(kind),
        checksum: 0,
    };
    message.checksum = crc32fast::hash(&message.encode_to_vec());
    message
}

/// The entry of a message, after its checksum was verified.
pub(crate) fn entry_from(mut message: v1::RaftEntry) -> Result<Entry, CodecError> {
    let found = std::mem::take(&mut message.checksum);
    let computed = crc32fast::hash(&message.encode_to_vec());
    if message.format != ENTRY_FORMAT {
        return Err(CodecError::Format(message.format));
    }
    if found != computed {
        return Err(CodecError::Checksum { found, computed });
    }
    let payload = match message.kind.ok_or(CodecError::Missing("the entry's kind"))? {
        Kind::Blank(_) => EntryPayload::Blank,
        Kind::Payload(bytes) => EntryPayload::Normal(Payload(bytes)),
        Kind::Membership(membership) => EntryPayload::Membership(membership_from(&membership)?),
    };
    Ok(Entry { log_id: LogId::new(CommittedLeaderId::new(message.term), message.index), payload })
}

/// The entry of the bytes found on disk.
pub(crate) fn entry_from_bytes(bytes: &[u8]) -> Result<Entry, CodecError> {
    entry_from(v1::RaftEntry::decode(bytes)?)
}

/// Which prefix of the log the rows of a state copy are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StateMark {
    /// The last entry applied.
    pub applied: Option<LogId>,
    /// The membership as of then.
    pub membership: StoredMembership,
    /// The last entry of the snapshot installed last.
    pub installed: Option<LogId>,
}

impl StateMark {
    pub(crate) fn encode(&self) -> Vec<u8> {
        v1::RaftStateMark {
            applied: self.applied.as_ref().map(log_id_to),
            membership: Some(stored_membership_to(&self.membership)),
            installed: self.installed.as_ref().map(log_id_to),
        }
        .encode_to_vec()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let message = v1::RaftStateMark::decode(bytes)?;
        Ok(Self {
            applied: message.applied.as_ref().map(log_id_from),
            membership: stored_membership_from(message.membership.as_ref())?,
            installed: message.installed.as_ref().map(log_id_from),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let nodes = BTreeMap::from([
            (7, MemberNode { name: "a".into(), address: "[::1]:1".into() }),
            (9, MemberNode { name: "b".into(), address: "[::1]:2".into() }),
        ]);
        let membership = Membership::new(vec![BTreeSet::from([7])], nodes).unwrap();
        [
            EntryPayload::Blank,
            EntryPayload::Normal(Payload(bytes::Bytes::from_static(b"something"))),
            EntryPayload::Normal(Payload(bytes::Bytes::new())),
            EntryPayload::Membership(membership),
        ]
        .into_iter()
        .zip(5..)
        .map(|(payload, index)| Entry { log_id: LogId::new(CommittedLeaderId::new(3), index), payload })
        .collect()
    }

    #[test]
    fn entries_survive_their_encoding() {
        for entry in entries() {
            assert_eq!(entry_from_bytes(&entry_to(&entry).encode_to_vec()).unwrap(), entry);
        }
    }

    #[test]
    fn an_entry_with_one_bit_changed_is_refused() {
        for entry in entries() {
            let bytes = entry_to(&entry).encode_to_vec();
            for bit in 0..bytes.len() * 8 {
                let mut changed = bytes.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(entry_from_bytes(&changed).is_err(), "bit {bit} of {entry:?}");
            }
        }
    }

    #[test]
    fn the_mark_survives_its_encoding() {
        let id = LogId::new(CommittedLeaderId::new(3), 8);
        let mark = StateMark { applied: Some(id), installed: Some(id), ..StateMark::default() };
        assert_eq!(StateMark::decode(&mark.encode()).unwrap(), mark);
        assert_eq!(StateMark::decode(&StateMark::default().encode()).unwrap(), StateMark::default());
    }
}
