//! The contract between the parts of Leasehold.
//!
//! The generated gRPC types ([`v1`]), the vocabulary as checked types ([`words`], [`time`], [`lease`], [`pool`],
//! [`registration`], [`network`], [`session`]), the rules that both sides obey ([`lifetimes`]: R3 and R4's arithmetic),
//! and how the parts know one another ([`identity`], [`tls`]). `store` and `frontend` both stand on this crate and
//! never import each other.

pub mod convert;
pub mod identity;
pub mod lease;
pub mod lifetimes;
pub mod network;
pub mod options;
pub mod pool;
pub mod reconfigure;
pub mod registration;
pub mod sabotage;
mod secrecy;
pub mod session;
pub mod time;
pub mod tls;
pub mod trace;
pub mod words;

/// Generated from `proto/leasehold/v1/*.proto`.
#[expect(missing_docs, reason = "generated: the .proto files carry the documentation")]
#[allow(clippy::all, clippy::allow_attributes_without_reason, reason = "generated code is not ours to tidy")]
#[allow(unused_qualifications, reason = "generated: depends on the generator's version whether any occur")]
pub mod v1 {
    tonic::include_proto!("leasehold.v1");
}

/// The compiled descriptors of every service, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
