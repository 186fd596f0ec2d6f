//! All options that a configuration may name: those of the catalogue, and those that the operator defined.
//!
//! Owns the way between what is written for a name and the instances that are sent. Knows types by [`super::grammar`],
//! and refuses to know places, files and messages.

use super::catalogue::{self, Entry, Form};
use super::decode::decode;
use super::encode::{EMPTY, each, encode, untyped};
use super::error::{Step, ValueError};
use super::grammar::{Count, SubOption, Type};
use super::rules::rule_of;
use super::value::{Value, octets_text};
use super::{OptionError, VENDOR_OPTS, enterprise_of};
use crate::v1;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The longest data that fits into an answer at all: 1500 octets without the headers of IPv6 and UDP (48), of the message
/// and of the option (4 each), and the shortest two identifiers (7 each). Source: SV-113.
pub const DATA_LEN_MAX: usize = 1430;
/// So many options an operator may define.
const DEFINITIONS_MAX: usize = 1000;
/// Keys of a table of options that are no names.
const KEYWORDS: [&str; 2] = ["force", "raw"];

/// What is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionError {
    /// Which definition, from 0.
    pub index: usize,
    /// Which field, as it is called in files.
    pub field: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

/// An option that the operator defined.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Defined {
    name: String,
    code: u16,
    /// Set for a sub-option of Vendor Opts.
    enterprise: Option<u32>,
    ty: Type,
}

/// One instance, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Option code.
    pub code: u16,
    /// Its data, without code and length.
    pub data: Vec<u8>,
}

/// The instances of one place as people write them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// By name.
    pub named: Vec<(String, Value)>,
    /// By code: those without a name.
    pub raw: Vec<(String, Value)>,
}

/// The options that a configuration may name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dictionary {
    defined: Vec<Defined>,
    /// The type of Vendor Opts of each enterprise with definitions.
    vendor: BTreeMap<u32, Type>,
}

