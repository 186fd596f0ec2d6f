//! From octets to the values that give them.
//!
//! Accepts the one form that [`super::encode`] writes, and nothing else: what decodes can be written down, read and sent
//! again as it was. Bounded by the data and the depth of the type.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::encode::{check_counts, encode_name, has_host_bits4};
use super::grammar::{Count, Field, SubOption, Type};
use super::value::{Value, octets_text};
use crate::words::Prefix;

/// The value that data of a type stands for.
///
/// # Errors
/// Where in the data, and what is wrong.
pub fn decode(ty: &Type, data: &[u8]) -> Result<Value, String> {
    let mut rest = data;
    let value = read(ty, &mut rest)?;
    match rest.len() {
        0 => Ok(value),
        left => Err(format!("has {left} octets too many")),
    }
}

fn read(ty: &Type, data: &mut &[u8]) -> Result<Value, String> {
    Ok(match ty {
        Type::Unsigned { octets, min, max } => {
            let number = take(data, *octets)?.iter().fold(0, |n, octet| (n << 8) | u32::from(*octet));
            if !(*min..=*max).contains(&number) {
                return Err(format!("is {number}, and must be from {min} to {max}"));
            }
            Value::Integer(number.into())
        }
        Type::Bool => match take(data, 1)? {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            _ => return Err("is neither 0 nor 1".to_owned()),
        },
        Type::Empty => Value::Bool(true),
        Type::Address => Value::Text(Ipv6Addr::from(fixed::<16>(data)?).to_string()),
        Type::Ipv4 => Value::Text(Ipv4Addr::from(fixed::<4>(data)?).to_string()),
        Type::Prefix => read_prefix(data)?,
        Type::Prefix4 => read_prefix4(data)?,
        Type::Name => Value::Text(read_name(data)?),
        Type::String => {
            let text = std::str::from_utf8(std::mem::take(data)).map_err(|_| "is not UTF-8".to_owned())?;
            if text.is_empty() || text.contains('\0') {
                return Err("is empty, or holds a NUL (SV-114)".to_owned());
            }
            Value::Text(text.to_owned())
        }
        Type::Opaque => Value::Text(octets_text(std::mem::take(data))),
        Type::List { item, some } => {
            let mut values = Vec::new();
            while !data.is_empty() {
                let place = format!("item {}", values.len() + 1);
                values.push(read(item, data).map_err(|error| format!("{place}: {error}"))?);
            }
            if *some && values.is_empty() {
                return Err("has no octets".to_owned());
            }
            Value::List(values)
        }
        Type::Sized { octets, inner } => {
            let len = take(data, *octets)?.iter().fold(0, |n, octet| (n << 8) | usize::from(*octet));
            decode(inner, take(data, len)?)?
        }
        Type::Record { fields, required } => read_record(fields, *required, data)?,
        Type::SubOptions { known, one } => read_sub_options(known, *one, data)?,
    })
}

fn take<'d>(data: &mut &'d [u8], len: usize) -> Result<&'d [u8], String> {
    let (taken, rest) = data.split_at_checked(len).ok_or_else(|| "ends too early".to_owned())?;
    *data = rest;
    Ok(taken)
}

fn fixed<const LEN: usize>(data: &mut &[u8]) -> Result<[u8; LEN], String> {
    let (taken, rest) = data.split_first_chunk().ok_or_else(|| "ends too early".to_owned())?;
    *data = rest;
    Ok(*taken)
}

fn read_prefix(data: &mut &[u8]) -> Result<Value, String> {
    let [len] = fixed(data)?;
    if len > 128 {
        return Err(format!("a prefix of {len} bits cannot be"));
    }
    let mut octets = [0; 16];
    let given = take(data, usize::from(len).div_ceil(8))?;
    octets[..given.len()].copy_from_slice(given);
    let bits = u128::from_be_bytes(octets);
    match Prefix::containing(bits, len.into()) {
        Ok(prefix) if prefix.bits() == bits => Ok(Value::Text(prefix.to_string())),
        _ => Err(format!("{} has bits set past its length of {len}", Ipv6Addr::from_bits(bits))),
    }
}

