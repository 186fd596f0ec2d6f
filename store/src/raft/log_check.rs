//! Whether the log found on disk is the log that was acknowledged.
//!
//! Owns: the check of the whole log when a node starts. Refuses to know: what to do about damage.
//! Inputs: the log database, the tide mark, the mark of the state copy. Outputs: what the log holds, or [`LogDamage`].
//! Invariant: a node that passes has every entry and vote that it ever acknowledged and did not purge or truncate,
//! as far as can be told from its own disk. Checked: no gap, checksums, indexes, terms that never fall, the tide
//! mark, and that the state copy is not ahead of the log.

use std::path::PathBuf;

use leasehold_proto::v1;
use prost::Message;

use super::codec::{self, StateMark};
use super::log::OpenLogError;
use super::types::{Entry, LogId, Vote};
use crate::rocks::{DiskError, LogDb, TideMark};

/// What is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log in {} is damaged: {what}", path.display())]
pub struct LogDamage {
    /// The log's folder.
    pub path: PathBuf,
    /// What is wrong, with the key.
    pub what: String,
}

/// What a sound log holds.
pub(crate) struct Checked {
    pub(crate) vote: Option<Vote>,
    pub(crate) purged: Option<LogId>,
    pub(crate) last: Option<LogId>,
}

/// Reads and checks the whole log.
pub(crate) fn check(db: &LogDb, tide: TideMark) -> Result<Checked, OpenLogError> {
    let damage = |what: String| LogDamage { path: db.path().to_owned(), what };
    let vote = match db.vote()? {
        None => None,
        Some(bytes) => Some(
            v1::RaftBallot::decode(bytes.as_slice())
                .map_err(codec::CodecError::from)
                .and_then(|ballot| codec::vote_from(Some(&ballot)))
                .map_err(|error| damage(format!("meta/vote {error}")))?,
        ),
    };
    let purged = match db.purged()? {
        None => None,
        Some(bytes) => Some(
            v1::RaftLogId::decode(bytes.as_slice())
                .map(|id| codec::log_id_from(&id))
                .map_err(|error| damage(format!("meta/purged {error}")))?,
        ),
    };
    let mut last = purged;
    let mut wrong = None;
    let scanned = db.scan(0, u64::MAX, |index, value| {
        let expected = last.map_or(0, |id| id.index.saturating_add(1));
        wrong = match codec::entry_from_bytes(value) {
            _ if index != expected => {
                Some(format!("a gap: entry {expected} is missing, the next one is {index}"))
            }
            Err(error) => Some(format!("entries/{index} {error}")),
            Ok(entry) if entry.log_id.index != index => {
                Some(format!("entries/{index} holds entry {}", entry.log_id.index))
            }
            Ok(entry) if last.is_some_and(|last| entry.log_id.leader_id < last.leader_id) => {
                Some(format!("entries/{index} is of an older term than the one before it"))
            }
            Ok(entry) => {
                last = Some(entry.log_id);
                None
            }
        };
        Ok(wrong.is_none())
    });
    match scanned {
        Ok(()) => {}
        Err(DiskError::Damaged { key, detail, .. }) => return Err(damage(format!("{key}: {detail}")).into()),
        Err(error) => return Err(error.into()),
    }
    if let Some(what) = wrong {
        return Err(damage(what).into());
    }
    let next = last.map_or(0, |id| id.index.saturating_add(1));
    if next < tide.next_index {
        let lost = tide.next_index - next;
        return Err(damage(format!(
            "it ends before entry {next}, but entries up to {} were acknowledged: {lost} are lost",
            tide.next_index - 1,
        ))
        .into());
    }
    let term = vote.map_or(0, |vote| vote.leader_id.term);
    if term < tide.vote_term {
        return Err(damage(format!(
            "its vote is of term {term}, but a vote of term {} was given",
            tide.vote_term
        ))
        .into());
    }
    Ok(Checked { vote, purged, last })
}

/// Checks that the state copy is not ahead of the log, unless a snapshot put it there.
pub(crate) fn check_against_state(
    db: &LogDb,
    last: Option<LogId>,
    state: &StateMark,
) -> Result<(), LogDamage> {
    let index = |id: Option<LogId>| id.map(|id| id.index);
    let covered = index(state.applied) <= index(last) && state.applied <= last;
    if covered || state.applied == state.installed {
        return Ok(());
    }
    let show = |id: Option<LogId>| id.map_or_else(|| "nothing".to_owned(), |id| id.to_string());
    Err(LogDamage {
        path: db.path().to_owned(),
        what: format!(
            "it ends at {}, but the copy of the state has applied {}: acknowledged entries are lost",
            show(last),
            show(state.applied)
        ),
    })
}

/// The entry of a row read while running; damage names the key.
pub(crate) fn decode(db: &LogDb, index: u64, value: &[u8]) -> Result<Entry, DiskError> {
    let fail = |detail: String| DiskError::Damaged {
        path: db.path().to_owned(),
        key: format!("entries/{index}"),
        detail,
    };
    let entry = codec::entry_from_bytes(value).map_err(|error| fail(error.to_string()))?;
    if entry.log_id.index != index {
        return Err(fail(format!("it holds entry {}", entry.log_id.index)));
    }
    Ok(entry)
}
