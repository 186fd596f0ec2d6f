//! What generated types that hold the cluster's secret, or rows and entries in which it stands, show of themselves
//! (SEC-07): lengths, never octets.

use crate::v1;
use std::fmt;

impl fmt::Debug for v1::ReconfigureSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReconfigureSecret({} octets, not shown)", self.octets.len())
    }
}

impl fmt::Debug for v1::OldRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OldRow({:02x?}, {} octets)", self.key, self.value.len())
    }
}

impl fmt::Debug for v1::RaftEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            None => "nothing",
            Some(v1::raft_entry::Kind::Blank(_)) => "blank",
            Some(v1::raft_entry::Kind::Payload(_)) => "payload",
            Some(v1::raft_entry::Kind::Membership(_)) => "membership",
        };
        write!(f, "RaftEntry({}/{}, {kind})", self.term, self.index)
    }
}

impl fmt::Debug for v1::RaftSnapshotChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RaftSnapshotChunk({}, {} octets)", self.number, self.body.len())
    }
}

impl fmt::Debug for v1::RaftSnapshotRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RaftSnapshotRow({:02x?}, {} octets)", self.key, self.value.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_07_no_generated_type_shows_the_secret() {
        let octets = vec![0xab; 32];
        let secret = || Some(v1::ReconfigureSecret { octets: octets.clone() });
        let row = v1::OldRow { key: vec![1], value: octets.clone() };
        let shown = [
            format!("{:?}", v1::ClusterRow { reconfigure_secret: secret(), ..Default::default() }),
            format!("{:?}", v1::Welcome { reconfigure_secret: secret(), ..Default::default() }),
            format!("{:?}", v1::Command { body: secret().map(v1::command::Body::KeepSecret) }),
            format!("{:?}", v1::StoreEvent { body: secret().map(v1::store_event::Body::ReconfigureSecret) }),
            format!("{:?}", v1::RestoreRows { rows: vec![row], first: true }),
            format!("{:?}", v1::RaftSnapshotRow { key: vec![1], value: octets.clone() }),
            format!("{:?}", v1::RaftSnapshotChunk { body: octets.clone(), ..Default::default() }),
            format!(
                "{:?}",
                v1::RaftEntry {
                    kind: Some(v1::raft_entry::Kind::Payload(octets.clone().into())),
                    ..Default::default()
                }
            ),
        ];
        for text in shown {
            assert!(!text.contains("171") && !text.contains("ab, ab") && !text.contains("\\xab"), "{text}");
        }
    }
}
