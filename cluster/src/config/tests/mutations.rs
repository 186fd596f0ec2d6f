//! Files that people broke: the examples of README.md, and the others of these tests, changed at random. None may bring
//! the reader down; what is refused is refused with lines; what is accepted can be printed, and a network reads back.
//!
//! Random by a fixed seed, so that a failure comes again. The binary form is fuzzed in `tests/fuzz`.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::super::error::Source;
use super::super::{AnyConfig, ConfigErrors};
use super::NETWORK;

const README: &str = include_str!("../../../../README.md");
/// Enough to touch each line of each file many times; some seconds.
const ROUNDS: usize = 20_000;

/// What stands where something else is expected.
const VALUES: [&str; 26] = [
    "0",
    "-1",
    "18446744073709551616",
    "99999999999999999999999999999999999999",
    "0xffffffffffffffff",
    "1e999",
    "nan",
    "1979-05-27T07:32:00Z",
    "true",
    "\"\"",
    "\"\\u0000\"",
    "\"\\u001b[2J\"",
    "\"infinite\"",
    "\"0s\"",
    "\"18446744073709551615d\"",
    "\"99999999999999999999d\"",
    "\"::\"",
    "\"::/0\"",
    "\"2001:db8::/129\"",
    "\"ffff::-::\"",
    "\"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\"",
    "\"0x\"",
    "\"é…\u{202e}\"",
    "[]",
    "[[[[]]]]",
    "{ a = { b = { c = 1 } } }",
];

/// The examples of the README, in the order in which they stand there.
fn examples() -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in README.lines() {
        match (&mut block, line.trim()) {
            (None, "```toml") => block = Some(String::new()),
            (Some(_), "```") => blocks.extend(block.take()),
            (Some(text), _) => {
                text.push_str(line.strip_prefix("   ").unwrap_or(line));
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

fn read(text: &str) -> Result<AnyConfig, ConfigErrors> {
    AnyConfig::from_source(&Source { path: "etc/leasehold.toml".into(), text: text.to_owned() })
}

/// What must hold of any text.
fn judge(text: &str) {
    let lines = text.lines().count().max(1) + 1;
    match read(text) {
        Err(ConfigErrors(errors)) => {
            assert!(!errors.is_empty(), "refused without a reason:\n{text}");
            for error in errors {
                assert!((1..=lines).contains(&error.line), "line {} of {lines}: {error}\n{text}", error.line);
                assert!(!error.message.is_empty(), "{error}\n{text}");
            }
        }
        Ok(config) => {
            let printed = config.to_toml().expect("what was read can be printed");
            if matches!(config, AnyConfig::Network(_)) {
                let again =
                    read(&printed).unwrap_or_else(|errors| panic!("{errors}\n{printed}\nfrom\n{text}"));
                assert_eq!(again.to_toml().expect("printed before"), printed, "from\n{text}");
            }
        }
    }
}

fn offset(rng: &mut SmallRng, text: &str) -> usize {
    let at = rng.random_range(0..=text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// One change of a line, a value, or some characters.
fn mutate(rng: &mut SmallRng, text: &mut String, others: &[String]) {
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let line = |rng: &mut SmallRng| rng.random_range(0..lines.len().max(1));
    let with = |at: usize, new: Vec<String>| {
        let mut lines = lines.clone();
        lines.splice(at..(at + 1).min(lines.len()), new);
        lines.join("\n") + "\n"
    };
    match rng.random_range(0..8) {
        // A value becomes another.
        0..=2 => {
            let at = line(rng);
            let value = VALUES[rng.random_range(0..VALUES.len())];
            if let Some((key, _)) = lines.get(at).and_then(|line| line.split_once('=')) {
                *text = with(at, vec![format!("{key}= {value}")]);
            }
        }
        3 => *text = with(line(rng), Vec::new()),
        4 => {
            let (from, at) = (line(rng), line(rng));
            if let (Some(moved), Some(old)) = (lines.get(from), lines.get(at)) {
                *text = with(at, vec![moved.clone(), old.clone()]);
            }
        }
        // A line of another file.
        5 => {
            let other: Vec<&str> = others[rng.random_range(0..others.len())].lines().collect();
            let (at, from) = (line(rng), rng.random_range(0..other.len()));
            *text = with(at, vec![other[from].to_owned()]);
        }
        6 => {
            let (from, count) = (offset(rng, text), rng.random_range(1..8));
            let end = text[from..].char_indices().nth(count).map_or(text.len(), |(at, _)| from + at);
            text.replace_range(from..end, "");
        }
        _ => {
            const CHARACTERS: [char; 16] =
                ['"', '\'', '[', ']', '{', '}', '=', '.', '#', '\n', '\r', '\0', '\u{1b}', '9', '-', '…'];
            let at = offset(rng, text);
            text.insert(at, CHARACTERS[rng.random_range(0..CHARACTERS.len())]);
        }
    }
}

#[test]
fn sec_06_broken_files_are_refused_with_lines_and_never_bring_the_reader_down() {
    let mut originals = examples();
    assert!(originals.len() >= 5, "{} examples in README.md", originals.len());
    originals.push(NETWORK.to_owned());
    originals.push(include_str!("../network/tests/everything.toml").to_owned());
    for original in &originals {
        judge(original);
    }
    let mut rng = SmallRng::seed_from_u64(6);
    for round in 0..ROUNDS {
        let mut text = originals[round % originals.len()].clone();
        for _ in 0..rng.random_range(1..4) {
            mutate(&mut rng, &mut text, &originals);
        }
        judge(&text);
    }
}

#[test]
fn sec_06_values_nested_without_end_are_refused() {
    for open in ["[", "{ a = ", "[[", "a.", "[{ a = "] {
        for depth in [10, 100, 10_000, 100_000] {
            judge(&format!("[[link]]\nname = {}\n", open.repeat(depth)));
            judge(&format!("{}\n", open.repeat(depth)));
        }
    }
    judge(&format!("[[link]]\nname = \"{}\"\n", "x".repeat(1 << 20)));
    judge(&"[[link]]\n".repeat(2_000));
}

#[test]
fn examples_of_the_readme_are_files_that_are_accepted() {
    let accepted: Vec<String> = examples().into_iter().filter(|text| read(text).is_ok()).collect();
    let has = |table: &str| accepted.iter().any(|text| text.contains(table));
    for table in ["[frontend]", "[[relationship]]"] {
        assert!(has(table), "no example with {table} is accepted as it stands");
    }
}
