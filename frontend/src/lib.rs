//! The stateless DHCPv6 frontend.
//!
//! Owns one DHCPv6 server process: the strict [`codec`], the pure [`engine`] that decides about leases, packet
//! [`io`], the [`session`] with the store, and the [`process`] that puts them together. Refuses to know the store's
//! inside (both stand on `leasehold_proto` and never import each other), configuration files, signals and the command
//! line (the `leasehold` command's). Holds nothing on disk.
//!
//! Arrows: `process` -> `session`, `engine`, `io`; `session` -> `io::Waker` only; `engine` -> `codec`. `codec` and
//! `engine` are pure: no clock, entropy, sockets, tokio or gRPC, and no iteration in hash order.
//! Invariants: no packet waits for a call, a lock held across an await, or a disk; no input from the network panics,
//! stalls other clients or grows memory without bound.
//! Source: RFC 9915; design sections 3, 5 and 7.

pub mod codec;
pub mod engine;
pub mod io;
pub mod process;
pub mod session;
