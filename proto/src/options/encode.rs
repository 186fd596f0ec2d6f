//! From values as they are written to octets as they are sent.
//!
//! Knows types and values; refuses whatever does not fit, naming the place inside the value and what to write.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::error::{Step, ValueError};
use super::grammar::{Count, Field, SubOption, Type};
use super::value::{Value, octets_of};
use crate::words::Prefix;

/// Said of an array, table or text without anything in it: it would be kept as nothing, and nobody would notice.
pub(super) const EMPTY: &str = "is empty: leave it out";

/// The octets of a value of a type.
///
/// # Errors
/// Where in the value, what is wrong, and what to write.
pub fn encode(ty: &Type, value: &Value) -> Result<Vec<u8>, ValueError> {
    let mut out = Vec::new();
    write(ty, value, &mut out)?;
    Ok(out)
}

fn write(ty: &Type, value: &Value, out: &mut Vec<u8>) -> Result<(), ValueError> {
    match ty {
        Type::Unsigned { octets, min, max } => {
            let Value::Integer(number) = value else { return Err(wrong("a whole number", value).into()) };
            let number = u32::try_from(*number).ok().filter(|n| (min..=max).contains(&n));
            let number = number.ok_or_else(|| format!("must be from {min} to {max}"))?;
            out.extend(&number.to_be_bytes()[4 - octets..]);
        }
        Type::Bool => match value {
            Value::Bool(flag) => out.push(u8::from(*flag)),
            _ => return Err(wrong("`true` or `false`", value).into()),
        },
        Type::Empty => match value {
            Value::Bool(true) => {}
            _ => return Err("has no value: write `true`, or leave it out".to_owned().into()),
        },
        Type::Address => out.extend(parsed::<Ipv6Addr>(value, "an IPv6 address")?.octets()),
        Type::Ipv4 => out.extend(parsed::<Ipv4Addr>(value, "an IPv4 address")?.octets()),
        Type::Prefix => write_prefix(text(value, "an IPv6 prefix, as 2001:db8::/32")?, out)?,
        Type::Prefix4 => write_prefix4(text(value, "an IPv4 prefix, as 192.0.2.0/24")?, out)?,
        Type::Name => out.extend(encode_name(text(value, "a domain name")?)?),
        Type::String => out.extend(checked_text(text(value, "a string")?)?.bytes()),
        Type::Opaque => out.extend(octets_of(text(value, "octets, as \"0x0102\" or plain text,")?)?),
        Type::List { item, some } => {
            let Value::List(values) = value else { return Err(wrong("an array", value).into()) };
            if *some && values.is_empty() {
                return Err(EMPTY.to_owned().into());
            }
            for (i, value) in values.iter().enumerate() {
                write(item, value, out).map_err(|error| error.inside(Step::Item(i)))?;
            }
        }
        Type::Sized { octets, inner } => {
            let data = encode(inner, value)?;
            let max = if *octets == 1 { usize::from(u8::MAX) } else { usize::from(u16::MAX) };
            if data.len() > max {
                return Err(format!("is {} octets long, and at most {max} fit", data.len()).into());
            }
            out.extend(&data.len().to_be_bytes()[size_of::<usize>() - octets..]);
            out.extend(data);
        }
        Type::Record { fields, required } => write_record(fields, *required, value, out)?,
        Type::SubOptions { known, one } => write_sub_options(known, *one, value, out)?,
    }
    Ok(())
}

fn wrong(wanted: &str, found: &Value) -> String {
    format!("must be {wanted}, not {}", found.kind())
}

fn text<'v>(value: &'v Value, wanted: &str) -> Result<&'v str, String> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(wrong(&format!("{wanted} in quotes"), value)),
    }
}

fn parsed<T: std::str::FromStr>(value: &Value, wanted: &str) -> Result<T, String> {
    let text = text(value, wanted)?;
    text.parse().map_err(|_| format!("`{text}` is not {wanted}"))
}

fn checked_text(text: &str) -> Result<&str, String> {
    if text.is_empty() {
        Err(EMPTY.to_owned())
    } else if text.contains('\0') {
        Err("holds a NUL, which texts do not end with here (SV-114)".to_owned())
    } else {
        Ok(text)
    }
}

fn write_prefix(text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    // `::/0` is how an absent prefix is said in some options; `Prefix` allows it too.
    let prefix: Prefix = text.parse()?;
    out.push(prefix.len_bits());
    let len = usize::from(prefix.len_bits()).div_ceil(8);
    out.extend(&prefix.bits().to_be_bytes()[..len]);
    Ok(())
}

