//! The table of differences: as a document, and what is wrong with it.
//!
//! Owns the text of `docs/differences-to-kea.md` and the judgement of outcomes against the verdicts. Pure. Refuses to
//! know how outcomes are had.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::verdicts::{Entry, Verdict};
use super::{Difference, Outcome};

/// What is wrong: differences that nothing is said of, and words about differences that are not there.
#[must_use]
pub fn faults(outcomes: &[Outcome], table: &[Entry]) -> Vec<String> {
    let judged: BTreeSet<&str> = table.iter().flat_map(|entry| entry.scripts).copied().collect();
    let mut faults = Vec::new();
    for outcome in outcomes {
        let has_verdict = judged.contains(outcome.script);
        if !outcome.differences.is_empty() && !has_verdict {
            faults.push(format!(
                "`{}` differs and has no verdict:\n{}",
                outcome.script,
                in_words(&outcome.differences)
            ));
        }
        for entry in table.iter().filter(|entry| has_verdict && entry.scripts.contains(&outcome.script)) {
            if !shows(&outcome.differences, entry.sign) {
                faults.push(format!(
                    "`{}` does not differ, or no more for `{}`",
                    outcome.script, entry.reason.title
                ));
            }
        }
        if outcome.is_stopped {
            faults.push(format!("`{}` could not be played to its end with either server", outcome.script));
        }
    }
    let known: BTreeSet<&str> = outcomes.iter().map(|outcome| outcome.script).collect();
    faults.extend(judged.difference(&known).map(|name| format!("no script is called `{name}`")));
    faults
}

/// Whether a line of these differences holds a sign; any does if the sign is empty.
fn shows(differences: &[Difference], sign: &str) -> bool {
    differences.iter().any(|Difference { ours, kea, .. }| {
        let ours = ours.iter().map(|line| format!("ours: {line}"));
        ours.chain(kea.iter().map(|line| format!("Kea: {line}"))).any(|line| line.contains(sign))
    })
}

/// Counts in one line.
#[must_use]
pub fn summary(outcomes: &[Outcome], table: &[Entry]) -> String {
    let messages: usize = outcomes.iter().map(|outcome| outcome.messages).sum();
    let alike = outcomes.iter().filter(|outcome| outcome.differences.is_empty()).count();
    let verdicts = |wanted| {
        let entries = table.iter().filter(|entry| entry.reason.verdict == wanted);
        let scripts: BTreeSet<&str> = entries.clone().flat_map(|entry| entry.scripts).copied().collect();
        format!("{} (reasons: {})", scripts.len(), entries.count())
    };
    format!(
        "{} scripts, {messages} messages compared: {alike} alike; {} where ours stands, {} where we are to be mended",
        outcomes.len(),
        verdicts(Verdict::Ours),
        verdicts(Verdict::Mend)
    )
}

/// More lines of one difference than this are left out of the document.
const CELL_LINES_MAX: usize = 12;

const HEAD: &str = "# Differences to Kea

What Leasehold and Kea 2.2 (`kea-dhcp6` of Debian 12) answer to the same bytes, under the same configuration. Written by
the test `differential`, which fails when this file and what it finds part ways; `LEASEHOLD_WRITE_DOCS=1` has it write
the file anew. Scripts are in `tests/src/differential/scripts`, verdicts in `tests/src/differential/verdicts.rs`.

Compared by content: the type, identifiers, status codes and where they stand, T1 and T2, leases by their number, their
pool, whether they were named in the message, and their lifetimes, every other option, and all relay levels. Not
compared: the order of options, the words beside a status code, which free lease is chosen. Lines that both answers hold
are left out.

What Kea 2.2 cannot do decides some of the configuration: a subnet is chosen by interface or by interface-id, never by
either, so that only the link without an interface has an interface-id; there is no MCLT, so lifetimes stay below ours; it
knows of every free lease and a frontend of those in its own ranges, so the one frontend is granted each pool whole. It
runs with one thread, so that its answers come in the order of the messages, and keeps its leases in memory.
";

