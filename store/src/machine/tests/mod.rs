//! The rules of design section 5 at the machine's boundary: commands in, outcomes, events and rows out.

mod configuration;
mod lab;
mod leases;
mod replicas;
mod sessions;
