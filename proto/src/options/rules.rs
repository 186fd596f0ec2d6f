//! What the document of an option forbids though its type would let it pass.
//!
//! Knows options of the catalogue by their codes, and their values as [`super::decode`] reads them, so that names stand
//! for what is known and octets for the rest. Refuses to know how values are written or sent.

use super::encode::each;
use super::error::{Step, ValueError};
use super::value::Value;

/// What a value must keep beside its type.
type Rule = fn(&Value) -> Result<(), ValueError>;

/// The rule of an option, if it has one.
pub(super) fn rule_of(code: u16) -> Option<Rule> {
    match code {
        94..=96 => Some(softwire),
        144 => Some(service_parameters),
        _ => None,
    }
}

/// Port parameters, wherever in MAP-E, MAP-T and lightweight 4over6 they stand.
fn softwire(value: &Value) -> Result<(), ValueError> {
    match value {
        Value::List(values) => each(values, softwire).map(drop),
        Value::Table(entries) => entries.iter().try_for_each(|(key, value)| {
            let said = if key == "ports" { port_parameters(value) } else { softwire(value) };
            said.map_err(|error| error.inside(Step::Key(key.clone())))
        }),
        _ => Ok(()),
    }
}

/// The PSID begins on the left of its field, zeros follow, and it has room in a port behind the offset. Source: RFC 7598
/// §4.5.
fn port_parameters(value: &Value) -> Result<(), ValueError> {
    const PORT_BITS: u64 = 16;
    let (offset, len, psid) = (number(value, "offset"), number(value, "psid_length"), number(value, "psid"));
    let wrong = |key: &str, message: String| Err(ValueError::from(message).inside(Step::Key(key.to_owned())));
    if offset + len > PORT_BITS {
        let message = format!(
            "{len} bits behind an offset of {offset} are more than the {PORT_BITS} of a port (RFC 7598 §4.5)"
        );
        return wrong("psid_length", message);
    }
    let behind = PORT_BITS - len;
    let zeros = psid >> behind << behind;
    if psid == zeros {
        return Ok(());
    }
    let message = if len == 0 {
        "must be 0 without a `psid_length` (RFC 7598 §4.5)".to_owned()
    } else {
        let remedy = match psid >> len {
            0 => format!("write 0x{:04x} for PSID {psid}", psid << behind),
            _ => format!("write zeros there, as 0x{zeros:04x}"),
        };
        format!("has bits behind its first {len} (RFC 7598 §4.5): {remedy}")
    };
    wrong("psid", message)
}

/// Keys that encrypted DNS has no use for, since the addresses stand in the option itself (RFC 9463), and keys that stand
/// twice, for which a client takes all of them for broken (RFC 9460 §2.2).
fn service_parameters(value: &Value) -> Result<(), ValueError> {
    for (key, value) in entries(field(value, "parameters")) {
        let is_known = !key.starts_with(|c: char| c.is_ascii_digit());
        let message = match (key.as_str(), value) {
            ("4", _) => hint("ipv4hint"),
            ("6", _) => hint("ipv6hint"),
            (_, Value::List(values)) if !is_known => {
                format!("stands there {} times, and may once (RFC 9460 §2.2)", values.len())
            }
            _ => continue,
        };
        let error = ValueError::from(message).inside(Step::Key(key.clone()));
        return Err(error.inside(Step::Key("parameters".to_owned())));
    }
    Ok(())
}

fn hint(name: &str) -> String {
    format!("is {name}, which may not stand here: write `addresses` (RFC 9463)")
}

fn entries(value: Option<&Value>) -> &[(String, Value)] {
    match value {
        Some(Value::Table(entries)) => entries,
        _ => &[],
    }
}

fn field<'v>(table: &'v Value, name: &str) -> Option<&'v Value> {
    entries(Some(table)).iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// A number that the type demands.
fn number(table: &Value, name: &str) -> u64 {
    match field(table, name) {
        Some(Value::Integer(number)) => *number,
        _ => 0,
    }
}
