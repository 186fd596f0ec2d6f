//! What the fuzz targets have in common: each takes octets, drives one part of Leasehold with them, and panics when
//! that part says or does what it must not.
//!
//! [`decode`] the codec; [`engine`] a whole frontend's engine, with packets and the store's words in any order;
//! [`config`] the network configuration as it comes from a disk or the wire. [`budget`] counts what a call costs, in
//! steps and in memory, so that "bounded work" is a number and not a matter of time. [`seeds`] makes the corpora that
//! are kept in the repository. Nothing here knows a clock, a socket or entropy: the same octets do the same.

// Linked behind this crate, so that the function that counts steps is `budget`'s and not libFuzzer's.
use libfuzzer_sys as _;

pub mod budget;
pub mod config;
pub mod decode;
pub mod engine;
mod judge;
mod lab;
mod message;
mod networks;
mod script;
pub mod seeds;
