//! From the text of a type to the type.
//!
//! Owns the words of the grammar. Bounded: as deep as [`super::DEPTH_MAX`], in one pass.

use super::{Count, DEPTH_MAX, Field, SubOption, Type};

pub(super) fn read(text: &str) -> Result<Type, String> {
    let mut reader = Reader { rest: text, depth: 0 };
    let ty = reader.record(None)?;
    reader.skip_space();
    if reader.rest.is_empty() { Ok(ty) } else { Err(reader.unexpected()) }
}

struct Reader<'t> {
    rest: &'t str,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn unexpected(&self) -> String {
        match self.rest.chars().next() {
            Some(_) => format!("cannot be understood from `{}` on", self.rest),
            None => "ends too early".to_owned(),
        }
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest.strip_prefix(token);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Letters, digits and `_`, beginning with a letter.
    fn word(&mut self) -> Option<&'t str> {
        self.skip_space();
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if !word.starts_with(|c: char| c.is_ascii_lowercase()) {
            return None;
        }
        self.rest = rest;
        Some(word)
    }

    fn number(&mut self) -> Result<Option<u32>, String> {
        self.skip_space();
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        if digits.is_empty() {
            return Ok(None);
        }
        self.rest = rest;
        digits.parse().map(Some).map_err(|_| format!("`{digits}` is too large a number"))
    }

    /// Items up to a closing bracket, or to the end; a single one without a name is no record.
    fn record(&mut self, close: Option<&str>) -> Result<Type, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("nests deeper than {DEPTH_MAX} brackets"));
        }
        let mut fields = Vec::new();
        let mut required = None;
        loop {
            if self.take("[") {
                required = Some(fields.len());
                fields.push(self.field()?);
                while self.take(",") {
                    fields.push(self.field()?);
                }
                self.expect("]")?;
                break;
            }
            fields.push(self.field()?);
            if !self.take(",") {
                break;
            }
        }
        if let Some(close) = close {
            self.expect(close)?;
        }
        self.depth -= 1;
        match (&mut fields[..], required) {
            ([Field { name: None, .. }], None) => Ok(fields.swap_remove(0).ty),
            _ => Ok(Type::Record { required: required.unwrap_or(fields.len()), fields }),
        }
    }

    fn field(&mut self) -> Result<Field, String> {
        let before = self.rest;
        let name = self.word().filter(|_| self.take(":")).map(str::to_owned);
        if name.is_none() {
            self.rest = before;
        }
        Ok(Field { name, ty: self.item()? })
    }

    fn item(&mut self) -> Result<Type, String> {
        let ty = self.part()?;
        let some = self.take("+");
        if some || self.take("*") { Ok(Type::List { item: Box::new(ty), some }) } else { Ok(ty) }
    }

    fn part(&mut self) -> Result<Type, String> {
        if self.take("(") {
            return self.record(Some(")"));
        }
        if self.take("{") {
            return self.sub_options(false);
        }
        self.skip_space();
        let at = self.rest;
        let Some(word) = self.word() else { return Err(self.unexpected()) };
        Ok(match word {
            "u8" => self.unsigned(1)?,
            "u16" => self.unsigned(2)?,
            "u32" => self.unsigned(4)?,
            "bool" => Type::Bool,
            "empty" => Type::Empty,
            "address" => Type::Address,
            "ipv4" => Type::Ipv4,
            "prefix" => Type::Prefix,
            "prefix4" => Type::Prefix4,
            "name" => Type::Name,
            "string" => Type::String,
            "opaque" => Type::Opaque,
            "len8" | "len16" => {
                let octets = if word == "len8" { 1 } else { 2 };
                self.expect("(")?;
                Type::Sized { octets, inner: Box::new(self.record(Some(")"))?) }
            }
            "one" => {
                self.expect("{")?;
                self.sub_options(true)?
            }
            _ => {
                self.rest = at;
                let known = "u8, u16, u32, bool, empty, address, ipv4, prefix, prefix4, name, string, opaque, len8(), \
                             len16(), (), {} and one{}";
                return Err(format!("`{word}` is no type: there are {known}"));
            }
        })
    }

    /// A number, with bounds in brackets.
    fn unsigned(&mut self, octets: usize) -> Result<Type, String> {
        let most = match octets {
            1 => u32::from(u8::MAX),
            2 => u32::from(u16::MAX),
            _ => u32::MAX,
        };
        let (mut min, mut max) = (0, most);
        if self.take("(") {
            min = self.number()?.unwrap_or(0);
            self.expect("..")?;
            max = self.number()?.unwrap_or(most);
            self.expect(")")?;
            if min > max || max > most {
                return Err(format!("{min}..{max} are no bounds of a number of {octets} octets"));
            }
        }
        Ok(Type::Unsigned { octets, min, max })
    }

    /// After the opening bracket.
    fn sub_options(&mut self, one: bool) -> Result<Type, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("nests deeper than {DEPTH_MAX} brackets"));
        }
        let mut known = Vec::new();
        if !self.take("}") {
            loop {
                known.push(self.sub_option()?);
                if !self.take(",") {
                    break;
                }
            }
            self.expect("}")?;
        }
        self.depth -= 1;
        known.sort_by_key(|sub: &SubOption| sub.code);
        Ok(Type::SubOptions { known, one })
    }

    fn sub_option(&mut self) -> Result<SubOption, String> {
        let Some(code) = self.number()? else { return Err(self.unexpected()) };
        let code = u16::try_from(code).map_err(|_| format!("{code} is above 65535, the highest code"))?;
        let name = self.word().ok_or_else(|| self.unexpected())?.to_owned();
        let count = if self.take("!") {
            Count::One
        } else if self.take("*") {
            Count::Any
        } else if self.take("+") {
            Count::Some
        } else {
            Count::AtMostOne
        };
        self.expect(":")?;
        Ok(SubOption { code, name, count, ty: self.item()? })
    }
}
