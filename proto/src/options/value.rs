//! What people write for an option: a small tree of values, as TOML, JSON and others have them.
//!
//! Knows neither files nor types; [`super::encode`] and [`super::decode`] join it with octets. Owns the text form of
//! opaque octets, both ways.

/// A value as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A whole number.
    Integer(u64),
    /// Yes or no.
    Bool(bool),
    /// A text.
    Text(String),
    /// Several values.
    List(Vec<Value>),
    /// Values with names, in order.
    Table(Vec<(String, Value)>),
}

impl Value {
    /// What it is, for errors.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Integer(_) => "a whole number",
            Self::Bool(_) => "`true` or `false`",
            Self::Text(_) => "a string",
            Self::List(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

/// Reads octets: pairs of hexadecimal digits after `0x`, else the text itself.
///
/// # Errors
/// What to write.
pub fn octets_of(text: &str) -> Result<Vec<u8>, String> {
    let Some(digits) = text.strip_prefix("0x") else { return Ok(text.as_bytes().to_vec()) };
    let pair = |pair: &[u8]| {
        let [high, low] = pair else { return None };
        u8::try_from(char::from(*high).to_digit(16)? * 16 + char::from(*low).to_digit(16)?).ok()
    };
    let octets: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(pair).collect();
    octets.ok_or_else(|| format!("`{text}` is not hexadecimal: write 0x and pairs of digits, or plain text"))
}

/// Writes octets so that [`octets_of`] reads them: as text where that is plain.
#[must_use]
pub fn octets_text(octets: &[u8]) -> String {
    let plain =
        octets.iter().all(|octet| octet.is_ascii_graphic() || *octet == b' ') && !octets.starts_with(b"0x");
    if plain {
        octets.iter().copied().map(char::from).collect()
    } else {
        let digits = octets.iter().flat_map(|octet| [octet >> 4, octet & 15]);
        let digits = digits.filter_map(|digit| char::from_digit(digit.into(), 16));
        "0x".chars().chain(digits).collect()
    }
}
