//! The network configuration: any bytes in the place of a stored or sent one.
#![no_main]

use leasehold_fuzz::{config, seeds};

libfuzzer_sys::fuzz_target!(init: seeds::write_if_asked(), |data: &[u8]| config::run(data));
