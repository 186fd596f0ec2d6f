//! Copies of one message, as clients send them in an overload: however many come, and whenever, one lease is given.

use super::{Lab, Msg};
use leasehold_proto::words::Prefix;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

proptest! {
    #[test]
    fn sec_01_overload_retransmissions_of_one_exchange_do_not_allocate_twice(
        // Which client sends; whether it asks for the lease or looks for one; whether the store commits meanwhile.
        sendings in prop::collection::vec((0u8..6, any::<bool>(), any::<bool>()), 1..60),
    ) {
        let mut lab = Lab::new();
        let mut given: BTreeMap<u8, BTreeSet<Prefix>> = BTreeMap::new();
        for (client, asks, commits) in sendings {
            let duid = [0, 3, 0, 1, 2, 0, 0, 0, 0, client];
            let message = if asks { Msg::bare(3).server(super::lab::SERVER_DUID) } else { Msg::bare(1) };
            // A copy keeps its transaction id; only Elapsed Time tells it from the first.
            let message = message.client(&duid).xid([client, 0, u8::from(asks)]).elapsed_ms(1_000).na(1, &[]);
            if let Some(answer) = lab.send(message)
                && asks
            {
                given.entry(client).or_default().insert(answer.na().one());
            }
            if commits {
                lab.commit();
            }
        }
        for (client, leases) in &given {
            prop_assert_eq!(leases.len(), 1, "client {} was given {:?}", client, leases);
        }
        let all: BTreeSet<_> = given.values().flatten().collect();
        prop_assert_eq!(all.len(), given.len(), "each has its own");
        let known = lab.engine.status(lab.now).leases.known_leases;
        prop_assert_eq!(known, given.len() as u64, "and nothing else is on record");
    }
}
