//! Generates the client and the server of `proto/shop.proto`.

fn main() -> Result<(), dora_codegen::Error> {
    dora_codegen::compile("proto/shop.proto")
}
