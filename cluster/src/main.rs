//! The `leasehold` program: reads its arguments and hands them to the library.
use std::process::ExitCode;

fn main() -> ExitCode {
    leasehold::cli::main()
}
