//! Generates the client and the server of `proto/prices.proto`.

fn main() -> Result<(), dora_codegen::Error> {
    dora_codegen::compile("proto/prices.proto")
}