/// What a name stands for.
enum Named<'d> {
    Known(&'static Entry),
    Defined(&'d Defined),
}

impl Dictionary {
    /// The catalogue and these definitions.
    ///
    /// # Errors
    /// Every definition that cannot be.
    pub fn new(definitions: &[v1::OptionDefinition]) -> Result<Self, Vec<DefinitionError>> {
        let mut dictionary = Self::default();
        let mut errors = Vec::new();
        for (index, definition) in definitions.iter().enumerate().take(DEFINITIONS_MAX) {
            match dictionary.define(definition) {
                Ok(defined) => dictionary.defined.push(defined),
                Err((field, message)) => errors.push(DefinitionError { index, field, message }),
            }
        }
        if definitions.len() > DEFINITIONS_MAX {
            let message = format!("there are {}, and at most {DEFINITIONS_MAX} may be", definitions.len());
            errors.push(DefinitionError { index: DEFINITIONS_MAX, field: "name", message });
        }
        dictionary.vendor = vendor_types(&dictionary.defined);
        if errors.is_empty() { Ok(dictionary) } else { Err(errors) }
    }

    fn define(&self, raw: &v1::OptionDefinition) -> Result<Defined, (&'static str, String)> {
        let name = &raw.name;
        let is_word = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && name.len() <= 63;
        if !is_word {
            let message = format!(
                "`{name}` is not usable: write 1 to 63 lowercase letters, digits and `_`, a letter first"
            );
            return Err(("name", message));
        }
        let code = u16::try_from(raw.code).map_err(|_| ("code", "is at most 65535".to_owned()))?;
        let mut alike = self.defined.iter().filter(|other| other.enterprise == raw.enterprise);
        if let Some(other) = alike.find(|other| other.name == *name || other.code == code) {
            let field = if other.name == *name { "name" } else { "code" };
            return Err((field, format!("`{}` with code {} is defined already", other.name, other.code)));
        }
        if raw.enterprise.is_none() {
            if catalogue::by_name(name).is_some() || KEYWORDS.contains(&name.as_str()) {
                return Err(("name", format!("`{name}` has a meaning of its own: choose another name")));
            }
            if let Some(entry) = catalogue::by_code(code) {
                return Err(("code", format!("{code} is `{}`, which needs no definition", entry.name)));
            }
            if let Some(reserved) = catalogue::reserved(code) {
                return Err(("code", format!("{code} cannot be configured: {}", reserved.what)));
            }
        }
        let ty = Type::parse(&raw.r#type).map_err(|error| ("type", error))?;
        Ok(Defined { name: name.clone(), code, enterprise: raw.enterprise, ty })
    }

    fn named(&self, name: &str) -> Option<Named<'_>> {
        let defined = self.defined.iter().find(|d| d.enterprise.is_none() && d.name == name);
        catalogue::by_name(name).map(Named::Known).or_else(|| defined.map(Named::Defined))
    }

    fn coded(&self, code: u16) -> Option<Named<'_>> {
        let defined = self.defined.iter().find(|d| d.enterprise.is_none() && d.code == code);
        catalogue::by_code(code).map(Named::Known).or_else(|| defined.map(Named::Defined))
    }

    /// The type of one instance of an option of the catalogue, behind the enterprise number if it has one.
    fn type_of(&self, entry: &Entry, enterprise: Option<u32>) -> Result<Cow<'_, Type>, String> {
        let vendor = enterprise.filter(|_| entry.code == VENDOR_OPTS);
        match vendor.and_then(|enterprise| self.vendor.get(&enterprise)) {
            Some(ty) => Ok(Cow::Borrowed(ty)),
            None => Type::parse(entry.ty).map(Cow::Owned),
        }
    }

    /// What is written for a name, as instances.
    ///
    /// # Errors
    /// When there is no such option, or the value does not fit: where, why, and what to write.
    pub fn encode(&self, name: &str, value: &Value) -> Result<Vec<Instance>, ValueError> {
        match self.named(name) {
            Some(Named::Known(entry)) => self.encode_known(entry, value),
            Some(Named::Defined(defined)) => {
                Ok(vec![Instance { code: defined.code, data: encode(&defined.ty, value)? }])
            }
            None => {
                let message =
                    "is not a known option: define it by [[option]], or write it under `raw` by its code";
                Err(message.to_owned().into())
            }
        }
    }

    fn encode_known(&self, entry: &Entry, value: &Value) -> Result<Vec<Instance>, ValueError> {
        let instance = |data| Instance { code: entry.code, data };
        match (entry.form, value) {
            (Form::Once, value) => {
                Ok(vec![instance(encode_one(entry, self.type_of(entry, None)?.as_ref(), value)?)])
            }
            (Form::Repeated, Value::List(values)) if values.is_empty() => Err(EMPTY.to_owned().into()),
            (Form::ByEnterprise, Value::Table(entries)) if entries.is_empty() => Err(EMPTY.to_owned().into()),
            (Form::Repeated, Value::List(values)) => {
                let ty = self.type_of(entry, None)?;
                each(values, |value| encode_one(entry, &ty, value).map(instance))
            }
            (Form::Repeated, value) => {
                Err(format!("must be an array of values, not {}", value.kind()).into())
            }
            (Form::ByEnterprise, Value::Table(entries)) => {
                let one = |(key, value): &(String, Value)| {
                    let data = self.encode_enterprise(entry, key, value);
                    data.map(instance).map_err(|error| error.inside(Step::Key(key.clone())))
                };
                entries.iter().map(one).collect()
            }
            (Form::ByEnterprise, value) => {
                Err(format!("must be a table of values by enterprise number, not {}", value.kind()).into())
            }
        }
    }

    fn encode_enterprise(&self, entry: &Entry, key: &str, value: &Value) -> Result<Vec<u8>, ValueError> {
        // Written in one way only, so that no enterprise stands twice (OP-02).
        let number = key.parse::<u32>().ok().filter(|number| number.to_string() == key);
        let number = number.ok_or_else(|| "is not an enterprise number".to_owned())?;
        let mut data = number.to_be_bytes().to_vec();
        data.extend(encode(self.type_of(entry, Some(number))?.as_ref(), value)?);
        Ok(data)
    }

    /// What is written under `raw` for a code, as instances.
    ///
    /// # Errors
    /// What to write.
    pub fn encode_raw(&self, code: &str, value: &Value) -> Result<Vec<Instance>, ValueError> {
        let number = code.parse::<u16>().ok().filter(|number| number.to_string() == code);
        let code = number.ok_or_else(|| format!("`{code}` is not an option code"))?;
        Ok(untyped(value)?.into_iter().map(|data| Instance { code, data }).collect())
    }

    /// What people write for the instances of one place; each code is written where its first instance stands.
    #[must_use]
    pub fn decode(&self, instances: &[Instance]) -> Written {
        let mut written = Written::default();
        for (i, first) in instances.iter().enumerate() {
            let code = first.code;
            if instances[..i].iter().any(|before| before.code == code) {
                continue;
            }
            let same: Vec<&[u8]> = instances
                .iter()
                .filter(|other| other.code == code)
                .map(|other| other.data.as_slice())
                .collect();
            match self.decode_named(code, &same) {
                Some((name, value)) => written.named.push((name, value)),
                None => written.raw.push((code.to_string(), raw_value(&same))),
            }
        }
        written
    }

    /// Nothing when the code has no name, or the data is not what its type says.
    fn decode_named(&self, code: u16, data: &[&[u8]]) -> Option<(String, Value)> {
        match (self.coded(code)?, data) {
            (Named::Defined(defined), [one]) => Some((defined.name.clone(), decode(&defined.ty, one).ok()?)),
            (Named::Known(entry), data) => {
                let value = match (entry.form, data) {
                    (Form::Once, [one]) => decode(self.type_of(entry, None).ok()?.as_ref(), one).ok()?,
                    (Form::Once, _) => return None,
                    (Form::Repeated, data) => {
                        let ty = self.type_of(entry, None).ok()?;
                        Value::List(data.iter().map(|one| decode(&ty, one).ok()).collect::<Option<_>>()?)
                    }
                    (Form::ByEnterprise, data) => {
                        let each = data.iter().map(|one| self.decode_enterprise(entry, one));
                        Value::Table(each.collect::<Option<_>>()?)
                    }
                };
                Some((entry.name.to_owned(), value))
            }
            _ => None,
        }
    }

    fn decode_enterprise(&self, entry: &Entry, data: &[u8]) -> Option<(String, Value)> {
        let number = enterprise_of(entry.code, data)?;
        let ty = self.type_of(entry, Some(number)).ok()?;
        Some((number.to_string(), decode(&ty, &data[4..]).ok()?))
    }

    /// What `force` calls an instance: its name, with the enterprise number where there is one for each, or its code.
    #[must_use]
    pub fn name_of(&self, instance: &Instance) -> String {
        let name = match self.coded(instance.code) {
            Some(Named::Known(entry)) => entry.name.to_owned(),
            Some(Named::Defined(defined)) => defined.name.clone(),
            None => instance.code.to_string(),
        };
        match enterprise_of(instance.code, &instance.data) {
            Some(enterprise) => format!("{name}.{enterprise}"),
            None => name,
        }
    }

    /// Whether several instances may stand at one place (those of one enterprise are told apart before).
    #[must_use]
    pub fn is_repeatable(&self, code: u16) -> bool {
        match self.coded(code) {
            Some(Named::Known(entry)) => entry.form == Form::Repeated,
            Some(Named::Defined(_)) => false,
            None => true,
        }
    }

    /// Whether a value may be configured for a code, and has the shape that the code demands.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, code: u32, data: &[u8]) -> Result<(), OptionError> {
        self.check_value(code, data).map_err(|message| OptionError { code, message })
    }

    fn check_value(&self, code: u32, data: &[u8]) -> Result<(), String> {
        let code = u16::try_from(code).map_err(|_| "a code is from 1 to 65535".to_owned())?;
        if let Some(reserved) = catalogue::reserved(code) {
            return Err(format!("cannot be configured: {}", reserved.what));
        }
        if data.len() > DATA_LEN_MAX {
            let len = data.len();
            return Err(format!(
                "is {len} octets long, and at most {DATA_LEN_MAX} ever fit into an answer (SV-113)"
            ));
        }
        match self.coded(code) {
            None => Ok(()),
            Some(Named::Defined(defined)) => check_type(&defined.ty, data).map(drop),
            Some(Named::Known(entry)) if entry.form == Form::ByEnterprise => {
                let enterprise = enterprise_of(code, data).ok_or("has no enterprise number")?;
                check_type(self.type_of(entry, Some(enterprise))?.as_ref(), &data[4..]).map(drop)
            }
            Some(Named::Known(entry)) => {
                let value = check_type(self.type_of(entry, None)?.as_ref(), data)?;
                rule_of(entry.code).map_or(Ok(()), |rule| rule(&value)).map_err(|error| error.to_string())
            }
        }
    }
}

