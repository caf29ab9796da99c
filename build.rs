//! Generates the types of `proto/`, for the feature `schema` alone: whoever
//! merely calls and serves compiles no generator for this crate.

#[cfg(feature = "schema")]
fn main() -> Result<(), dora_codegen::Error> {
    dora_codegen::compile("proto/dora/wire/v1/packet.proto")
}

#[cfg(not(feature = "schema"))]
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
}
