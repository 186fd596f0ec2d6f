//! What people see: the effective forms and the errors, as reviewed text.

mod mutations;

use std::path::Path;

use super::error::Source;
use super::{AnyConfig, NetworkConfig, network_toml};

fn source(text: &str) -> Source {
    Source { path: "etc/leasehold.toml".into(), text: text.to_owned() }
}

fn effective(text: &str) -> String {
    AnyConfig::from_source(&source(text)).unwrap().to_toml().unwrap()
}

fn errors(text: &str) -> String {
    AnyConfig::from_source(&source(text)).unwrap_err().to_string()
}

const NETWORK: &str = r#"
[options]
dns_servers = ["2001:db8::53"]
domain_search = ["example.org"]

[[link]]
name = "lan"
prefixes = ["2001:db8:1::/64"]
rapid_commit = true
interface_id = "0x00ff"

[link.options]
dns_servers = ["2001:db8:1::53"]

[[pool]]
name = "lan-na"
link = "lan"
addresses = "2001:db8:1::1000-2001:db8:1::1ffe"
preferred_lifetime = "1h"
valid_lifetime = "2h"
range_size = 256

[[pool]]
name = "lan-pd"
link = "lan"
prefixes = "2001:db8:f00::/40"
delegated_length = 56
valid_lifetime = "infinite"
autonomy = "unlimited"

[[relationship]]
name = "main"
primary = "fe-a"
secondary = "fe-b"
pools = ["lan-na", "lan-pd"]
"#;

#[test]
fn store_file_with_defaults_filled_in() {
    let text = r#"
[store]
name = "s1"
cluster = "demo"
data = "s1"
listen = "127.0.0.1:7001"

[[store.node]]
name = "s1"
address = "127.0.0.1:7001"

[tls]
ca = "/certs/ca.pem"
cert = "s1.pem"
key = "s1.key"
"#;
    assert_eq!(
        effective(text),
        r#"[store]
name = "s1"
cluster = "demo"
data = "etc/s1"
listen = "127.0.0.1:7001"

[[store.node]]
name = "s1"
address = "127.0.0.1:7001"

[raft]
heartbeat = "100ms"
silence = "600ms"

[log]
level = "info"
format = "text"

[tls]
ca = "/certs/ca.pem"
cert = "etc/s1.pem"
key = "etc/s1.key"
"#
    );
}

#[test]
fn store_errors_come_all_at_once_with_line_field_and_remedy() {
    let text = r#"insecure_loopback = true
[store]
name = "S1"
cluster = "demo"
data = "s1"
listen = "0.0.0.0:7001"
lisen = 5
[[store.node]]
name = "s1"
address = "127.0.0.1"
[[store.node]]
name = "s2"
address = "10.0.0.2:7001"
[[store.node]]
name = "s2"
address = "127.0.0.1:7003"
[log]
level = "loud"
[raft]
heartbeat = "200"
silence = "300ms"
"#;
    assert_eq!(
        errors(text),
        "etc/leasehold.toml:3: store.name: node name `S1` is not usable: use 1 to 63 characters out of lowercase letters, digits, `-` and `.`
etc/leasehold.toml:6: store.listen: `0.0.0.0:7001` is not a loopback address, and `insecure_loopback = true` allows no other: configure [tls]
etc/leasehold.toml:7: store.lisen: is not a known key here; known are `name`, `cluster`, `data`, `listen`, `node`
etc/leasehold.toml:10: store.node[1].address: `127.0.0.1` is not an address to connect to: write HOST:PORT or [IPV6]:PORT
etc/leasehold.toml:13: store.node[1].address: `10.0.0.2:7001` is not a loopback address, and `insecure_loopback = true` allows no other: configure [tls]
etc/leasehold.toml:15: store.node[3].name: `s2` is listed twice: names are unique
etc/leasehold.toml:18: log.level: `loud` is not a level: use error, warn, info, debug or trace
etc/leasehold.toml:20: raft.heartbeat: `200` is not a span of time: write a whole number and a unit, as 500ms, 90s, 15m, 2h or 1d
etc/leasehold.toml:21: raft.silence: must be more than four times the heartbeat (100ms)"
    );
}