fn write_prefix4(text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let fail = || format!("`{text}` is not an IPv4 prefix: write ADDRESS/LENGTH");
    let (address, len) = text.split_once('/').ok_or_else(fail)?;
    let address: Ipv4Addr = address.parse().map_err(|_| fail())?;
    let len: u8 = len.parse().ok().filter(|len| *len <= 32).ok_or_else(fail)?;
    if has_host_bits4(address, len) {
        return Err(format!("{address} has bits set past its length of {len}: write them zero"));
    }
    out.push(len);
    out.extend(address.octets());
    Ok(())
}

/// Whether bits are set past a length of at most 32 bits.
pub(super) fn has_host_bits4(address: Ipv4Addr, len: u8) -> bool {
    address.to_bits() & u32::MAX.checked_shr(len.into()).unwrap_or(0) != 0
}

/// A name in uncompressed DNS wire form (RFC 9915 §10).
///
/// # Errors
/// When it is no domain name: says why.
pub fn encode_name(name: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    for label in name.strip_suffix('.').unwrap_or(name).split('.') {
        let fits = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        match u8::try_from(label.len()) {
            Ok(len) if (1..=63).contains(&len) && fits => {
                out.push(len);
                out.extend(label.bytes());
            }
            _ => {
                return Err(format!(
                    "`{name}` is not a domain name: labels are 1 to 63 letters, digits, `-` or `_`"
                ));
            }
        }
    }
    out.push(0);
    if out.len() > 255 { Err(format!("`{name}` is longer than 255 octets")) } else { Ok(out) }
}

/// The values of the fields, in their order: from a table where they have names, else from an array. Nothing stands for
/// a field that is not written.
fn field_values<'v>(
    fields: &[Field],
    required: usize,
    value: &'v Value,
) -> Result<Vec<Option<&'v Value>>, String> {
    if fields.iter().all(|field| field.name.is_none()) {
        let Value::List(values) = value else { return Err(wrong("an array of the fields", value)) };
        if values.len() != required && values.len() != fields.len() {
            let or_all = if required == fields.len() { String::new() } else { format!(" or {required}") };
            return Err(format!("has {} fields, not {}{or_all}", values.len(), fields.len()));
        }
        return Ok((0..fields.len()).map(|i| values.get(i)).collect());
    }
    let names = || fields.iter().filter_map(|field| field.name.as_deref());
    let Value::Table(entries) = value else {
        let list = names().collect::<Vec<_>>().join(", ");
        return Err(wrong(&format!("a table of {list}"), value));
    };
    for (key, _) in entries {
        if !names().any(|name| name == key) {
            let list = names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            return Err(format!("`{key}` is not known here; known are {list}"));
        }
    }
    let find = |name: &str| entries.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    Ok(fields.iter().map(|field| field.name.as_deref().and_then(find)).collect())
}

fn write_record(
    fields: &[Field],
    required: usize,
    value: &Value,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let values = field_values(fields, required, value)?;
    let is_whole = values[required..].iter().any(Option::is_some);
    let written = if is_whole { fields.len() } else { required };
    for (i, (field, value)) in fields.iter().zip(values).take(written).enumerate() {
        let step = field.name.clone().map_or(Step::Field(i), Step::Key);
        match (value, &field.ty) {
            (Some(value), ty) => write(ty, value, out).map_err(|error| error.inside(step))?,
            // What may be empty need not be written.
            (None, Type::List { some: false, .. }) => {}
            (None, Type::SubOptions { known, one }) => {
                write_sub_options(known, *one, &Value::Table(Vec::new()), out)
                    .map_err(|error| error.inside(step))?;
            }
            (None, _) => return Err(format!("{step} is missing").into()),
        }
    }
    Ok(())
}

fn write_sub_options(
    known: &[SubOption],
    one: bool,
    value: &Value,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let Value::Table(entries) = value else {
        return Err(wrong("a table of sub-options by name or code", value).into());
    };
    let mut instances: Vec<(u16, Vec<u8>)> = Vec::new();
    let mut from = 0;
    for (key, value) in entries {
        // From the last one on: keys mostly come in the order of codes, and there may be many.
        let mut places = (from..known.len()).chain(0..from);
        let at = if is_code(key) { None } else { places.find(|at| known[*at].name == *key) };
        from = at.map_or(from, |at| at + 1);
        let by_name = at.map(|at| &known[at]);
        let (code, data) = match by_name {
            Some(sub) => (sub.code, known_instances(sub, value)),
            None => (unknown_code(known, one, key)?, untyped(value)),
        };
        let data = data.map_err(|error| error.inside(Step::Key(key.clone())))?;
        instances.extend(data.into_iter().map(|data| (code, data)));
    }
    instances.sort_by_key(|(code, _)| *code);
    check_counts(known, one, &instances.iter().map(|(code, _)| *code).collect::<Vec<_>>())?;
    for (code, data) in instances {
        let len = u16::try_from(data.len()).map_err(|_| format!("sub-option {code} is too long"))?;
        out.extend(code.to_be_bytes());
        out.extend(len.to_be_bytes());
        out.extend(data);
    }
    Ok(())
}

