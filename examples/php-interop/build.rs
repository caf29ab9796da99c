//! Generates the clients and servers of the files in `proto/`.

fn main() -> Result<(), dora_codegen::Error> {
    dora_codegen::compile(["proto/users.proto", "proto/prices.proto"])
}
