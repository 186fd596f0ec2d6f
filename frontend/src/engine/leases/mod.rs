//! What this frontend knows, owns, has promised and must still tell the store.
//!
//! One value, [`Leases`], holds the lease records of this frontend's relationships, the ranges granted to its
//! session, the session's one sequence of batches, and the bounds of time under which it may promise. It knows
//! nothing of DHCPv6 messages, links' interfaces or who answers: [`super::exchange`] asks it. The rules, one function
//! each:
//!
//! - R1: `ranges::may_create`, a new lease only from a range granted to the current session;
//! - R2 (this side): `records::free_for`, an address once leased goes to another client only when read as free;
//! - R3: `leasehold_proto::lifetimes::promise`, called from `promise::extend` alone;
//! - R4: `autonomy::allowance`, measured from before the request that was answered;
//! - R5: `promise::extend`, either partner extends a lease it knows for the same client;
//! - R6: `session::superseded`, a superseded session creates nothing;
//! - R9: `records::unused_of`, leases of a binding that its client turns out not to use.
