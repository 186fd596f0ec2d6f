//! Relays of all programs, one behind the other or alone, each arrangement on links of its own.
//!
//! Owns: which there are ([`ARRANGEMENTS`]), their namespaces, addresses and command lines.
//! Refuses to know: clients, and which server answers.
//! In: a lab and one arrangement. Out: running relays, and the bridge where their clients are to be joined.
//! All clients' links are one link to the server: each lowest relay's link-address is another one of 2001:db8:2::/64. The
//! link between two relays, 2001:db8:3:N::/64, is none that the server knows.
//! Traps:
//! - `dhcrelay` hears All_DHCP_Relay_Agents_and_Servers (ff02::1:2) below it and not All_DHCP_Servers (ff05::1:3), so a relay
//!   below one sends to the former.
//! - WIDE's `dhcp6relay` sends to ff05::1:3 or to one unicast address; so does `dibbler-relay`. With two servers to reach
//!   it is the group.
//! - `dibbler-relay` reads `/etc/dibbler/relay.conf` and writes into `/var/lib/dibbler`.

use std::ffi::OsString;
use std::net::Ipv6Addr;
use std::time::Duration;

use anyhow::Result;

use super::daemon::{COVER, Daemon};
use super::lab::Lab;
use super::node::{Node, Side};
use super::relay::Upstream;
use crate::debian;

/// How long a relay may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A relay program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayProgram {
    /// ISC `dhcrelay -6`.
    Dhcrelay,
    /// `dibbler-relay`.
    Dibbler,
    /// WIDE's `dhcp6relay`.
    Wide,
}

/// Relays between clients and frontends.
#[derive(Clone, Copy, Debug)]
pub struct Arrangement {
    /// The program of them all.
    pub program: RelayProgram,
    /// How many a message passes, 1 or 2.
    pub levels: u8,
    /// Whether each sends to addresses of its servers, and not to a group.
    pub unicast: bool,
}

/// Every arrangement that is tried.
pub const ARRANGEMENTS: [Arrangement; 6] = [
    Arrangement { program: RelayProgram::Dhcrelay, levels: 1, unicast: true },
    Arrangement { program: RelayProgram::Dhcrelay, levels: 1, unicast: false },
    Arrangement { program: RelayProgram::Dhcrelay, levels: 2, unicast: true },
    Arrangement { program: RelayProgram::Dhcrelay, levels: 2, unicast: false },
    Arrangement { program: RelayProgram::Dibbler, levels: 1, unicast: false },
    Arrangement { program: RelayProgram::Wide, levels: 1, unicast: false },
];

impl Arrangement {
    /// The program's name, for tables.
    pub fn name(&self) -> &'static str {
        match self.program {
            RelayProgram::Dhcrelay => "dhcrelay -6",
            RelayProgram::Dibbler => "dibbler-relay",
            RelayProgram::Wide => "WIDE dhcp6relay",
        }
    }
}

/// Running relays of one arrangement; they end with this value.
#[derive(Debug)]
pub struct Relays<'lab> {
    /// The bridge of their clients.
    pub bridge: String,
    _running: Vec<Daemon<'lab>>,
}

/// Starts an arrangement, the `number`th of its lab, at most 99.
///
/// # Errors
/// When a program is not to be had or does not start, or the kernel refuses.
pub fn arrange<'lab>(lab: &'lab Lab, number: u8, arrangement: &Arrangement) -> Result<Relays<'lab>> {
    let number = u16::from(number);
    let near = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 1, number);
    let low = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 1, number);
    let between = |host| Ipv6Addr::new(0x2001, 0xdb8, 3, number, 0, 0, 0, host);
    let bridge = format!("low{number}");
    lab.add_bridge(&bridge)?;
    let servers = if arrangement.unicast {
        Upstream::Unicast([Side::A, Side::B].map(|side| lab.near_address(side)).to_vec())
    } else {
        Upstream::Servers
    };
    let mut running = Vec::new();
    if arrangement.levels == 1 {
        let node = lab.add_hop(("near", near), (&bridge, low))?;
        running.push(started(lab, node, arrangement.program, &servers)?);
    } else {
        let middle = format!("mid{number}");
        lab.add_bridge(&middle)?;
        let upper = lab.add_hop(("near", near), (&middle, between(1)))?;
        running.push(started(lab, upper, arrangement.program, &servers)?);
        let lower = lab.add_hop((&middle, between(2)), (&bridge, low))?;
        let above = if arrangement.unicast {
            Upstream::Unicast(vec![between(1)])
        } else {
            Upstream::RelayAgentsAndServers
        };
        running.push(started(lab, lower, arrangement.program, &above)?);
    }
    Ok(Relays { bridge, _running: running })
}

fn started<'lab>(
    lab: &'lab Lab,
    node: Node,
    program: RelayProgram,
    upstream: &Upstream,
) -> Result<Daemon<'lab>> {
    let (daemon, ready) = match program {
        RelayProgram::Dhcrelay => {
            let mut words = debian::program("dhcrelay")?.words();
            words.extend(["-6", "-d", "--no-pid", "-l", "down0"].map(OsString::from));
            for target in upstream.targets() {
                words.extend(["-u".into(), target.into()]);
            }
            (Daemon::new(lab, node, "dhcrelay", "", words)?, "Sending on   Socket/down0")
        }
        RelayProgram::Dibbler => {
            let mut words = debian::program("dibbler-relay")?.words();
            words.push("run".into());
            let daemon = Daemon::new(lab, node, "dibbler-relay", COVER, words)?;
            let config = "log-level 8\nlog-mode full\niface up0 {\nserver multicast yes\n}\n\
                 iface down0 {\nclient multicast yes\ninterface-id 5555\n}\n";
            daemon.write("etc/dibbler/relay.conf", config)?;
            daemon.write("lib/dibbler/about", "what the relay keeps\n")?;
            (daemon, "Debug")
        }
        RelayProgram::Wide => {
            let mut words = debian::program("dhcp6relay")?.words();
            words.extend(["-f", "-D", "-p", "/run/dhcp6relay.pid", "-r", "up0", "down0"].map(OsString::from));
            (Daemon::new(lab, node, "dhcp6relay", COVER, words)?, "")
        }
    };
    let mut daemon = daemon;
    daemon.start()?;
    daemon.wait_output(ready, START_TIMEOUT)?;
    Ok(daemon)
}
