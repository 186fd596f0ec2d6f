//! The file form, both ways, with every key in it; errors, each with its line; and that every key is explained.

mod rules;

use std::path::Path;

use leasehold_proto::v1;

use super::*;

const EVERYTHING: &str = include_str!("everything.toml");
const DOCUMENT: &str = include_str!("../../../../../docs/network-file.md");

/// The least that a network has, but for its relationships.
const LEAST: &str = "[[link]]\nname = \"lan\"\nprefixes = [\"2001:db8:1::/64\"]\n[[pool]]\nname = \"p\"\nlink = \"lan\"\n\
                     addresses = \"2001:db8:1::/64\"\n[auto]\nfrontends = [\"fe-a\"]\n";

fn read(text: &str) -> NetworkConfig {
    NetworkConfig::from_text(Path::new("n.toml"), text).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

fn errors(text: &str) -> String {
    NetworkConfig::from_text(Path::new("n.toml"), text).expect_err(text).to_string()
}

fn options_of(text: &str) -> Vec<v1::DhcpOption> {
    read(&format!("{text}\n{LEAST}")).to_wire().options.unwrap().options
}

#[test]
fn a_network_with_everything_in_it_reads_back_as_it_was() {
    let config = read(EVERYTHING);
    let written = network_toml(&config.network).unwrap();
    let again = read(&written);
    assert_eq!(again.network.to_wire(), config.network.to_wire(), "{written}");
    assert_eq!(network_toml(&again.network).unwrap(), written);
    let json: serde_json::Value = serde_json::from_str(&network_json(&config.network).unwrap()).unwrap();
    assert_eq!(json["options"]["site"]["gateway"], "2001:db8::1");
}

#[test]
fn the_everything_file_leaves_nothing_of_the_form_at_its_default() {
    let wire = read(EVERYTHING).to_wire();
    let link = &wire.links[0];
    let default = v1::Link::default();
    assert!(
        link.reconfigure && link.require_reconfigure_accept && link.register_addresses && link.rapid_commit
    );
    assert_ne!(
        (&link.options, &link.limits, &link.lifetimes),
        (&default.options, &default.limits, &default.lifetimes)
    );
    assert_eq!((link.selectors.len(), link.classes.len()), (3, 2));
    assert_eq!(link.limits.unwrap().leases_per_client, Some(0), "unlimited");
    assert_eq!(wire.limits.unwrap().leases_per_remote_id, Some(0));
    assert_eq!(wire.classes[0].tests.len(), 10, "every field that tells clients apart");
    assert_eq!(wire.relationships[0].server_duid[..8], [0, 1, 0, 1, 0x29, 0xb9, 0x27, 0]);
    assert_eq!(wire.relationships[0].server_duid[8..], [0x52, 0x54, 0, 0x12, 0x34, 0x56]);
    assert_eq!((wire.relationships[0].preference, wire.auto.unwrap().preference), (255, 7));
    assert_eq!(wire.pools[0].lifetimes.unwrap().valid_max_secs, 6 * 3600);
    assert_eq!(wire.pools[0].affinity_secs, Some(0));
    assert_eq!(wire.pools[1].exclude, Some(v1::PrefixExclude { length_bits: 64, subnet: 255 }));
    assert_eq!(wire.pools[1].valid_lifetime_secs, 200 * 60, "the link's");
    assert_eq!(wire.pools[2].valid_lifetime_secs, 4 * 3600, "the network's");
}

#[test]
fn op_05_sv_202_options_are_kept_by_code_with_what_is_forced() {
    let options = options_of(
        "[options]\nforce = [\"vendor_options.9\", \"250\"]\ndomain_search = [\"a\"]\ndns_servers = [\"::1\"]\n\
         raw = { 250 = \"0x01\" }\nvendor_options = { 10 = { 1 = \"a\" }, 9 = { 1 = \"b\" } }\n",
    );
    let enterprise = |option: &v1::DhcpOption| option.data.get(3).copied().filter(|_| option.code == 17);
    let short: Vec<_> =
        options.iter().map(|option| (option.code, enterprise(option), option.forced)).collect();
    let expected =
        [(17, Some(9), true), (17, Some(10), false), (23, None, false), (24, None, false), (250, None, true)];
    assert_eq!(short, expected);
}

#[test]
fn op_02_sv_106_server_duids_of_every_type() {
    let duid = |text: &str| {
        let relationship =
            format!("[[relationship]]\nname = \"r\"\nprimary = \"fe-a\"\nserver_duid = {text}\n");
        read(&format!("{relationship}{LEAST}")).to_wire().relationships[0].server_duid.clone()
    };
    assert_eq!(duid("\"uuid\""), Vec::<u8>::new(), "the store makes it");
    assert_eq!(duid("\"00:03:00:01:0a\""), [0, 3, 0, 1, 10]);
    assert_eq!(duid("\"0x000300010a\""), [0, 3, 0, 1, 10]);
    assert_eq!(duid("{ type = \"ll\", link_layer = \"6/0a:0b\" }"), [0, 3, 0, 6, 10, 11]);
    assert_eq!(
        duid("{ type = \"llt\", link_layer = \"0a:0b\", time = 258 }"),
        [0, 1, 0, 1, 0, 0, 1, 2, 10, 11]
    );
    assert_eq!(
        duid("{ type = \"en\", enterprise = 9, identifier = \"0x0cc0\" }"),
        [0, 2, 0, 0, 0, 9, 12, 192]
    );
    let uuid = duid("{ type = \"uuid\", uuid = \"00010203-0405-0607-0809-0a0b0c0d0e0f\" }");
    assert_eq!(uuid, [0, 4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
}

#[test]
fn errors_of_options_point_at_their_line() {
    let text = format!(
        "[options]\ndns_servers = [\"2001:db8::1\", \"dns\"]\nwpad = \"a\"\nsol_max_rt = 5\ncaptive_portal = 1.5\n\
         [options.raw]\n23 = \"0x01\"\n1 = \"0x01\"\nx = \"a\"\n{LEAST}"
    );
    assert_eq!(
        errors(&text),
        "n.toml:2: options.dns_servers: item 2: `dns` is not an IPv6 address
n.toml:3: options.wpad: is not a known option: define it by [[option]], or write it under `raw` by its code
n.toml:4: options.sol_max_rt: must be from 60 to 86400
n.toml:5: options.captive_portal: no option has a number with a point in its value
n.toml:7: options.raw.23: option 23: item 1: ends too early
n.toml:8: options.raw.1: option 1: cannot be configured: identifiers: see `server_duid`
n.toml:9: options.raw.x: `x` is not an option code"
    );
    let text = format!("[options]\nforce = [\"aftr_name\"]\nvendor_class = {{ 9 = [\"a\"] }}\n{LEAST}");
    assert_eq!(
        errors(&text),
        "n.toml:2: options.force: `aftr_name` has no value here: force it where its value stands
n.toml:3: options.vendor_class: nobody may ask for `vendor_class.9`: list it in `force`, or it is never sent"
    );
    let text =
        format!("[options]\ndns_servers = [\"::1\"]\nraw = {{ 23 = \"0x{}\" }}\n{LEAST}", "00".repeat(16));
    assert_eq!(
        errors(&text),
        "n.toml:3: options.raw.23: `dns_servers` stands there twice, and may once (OP-02)"
    );
}

#[test]
fn errors_inside_the_values_of_options_point_at_their_line() {
    let text = format!(
        "[options]\nvendor_options.9.1 = \"a\"\nvendor_options.09.1 = \"a\"\ndns_servers = [\n\"2001:db8::1\",\n\"dns\",\n]\n\
         [[options.encrypted_dns]]\npriority = 1\nname = \"a\"\n[[options.encrypted_dns]]\npriority = -1\nname = \"a\"\n\
         [options.raw]\n250 = [\"a\",\n{{ type = \"u8*\",\nvalue = [1,\n256] }}]\n{LEAST}"
    );
    assert_eq!(
        errors(&text),
        "n.toml:3: options.vendor_options: 09: is not an enterprise number
n.toml:6: options.dns_servers: item 2: `dns` is not an IPv6 address
n.toml:12: options.encrypted_dns: item 2: priority: -1 is not a whole number from 0 on
n.toml:18: options.raw.250: item 2: value: item 2: must be from 0 to 255"
    );
    let text = text.replace("-1", "70000").replace("name = \"a\"\n[options.raw]", "[options.raw]");
    let said = errors(&text);
    assert!(
        said.contains("n.toml:12: options.encrypted_dns: item 2: priority: must be from 0 to 65535"),
        "{said}"
    );
    let said = errors(&text.replace("70000", "2"));
    assert!(said.contains("n.toml:11: options.encrypted_dns: item 2: name is missing"), "{said}");
    let text = format!(
        "[options.map_t]\ndefault_mapping = \"::/0\"\n[[options.map_t.rules]]\nflags = 0\nea_length = 0\nprefix = \"::/0\"\n\
         prefix4 = \"0.0.0.0/0\"\n[options.map_t.rules.options.ports]\noffset = 6\npsid_length = 4\npsid = 3\n{LEAST}"
    );
    let at = "n.toml:11: options.map_t: rules: item 1: options: ports: psid: has bits behind its first 4";
    assert_eq!(errors(&text), format!("{at} (RFC 7598 §4.5): write 0x3000 for PSID 3"));
    read(&text.replace("psid = 3", "psid = 0x3000"));
}

#[test]
fn errors_of_options_that_are_sound_by_themselves_point_at_their_own_value() {
    let long = "a".repeat(1500);
    let text = format!(
        "{LEAST}[[host]]\nname = \"h\"\nduid = \"00:01:02\"\n[host.options]\nvendor_class.10 = [\"a\"]\n\
         vendor_class.9 = [\"a\"]\n[host.options.raw]\n39 = \"0x01\"\n250 = [\n\"a\",\n\"{long}\",\n]\n14 = \"0x01\"\n"
    );
    let first = LEAST.lines().count() + 5;
    let at = |line: usize| format!("n.toml:{}: host[1].options", first + line);
    let ask = "list it in `force`, or it is never sent";
    assert_eq!(
        errors(&text),
        [
            format!("{}.vendor_class: nobody may ask for `vendor_class.10`: {ask}", at(0)),
            format!("{}.vendor_class: nobody may ask for `vendor_class.9`: {ask}", at(1)),
            format!("{}.raw.39: option 39: cannot be configured: Client FQDN, which answers the client's own", at(3)),
            format!(
                "{}.raw.250: option 250: is 1500 octets long, and at most 1430 ever fit into an answer (SV-113)",
                at(6)
            ),
            format!("{}.raw.14: option 14: cannot be configured: Rapid Commit: see `rapid_commit`", at(8)),
        ]
        .join("\n")
    );
}

#[test]
fn errors_of_definitions_classes_and_hosts_point_at_their_line() {
    let text = format!(
        "[[option]]\nname = \"a\"\ncode = 23\ntype = \"string\"\n[[option]]\nname = \"b\"\ncode = 252\ntype = \"string*\"\n\
         [[class]]\nname = \"empty\"\n[[class]]\nname = \"empty\"\narchitecture = 7\n\
         [[host]]\nname = \"h\"\nduid = \"00:01\"\n{LEAST}"
    );
    assert_eq!(errors(&text), "n.toml:16: host[1].duid: a DUID is 3 to 130 octets long, not 2");
    let text = text.replace("00:01", "00:01:02");
    assert_eq!(
        errors(&text),
        "n.toml:3: option[1].code: 23 is `dns_servers`, which needs no definition
n.toml:8: option[2].type: a list cannot tell where one item of open length ends: give each a length, as len16(string)*
n.toml:10: class[1].name: has no test: say by what a client of this class is known, as vendor_class
n.toml:12: class[2].name: `empty` is used twice: names are unique"
    );
}

#[test]
fn errors_of_what_tells_clients_apart_point_at_their_line() {
    let text = format!(
        "[[class]]\nname = \"c\"\nvendor_class = \"Phone\"\nlink_layer = [\"5g\"]\narchitecture = [70000]\n\
         relay = \"fe-a\"\nuser_class = 5\n[server]\nrelays = [\"2001:db8::1/32\"]\nanswer_octets = 100\n{LEAST}"
    );
    assert_eq!(
        errors(&text),
        "n.toml:3: class[1].vendor_class: `Phone` has no enterprise number in front: write NUMBER:TEXT or NUMBER:0x0102
n.toml:4: class[1].link_layer: `5g` is not a link-layer address: write 52:54:00:12:34:56, or TYPE/ADDRESS
n.toml:5: class[1].architecture: must be whole numbers from 0 to 65535
n.toml:6: class[1].relay: `fe-a` is not an IPv6 address
n.toml:7: class[1].user_class: must be an array, as [\"…\", \"…\"], not a whole number
n.toml:9: server.relays: 2001:db8::1 has bits set past its length of 32: write the prefix with these bits zero
n.toml:10: server.answer_octets: must be from 1280 to 1500, not 100"
    );
    let text = format!("[[class]]\nname = \"c\"\narchitecture = []\n{LEAST}");
    assert_eq!(
        errors(&text),
        "n.toml:3: class[1].architecture: has no value, which no client has: leave it out"
    );
}

#[test]
fn errors_of_links_pools_and_relationships_point_at_their_line() {
    let text = "[[link]]\nname = \"lan\"\nprefixes = [\"2001:db8:1::/64\"]\nclasses = [\"gone\"]\n[[link.select]]\n\
                [link.limits]\nleases_per_client = 0\nmessages_per_port = \"many\"\n[[pool]]\nname = \"p\"\nlink = \"lan\"\n\
                addresses = \"2001:db8:1::/64\"\nexclude_subnet = 1\nallocator = \"random\"\n\
                [[relationship]]\nname = \"a\"\nprimary = \"fe-a\"\npools = [\"p\"]\npreference = 256\n\
                server_duid = { type = \"xy\" }\n";
    assert_eq!(
        errors(text),
        "n.toml:4: link[1].classes: there is no class `gone`
n.toml:5: link[1].select[1].relay: is missing: write one of relay, relay_id, interface_id, remote_id and subscriber_id
n.toml:7: link[1].limits.leases_per_client: must be a whole number from 1 to 4294967294, or \"unlimited\", not 0
n.toml:8: link[1].limits.messages_per_port: must be a whole number from 1 to 4294967294, or \"unlimited\", not \"many\"
n.toml:13: pool[1].exclude_subnet: means nothing without `exclude_length`
n.toml:14: pool[1].allocator: `random` is neither `hashed` nor `in-order`
n.toml:19: relationship[1].preference: must be from 0 to 255, not 256
n.toml:20: relationship[1].server_duid.type: `xy` is no type of DUID: write llt, ll, en or uuid"
    );
    let two = "[[relationship]]\nname = \"a\"\nprimary = \"fe-a\"\nserver_duid = \"00:03:00:01:0a\"\n";
    let text = format!("{two}{}{LEAST}", two.replace("\"a\"", "\"b\""));
    assert_eq!(
        errors(&text),
        "n.toml:8: relationship[2].server_duid: is that of another relationship: each is a server of its own"
    );
}

/// The keys that a table of the file may have, as the reader itself tells them.
fn known_keys(table: &str) -> BTreeSet<String> {
    let said = errors(&format!("{table}\nno_such_key = 1\n"));
    let line = said.lines().find(|line| line.contains("no_such_key: is not a known key")).expect(&said);
    let (_, known) = line.split_once("known are").expect("a list");
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_key_that_is_known_is_explained() {
    let tables = [
        "",
        "[timing]",
        "[server]",
        "[limits]",
        "[lifetimes]",
        "[[option]]",
        "[[class]]",
        "[[host]]",
        "[[link]]",
        "[[link]]\n[[link.select]]",
        "[[pool]]",
        "[[relationship]]",
        "[[relationship]]\n[relationship.server_duid]\ntype = \"llt\"\nlink_layer = \"00:01\"\ntime = 1",
        "[auto]",
    ];
    let mut keys: BTreeSet<String> = tables.into_iter().flat_map(known_keys).collect();
    keys.extend(["enterprise", "identifier", "uuid", "force", "raw"].map(str::to_owned));
    assert!(keys.len() > 80, "{keys:?}");
    let missing: Vec<&String> = keys.iter().filter(|key| !DOCUMENT.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/network-file.md does not explain {missing:?}");
    let mentioned =
        |key: &&String| EVERYTHING.contains(&format!("{key} =")) || EVERYTHING.contains(&format!("[{key}"));
    let only_elsewhere = ["identifier", "uuid", "raw", "select", "limits", "lifetimes"];
    let unused: Vec<&String> =
        keys.iter().filter(|key| !mentioned(key) && !only_elsewhere.contains(&key.as_str())).collect();
    assert!(unused.is_empty(), "everything.toml does not use {unused:?}");
}
