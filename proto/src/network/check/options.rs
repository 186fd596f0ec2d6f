//! Rules of options: what may be configured, and that a value has the shape its code demands.

use super::{Checker, Item};
use crate::network::{OptionValue, Options};
use crate::options;
use crate::v1;

/// Checks the options of one place.
pub(super) fn options(c: &mut Checker, item: Item, raw: Option<&v1::DhcpOptions>) -> Options {
    for option in raw.map(|raw| raw.options.as_slice()).unwrap_or_default() {
        if let Err(error) = options::check(option.code, &option.data) {
            c.fail(item, "options", error.to_string());
        }
    }
    values(raw)
}

/// The options of one place as the store wrote them down.
pub(super) fn values(raw: Option<&v1::DhcpOptions>) -> Options {
    let raw = raw.map(|raw| raw.options.as_slice()).unwrap_or_default();
    let value = |o: &v1::DhcpOption| {
        Some(OptionValue { code: u16::try_from(o.code).ok()?, data: o.data.clone(), forced: o.forced })
    };
    raw.iter().filter_map(value).collect()
}
