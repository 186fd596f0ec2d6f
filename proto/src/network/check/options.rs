//! Rules of options: what may be configured, how often, and that a value has the shape its code demands.

use super::{Checker, Item};
use crate::network::{OptionValue, Options};
use crate::options::{Instance, is_requestable};
use crate::v1;

/// So many options may stand at one place. Why 256: five times as many as there are names; more never fit into an answer.
pub(super) const PLACE_MAX: usize = 256;

/// Checks the options of one place.
pub(super) fn options(c: &mut Checker, item: Item, raw: Option<&v1::DhcpOptions>) -> Options {
    let mut sound: Options = Vec::new();
    if raw.is_some_and(|raw| !raw.dns_servers.is_empty() || !raw.domain_search.is_empty()) {
        c.fail(
            item,
            "options",
            "are written as an older release wrote them: upgrade the program that sent them",
        );
    }
    if raw.is_some_and(|raw| raw.options.len() > PLACE_MAX) {
        c.fail(item, "options", format!("are more than {PLACE_MAX} at one place"));
        return sound;
    }
    for (i, option) in raw.map(|raw| raw.options.as_slice()).unwrap_or_default().iter().enumerate() {
        match (c.dictionary.check(option.code, &option.data), value(option)) {
            (Ok(()), Some(value)) => {
                check_place(c, (item, i), &sound, &value);
                sound.push(value);
            }
            (Err(error), _) => c.fail_option(item, i, error.to_string()),
            (Ok(()), None) => {}
        }
    }
    sound
}

/// Whether a value may stand beside those before it, and is ever sent.
fn check_place(c: &mut Checker, (item, i): (Item, usize), before: &Options, value: &OptionValue) {
    let name = c.dictionary.name_of(&Instance { code: value.code, data: value.data.clone() });
    let before = before.iter().find(|before| before.key() == value.key());
    if before.is_some() && !c.dictionary.is_repeatable(value.code) {
        c.fail_option(item, i, format!("`{name}` stands there twice, and may once (OP-02)"));
    } else if before.is_some_and(|before| before.forced != value.forced) {
        c.fail_option(item, i, format!("`{name}` is forced in part: force all of it or nothing"));
    }
    if !value.forced && !is_requestable(value.code) {
        let message = format!("nobody may ask for `{name}`: list it in `force`, or it is never sent");
        c.fail_option(item, i, message);
    }
}

/// The options of one place as the store wrote them down.
pub(super) fn values(raw: Option<&v1::DhcpOptions>) -> Options {
    raw.map(|raw| raw.options.as_slice()).unwrap_or_default().iter().filter_map(value).collect()
}

fn value(raw: &v1::DhcpOption) -> Option<OptionValue> {
    Some(OptionValue { code: u16::try_from(raw.code).ok()?, data: raw.data.clone(), forced: raw.forced })
}
