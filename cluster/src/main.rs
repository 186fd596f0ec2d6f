//! (header follows)
fn main() {}
