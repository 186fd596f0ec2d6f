//! `docs/options.md` has the catalogue as it is.

use crate::options::catalogue::{CATALOGUE, Form, RESERVED};

const DOCUMENT: &str = include_str!("../../../../docs/options.md");

#[test]
fn the_table_in_the_documents_is_the_catalogue() {
    let row = |entry: &crate::options::catalogue::Entry| {
        let often = match entry.form {
            Form::Once => "once",
            Form::Repeated => "any number",
            Form::ByEnterprise => "one for each enterprise",
        };
        let asked = if entry.requestable { "yes" } else { "no" };
        let ty = entry.ty;
        format!("| {} | `{}` | `{ty}` | {asked} | {often} | {} |", entry.code, entry.name, entry.source)
    };
    let expected: Vec<String> = CATALOGUE.iter().map(row).collect();
    let is_row = |line: &&str| {
        line.strip_prefix("| ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            && line.contains(" | `")
            && line.matches(" | ").count() == 5
    };
    let found: Vec<&str> = DOCUMENT.lines().filter(is_row).collect();
    assert_eq!(found, expected, "the table should read:\n{}", expected.join("\n"));
}

#[test]
fn the_codes_that_may_not_be_configured_are_told() {
    for row in RESERVED.iter().filter(|row| row.first > 0) {
        let codes =
            if row.first == row.last { row.first.to_string() } else { format!("{}-{}", row.first, row.last) };
        let line = format!("| {codes} | {} |", row.what);
        assert!(DOCUMENT.contains(&line), "docs/options.md lacks: {line}");
    }
}
