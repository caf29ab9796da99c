//! From files to files: resolve, check, generate, write.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};

use protox::Compiler;

use crate::config::Config;
use crate::error::{Error, Problem};
use crate::output::Output;
use crate::protos::Protos;
use crate::resolve::Includes;
use crate::{check, diagnose, generate, model};

/// Generates Rust for `.proto` files, and for those that they import, into
/// Cargo's `OUT_DIR`.
///
/// One path, or several: `compile("proto/greeter.proto")`,
/// `compile(["proto/users.proto", "proto/orders.proto"])`. Files of one package
/// belong into one call.
///
/// Imports start at the nearest directory above a file that is called `proto`
/// or `protos`, else at the file's own, as if `protoc -I` named it;
/// `dora/options.proto` and `google/protobuf/*.proto` need none. [`Config`] has
/// the rest.
///
/// # Errors
///
/// An [`Error`] that names file, line and remedy, if a file is not there, is
/// not valid, or holds what Dora cannot serve; or if what an earlier call wrote
/// would be replaced.
pub fn compile(protos: impl Protos) -> Result<(), Error> {
    Config::new().compile(protos)
}

impl Config {
    /// Generates Rust for `protos`, one path or several, and all that they
    /// import.
    ///
    /// # Errors
    ///
    /// As [`compile`](crate::compile()).
    pub fn compile(self, protos: impl Protos) -> Result<(), Error> {
        run(&self, &protos.into_paths())
    }
}

fn run(config: &Config, protos: &[PathBuf]) -> Result<(), Error> {
    if protos.is_empty() {
        return Err(Problem::new("there is no file to compile").help("give the path of a `.proto`").into());
    }
    let output = Output::new(config.out_dir.as_deref())?;
    let (includes, names) = Includes::new(&config.includes, protos).map_err(Error::new)?;
    let mut compiler = includes.compiler();
    let opened = compiler.open_files(&names).map(|_| ());
    watch(&compiler, protos, &includes);
    opened.map_err(|error| diagnose::protox(&error, &includes))?;

    let pool = compiler.descriptor_pool();
    let services = model::services(&pool, &includes);
    let ours: Vec<&model::Service> =
        services.iter().filter(|service| !config.is_extern(&service.full_name)).collect();
    Error::check(check::all(&ours, &pool, &includes, config))?;

    output.packages(generate::packages(config, &compiler, services, &includes)?)?;
    if let Some(path) = &config.file_descriptor_set {
        let from: Vec<String> = protos.iter().map(|proto| proto.display().to_string()).collect();
        output.file(path, compiler.encode_file_descriptor_set(), from.join(", "))?;
    }
    Ok(())
}

/// Has Cargo run the build script again when a file changes that was read.
fn watch(compiler: &Compiler, protos: &[PathBuf], includes: &Includes) {
    // Outside a build script nobody reads this.
    if env::var_os("OUT_DIR").is_none() {
        return;
    }
    let read: Vec<PathBuf> = compiler.files().filter_map(|file| includes.find(file.name())).collect();
    let paths: BTreeSet<&Path> = protos.iter().chain(&read).map(PathBuf::as_path).collect();
    for path in paths {
        println!("cargo:rerun-if-changed={}", path.display());
    }
}
