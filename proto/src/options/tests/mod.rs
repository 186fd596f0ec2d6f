//! What is written against what is sent: vectors computed by hand, the grammar, what is refused, a second opinion.

mod differential;
mod document;
mod grammar;
mod refused;
mod round_trip;
mod rules;
mod vectors;

use super::*;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn number(number: u64) -> Value {
    Value::Integer(number)
}

fn list(values: impl IntoIterator<Item = Value>) -> Value {
    Value::List(values.into_iter().collect())
}

fn texts<const N: usize>(values: [&str; N]) -> Value {
    list(values.map(text))
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Table(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Octets of hexadecimal digits; spaces are for the reader.
fn hex(digits: &str) -> Vec<u8> {
    octets_of(&format!("0x{}", digits.replace(char::is_whitespace, ""))).unwrap()
}

/// The data of all instances of a value.
fn sent(name: &str, value: &Value) -> Vec<Vec<u8>> {
    let instances =
        Dictionary::default().encode(name, value).unwrap_or_else(|error| panic!("{name}: {error}"));
    instances.into_iter().map(|instance| instance.data).collect()
}
