//! The hub with a real machine behind it: sessions, streams, loads, resumption, liveness.

mod behind;
mod liveness;
mod sessions;
mod streams;
mod world;