#[test]
fn a_node_must_be_among_the_members() {
    let text = r#"insecure_loopback = true
[store]
name = "s9"
cluster = "demo"
data = "s1"
listen = "127.0.0.1:7001"
[[store.node]]
name = "s1"
address = "127.0.0.1:7001"
"#;
    assert_eq!(
        errors(text),
        "etc/leasehold.toml:3: store.name: `s9` is not among the [[store.node]] entries: add it, or correct the name"
    );
}

#[test]
fn frontend_file_with_defaults_filled_in() {
    let text = r#"
insecure_loopback = true
[frontend]
name = "fe-a"
cluster = "demo"
store = ["127.0.0.1:7001", "localhost:7002"]
status_socket = "fe-a.sock"
lock_file = "/run/leasehold/fe-a.lock"
[[interface]]
name = "eth0"
link = "lan"
[[interface]]
name = "eth1"
relays = true
"#;
    assert_eq!(
        effective(text),
        r#"insecure_loopback = true

[frontend]
name = "fe-a"
cluster = "demo"
store = ["127.0.0.1:7001", "localhost:7002"]
listen_address = "::"
listen_port = 547
status_socket = "etc/fe-a.sock"
lock_file = "/run/leasehold/fe-a.lock"

[[interface]]
name = "eth0"
link = "lan"
relays = false

[[interface]]
name = "eth1"
relays = true

[overload]
priorities = true
receive_buffer_bytes = 33554432

[log]
level = "info"
format = "text"
"#
    );
}

#[test]
fn frontend_overload_is_read_and_bounded() {
    let base = "insecure_loopback = true\n[frontend]\nname = \"fe-a\"\ncluster = \"demo\"\nstore = [\"127.0.0.1:7001\"]\n";
    let given = format!("{base}[overload]\npriorities = false\nreceive_buffer_bytes = 65536\n");
    assert!(effective(&given).contains("[overload]\npriorities = false\nreceive_buffer_bytes = 65536\n"));
    let wrong = format!("{base}[overload]\nreceive_buffer_bytes = 1\npriority = true\n");
    assert_eq!(
        errors(&wrong),
        "etc/leasehold.toml:7: overload.receive_buffer_bytes: must be from 65536 to 1073741824, not 1
etc/leasehold.toml:8: overload.priority: is not a known key here; known are `priorities`, `receive_buffer_bytes`"
    );
}

#[test]
fn frontend_errors_come_all_at_once() {
    let text = r#"[frontend]
name = "fe-a"
store = []
listen_address = "::1"
listen_port = 70000
[[interface]]
name = "eth0"
[[interface]]
name = "a name much too long"
relays = 1
"#;
    let long = "s".repeat(120);
    let with_socket = |path: &str| errors(&format!("[frontend]\nstatus_socket = \"{path}\"\n"));
    assert!(with_socket(&long).contains("toml:2: frontend.status_socket: `etc/s"), "{}", with_socket(&long));
    assert!(with_socket("").contains("frontend.status_socket: is empty"), "{}", with_socket(""));
    let no_lock = errors("[frontend]\nlock_file = \"\"\n");
    assert!(no_lock.contains("toml:2: frontend.lock_file: is empty"), "{no_lock}");
    assert_eq!(
        errors(text),
        "etc/leasehold.toml:1: frontend.cluster: is missing: name the cluster as in its certificates
etc/leasehold.toml:1: tls: is missing: write [tls] with ca, cert and key, as `leasehold certs issue` prints it
etc/leasehold.toml:3: frontend.store: has no usable address: list at least one store node
etc/leasehold.toml:4: frontend.listen_address: a socket bound to ::1 hears no multicast, so no [[interface]] can be served: leave one of the two out
etc/leasehold.toml:5: frontend.listen_port: must be from 1 to 65535, not 70000
etc/leasehold.toml:6: interface[1].link: is missing: name the link that clients on it belong to, or write `relays = true`
etc/leasehold.toml:8: interface[2].link: is missing: name the link that clients on it belong to, or write `relays = true`
etc/leasehold.toml:9: interface[2].name: `a name much too long` cannot be an interface: names have 1 to 15 bytes, without `/` and white space
etc/leasehold.toml:10: interface[2].relays: must be `true` or `false`, not a whole number"
    );
}

