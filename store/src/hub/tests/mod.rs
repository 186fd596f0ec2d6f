//! The hub with a real machine behind it: sessions, streams, loads, resumption, liveness, links.

mod links;
mod liveness;
mod sessions;
mod streams;
mod world;
