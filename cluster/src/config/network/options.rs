//! Options of one place, and the operator's definitions of options.

use leasehold_proto::options::{Dictionary, Instance, Step, Value, ValueError, enterprise_of};
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
        let mut read = Vec::new();
        let mut whole = read_values(&mut table, &mut read, |name, value| dictionary.encode(name, value));
        if let Some(mut raw) = raw {
            whole &= read_values(&mut raw, &mut read, |code, value| dictionary.encode_raw(code, value));
        }
        read.sort_by_key(|Read { instance, .. }| {
            (instance.code, enterprise_of(instance.code, &instance.data))
        });
        let names: Vec<String> = read.iter().map(|read| dictionary.name_of(&read.instance)).collect();
        let is_named = |name: &String, force: &String| {
            name == force || name.split_once('.').is_some_and(|(name, _)| name == force)
        };
        for force in forced.iter().filter(|_| whole) {
            if !names.iter().any(|name| is_named(name, &force.value)) {
                let message = format!("`{}` has no value here: force it where its value stands", force.value);
                table.problem(force.at, "force", message);
            }
        }
        let with_place = read.into_iter().zip(&names).map(|(Read { instance, path, at }, name)| {
            let forced = forced.iter().any(|force| is_named(name, &force.value));
            (v1::DhcpOption { code: instance.code.into(), data: instance.data, forced }, (path, at))
        });
        let (options, found): (Vec<v1::DhcpOption>, Vec<_>) = with_place.unzip();
        places.set_options(found);
        (!options.is_empty()).then_some(v1::DhcpOptions { options, ..v1::DhcpOptions::default() })
    }
}

/// An instance, and where it was written.
struct Read {
    instance: Instance,
    /// The path of the key.
    path: String,
    at: usize,
}

/// Reads all that is left of a table; false when something in it is wrong.
fn read_values(
    table: &mut Table<'_>,
    read: &mut Vec<Read>,
    encode: impl Fn(&str, &Value) -> Result<Vec<Instance>, ValueError>,
) -> bool {
    let mut whole = true;
    for (key, at, written) in table.rest() {
        match value_of(written).and_then(|value| encode(key, &value)) {
            Ok(instances) => {
                let path = table.field(key);
                let places = places_of(written, at, instances.len());
                let with_place = instances.into_iter().zip(places);
                read.extend(with_place.map(|(instance, at)| Read { instance, path: path.clone(), at }));
            }
            Err(error) => {
                table.problem(place_of(written, at, &error.steps), key, error.to_string());
                whole = false;
            }
        }
    }
    whole
}

/// Where each of the instances of a value begins: several are written as an array or table with a value for each.
fn places_of(value: &DeValue<'_>, at: usize, count: usize) -> Vec<usize> {
    let inside: Vec<usize> = match value {
        DeValue::Array(values) => values.iter().map(|value| value.span().start).collect(),
        DeValue::Table(entries) => entries.iter().map(|(key, _)| key.span().start).collect(),
        _ => Vec::new(),
    };
    if count > 1 && inside.len() == count { inside } else { vec![at; count] }
}

/// Where the steps lead inside a value that begins at a place, as far as they can be gone.
fn place_of(value: &DeValue<'_>, at: usize, steps: &[Step]) -> usize {
    let Some((step, further)) = steps.split_first() else { return at };
    let inside = match (step, value) {
        (Step::Item(i) | Step::Field(i), DeValue::Array(values)) => {
            values.get(*i).map(|value| (value.span().start, value))
        }
        (Step::Key(wanted), DeValue::Table(entries)) => {
            let mut entries = entries.iter();
            entries.find(|(key, _)| key.get_ref() == wanted).map(|(key, value)| (key.span().start, value))
        }
        _ => None,
    };
    inside.map_or(at, |(at, value)| place_of(value.get_ref(), at, further))
}

fn value_of(value: &DeValue<'_>) -> Result<Value, ValueError> {
    Ok(match value {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Integer(number) => {
            let fail = || format!("{} is not a whole number from 0 on", number.as_str());
            Value::Integer(whole_number(value).ok_or_else(fail)?)
        }
        DeValue::Array(values) => {
            let item = |(i, value): (usize, &toml::Spanned<DeValue<'_>>)| {
                value_of(value.get_ref()).map_err(|error| error.inside(Step::Item(i)))
            };
            Value::List(values.iter().enumerate().map(item).collect::<Result<_, _>>()?)
        }
        DeValue::Table(entries) => {
            let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
                let key: &std::borrow::Cow<'_, str> = key.get_ref();
                let key = key.clone().into_owned();
                match value_of(value.get_ref()) {
                    Ok(value) => Ok((key, value)),
                    Err(error) => Err(error.inside(Step::Key(key))),
                }
            };
            Value::Table(entries.iter().map(entry).collect::<Result<_, ValueError>>()?)
        }
        DeValue::Float(_) | DeValue::Datetime(_) => {
            return Err(format!("no option has {} in its value", type_name(value)).into());
        }
    })
}
