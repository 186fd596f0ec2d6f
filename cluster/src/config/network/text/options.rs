//! Options of one place, and definitions of options, as a file has them.

use leasehold_proto::options::{Dictionary, Instance, Value, Written};
use leasehold_proto::v1;
use serde::Serialize;

/// A table of options.
#[derive(Serialize)]
pub(super) struct OptionsText(toml::Table);

impl OptionsText {
    pub(super) fn of(dictionary: &Dictionary, wire: Option<&v1::DhcpOptions>) -> Self {
        let options = wire.map(|wire| wire.options.as_slice()).unwrap_or_default();
        let instance = |option: &v1::DhcpOption| {
            Some(Instance { code: u16::try_from(option.code).ok()?, data: option.data.clone() })
        };
        let instances: Vec<Instance> = options.iter().filter_map(instance).collect();
        let Written { named, raw } = dictionary.decode(&instances);
        let mut table = table_of(named);
        if !raw.is_empty() {
            table.insert("raw".to_owned(), toml::Value::Table(table_of(raw)));
        }
        let mut forced: Vec<String> = options
            .iter()
            .filter(|option| option.forced)
            .filter_map(|option| Some(dictionary.name_of(&instance(option)?)))
            .collect();
        forced.dedup();
        if !forced.is_empty() {
            table.insert("force".to_owned(), forced.into());
        }
        Self(table)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn table_of(entries: Vec<(String, Value)>) -> toml::Table {
    entries.into_iter().map(|(name, value)| (name, toml_value(value))).collect()
}

fn toml_value(value: Value) -> toml::Value {
    match value {
        Value::Integer(number) => toml::Value::Integer(i64::try_from(number).unwrap_or(i64::MAX)),
        Value::Bool(flag) => flag.into(),
        Value::Text(text) => text.into(),
        Value::List(values) => toml::Value::Array(values.into_iter().map(toml_value).collect()),
        Value::Table(entries) => toml::Value::Table(table_of(entries)),
    }
}

/// A definition.
#[derive(Serialize)]
pub(super) struct DefinitionText {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    enterprise: Option<u32>,
    code: u32,
    r#type: String,
}

impl DefinitionText {
    pub(super) fn of(wire: &v1::OptionDefinition) -> Self {
        Self {
            name: wire.name.clone(),
            enterprise: wire.enterprise,
            code: wire.code,
            r#type: wire.r#type.clone(),
        }
    }
}