#[test]
fn the_kind_of_a_file_is_told_by_its_keys() {
    assert_eq!(
        errors("[other]\n"),
        "etc/leasehold.toml:1: is of no known kind: a store node's file has [store], a frontend's [frontend], an administrator's [admin], the network's [[link]]"
    );
    assert!(errors("[store]\n[frontend]\n").contains("mixes kinds"));
    assert!(errors("[store\n").starts_with("etc/leasehold.toml:1: is not TOML: "));
    let missing = AnyConfig::load(Path::new("no/such/file.toml")).unwrap_err().to_string();
    assert!(missing.starts_with("no/such/file.toml: cannot be read: "), "{missing}");
}

#[test]
fn network_file_with_defaults_filled_in_reads_back_as_itself() {
    let config = NetworkConfig::from_text(Path::new("network.toml"), NETWORK).unwrap();
    let written = network_toml(&config.network).unwrap();
    let again = NetworkConfig::from_text(Path::new("written.toml"), &written).unwrap();
    assert_eq!(config, again);
    assert_eq!(written, network_toml(&again.network).unwrap());
    assert_eq!(
        written,
        r#"[timing]
rho_ppm = 1000
flight = "5s"
send = "1s"

[server]
relay_supplied = [65]
legacy = false
answer_octets = 1280

[options]
dns_servers = ["2001:db8::53"]
domain_search = ["example.org"]

[[link]]
name = "lan"
prefixes = ["2001:db8:1::/64"]
rapid_commit = true
reconfigure = false
require_reconfigure_accept = false
register_addresses = false
interface_id = "0x00ff"

[link.options]
dns_servers = ["2001:db8:1::53"]

[[pool]]
name = "lan-na"
link = "lan"
addresses = "2001:db8:1::1000-2001:db8:1::1ffe"
preferred_lifetime = "1h"
valid_lifetime = "2h"
mclt = "1h"
autonomy = "1d"
commit_wait = "0s"
decline_quarantine = "1d"
affinity = "1d"
allocator = "hashed"
range_size = 256

[[pool]]
name = "lan-pd"
link = "lan"
prefixes = "2001:db8:f00::/40"
delegated_length = 56
preferred_lifetime = "1d"
valid_lifetime = "infinite"
mclt = "1h"
autonomy = "unlimited"
commit_wait = "0s"
decline_quarantine = "1d"
affinity = "1d"
allocator = "hashed"
range_size = 256

[[relationship]]
name = "main"
primary = "fe-a"
secondary = "fe-b"
pools = ["lan-na", "lan-pd"]
buckets = "hot-standby"
answering = "buckets"
takeover_after = "500ms"
preference = 0
"#
    );
}

#[test]
fn network_reading_errors_come_all_at_once() {
    let text = r#"
[[link]]
name = "lan"
prefixes = ["2001:db8:1::1/64", 5]
[[pool]]
name = "one"
link = "lan"
addresses = "2001:db8:1::/64"
prefixes = "2001:db8:f00::/40"
[[pool]]
name = "two"
link = "lan"
prefixes = "2001:db8:f00::/40"
valid_lifetime = "1500ms"
range_size = 100
[[relationship]]
name = "main"
pools = ["one", "two"]
buckets = "round-robin"
"#;
    assert_eq!(
        errors(text),
        "etc/leasehold.toml:4: link[1].prefixes: 2001:db8:1::1 has bits set past its length of 64: write the prefix with these bits zero
etc/leasehold.toml:4: link[1].prefixes: must be an array of strings in quotes, not a whole number
etc/leasehold.toml:8: pool[1].prefixes: stands beside `addresses`: a pool leases one of the two
etc/leasehold.toml:10: pool[2].delegated_length: is missing: write the length of the prefixes to delegate, as 56
etc/leasehold.toml:14: pool[2].valid_lifetime: `1500ms` is not a whole number of seconds, as DHCPv6 counts lifetimes
etc/leasehold.toml:15: pool[2].range_size: must be a power of two; 128 is the next
etc/leasehold.toml:16: relationship[1].primary: is missing: name the frontend that is the primary
etc/leasehold.toml:19: relationship[1].buckets: `round-robin` is neither `hot-standby` nor `load-balancing`"
    );
}

