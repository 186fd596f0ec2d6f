//! Where the items of a network file stand, so that a rule's complaint finds its line.

use std::collections::BTreeMap;

use leasehold_proto::network::NetworkError;

use crate::config::document::Table;

/// Where an item stands in the file.
#[derive(Default)]
pub(super) struct Places {
    /// `link[2].` and its like; empty for the file.
    pub(super) path: String,
    /// Where the item begins.
    pub(super) at: usize,
    fields: BTreeMap<&'static str, usize>,
    /// What the file calls them, with the table in which they stand.
    names: BTreeMap<&'static str, String>,
    /// Of each option, in their order on the wire: the whole path of its key, and where its value begins.
    options: Vec<(String, usize)>,
}

impl Places {
    /// Those of an item: the fields that rules may complain about.
    pub(super) fn of(table: &Table<'_>, fields: &[&'static str]) -> Self {
        let mut places = Self { path: table.field(""), at: table.at, ..Self::default() };
        places.add(table, fields);
        places
    }

    /// Fields that stand in a table of their own.
    pub(super) fn add(&mut self, table: &Table<'_>, fields: &[&'static str]) {
        for field in fields {
            self.add_as(field, table, field);
        }
    }

    /// A field by what rules call it.
    pub(super) fn add_as(&mut self, field: &'static str, table: &Table<'_>, key: &str) {
        if table.has(key) {
            self.fields.insert(field, table.place(key));
            self.names.insert(field, table.field(key));
        }
    }

    /// A field whose place is known.
    pub(super) fn set(&mut self, field: &'static str, at: usize) {
        self.fields.insert(field, at);
    }

    /// The options of the item.
    pub(super) fn set_options(&mut self, options: Vec<(String, usize)>) {
        self.options = options;
    }

    /// Where an error stands, and the path of what it is about: one option, else the field, else the item.
    pub(super) fn of_error(&self, error: &NetworkError) -> (usize, String) {
        match error.option.and_then(|index| self.options.get(index)) {
            Some((path, at)) => (*at, path.clone()),
            None => {
                let at = self.fields.get(error.field).copied().unwrap_or(self.at);
                (at, self.name(error.field))
            }
        }
    }

    /// What the file calls a field.
    fn name(&self, field: &str) -> String {
        self.names.get(field).cloned().unwrap_or_else(|| format!("{}{field}", self.path))
    }
}