/// Whether a key can only be a code: names begin with a letter.
fn is_code(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_digit())
}

fn unknown_code(known: &[SubOption], one: bool, key: &str) -> Result<u16, String> {
    let list = || known.iter().map(|sub| format!("`{}`", sub.name)).collect::<Vec<_>>().join(", ");
    // Written in one way only, so that no key stands twice.
    let code = key.parse::<u16>().ok().filter(|code| !one && code.to_string() == key);
    match code {
        Some(code) => match SubOption::by_code(known, code) {
            Some(sub) => Err(format!("`{key}` is called `{}`", sub.name)),
            None => Ok(code),
        },
        None if known.is_empty() => Err(format!("`{key}` is not the code of a sub-option")),
        None if one => Err(format!("`{key}` is not known here; known are {}", list())),
        None => Err(format!("`{key}` is not known here; known are {}, and codes", list())),
    }
}

/// How often the known sub-options stand; codes rise.
pub(super) fn check_counts(known: &[SubOption], one: bool, codes: &[u16]) -> Result<(), String> {
    if one && codes.len() != 1 {
        let list = known.iter().map(|sub| format!("`{}`", sub.name)).collect::<Vec<_>>().join(", ");
        return Err(format!("must have exactly one of {list}"));
    }
    let required = known.iter().filter(|sub| sub.count.is_required());
    for sub in required {
        if codes.binary_search(&sub.code).is_err() {
            return Err(format!("`{}` is missing", sub.name));
        }
    }
    for same in codes.chunk_by(|a, b| a == b).filter(|same| same.len() > 1) {
        if let Some(sub) = SubOption::by_code(known, same[0]).filter(|sub| !sub.count.is_list()) {
            return Err(format!("`{}` stands there {} times", sub.name, same.len()));
        }
    }
    Ok(())
}

fn known_instances(sub: &SubOption, value: &Value) -> Result<Vec<Vec<u8>>, ValueError> {
    match (sub.count, value) {
        (Count::AtMostOne | Count::One, value) => Ok(vec![encode(&sub.ty, value)?]),
        (_, Value::List(values)) => each(values, |value| encode(&sub.ty, value)),
        (_, value) => Err(wrong("an array", value).into()),
    }
}

/// One result for each item of an array.
pub(super) fn each<T>(
    values: &[Value],
    one: impl Fn(&Value) -> Result<T, ValueError>,
) -> Result<Vec<T>, ValueError> {
    let one = |(i, value)| one(value).map_err(|error| error.inside(Step::Item(i)));
    values.iter().enumerate().map(one).collect()
}

/// Instances of something without a definition: octets, a table of `type` and `value`, or an array of these.
///
/// # Errors
/// What to write.
pub(super) fn untyped(value: &Value) -> Result<Vec<Vec<u8>>, ValueError> {
    match value {
        Value::List(values) if values.is_empty() => Err(EMPTY.to_owned().into()),
        Value::List(values) => each(values, untyped_one),
        value => Ok(vec![untyped_one(value)?]),
    }
}

fn untyped_one(value: &Value) -> Result<Vec<u8>, ValueError> {
    let Value::Table(entries) = value else {
        let wanted = "octets, as \"0x0102\" or plain text, or a table of `type` and `value`,";
        return Ok(octets_of(text(value, wanted)?)?);
    };
    match &entries[..] {
        [(a, ty), (b, value)] | [(b, value), (a, ty)] if a == "type" && b == "value" => {
            let parsed = text(ty, "a type").and_then(Type::parse);
            let ty = parsed.map_err(|error| ValueError::from(error).inside(Step::Key(a.clone())))?;
            encode(&ty, value).map_err(|error| error.inside(Step::Key(b.clone())))
        }
        _ => Err("must be octets, or a table of `type` and `value`".to_owned().into()),
    }
}