/// The document.
#[must_use]
pub fn document(outcomes: &[Outcome], table: &[Entry]) -> String {
    let mut text = HEAD.to_owned();
    let mut line = |words: &str| {
        text += words;
        text.push('\n');
    };
    line(&format!("\n{}.\n", summary(outcomes, table)));
    line("| group | scripts | messages | differ |\n| --- | --- | --- | --- |");
    let mut groups: Vec<&str> = outcomes.iter().map(|outcome| outcome.group).collect();
    groups.dedup();
    for group in groups {
        let own = || outcomes.iter().filter(|outcome| outcome.group == group);
        let messages: usize = own().map(|outcome| outcome.messages).sum();
        let differ = own().filter(|outcome| !outcome.differences.is_empty()).count();
        line(&format!("| {group} | {} | {messages} | {differ} |", own().count()));
    }
    for (verdict, title) in [(Verdict::Mend, "We are to be mended"), (Verdict::Ours, "Ours stands")] {
        line(&format!(
            "\n## {title}\n\n| | what | decided by | why | scripts |\n| --- | --- | --- | --- | --- |"
        ));
        for (number, Entry { reason, scripts, .. }) in
            numbered(table).filter(|(_, e)| e.reason.verdict == verdict)
        {
            let (what, by, why) = (reason.title, reason.decided_by, reason.why);
            line(&format!("| {number} | {what} | {by} | {why} | {} |", scripts.len()));
        }
    }
    line("\n## Each script that differs\n\nThe last column names the reasons above.");
    let reasons = reasons_by_script(table);
    let mut group = "";
    for outcome in outcomes.iter().filter(|outcome| !outcome.differences.is_empty()) {
        if outcome.group != group {
            group = outcome.group;
            line(&format!(
                "\n### {group}\n\n| script | message | only ours | only Kea's | |\n| --- | --- | --- | --- | --- |"
            ));
        }
        let numbers = reasons.get(outcome.script).map(|numbers| numbers.join(", ")).unwrap_or_default();
        for (at, Difference { message, ours, kea }) in outcome.differences.iter().enumerate() {
            let (name, numbers) = if at == 0 { (outcome.script, numbers.as_str()) } else { ("", "") };
            let (ours, kea) = (cell(ours), cell(kea));
            line(&format!("| {name} | {message} | {ours} | {kea} | {numbers} |"));
        }
    }
    text
}

/// Lines of a difference in one cell; of very many the first.
fn cell(lines: &[String]) -> String {
    let (shown, rest) = lines.split_at(lines.len().min(CELL_LINES_MAX));
    let mut text = shown.join("<br>");
    if !rest.is_empty() {
        text += &format!("<br>and {} lines more", rest.len());
    }
    text
}

fn numbered(table: &[Entry]) -> impl Iterator<Item = (usize, &Entry)> {
    (1..).zip(table)
}

fn reasons_by_script(table: &[Entry]) -> BTreeMap<&str, Vec<String>> {
    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (number, entry) in numbered(table) {
        for script in entry.scripts {
            found.entry(script).or_default().push(number.to_string());
        }
    }
    found
}

fn in_words(differences: &[Difference]) -> String {
    differences.iter().fold(String::new(), |mut text, Difference { message, ours, kea }| {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "  {message}");
        for (whose, lines) in [("ours", ours), ("Kea", kea)] {
            for line in lines {
                let _ = writeln!(text, "    {whose:<4} {line}");
            }
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::super::verdicts::Reason;
    use super::*;

    const TABLE: &[Entry] = &[Entry {
        reason: Reason { title: "t", verdict: Verdict::Mend, decided_by: "SV-1", why: "w" },
        scripts: &["known"],
        sign: "ours: silence",
    }];

    fn outcome(script: &'static str, differs: bool) -> Outcome {
        let difference = Difference {
            message: "1 Solicit".into(),
            ours: vec!["silence".into()],
            kea: vec!["Reply".into()],
        };
        let differences = if differs { vec![difference] } else { Vec::new() };
        Outcome { group: "g", script, answers: Vec::new(), messages: 1, is_stopped: false, differences }
    }

    #[test]
    fn what_has_no_verdict_and_a_verdict_without_difference_are_faults() {
        assert!(faults(&[outcome("known", true), outcome("alike", false)], TABLE).is_empty());
        assert_eq!(faults(&[outcome("known", false)], TABLE).len(), 1);
        assert_eq!(faults(&[outcome("known", true), outcome("new", true)], TABLE).len(), 1);
        assert_eq!(faults(&[outcome("other", false)], TABLE).len(), 1);
        let mut changed = outcome("known", true);
        changed.differences[0].ours = vec!["Advertise".into()];
        assert_eq!(faults(&[changed], TABLE).len(), 1, "the reason is gone, though the script differs");
    }

    #[test]
    fn the_document_names_each_difference_and_its_reason() {
        let text = document(&[outcome("known", true), outcome("alike", false)], TABLE);
        assert!(text.contains("| known | 1 Solicit | silence | Reply | 1 |"), "{text}");
        assert!(!text.contains("| alike"));
    }
}
