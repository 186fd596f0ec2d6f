//! Configuration errors, each with file, line, field, what is wrong and what to do.
//!
//! Owns the collecting: reading goes on after an error, so that all are told at once, in the order of the file.
//! Refuses to know TOML ([`super::document`]) and what the keys mean.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

/// One thing wrong in a file. Shown as `FILE:LINE: FIELD: MESSAGE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file as it was named.
    pub file: PathBuf,
    /// Line, from 1; 0 when it is about the file as a whole.
    pub line: usize,
    /// Which key, with its tables, as `store.node[2].address` (items of arrays count from 1); empty for the file.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// All that is wrong in a file: at least one error, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct ConfigErrors(pub Vec<ConfigError>);

fn lines(errors: &[ConfigError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A file's text, for telling lines from offsets.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigErrors> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self { path: path.to_owned(), text }),
            Err(error) => Err(ConfigErrors(vec![ConfigError {
                file: path.to_owned(),
                line: 0,
                field: String::new(),
                message: format!("cannot be read: {error}"),
            }])),
        }
    }

    /// A path written in the file: relative ones count from the file's own folder.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    fn line(&self, offset: usize) -> usize {
        let end = offset.min(self.text.len());
        1 + self.text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count()
    }
}

/// Where errors gather while a file is read.
#[derive(Debug)]
pub(crate) struct Problems<'s> {
    pub(crate) source: &'s Source,
    found: RefCell<Vec<ConfigError>>,
}

impl<'s> Problems<'s> {
    pub(crate) fn new(source: &'s Source) -> Self {
        Self { source, found: RefCell::new(Vec::new()) }
    }

    /// Notes an error at an offset of the text.
    pub(crate) fn add(&self, offset: usize, field: impl Into<String>, message: impl Into<String>) {
        self.found.borrow_mut().push(ConfigError {
            file: self.source.path.clone(),
            line: self.source.line(offset),
            field: field.into(),
            message: message.into(),
        });
    }

    /// The value, if nothing was wrong. A value that is missing without an error noted is a bug and says so.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, ConfigErrors> {
        let mut errors = self.found.into_inner();
        errors.sort_by_key(|error| error.line);
        match value {
            Some(value) if errors.is_empty() => Ok(value),
            _ => {
                debug_assert!(!errors.is_empty(), "a value is refused with a reason");
                Err(ConfigErrors(errors))
            }
        }
    }
}
