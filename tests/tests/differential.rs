//! The same messages to Leasehold and to Kea of Debian, answers compared by content.
//!
//! Needs root; where namespaces are not to be had the test says `skipped`. Prints what it found and holds it against
//! the verdicts and against `docs/differences-to-kea.md`. For those who add scripts: `LEASEHOLD_SHOW_ANSWERS=1` prints
//! all that we answered, `LEASEHOLD_WRITE_DOCS=1` writes the document anew.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use leasehold_tests::differential::scripts::GROUPS;
use leasehold_tests::differential::verdicts::TABLE;
use leasehold_tests::differential::{Server, compare, report};
use leasehold_tests::netns::{Lab, in_lab};

#[test]
fn every_difference_to_kea_has_a_verdict() {
    let result = in_lab("every_difference_to_kea_has_a_verdict", |lab| {
        let second = Lab::build()?;
        let mut ours = Server::ours(lab)?;
        let mut kea = Server::kea(&second).with_context(|| second.log_tails(60))?;
        let outcomes = compare(&mut ours, &mut kea, GROUPS)?;
        println!("{}", report::summary(&outcomes, TABLE));
        let document = report::document(&outcomes, TABLE);
        println!("{document}");
        if std::env::var_os("LEASEHOLD_SHOW_ANSWERS").is_some() {
            for outcome in &outcomes {
                println!("{}: {:#?}", outcome.script, outcome.answers);
            }
        }
        let faults = report::faults(&outcomes, TABLE);
        ensure!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
        agrees_with_the_document(&document)
    });
    result.unwrap_or_else(|error| panic!("{error:?}"));
}

/// The document is what was found; written anew on request.
fn agrees_with_the_document(found: &str) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/differences-to-kea.md");
    if std::env::var_os("LEASEHOLD_WRITE_DOCS").is_some() {
        return fs::write(&path, found).with_context(|| format!("cannot write {}", path.display()));
    }
    let written = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let unlike = written.lines().zip(found.lines()).find(|(written, found)| written != found);
    if let Some((written, found)) = unlike {
        anyhow::bail!("docs/differences-to-kea.md says\n  {written}\nand found was\n  {found}");
    }
    ensure!(written.len() == found.len(), "docs/differences-to-kea.md has lines too many, or too few");
    Ok(())
}
