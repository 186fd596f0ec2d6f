//! Conformance of the engine, octets in and octets out, named by requirement.
//!
//! Each test drives an [`Engine`](crate::engine::Engine) through [`Lab`]: a scripted store says what is configured,
//! granted and committed; messages are built option by option; answers are read by the codec's own reader.

mod access;
mod adoption;
mod affinity;
mod answering;
mod classes;
mod commit_wait;
mod confirm_information;
mod corners;
mod hostile;
mod hostile_relays;
mod lab;
mod legacy;
mod lifetimes;
mod links;
mod look_up;
mod message;
mod off_link;
mod options;
mod pd;
mod pd_exclude;
mod pd_run_down;
mod properties;
mod rebind;
mod reconfigure;
mod register;
mod relays;
mod release_decline;
mod renew;
mod replies;
mod request;
mod retransmissions;
mod sec_limits;
mod service;
mod solicit;
mod trace;
mod two_relationships;
mod validation;

use lab::Lab;
use message::{Answered, IaView, Msg, relayed};
