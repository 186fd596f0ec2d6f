//! Generates the gRPC types with a pure-Rust compiler, so that no `protoc` is needed on the machine.
use std::error::Error;
use std::fs;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut files: Vec<PathBuf> =
        fs::read_dir("proto/leasehold/v1")?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|e| e == "proto"));
    files.sort();
    let descriptors = protox::compile(&files, ["proto"])?;
    // The descriptor set feeds the gRPC reflection service.
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is set by cargo")?);
    fs::write(out.join("descriptors.bin"), prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure()
        .bytes(".leasehold.v1.RaftEntry.payload")
        // What holds the cluster's secret, or may: `src/secrecy.rs` says what these show (SEC-07).
        .skip_debug([
            ".leasehold.v1.ReconfigureSecret",
            ".leasehold.v1.OldRow",
            ".leasehold.v1.RaftEntry",
            ".leasehold.v1.RaftSnapshotChunk",
            ".leasehold.v1.RaftSnapshotRow",
        ])
        // They stand inside checked types that are compared; prost leaves it out where a message is repeated.
        .type_attribute(".leasehold.v1.TraceEvent", "#[derive(Eq)]")
        .type_attribute(".leasehold.v1.TraceIa", "#[derive(Eq)]")
        .compile_fds(descriptors)?;
    Ok(())
}
