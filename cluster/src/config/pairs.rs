//! Octets as pairs of hexadecimal digits, and numbers, as people write them: nothing but digits.
//!
//! Owns these text forms for files and arguments alike. Refuses to know what the octets are.

use std::str::FromStr;

/// Reads `52:54:00:12:34:56` or `52-54-00-12-34-56`, at least one pair.
pub(crate) fn parse_pairs(text: &str) -> Option<Vec<u8>> {
    let between = if text.contains('-') { '-' } else { ':' };
    let octet = |pair: &str| {
        let digits = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        u8::from_str_radix(pair, 16).ok().filter(|_| digits)
    };
    text.split(between).map(octet).collect()
}

/// Reads a number of decimal digits: no sign, which Rust's own reader takes.
pub(crate) fn parse_digits<N: FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_numbers_are_digits_only() {
        assert_eq!(parse_pairs("0a:Bc:00"), Some(vec![10, 0xbc, 0]));
        assert_eq!(parse_pairs("0a-Bc-00"), Some(vec![10, 0xbc, 0]));
        for wrong in
            ["", "0", "0a:", ":0a", "0a:b", "0a-0b:0c", "+1:00", "00:+1", "0a 0b", "5g", "0a::0b", "é:00"]
        {
            assert_eq!(parse_pairs(wrong), None, "{wrong}");
        }
        assert_eq!((parse_digits("65535"), parse_digits("007")), (Some(u16::MAX), Some(7u16)));
        for wrong in ["", "+1", "-1", "65536", " 1", "1 ", "x", "\u{661}"] {
            assert_eq!(parse_digits::<u16>(wrong), None, "{wrong}");
        }
    }
}
