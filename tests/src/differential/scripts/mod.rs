//! The scripts, a file per group.
//!
//! A script is named, speaks as clients that no other script has, and goes on with what it was answered. Hints that are
//! constants differ from script to script, since what one script takes stays taken.

mod confirm;
mod decline;
mod information;
mod malformed;
mod malformed_relays;
mod rebind;
mod relayed;
mod release;
mod renew;
mod request;
mod solicit;

use anyhow::Result;

use super::talk::{Heard, Talk};

/// What a script does; ends with what it heard last.
pub type Play = fn(&mut Talk<'_>) -> Result<Heard>;

/// A script.
#[derive(Debug)]
pub struct Script {
    /// What it is about; no other script of any group has this name.
    pub name: &'static str,
    /// What it does.
    pub play: Play,
}

/// Scripts about one subject.
#[derive(Debug)]
pub struct Group {
    /// The subject.
    pub name: &'static str,
    /// The scripts.
    pub scripts: &'static [Script],
}

/// All scripts.
pub const GROUPS: &[Group] = &[
    Group { name: "Solicit", scripts: solicit::SCRIPTS },
    Group { name: "Request", scripts: request::SCRIPTS },
    Group { name: "Confirm", scripts: confirm::SCRIPTS },
    Group { name: "Renew", scripts: renew::SCRIPTS },
    Group { name: "Rebind", scripts: rebind::SCRIPTS },
    Group { name: "Release", scripts: release::SCRIPTS },
    Group { name: "Decline", scripts: decline::SCRIPTS },
    Group { name: "Information-request", scripts: information::SCRIPTS },
    Group { name: "Relays", scripts: relayed::SCRIPTS },
    Group { name: "Malformed", scripts: malformed::SCRIPTS },
    Group { name: "Malformed relays", scripts: malformed_relays::SCRIPTS },
];

const fn script(name: &'static str, play: Play) -> Script {
    Script { name, play }
}

/// An address of the relay on each link: what the link-address of a Relay-forward holds.
const FAR: &str = "2001:db8:2::1";
const FULL: &str = "2001:db8:4::1";
const PORT: &str = "2001:db8:6::1";

/// An address that fits no configured link.
const OFF_LINK: &str = "2001:db8:99::7/128";
/// An address on the direct link's prefix and in no pool.
const NO_POOL: &str = "2001:db8:1::aaaa/128";
/// A prefix in no pool.
const NO_PREFIX_POOL: &str = "2001:db8:9900::/56";
/// DUID of a server that does not exist.
const OTHER_SERVER: [u8; 10] = [0, 2, 0, 0, 9, 0xbf, b'n', b'o', b'n', b'e'];

#[cfg(test)]
mod tests {
    use super::GROUPS;
    use std::collections::BTreeSet;

    #[test]
    fn names_tell_scripts_apart() {
        let names: Vec<&str> =
            GROUPS.iter().flat_map(|group| group.scripts).map(|script| script.name).collect();
        let unique: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(unique.len(), names.len());
        assert!(names.len() >= 80, "{} scripts", names.len());
    }
}
