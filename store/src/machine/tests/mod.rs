//! The rules of design section 5 at the machine's boundary: commands in, outcomes, events and rows out.

mod adoption;
mod configuration;
mod conflicts;
mod ending;
mod former;
mod lab;
mod leases;
mod reconfigure;
mod registrations;
mod replicas;
mod reshaping;
mod reshaping_property;
mod restore;
mod reviving;
mod scarcity;
mod sessions;
mod spreading;
