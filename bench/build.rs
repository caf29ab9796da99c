//! Compiles `proto/echo.proto` without `protoc`, and makes the certificate of the peers that
//! speak TLS: both processes of a run are this program, so both have it.

use std::path::PathBuf;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    println!("cargo::rerun-if-changed=proto/echo.proto");
    let files = protox::compile(["proto/echo.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .bytes(".")
        .message_attribute(".", "#[derive(serde::Serialize, serde::Deserialize)]")
        .compile_fds(files)?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?).join("dora");
    std::fs::create_dir_all(&out)?;
    let config = dora_codegen::Config::new().out_dir(&out);
    config.compile(["proto/echo.proto", "proto/swoft.proto"])?;
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    std::fs::write(out.join("cert.pem"), own.cert.pem())?;
    std::fs::write(out.join("key.pem"), own.signing_key.serialize_pem())?;
    Ok(())
}
