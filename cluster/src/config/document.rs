//! Reading TOML tables key by key, so that every error is found in one pass and knows its line.
//!
//! Owns the walk over the parsed document: types, missing keys, unknown keys (refused, with the known ones named).
//! Refuses to know what any key means: callers give parsers for single values. serde's derive is not used for input
//! because it stops at the first error. Invariant: a reader that returns `None` for a key that must be there has
//! noted a problem.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Problems;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    /// Offset in the file's text.
    pub(crate) at: usize,
}

/// Parses a file's text; syntax errors are noted.
pub(crate) fn parse<'s>(problems: &Problems<'s>) -> Option<Spanned<DeTable<'s>>> {
    let (table, errors) = DeTable::parse_recoverable(&problems.source.text);
    for error in &errors {
        let offset = error.span().map_or(0, |span| span.start);
        problems.add(offset, "", format!("is not TOML: {}", error.message()));
    }
    errors.is_empty().then_some(table)
}

/// One table of the document.
pub(crate) struct Table<'d> {
    path: String,
    /// Where the table begins.
    pub(crate) at: usize,
    entries: BTreeMap<&'d str, (usize, &'d Spanned<DeValue<'d>>)>,
    known: Vec<&'static str>,
    problems: &'d Problems<'d>,
}

impl<'d> Table<'d> {
    /// The root of a document.
    pub(crate) fn root(document: &'d Spanned<DeTable<'d>>, problems: &'d Problems<'d>) -> Self {
        Self::new(String::new(), 0, document.get_ref(), problems)
    }

    fn new(path: String, at: usize, table: &'d DeTable<'d>, problems: &'d Problems<'d>) -> Self {
        let entries =
            table.iter().map(|(key, value)| (key.get_ref().as_ref(), (key.span().start, value))).collect();
        Self { path, at, entries, known: Vec::new(), problems }
    }

