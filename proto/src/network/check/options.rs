//! Rules of options: what may be configured, how often, and that a value has the shape its code demands.

use super::{Checker, Item};
use crate::network::{OptionValue, Options};
use crate::options::{Instance, is_requestable};
use crate::v1;

/// Checks the options of one place.
pub(super) fn options(c: &mut Checker, item: Item, raw: Option<&v1::DhcpOptions>) -> Options {
    for option in raw.map(|raw| raw.options.as_slice()).unwrap_or_default() {
        if let Err(error) = c.dictionary.check(option.code, &option.data) {
            c.fail(item, "options", error.to_string());
        }
    }
    let values = values(raw);
    for (i, value) in values.iter().enumerate() {
        let name = c.dictionary.name_of(&Instance { code: value.code, data: value.data.clone() });
        let before = values[..i].iter().find(|before| before.key() == value.key());
        if before.is_some() && !c.dictionary.is_repeatable(value.code) {
            c.fail(item, "options", format!("`{name}` stands there twice, and may once (OP-02)"));
        } else if before.is_some_and(|before| before.forced != value.forced) {
            c.fail(item, "options", format!("`{name}` is forced in part: force all of it or nothing"));
        }
        if !value.forced && !is_requestable(value.code) {
            let message = format!("nobody may ask for `{name}`: list it in `force`, or it is never sent");
            c.fail(item, "options", message);
        }
    }
    values
}

/// The options of one place as the store wrote them down.
pub(super) fn values(raw: Option<&v1::DhcpOptions>) -> Options {
    let raw = raw.map(|raw| raw.options.as_slice()).unwrap_or_default();
    let value = |o: &v1::DhcpOption| {
        Some(OptionValue { code: u16::try_from(o.code).ok()?, data: o.data.clone(), forced: o.forced })
    };
    raw.iter().filter_map(value).collect()
}
