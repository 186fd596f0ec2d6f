//! The frontend's engine: any packets and any words of the store, in any order.
#![no_main]

use leasehold_fuzz::{engine, seeds};

libfuzzer_sys::fuzz_target!(init: seeds::write_if_asked(), |data: &[u8]| engine::run(data));
