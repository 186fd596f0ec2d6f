//! The client against a server in miniature: by hand, then over loopback.

mod client;
mod loopback;
mod server;
