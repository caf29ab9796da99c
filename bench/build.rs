//! Compiles `proto/echo.proto` without `protoc`.

fn main() -> anyhow::Result<()> {
    println!("cargo::rerun-if-changed=proto/echo.proto");
    let files = protox::compile(["proto/echo.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .bytes(".")
        .message_attribute(".", "#[derive(serde::Serialize, serde::Deserialize)]")
        .compile_fds(files)?;
    Ok(())
}
