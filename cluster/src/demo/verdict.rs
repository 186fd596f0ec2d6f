//! What the demo ends with: counted from what clients were promised and from what the store has in the end.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use leasehold_proto::lease::{Lease, LeaseState};
use leasehold_proto::v1;
use leasehold_proto::words::Prefix;

use crate::load::{Held, Outcome};

/// The findings.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    leases_given: u64,
    renewals_answered: u64,
    longest_new_lease: Duration,
    longest_renewal: Duration,
    unanswered_at_end: u64,
    committed: usize,
    committed_lost: Vec<String>,
    promised_not_in_store: usize,
    given_twice: u64,
    wrong_answers: u64,
    expired_or_taken: u64,
    took: Duration,
}

/// Who holds what, by the store's word: address or prefix to the DUID of its binding.
pub(super) type Committed = BTreeMap<Prefix, Vec<u8>>;

/// The active leases in a listing.
pub(super) fn active(listing: &[v1::LeaseInfo]) -> Committed {
    listing
        .iter()
        .filter_map(|info| Lease::try_from(info.lease.as_ref()?).ok())
        .filter(|lease| lease.state == LeaseState::Active)
        .map(|lease| (lease.prefix, lease.binding.duid.as_bytes().to_vec()))
        .collect()
}

impl Verdict {
    /// Judges: the clients' own records, the leases seen committed before the failures, and the store in the end.
    /// No client gave anything back, so every committed lease must still be its holder's.
    pub(super) fn reach(runs: &[Outcome], before: &Committed, after: &Committed, took: Duration) -> Self {
        let mut verdict = Self { committed: before.len(), took, ..Self::default() };
        for (prefix, duid) in before {
            if after.get(prefix) != Some(duid) {
                verdict.committed_lost.push(prefix.to_string());
            }
        }
        let mut holders: BTreeMap<Prefix, &Held> = BTreeMap::new();
        for run in runs {
            let report = &run.report;
            let waits = &report.longest_waits;
            verdict.leases_given += report.leases_given;
            verdict.renewals_answered += report.renewals_answered;
            let ms = |a: u64, b: u64| Duration::from_millis(a.max(b));
            verdict.longest_new_lease =
                verdict.longest_new_lease.max(ms(waits.new_lease_ms, waits.unanswered_new_lease_ms));
            verdict.longest_renewal =
                verdict.longest_renewal.max(ms(waits.renewal_ms, waits.unanswered_renewal_ms));
            verdict.unanswered_at_end += report.clients_unanswered;
            verdict.given_twice += report.double_promises;
            verdict.wrong_answers += report.wrong_answers.values().sum::<u64>();
            verdict.expired_or_taken += report.leases_expired + report.leases_lost;
            for held in &run.held {
                // Each run judges its own clients as it goes; this finds what two runs hold at once.
                if holders.insert(held.prefix, held).is_some_and(|other| other.duid != held.duid) {
                    verdict.given_twice += 1;
                }
                verdict.promised_not_in_store += usize::from(after.get(&held.prefix) != Some(&held.duid));
            }
        }
        verdict
    }

    /// Whether nothing went wrong that must not.
    pub(super) fn is_clean(&self) -> bool {
        self.leases_given > 0
            && self.renewals_answered > 0
            && self.unanswered_at_end == 0
            && self.committed_lost.is_empty()
            && self.promised_not_in_store == 0
            && self.given_twice == 0
            && self.wrong_answers == 0
            && self.expired_or_taken == 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |d: Duration| format!("{} ms", d.as_millis());
        let rows = [
            ("leases given", self.leases_given.to_string()),
            ("renewals answered", self.renewals_answered.to_string()),
            ("longest wait for a new lease", ms(self.longest_new_lease)),
            ("longest wait for a renewal", ms(self.longest_renewal)),
            ("clients unanswered at the end", self.unanswered_at_end.to_string()),
            ("committed before the failures", self.committed.to_string()),
            ("committed leases lost", self.committed_lost.len().to_string()),
            ("promised, but not in the store at the end", self.promised_not_in_store.to_string()),
            ("addresses or prefixes given twice", self.given_twice.to_string()),
            ("leases expired or taken back", self.expired_or_taken.to_string()),
            ("wrong answers", self.wrong_answers.to_string()),
            ("took", format!("{:.1} s", self.took.as_secs_f64())),
        ];
        writeln!(f, "verdict: {}", if self.is_clean() { "clean" } else { "NOT CLEAN" })?;
        for (what, figure) in rows {
            writeln!(f, "  {what:<44}{figure:>10}")?;
        }
        for prefix in self.committed_lost.iter().take(10) {
            writeln!(f, "  lost: {prefix}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(entries: &[(u128, u8)]) -> Committed {
        entries.iter().map(|(bits, client)| (Prefix::address(*bits), vec![*client])).collect()
    }

    #[test]
    fn a_committed_lease_that_is_gone_or_anothers_is_lost() {
        let before = committed(&[(1, 1), (2, 2), (3, 3)]);
        let after = committed(&[(1, 1), (2, 9)]);
        let verdict = Verdict::reach(&[], &before, &after, Duration::ZERO);
        assert_eq!(verdict.committed_lost.len(), 2);
        assert!(!verdict.is_clean());
    }

    #[test]
    fn a_demo_in_which_nothing_was_leased_is_not_clean() {
        let verdict = Verdict::reach(&[], &committed(&[]), &committed(&[]), Duration::ZERO);
        assert!(!verdict.is_clean());
    }
}
