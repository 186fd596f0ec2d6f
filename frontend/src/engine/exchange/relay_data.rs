//! How a client was reached, in the form that the lease record keeps (LQ-07, SV-406).
//!
//! Owns the layout of the stored chain: the Relay-forward levels as received, outermost first, each in the Relay
//! Message option of the one before, the innermost without a Relay Message. Refuses to know why it is kept. Built only
//! when a lease is promised to a relayed client, or to one that can be asked to come; costs two allocations then.
//! Source: RFC 5007 §4.1.2.4.

use crate::codec::wire::{msg, opt};
use crate::codec::{EncodeError, RelayChain, Writer};
use leasehold_proto::lease::{LeaseExtra, RelayData};
use std::net::Ipv6Addr;
use std::sync::Arc;

/// Longest chain kept, in octets. Why 2048: nine levels with all that relays say of a client take some 900. A relay, or
/// whoever plays one, can send 64 KiB, and a batch has a thousand leases: the store takes no message of such a size, and
/// the session would never get past it.
const CHAIN_LEN_MAX: usize = 2048;

/// The rare fields of a lease whose client was heard through these relays, or directly; nothing for a direct client that
/// cannot be asked to come. `source`: where the datagram came from. `reconfigure`: the client accepts Reconfigure and has
/// its key.
pub(super) fn extra_of(
    relay: Option<&RelayChain<'_>>,
    source: (Ipv6Addr, u16),
    reconfigure: bool,
) -> Option<Arc<LeaseExtra>> {
    let Some(chain) = relay else {
        let direct =
            RelayData { peer_address: source.0.to_bits(), relay_chain: Vec::new(), relay_source: None };
        return reconfigure.then(|| Arc::new(LeaseExtra { relay: Some(direct), reconfigure, name: None }));
    };
    let mut relay_chain = Vec::new();
    // Too long a chain: the lease goes without it, and there is no way back to its client.
    let has_way_back = write(chain, &mut relay_chain).is_ok();
    if !has_way_back {
        relay_chain.clear();
    }
    let peer_address = chain.innermost().header.peer_address.to_bits();
    let relay_source = Some((source.0.to_bits(), chain.reply_port(source.1)));
    let relay = Some(RelayData { peer_address, relay_chain, relay_source });
    Some(Arc::new(LeaseExtra { relay, reconfigure: reconfigure && has_way_back, name: None }))
}

fn write(chain: &RelayChain<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let mut writer = Writer::new(out, CHAIN_LEN_MAX);
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
