//! Spans of time as people write them: a whole number and a unit.
//!
//! Owns the text form, both ways. Refuses to know which spans a field allows. Invariant: reading what was written
//! gives the same span, to the millisecond.

use std::time::Duration;

use leasehold_proto::time::Lifetime;

/// Units in milliseconds, longest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads `90s`, `500ms`, `2h`, `15m` or `1d`.
///
/// # Errors
/// What to write instead.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = unit.trim();
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    match (number.parse::<u64>(), factor) {
        (Ok(number), Some(factor)) => number
            .checked_mul(factor)
            .map(Duration::from_millis)
            .ok_or_else(|| format!("`{text}` is too long a span")),
        _ => Err(format!(
            "`{text}` is not a span of time: write a whole number and a unit, as 500ms, 90s, 15m, 2h or 1d"
        )),
    }
}

/// Writes a span in the longest unit that holds it exactly.
#[must_use]
pub fn span_text(span: Duration) -> String {
    let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    if ms == 0 {
        return "0s".to_owned();
    }
    let (unit, factor) =
        UNITS.into_iter().find(|(_, factor)| ms.is_multiple_of(*factor)).unwrap_or(("ms", 1));
    format!("{}{unit}", ms / factor)
}

/// Reads a lifetime: a span of whole seconds, or `infinite`.
pub(crate) fn parse_lifetime(text: &str) -> Result<Lifetime, String> {
    if text == "infinite" {
        return Ok(Lifetime::INFINITE);
    }
    let span = parse_span(text)?;
    if span.subsec_millis() != 0 {
        return Err(format!("`{text}` is not a whole number of seconds, as DHCPv6 counts lifetimes"));
    }
    match u32::try_from(span.as_secs()) {
        Ok(secs) if secs != u32::MAX => Ok(Lifetime::from_wire(secs)),
        _ => Err(format!("`{text}` is longer than a lifetime can be: write `infinite`")),
    }
}

/// Writes a lifetime.
pub(crate) fn lifetime_text(lifetime: Lifetime) -> String {
    lifetime
        .finite_secs()
        .map_or_else(|| "infinite".to_owned(), |secs| span_text(Duration::from_secs(secs.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_with_a_unit_and_read_back() {
        for (text, ms) in
            [("500ms", 500), ("90s", 90_000), ("15m", 900_000), ("2h", 7_200_000), ("1d", 86_400_000)]
        {
            let span = parse_span(text).unwrap();
            assert_eq!(span, Duration::from_millis(ms));
            assert_eq!(parse_span(&span_text(span)).unwrap(), span);
        }
        assert_eq!(span_text(Duration::from_millis(90_000)), "90s");
        assert_eq!(span_text(Duration::ZERO), "0s");
        for bad in ["", "5", "s", "5 weeks", "-5s", "1.5s", "99999999999999999999d", "18446744073709551615d"]
        {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lifetimes_are_whole_seconds_or_infinite() {
        assert_eq!(parse_lifetime("infinite"), Ok(Lifetime::INFINITE));
        assert_eq!(parse_lifetime("1h"), Ok(Lifetime::from_wire(3600)));
        assert!(parse_lifetime("1500ms").is_err());
        assert!(parse_lifetime("4294967295s").is_err());
        assert_eq!(lifetime_text(Lifetime::INFINITE), "infinite");
    }
}
