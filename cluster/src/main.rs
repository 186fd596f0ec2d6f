//! The `leasehold` program: reads its arguments and hands them to the library.
use leasehold_proto::sabotage::{Mechanism, is_off};
use std::process::ExitCode;

// The program is never built with rules that can be switched off: there `is_off` is no constant, and this line is an
// error.
const _: () = assert!(!is_off(Mechanism::Guard));

fn main() -> ExitCode {
    leasehold::cli::main()
}