#[test]
fn network_rules_point_at_their_line() {
    let text = NETWORK
        .replace("link = \"lan\"\nprefixes", "link = \"wan\"\nprefixes")
        .replace("2001:db8:1::1000-2001:db8:1::1ffe", "2001:db8:2::1000-2001:db8:2::1ffe")
        .replace("pools = [\"lan-na\", \"lan-pd\"]", "pools = [\"lan-na\", \"lan-pd\", \"gone\"]");
    assert_eq!(
        errors(&text),
        "etc/leasehold.toml:18: pool[1].addresses: lies in no prefix of link `lan`: clients could not use it
etc/leasehold.toml:25: pool[2].link: there is no link `wan`
etc/leasehold.toml:35: relationship[1].pools: there is no pool `gone`"
    );
}

const LEFT_TO_STORE: &str = r#"
[[link]]
name = "lan"
prefixes = ["2001:db8:1::/64"]

[[pool]]
name = "lan-na"
link = "lan"
addresses = "2001:db8:1::1000-2001:db8:1::1fff"

[auto]
frontends = ["fe-a", "fe-b", "fe-c"]
"#;

#[test]
fn relationships_left_to_the_store_read_back_as_written() {
    let config = NetworkConfig::from_text(Path::new("net.toml"), LEFT_TO_STORE).unwrap();
    let text = network_toml(&config.network).unwrap();
    let expected = "[auto]\nfrontends = [\"fe-a\", \"fe-b\", \"fe-c\"]\nshards = 8\nbuckets = \"hot-standby\"\n\
                    answering = \"buckets\"\ntakeover_after = \"500ms\"\npreference = 0\n";
    assert!(text.ends_with(expected), "{text}");
    assert_eq!(NetworkConfig::from_text(Path::new("net.toml"), &text).unwrap().network, config.network);
}

#[test]
fn a_number_of_shards_that_is_not_written_is_left_to_what_is_in_force() {
    let shards = |text: &str| {
        let config = NetworkConfig::from_text(Path::new("net.toml"), text).unwrap();
        config.to_wire().auto.unwrap().shards
    };
    assert_eq!(shards(LEFT_TO_STORE), 0);
    assert_eq!(shards(&format!("{LEFT_TO_STORE}shards = 4\n")), 4);
}

#[test]
fn fo_102_errors_of_what_is_left_to_the_store_name_line_and_field() {
    let text = LEFT_TO_STORE.replace("[\"fe-a\", \"fe-b\", \"fe-c\"]", "[\"fe-a\", \"fe-a\"]\nshards = 3");
    assert_eq!(
        errors(&text),
        "etc/leasehold.toml:12: auto.frontends: `fe-a` is listed twice
etc/leasehold.toml:13: auto.shards: must be 2, 4, 8 or 16"
    );
    let text = LEFT_TO_STORE.replace("lan-na", "lan#1");
    assert!(
        errors(&text).contains("leasehold.toml:7: pool[1].name: `lan#1` is not a name"),
        "{}",
        errors(&text)
    );
    let text = LEFT_TO_STORE.split("[auto]").next().unwrap().to_owned();
    assert!(errors(&text).contains("or [auto] to leave them to the store"), "{}", errors(&text));
}
