//! Which link does a client sit on? (requirements 3.3)
//!
//! Owns the choice among receiving interface, link-addresses and Interface-Ids. Refuses to judge whether anything is
//! leased there. Source: RFC 9915 §13.1, RFC 6221 §5.1 (bridging relays send `::`), RFC 7969 §3.2.

use super::pools::{LinkAt, Topology};
use crate::codec::RelayChain;
use crate::engine::{Interface, Packet};

/// Links of the interfaces of this machine, by kernel index.
#[derive(Debug, Default)]
pub(in crate::engine) struct InterfaceLinks(Vec<(u32, LinkAt)>);

impl InterfaceLinks {
    /// Pairs interfaces with the links of a configuration; an interface of an unknown link has none.
    pub(in crate::engine) fn new(interfaces: &[Interface], topology: &Topology) -> Self {
        let pair = |i: &Interface| Some((i.index, topology.link_named(i.link.as_deref()?)?));
        Self(interfaces.iter().filter_map(pair).collect())
    }

    /// The first interface that serves a link.
    pub(in crate::engine) fn interface_of(&self, link: LinkAt) -> Option<u32> {
        self.0.iter().find(|(_, serves)| *serves == link).map(|(index, _)| *index)
    }

    fn link(&self, interface_index: u32) -> Option<LinkAt> {
        self.0.iter().find(|(index, _)| *index == interface_index).map(|(_, link)| *link)
    }
}

/// By what a link was chosen: for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum LinkBy {
    /// The interface that heard the message.
    Interface,
    /// The source address of a direct message.
    SourceAddress,
    /// A relay's link-address.
    LinkAddress,
    /// What a relay says besides, by configuration.
    Selector,
}

impl LinkBy {
    /// The name shown to people: stable.
    pub(in crate::engine) const fn name(self) -> &'static str {
        match self {
            Self::Interface => "interface",
            Self::SourceAddress => "source-address",
            Self::LinkAddress => "link-address",
            Self::Selector => "selector",
        }
    }
}

/// A link and by what it was chosen.
pub(in crate::engine) type Chosen = (LinkAt, LinkBy);

/// The link on which a registration of an address is judged. Straight from its client it is the link of the interface, if
/// that has one: the source is the address to be judged, and proves nothing.
pub(in crate::engine) fn choose_to_register(
    topology: &Topology,
    interfaces: &InterfaceLinks,
    packet: &Packet<'_>,
    relay: Option<&RelayChain<'_>>,
) -> Option<Chosen> {
    let received_on = interfaces.link(packet.interface_index).filter(|_| relay.is_none());
    received_on.map(|link| (link, LinkBy::Interface)).or_else(|| choose(topology, interfaces, packet, relay))
}

/// The link that a message comes from; nothing when no configured link matches (SV-155).
pub(in crate::engine) fn choose(
    topology: &Topology,
    interfaces: &InterfaceLinks,
    packet: &Packet<'_>,
    relay: Option<&RelayChain<'_>>,
) -> Option<Chosen> {
    let received_on = interfaces.link(packet.interface_index).map(|link| (link, LinkBy::Interface));
    match relay {
        None if packet.source.is_unicast_link_local() => received_on,
        // A client with a wider source address is on that address's link (RFC 9915 §13.1); what fits no link was
        // still received by link-scoped multicast, so from a neighbour.
        None => {
            let by_source = topology.link_of_address(packet.source.to_bits());
            by_source.map(|link| (link, LinkBy::SourceAddress)).or(received_on)
        }
        Some(chain) => choose_relayed(topology, packet, chain, received_on),
    }
}

/// Innermost level first; the first level that says anything decides (SV-152). Levels that all say `::` are bridges
/// on the link of the interface that heard them.
fn choose_relayed(
    topology: &Topology,
    packet: &Packet<'_>,
    chain: &RelayChain<'_>,
    received_on: Option<Chosen>,
) -> Option<Chosen> {
    let levels = chain.levels();
    for (at, level) in levels.iter().enumerate().rev() {
        let address = level.header.link_address;
        let is_global = !address.is_unspecified() && !address.is_unicast_link_local();
        if is_global && let Some(link) = topology.link_of_address(address.to_bits()) {
            return Some((link, LinkBy::LinkAddress));
        }
        // Where the address cannot tell, what the relay says besides may, by configuration (SV-153). It was heard by the
        // relay around it, or here.
        let heard_by = at.checked_sub(1).and_then(|outer| levels.get(outer));
        let relay = heard_by.map_or(packet.source, |outer| outer.header.peer_address);
        let selected = topology.link_selected(level, relay.to_bits());
        if selected.is_some() || !address.is_unspecified() {
            return selected.map(|link| (link, LinkBy::Selector));
        }
    }
    received_on
}
