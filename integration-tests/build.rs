//! Generates what the tests of messages read and write.

fn main() -> Result<(), dora_codegen::Error> {
    dora_codegen::Config::new().compile(&["proto/everything.proto", "proto/names.proto"])
}
