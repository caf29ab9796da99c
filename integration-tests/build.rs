//! Generates the typed services of the tests.

fn main() -> Result<(), dora_codegen::Error> {
    dora_codegen::compile("proto/reference.proto")
}
