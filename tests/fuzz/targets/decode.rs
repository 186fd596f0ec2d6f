//! The codec: any datagram, as a server and as a client reads it.
#![no_main]

use leasehold_fuzz::{decode, seeds};

libfuzzer_sys::fuzz_target!(init: seeds::write_if_asked(), |data: &[u8]| decode::run(data));
