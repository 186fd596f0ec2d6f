//! The type grammar: what the data of an option looks like, for the catalogue and for options that operators define.
//!
//! Owns the types and reads them from text, refusing those whose data could not be read back: a field of open length
//! must be the last of what encloses it. Knows no values. `docs/options.md` explains it; in short:
//!
//! ```text
//! type = item *("," item) ["," "[" item *("," item) "]"]   a record; what is in [] may be left out as a whole
//! item = [name ":"] part ["*" / "+"]                       * any number of it, + at least one
//! part = "u8" / "u16" / "u32" ["(" min ".." max ")"] / "bool" / "empty" / "address" / "ipv4" / "prefix" / "prefix4"
//!      / "name" / "string" / "opaque" / "len8(" type ")" / "len16(" type ")" / "(" type ")"
//!      / ["one"] "{" [sub *("," sub)] "}"                  sub-options by code
//! sub  = code name ["!" / "*" / "+"] ":" item              ! exactly one, * any number, + at least one, else at most one
//! ```

mod reader;

/// How deep types may nest, in brackets: guards the stack.
const DEPTH_MAX: usize = 8;
/// The longest text of a type, in octets.
const TEXT_LEN_MAX: usize = 1000;

/// What a piece of data looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// A number in network order.
    Unsigned {
        /// 1, 2 or 4 octets.
        octets: usize,
        /// The least that is allowed.
        min: u32,
        /// The most that is allowed.
        max: u32,
    },
    /// One octet, 0 or 1.
    Bool,
    /// Nothing at all.
    Empty,
    /// An IPv6 address.
    Address,
    /// An IPv4 address.
    Ipv4,
    /// The length of an IPv6 prefix in one octet, and as many octets as hold that many bits (RFC 7598 §4.1).
    Prefix,
    /// The length of an IPv4 prefix in one octet, and four octets (RFC 7598 §4.1).
    Prefix4,
    /// A domain name, uncompressed (RFC 9915 §10).
    Name,
    /// Text in UTF-8, at least one octet and no NUL (SV-114).
    String,
    /// Octets.
    Opaque,
    /// Several of a kind, one after the other.
    List {
        /// What each looks like.
        item: Box<Type>,
        /// Whether there must be one.
        some: bool,
    },
    /// A length in 1 or 2 octets, and so many octets.
    Sized {
        /// Octets of the length.
        octets: usize,
        /// What follows.
        inner: Box<Type>,
    },
    /// Fields one after the other.
    Record {
        /// The fields; all have names, or none has.
        fields: Vec<Field>,
        /// How many of them must be there; the others may be left out together.
        required: usize,
    },
    /// Options inside this one, each with a code and a length of two octets, by rising code.
    SubOptions {
        /// Those that are known, by rising code; any other may stand there as well.
        known: Vec<SubOption>,
        /// Whether there is exactly one, and a known one.
        one: bool,
    },
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: Option<String>,
    /// What it looks like.
    pub ty: Type,
}

/// An option inside another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubOption {
    /// Its code there.
    pub code: u16,
    /// Its name.
    pub name: String,
    /// How often it may stand.
    pub count: Count,
    /// What its data looks like.
    pub ty: Type,
}

/// How often a sub-option may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Once or not at all.
    AtMostOne,
    /// Once.
    One,
    /// Any number of times.
    Any,
    /// Any number of times but none.
    Some,
}

impl SubOption {
    /// That of a code. There may be as many as an operator defined, so that they are not gone through one by one.
    pub(super) fn by_code(known: &[Self], code: u16) -> Option<&Self> {
        known.binary_search_by_key(&code, |sub| sub.code).ok().map(|at| &known[at])
    }
}

impl Count {
    /// Whether several are written as an array.
    #[must_use]
    pub fn is_list(self) -> bool {
        matches!(self, Self::Any | Self::Some)
    }

    /// Whether there must be one.
    #[must_use]
    pub fn is_required(self) -> bool {
        matches!(self, Self::One | Self::Some)
    }
}

impl Type {
    /// Reads a type.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > TEXT_LEN_MAX {
            return Err(format!("is longer than {TEXT_LEN_MAX} octets"));
        }
        let ty = reader::read(text)?;
        ty.check()?;
        Ok(ty)
    }

    /// Whether its end is not seen from its data, so that it takes whatever is left.
    fn is_open(&self) -> bool {
        match self {
            Self::String | Self::Opaque | Self::List { .. } | Self::SubOptions { .. } => true,
            Self::Record { fields, required } => {
                *required < fields.len() || fields.iter().any(|field| field.ty.is_open())
            }
            _ => false,
        }
    }

    /// Whether it may have no octets.
    fn may_be_empty(&self) -> bool {
        match self {
            Self::Empty | Self::Opaque | Self::SubOptions { one: false, .. } => true,
            Self::List { some, .. } => !some,
            Self::Record { fields, required } => {
                fields[..*required].iter().all(|field| field.ty.may_be_empty())
            }
            _ => false,
        }
    }

    /// Refuses what could not be read back.
    fn check(&self) -> Result<(), String> {
        match self {
            Self::List { item, .. } => {
                if item.is_open() {
                    let remedy = "give each a length, as len16(string)*";
                    return Err(format!("a list cannot tell where one item of open length ends: {remedy}"));
                }
                if item.may_be_empty() {
                    return Err("a list of what has no octets has no end".to_owned());
                }
                item.check()
            }
            Self::Sized { inner, .. } => inner.check(),
            Self::Record { fields, required } => check_record(fields, *required),
            Self::SubOptions { known, one } => {
                if *one && known.is_empty() {
                    return Err("`one{}` names no sub-option".to_owned());
                }
                for (i, sub) in known.iter().enumerate() {
                    if let Some(other) =
                        known[..i].iter().find(|other| other.code == sub.code || other.name == sub.name)
                    {
                        return Err(format!(
                            "sub-options {} `{}` and {} `{}` are alike: codes and names are unique",
                            other.code, other.name, sub.code, sub.name
                        ));
                    }
                    sub.ty.check()?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn check_record(fields: &[Field], required: usize) -> Result<(), String> {
    let named = fields.iter().filter(|field| field.name.is_some()).count();
    if named != 0 && named != fields.len() {
        return Err("either all fields of a record have names, or none has".to_owned());
    }
    for (i, field) in fields.iter().enumerate() {
        if field.ty.is_open() && (i + 1 < fields.len()) {
            return Err(
                "a field of open length must be the last, or stand inside len8() or len16()".to_owned()
            );
        }
        if let Some(name) = field.name.as_ref().filter(|_| fields[..i].iter().any(|f| f.name == field.name)) {
            return Err(format!("two fields are called `{name}`"));
        }
        field.ty.check()?;
    }
    if required < fields.len() && fields[required..].iter().all(|field| field.ty.may_be_empty()) {
        return Err("what is in [] may be empty, so that nobody sees whether it is there".to_owned());
    }
    Ok(())
}