/// What Vendor Opts look like, by enterprise. Made once: there may be many definitions, and many values.
fn vendor_types(defined: &[Defined]) -> BTreeMap<u32, Type> {
    let mut subs: BTreeMap<u32, Vec<SubOption>> = BTreeMap::new();
    for Defined { name, code, enterprise, ty } in defined {
        if let Some(enterprise) = enterprise {
            let (name, ty) = (name.clone(), ty.clone());
            let sub = SubOption { code: *code, name, count: Count::AtMostOne, ty };
            subs.entry(*enterprise).or_default().push(sub);
        }
    }
    let sorted = |(enterprise, mut known): (u32, Vec<SubOption>)| {
        known.sort_by_key(|sub| sub.code);
        (enterprise, Type::SubOptions { known, one: false })
    };
    subs.into_iter().map(sorted).collect()
}

/// One value of an option of the catalogue.
fn encode_one(entry: &Entry, ty: &Type, value: &Value) -> Result<Vec<u8>, ValueError> {
    let data = encode(ty, value)?;
    if let Some(rule) = rule_of(entry.code) {
        rule(&decode(ty, &data)?)?;
    }
    Ok(data)
}

/// Data that reads, and reads back as itself: its value.
fn check_type(ty: &Type, data: &[u8]) -> Result<Value, String> {
    let value = decode(ty, data)?;
    if encode(ty, &value).map_err(|error| error.to_string())? == data {
        Ok(value)
    } else {
        Err("is not in the one form that its type has".to_owned())
    }
}

fn raw_value(data: &[&[u8]]) -> Value {
    let mut values: Vec<Value> = data.iter().map(|one| Value::Text(octets_text(one))).collect();
    if values.len() == 1 { values.swap_remove(0) } else { Value::List(values) }
}
