//! Every client program of Debian through every case that it can, with one frontend and with a pair that loses the serving
//! one in the middle, judged by what passes on the frontends' link.
//!
//! Owns: the reading of that traffic ([`message`], [`sight`]), the cluster with its clients ([`party`]), the cases
//! ([`lifecycle`], [`returning`], [`decline`], [`information`], [`reconfigure`], [`relayed`]) and the table of them ([`rows`]).
//! Refuses to know: how programs are run ([`netns`](crate::netns)), and Leasehold's own codec: what is under test does
//! not judge itself. Invariants: see [`netns`](crate::netns); every wait is for a condition and bounded.

pub mod decline;
pub mod information;
pub mod lifecycle;
pub mod message;
pub mod party;
pub mod reconfigure;
pub mod relayed;
pub mod returning;
pub mod rows;
pub mod sight;