    /// The full name of a key.
    pub(crate) fn field(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Notes a problem with a value of this table.
    pub(crate) fn problem(&self, at: usize, key: &str, message: impl Into<String>) {
        self.problems.add(at, self.field(key), message);
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Where a key stands, or else its table.
    pub(crate) fn place(&self, key: &str) -> usize {
        self.entries.get(key).map_or(self.at, |(at, _)| *at)
    }

    fn take(&mut self, key: &'static str) -> Option<(usize, &'d Spanned<DeValue<'d>>)> {
        self.known.push(key);
        self.entries.remove(key)
    }

    fn wrong_type(&self, at: usize, key: &str, wanted: &str, found: &DeValue<'_>) {
        self.problem(at, key, format!("must be {wanted}, not {}", type_name(found)));
    }

    /// Notes that a key is not there; `remedy` says what to write.
    pub(crate) fn missing(&self, key: &str, remedy: &str) {
        self.problem(self.at, key, format!("is missing: {remedy}"));
    }

    pub(crate) fn string(&mut self, key: &'static str) -> Option<Located<String>> {
        let (at, value) = self.take(key)?;
        match value.get_ref().as_str() {
            Some(text) => Some(Located { value: text.to_owned(), at }),
            None => {
                self.wrong_type(at, key, "a string in quotes", value.get_ref());
                None
            }
        }
    }

    /// A string that `parse` understands.
    pub(crate) fn parsed<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Located<T>> {
        let text = self.string(key)?;
        match parse(&text.value) {
            Ok(value) => Some(Located { value, at: text.at }),
            Err(message) => {
                self.problem(text.at, key, message);
                None
            }
        }
    }

    /// The same for a key that must be there.
    pub(crate) fn required<T>(
        &mut self,
        key: &'static str,
        remedy: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Located<T>> {
        if !self.has(key) {
            self.known.push(key);
            self.missing(key, remedy);
            return None;
        }
        self.parsed(key, parse)
    }

    pub(crate) fn bool(&mut self, key: &'static str) -> Option<Located<bool>> {
        let (at, value) = self.take(key)?;
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.wrong_type(at, key, "`true` or `false`", value.get_ref());
        }
        found.map(|value| Located { value, at })
    }

    /// A whole number within bounds.
    pub(crate) fn number(&mut self, key: &'static str, min: u64, max: u64) -> Option<Located<u64>> {
        let (at, value) = self.take(key)?;
        let Some(integer) = value.get_ref().as_integer() else {
            self.wrong_type(at, key, "a whole number", value.get_ref());
            return None;
        };
        match whole_number(value.get_ref()).filter(|n| (min..=max).contains(n)) {
            Some(value) => Some(Located { value, at }),
            None => {
                self.problem(at, key, format!("must be from {min} to {max}, not {}", integer.as_str()));
                None
            }
        }
    }

    /// An array of strings that `parse` understands; an absent one is empty.
    pub(crate) fn list<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<Located<T>> {
        let Some((at, value)) = self.take(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(at, key, "an array, as [\"…\", \"…\"]", value.get_ref());
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in array.iter() {
            let at = item.span().start;
            let Some(text) = item.get_ref().as_str() else {
                self.wrong_type(at, key, "an array of strings in quotes", item.get_ref());
                continue;
            };
            match parse(text) {
                Ok(value) => out.push(Located { value, at }),
                Err(message) => self.problem(at, key, message),
            }
        }
        out
    }

    /// A string that `parse` understands, or an array of such; an absent one is empty.
    pub(crate) fn one_or_list<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<Located<T>> {
        match self.entries.get(key) {
            Some((_, value)) if value.get_ref().as_str().is_some() => {
                self.parsed(key, parse).into_iter().collect()
            }
            _ => self.list(key, parse),
        }
    }

    /// A whole number within bounds, or an array of such; an absent one is empty.
    pub(crate) fn numbers(&mut self, key: &'static str, min: u64, max: u64) -> Vec<Located<u64>> {
        let is_array = |entry: &(usize, &'d Spanned<DeValue<'d>>)| entry.1.get_ref().as_array().is_some();
        if !self.entries.get(key).is_some_and(is_array) {
            return self.number(key, min, max).into_iter().collect();
        }
        let Some((at, value)) = self.take(key) else { return Vec::new() };
        let mut out = Vec::new();
        for item in value.get_ref().as_array().into_iter().flat_map(|array| array.iter()) {
            match whole_number(item.get_ref()).filter(|number| (min..=max).contains(number)) {
                Some(value) => out.push(Located { value, at: item.span().start }),
                None => self.problem(at, key, format!("must be whole numbers from {min} to {max}")),
            }
        }
        out
    }

    /// A whole number within bounds, or a word that stands for none.
    pub(crate) fn number_or(
        &mut self,
        key: &'static str,
        word: &str,
        min: u64,
        max: u64,
    ) -> Option<Located<Option<u64>>> {
        let (at, value) = self.take(key)?;
        let value = value.get_ref();
        if value.as_str() == Some(word) {
            return Some(Located { value: None, at });
        }
        if let Some(number) = whole_number(value).filter(|n| (min..=max).contains(n)) {
            return Some(Located { value: Some(number), at });
        }
        let found = match (value.as_str(), value.as_integer()) {
            (Some(text), _) => format!("\"{text}\""),
            (None, Some(integer)) => integer.as_str().to_owned(),
            (None, None) => type_name(value).to_owned(),
        };
        let message = format!("must be a whole number from {min} to {max}, or \"{word}\", not {found}");
        self.problem(at, key, message);
        None
    }

    /// Whether a key holds an array without values.
    pub(crate) fn is_empty_list(&self, key: &str) -> bool {
        let array = self.entries.get(key).and_then(|(_, value)| value.get_ref().as_array());
        array.is_some_and(|array| array.is_empty())
    }

    /// Whether a key holds a table.
    pub(crate) fn is_table(&self, key: &str) -> bool {
        self.entries.get(key).is_some_and(|(_, value)| value.get_ref().as_table().is_some())
    }

    /// Takes all that is left, in the order of the file: for tables whose keys are not known beforehand.
    pub(crate) fn rest(&mut self) -> Vec<(&'d str, usize, &'d DeValue<'d>)> {
        let entries = std::mem::take(&mut self.entries);
        let mut rest: Vec<_> =
            entries.into_iter().map(|(key, (at, value))| (key, at, value.get_ref())).collect();
        rest.sort_by_key(|(_, at, _)| *at);
        rest
    }

    /// A table inside this one.
    pub(crate) fn table(&mut self, key: &'static str) -> Option<Self> {
        let (at, value) = self.take(key)?;
        match value.get_ref().as_table() {
            Some(table) => Some(Self::new(self.field(key), at, table, self.problems)),
            None => {
                self.wrong_type(at, key, &format!("a table: write [{}]", self.field(key)), value.get_ref());
                None
            }
        }
    }

    /// An array of tables inside this one; an absent one is empty.
    pub(crate) fn tables(&mut self, key: &'static str) -> Vec<Self> {
        let Some((at, value)) = self.take(key) else { return Vec::new() };
        let wanted = format!("an array of tables: write [[{}]]", self.field(key));
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(at, key, &wanted, value.get_ref());
            return Vec::new();
        };
        let mut out = Vec::new();
        for (i, item) in array.iter().enumerate() {
            let at = item.span().start;
            match item.get_ref().as_table() {
                Some(table) => {
                    let path = format!("{}[{}]", self.field(key), i + 1);
                    out.push(Self::new(path, at, table, self.problems));
                }
                None => self.wrong_type(at, key, &wanted, item.get_ref()),
            }
        }
        out
    }

    /// Ends the reading: whatever was not asked for is unknown.
    pub(crate) fn done(self) {
        let known = || self.known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        for (key, (at, _)) in &self.entries {
            self.problem(*at, key, format!("is not a known key here; known are {}", known()));
        }
    }
}

/// A whole number that is not below 0.
pub(crate) fn whole_number(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// What a value is, for errors.
pub(crate) fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
