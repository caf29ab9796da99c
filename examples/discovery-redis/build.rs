//! Generates the client and the server of `proto/greet.proto`.

fn main() -> Result<(), dora_codegen::Error> {
    dora_codegen::compile("proto/greet.proto")
}
