//! What is wrong with a value, and where inside of it.
//!
//! Keeps the way to the place apart from the words, so that whoever holds the text of the value finds the line. Knows
//! neither types nor files.

use std::fmt;

/// One step into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// An item of an array, from 0.
    Item(usize),
    /// A field without a name of an array that is a record, from 0.
    Field(usize),
    /// What a key of a table stands for.
    Key(String),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Item(i) => write!(f, "item {}", i + 1),
            Self::Field(i) => write!(f, "field {}", i + 1),
            Self::Key(key) => f.write_str(key),
        }
    }
}

/// A value that does not fit. Shown as its steps and what is wrong, with colons between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError {
    /// The way to the place, from the outside in.
    pub steps: Vec<Step>,
    /// What is wrong there, and what to write.
    pub message: String,
}

impl ValueError {
    /// The same, told of the value in which this one stands.
    #[must_use]
    pub fn inside(mut self, step: Step) -> Self {
        self.steps.insert(0, step);
        self
    }
}

impl From<String> for ValueError {
    fn from(message: String) -> Self {
        Self { steps: Vec::new(), message }
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            write!(f, "{step}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ValueError {}