fn read_prefix4(data: &mut &[u8]) -> Result<Value, String> {
    let [len] = fixed(data)?;
    let address = Ipv4Addr::from(fixed::<4>(data)?);
    if len > 32 || has_host_bits4(address, len) {
        return Err(format!("{address}/{len} is not an IPv4 prefix"));
    }
    Ok(Value::Text(format!("{address}/{len}")))
}

fn read_name(data: &mut &[u8]) -> Result<String, String> {
    let mut labels: Vec<&str> = Vec::new();
    loop {
        let [len] = fixed(data)?;
        if len == 0 {
            break;
        }
        let label = std::str::from_utf8(take(data, len.into())?).map_err(|_| "is not a name".to_owned())?;
        labels.push(label);
    }
    let name = labels.join(".");
    // Says what may stand in a name; a dot inside a label gives more labels than there were.
    let encoded = encode_name(&name)?;
    let octets: usize = labels.iter().map(|label| label.len() + 1).sum();
    let whole = encoded.len() == octets + 1 && labels.iter().all(|label| !label.contains('.'));
    if whole { Ok(name) } else { Err("is not a name".to_owned()) }
}

fn read_record(fields: &[Field], required: usize, data: &mut &[u8]) -> Result<Value, String> {
    let mut values = Vec::new();
    for (i, field) in fields.iter().enumerate() {
        if i == required && data.is_empty() {
            break;
        }
        let place = field.name.clone().unwrap_or_else(|| format!("field {}", i + 1));
        let value = read(&field.ty, data).map_err(|error| format!("{place}: {error}"))?;
        values.push((field.name.clone(), value));
    }
    if fields.iter().all(|field| field.name.is_none()) {
        return Ok(Value::List(values.into_iter().map(|(_, value)| value).collect()));
    }
    let shown = fields.iter().zip(values).filter(|(field, (_, value))| !is_left_out(&field.ty, value));
    Ok(Value::Table(shown.filter_map(|(_, (name, value))| Some((name?, value))).collect()))
}

/// Whether a field need not be written, since [`super::encode`] has the same for it if it is not.
fn is_left_out(ty: &Type, value: &Value) -> bool {
    match (ty, value) {
        (Type::List { some: false, .. }, Value::List(values)) => values.is_empty(),
        (Type::SubOptions { .. }, Value::Table(entries)) => entries.is_empty(),
        _ => false,
    }
}

fn read_sub_options(known: &[SubOption], one: bool, data: &mut &[u8]) -> Result<Value, String> {
    let mut instances: Vec<(u16, &[u8])> = Vec::new();
    while !data.is_empty() {
        let code = u16::from_be_bytes(fixed(data)?);
        let len = u16::from_be_bytes(fixed(data)?);
        let content = take(data, len.into()).map_err(|error| format!("sub-option {code}: {error}"))?;
        if instances.last().is_some_and(|(before, _)| *before > code) {
            return Err(format!("sub-option {code} stands after a higher code"));
        }
        if one && SubOption::by_code(known, code).is_none() {
            return Err(format!("sub-option {code} is not known"));
        }
        instances.push((code, content));
    }
    check_counts(known, one, &instances.iter().map(|(code, _)| *code).collect::<Vec<_>>())?;
    let mut entries = Vec::new();
    for same in instances.chunk_by(|a, b| a.0 == b.0) {
        let code = same[0].0;
        let sub = SubOption::by_code(known, code);
        let mut values = Vec::new();
        for (_, content) in same {
            values.push(match sub {
                Some(sub) => decode(&sub.ty, content).map_err(|error| format!("{}: {error}", sub.name))?,
                None => Value::Text(octets_text(content)),
            });
        }
        let is_list = sub.map_or(values.len() > 1, |sub| matches!(sub.count, Count::Any | Count::Some));
        let value = if is_list { Value::List(values) } else { values.swap_remove(0) };
        entries.push((sub.map_or_else(|| code.to_string(), |sub| sub.name.clone()), value));
    }
    Ok(Value::Table(entries))
}
