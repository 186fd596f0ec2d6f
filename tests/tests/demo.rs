//! The demo's exit status is its verdict.

use std::process::Command;

use leasehold_tests::cluster::binary;

#[test]
fn the_demo_ends_with_a_clean_verdict() {
    let out =
        Command::new(binary()).args(["demo", "--clients", "500", "--newcomers", "50"]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    println!("{said}{}", String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success());
    assert!(said.contains("verdict: clean"));
}
