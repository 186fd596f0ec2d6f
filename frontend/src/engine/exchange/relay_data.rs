//! How a client was reached, in the form that the lease record keeps (LQ-07, SV-406).
//!
//! Owns the layout of the stored chain: the Relay-forward levels as received, outermost first, each in the Relay
//! Message option of the one before, the innermost without a Relay Message. Refuses to know why it is kept. Built
//! only when a lease is promised to a relayed client, or to one that can be asked to come; costs two allocations then. Source: RFC 5007 §4.1.2.4.

use crate::codec::wire::{DATAGRAM_LEN_MAX, msg, opt};
use crate::codec::{EncodeError, RelayChain, Writer};
use leasehold_proto::lease::{LeaseExtra, RelayData};
use std::net::Ipv6Addr;
use std::sync::Arc;

/// The rare fields of a lease whose client was heard through these relays, or directly; nothing for a direct client that
/// cannot be asked to come. `source`: where the datagram came from. `reconfigure`: the client accepts Reconfigure and has
/// its key.
pub(super) fn extra_of(
    relay: Option<&RelayChain<'_>>,
    source: (Ipv6Addr, u16),
    reconfigure: bool,
) -> Option<Arc<LeaseExtra>> {
    let relay = match relay {
        Some(chain) => {
            let mut relay_chain = Vec::new();
            // It cannot fail: all of it came out of one datagram. Were it to, the lease goes without the chain.
            if write(chain, &mut relay_chain).is_err() {
                relay_chain.clear();
            }
            let peer_address = chain.innermost().header.peer_address.to_bits();
            let relay_source = Some((source.0.to_bits(), chain.reply_port(source.1)));
            RelayData { peer_address, relay_chain, relay_source }
        }
        None if reconfigure => {
            RelayData { peer_address: source.0.to_bits(), relay_chain: Vec::new(), relay_source: None }
        }
        None => return None,
    };
    Some(Arc::new(LeaseExtra { relay: Some(relay), reconfigure, name: None }))
}

fn write(chain: &RelayChain<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let mut writer = Writer::new(out, DATAGRAM_LEN_MAX);
    let inner_levels = chain.levels().len() - 1;
    for (depth, level) in chain.levels().iter().enumerate() {
        writer.relay_header(msg::RELAY_FORWARD, &level.header)?;
        for option in level.options.iter().filter(|option| option.code != opt::RELAY_MESSAGE) {
            writer.option(option.code, option.data)?;
        }
        if depth < inner_levels {
            writer.begin_option(opt::RELAY_MESSAGE)?;
        }
    }
    for _ in 0..inner_levels {
        writer.end_option()?;
    }
    writer.finish().map(|_| ())
}
