//! The hub with a real machine behind it: sessions, streams, loads, resumption, liveness, links.

mod behind;
mod links;
mod liveness;
mod sessions;
mod streams;
mod traces;
mod world;
