//! Rules of the file itself: who is let in, what relays may supply, and where complaints about lifetimes stand.

use super::super::network_toml;
use super::{LEAST, errors, read};

#[test]
fn sec_04_an_empty_list_of_who_is_let_in_is_refused_since_it_would_let_everybody_in() {
    let text = "[server]\nrelays = []\n[[link]]\nname = \"lan\"\nprefixes = [\"2001:db8:1::/64\"]\nclasses = []\n\
                [[pool]]\nname = \"p\"\nlink = \"lan\"\naddresses = \"2001:db8:1::/64\"\nclasses = []\n\
                [auto]\nfrontends = [\"fe-a\"]\n";
    assert_eq!(
        errors(text),
        "n.toml:2: server.relays: is empty: leave it out for all
n.toml:6: link[1].classes: is empty: leave it out for all
n.toml:11: pool[1].classes: is empty: leave it out for all"
    );
}

#[test]
fn sv_153_a_link_that_could_never_be_chosen_is_named_at_its_selector() {
    let links = "[[link]]\nname = \"a\"\ninterface_id = \"port 7\"\n\
                 [[link]]\nname = \"b\"\nprefixes = [\"2001:db8:2::/64\"]\ninterface_id = \"port 7\"\n";
    assert_eq!(
        errors(&format!("{links}{LEAST}")),
        "n.toml:7: link[2].select: chooses by interface_id port 7, which chooses link `a` already: this one never would be"
    );
}

#[test]
fn lifetimes_that_many_inherit_are_wrong_once_where_they_stand() {
    let pools = |link: &str, own: &str| {
        ["1", "2"]
            .map(|n| format!("[[pool]]\nname = \"{link}{n}\"\nlink = \"{link}\"\nprefixes = \"2001:db8:{link}{n}00::/40\"\ndelegated_length = 56\n{own}"))
            .concat()
    };
    let network = |global: &str, link: &str, own: &str| {
        format!("{global}[[link]]\nname = \"a\"\n{link}{}[auto]\nfrontends = [\"fe-a\"]\n", pools("a", own))
    };
    assert_eq!(
        errors(&network("[lifetimes]\npreferred = \"2h\"\nvalid = \"1h\"\n", "", "")),
        "n.toml:2: lifetimes.preferred: may not be above `valid`"
    );
    assert_eq!(
        errors(&network(
            "",
            "[link.lifetimes]\nvalid = \"1d\"\nvalid_max = \"2h\"\nvalid_min = \"3s\"\n",
            ""
        )),
        "n.toml:4: link[1].lifetimes.valid: may not be above `valid_max`
n.toml:6: link[1].lifetimes.valid_min: must be at least 4s"
    );
    // What each says is right by itself: the pool is where it does not fit.
    assert_eq!(
        errors(&network("[lifetimes]\npreferred = \"2h\"\n", "[link.lifetimes]\nvalid_max = \"90m\"\n", "valid_lifetime = \"1h\"\n")),
        "n.toml:7: pool[1].preferred_lifetime: must be above 0 and not above the valid lifetime (SV-209): it is 7200s (from the global `lifetimes`), the valid one 3600s
n.toml:13: pool[2].preferred_lifetime: must be above 0 and not above the valid lifetime (SV-209): it is 7200s (from the global `lifetimes`), the valid one 3600s"
    );
    let message = "pool[1].valid_lifetime: lies outside its bounds: 14400s is above 5400s (from `lifetimes` of link `a`)";
    let said = errors(&network("", "[link.lifetimes]\nvalid_max = \"90m\"\n", "valid_lifetime = \"4h\"\n"));
    assert!(said.contains(message), "{said}");
}

#[test]
fn sv_176_relays_may_supply_what_is_listed_or_nothing_and_errors_name_the_table() {
    let server = |codes: &str| format!("[server]\nrelay_supplied = {codes}\n{LEAST}");
    assert_eq!(
        errors(&server("[70000]")),
        "n.toml:2: server.relay_supplied: must be whole numbers from 1 to 65535"
    );
    let found = errors(&server("[1, 65]"));
    assert!(found.starts_with("n.toml:2: server.relay_supplied: 1 is not a relay's"), "{found}");
    assert_eq!(read(&server("[65, 23, 65]")).to_wire().relay_supplied, [65, 23]);
    assert_eq!(read(LEAST).to_wire().relay_supplied, [65], "left out: the default");
    let none = read(&server("[]"));
    assert_eq!(none.network.relay_supplied, [0; 0]);
    let again = read(&network_toml(&none.network).unwrap());
    assert_eq!(again.network.to_wire(), none.network.to_wire());
}
