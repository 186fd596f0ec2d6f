//! Options of one place, and the operator's definitions of options.

use leasehold_proto::options::{Dictionary, Instance, Value, enterprise_of};
use leasehold_proto::v1;
use toml::de::DeValue;

use super::Form;
use super::fields::narrow;
use super::place::Places;
use crate::config::document::{Table, type_name, whole_number};

impl Form {
    /// The definitions, before anything that may use them.
    pub(super) fn read_definitions(&mut self, tables: Vec<Table<'_>>) {
        let mut whole = true;
        for mut table in tables {
            let places = Places::of(&table, &["name", "code", "type"]);
            let name = table.required("name", "name the option", |text| Ok(text.to_owned()));
            if !table.has("code") {
                table.missing("code", "write its number");
            }
            let code = table.number("code", 0, u16::MAX.into());
            let ty = table.required("type", "write what its data looks like, as \"string\"", |text| {
                Ok(text.to_owned())
            });
            let enterprise = table.number("enterprise", 0, u32::MAX.into()).map(|n| narrow(n.value));
            table.done();
            self.definitions.push(places);
            whole &= name.is_some() && code.is_some() && ty.is_some();
            self.wire.definitions.push(v1::OptionDefinition {
                name: name.map(|name| name.value).unwrap_or_default(),
                code: code.map_or(0, |code| narrow(code.value)),
                r#type: ty.map(|ty| ty.value).unwrap_or_default(),
                enterprise,
            });
        }
        // What is wrong with them is told with all the rules.
        self.dictionary = Dictionary::new(&self.wire.definitions).ok().filter(|_| whole);
        self.incomplete |= !whole;
    }

    /// The options of one place, in the order of codes: a table of TOML has no order of its own.
    pub(super) fn read_options(
        &mut self,
        table: Option<Table<'_>>,
        places: &mut Places,
    ) -> Option<v1::DhcpOptions> {
        let mut table = table?;
        places.set("options", table.at);
        let forced = table.list("force", |text| Ok(text.to_owned()));
        let raw = table.table("raw");
        let dictionary = self.dictionary.as_ref()?;
        let mut instances = Vec::new();
        let mut whole = read_values(&mut table, &mut instances, |name, value| dictionary.encode(name, value));
        if let Some(mut raw) = raw {
            whole &= read_values(&mut raw, &mut instances, |code, value| dictionary.encode_raw(code, value));
        }
        instances.sort_by_key(|instance| (instance.code, enterprise_of(instance.code, &instance.data)));
        let names: Vec<String> = instances.iter().map(|instance| dictionary.name_of(instance)).collect();
        let is_named = |name: &String, force: &String| {
            name == force || name.split_once('.').is_some_and(|(name, _)| name == force)
        };
        for force in forced.iter().filter(|_| whole) {
            if !names.iter().any(|name| is_named(name, &force.value)) {
                let message = format!("`{}` has no value here: force it where its value stands", force.value);
                table.problem(force.at, "force", message);
            }
        }
        let options = instances.into_iter().zip(&names).map(|(instance, name)| v1::DhcpOption {
            code: instance.code.into(),
            data: instance.data,
            forced: forced.iter().any(|force| is_named(name, &force.value)),
        });
        let options: Vec<v1::DhcpOption> = options.collect();
        (!options.is_empty()).then_some(v1::DhcpOptions { options, ..v1::DhcpOptions::default() })
    }
}

/// Reads all that is left of a table; false when something in it is wrong.
fn read_values(
    table: &mut Table<'_>,
    instances: &mut Vec<Instance>,
    encode: impl Fn(&str, &Value) -> Result<Vec<Instance>, String>,
) -> bool {
    let mut whole = true;
    for (key, at, value) in table.rest() {
        match value_of(value).and_then(|value| encode(key, &value)) {
            Ok(found) => instances.extend(found),
            Err(message) => {
                table.problem(at, key, message);
                whole = false;
            }
        }
    }
    whole
}

fn value_of(value: &DeValue<'_>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Integer(number) => {
            let fail = || format!("{} is not a whole number from 0 on", number.as_str());
            Value::Integer(whole_number(value).ok_or_else(fail)?)
        }
        DeValue::Array(values) => {
            Value::List(values.iter().map(|value| value_of(value.get_ref())).collect::<Result<_, _>>()?)
        }
        DeValue::Table(entries) => {
            let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
                let key: &std::borrow::Cow<'_, str> = key.get_ref();
                Ok::<_, String>((key.clone().into_owned(), value_of(value.get_ref())?))
            };
            Value::Table(entries.iter().map(entry).collect::<Result<_, _>>()?)
        }
        DeValue::Float(_) | DeValue::Datetime(_) => {
            return Err(format!("no option has {} in its value", type_name(value)));
        }
    })
}
