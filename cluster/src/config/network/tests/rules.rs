//! Rules of the file itself: who is let in, what relays may supply, and where complaints about lifetimes stand.

use super::{LEAST, errors};

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
