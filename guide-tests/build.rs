//! Generates the service that the guide calls and serves.

fn main() -> Result<(), dora_codegen::Error> {
    dora_codegen::Config::new().mocks(true).compile("proto/users.proto")
}
