//! The `leasehold` command as a library: configuration, administration, certificates and the load generator.
//!
//! Owns what assembles processes out of `store` and `frontend`, and what people type. Refuses to know DHCPv6 rules
//! and consensus: those live in the parts. The binary is a thin wrapper around [`cli::run`]; tests and the demo use
//! the modules directly. Exit codes stand in one place, [`exit`].

pub mod admin;
pub mod bench;
pub mod certs;
pub mod cli;
pub mod commands;
pub mod config;
pub mod demo;
pub mod exit;
pub mod load;
pub mod local;
