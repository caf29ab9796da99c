//! From files to files: resolve, check, generate, write.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost_build::Module;
use prost_reflect::DescriptorPool;
use prost_types::FileDescriptorProto;
use protox::Compiler;

use crate::config::Config;
use crate::emit::{self, ServiceEmitter};
use crate::error::{Error, Problem};
use crate::resolve::Includes;
use crate::{check, format, model, options};

/// Where generated code finds all that it needs.
const RUNTIME: &str = "::dora::codegen";

pub(crate) fn run(config: &Config, protos: &[&Path]) -> Result<(), Error> {
    let out_dir = match (&config.out_dir, env::var_os("OUT_DIR")) {
        (Some(dir), _) => dir.clone(),
        (None, Some(dir)) => PathBuf::from(dir),
        (None, None) => {
            return Err(Problem::new("there is no OUT_DIR to write to")
                .help("call it from a build script, or set Config::out_dir")
                .into());
        }
    };
    let includes = Includes::new(&config.includes, protos);
    let mut compiler = includes.compiler();
    let opened = compiler.open_files(protos).map(|_| ());
    watch(&compiler, protos);
    opened.map_err(|error| Error::from_protox(&error, &includes))?;

    for (module, text) in generate(config, &compiler, &includes)? {
        write_if_changed(&out_dir.join(module.to_file_name_or("_")), text.as_bytes())?;
    }
    if let Some(path) = &config.file_descriptor_set {
        let set = compiler.encode_file_descriptor_set();
        write_if_changed(&out_dir.join(path), &set)?;
    }
    Ok(())
}

/// Has Cargo run the build script again when a file changes that was read.
fn watch(compiler: &Compiler, protos: &[&Path]) {
    // Outside a build script nobody reads this.
    if env::var_os("OUT_DIR").is_none() {
        return;
    }
    let read = compiler.files().filter_map(|file| file.path());
    let paths: BTreeSet<&Path> = protos.iter().copied().chain(read).collect();
    for path in paths {
        println!("cargo:rerun-if-changed={}", path.display());
    }
}

/// The text of each module.
fn generate(
    config: &Config,
    compiler: &Compiler,
    includes: &Includes,
) -> Result<HashMap<Module, String>, Error> {
    let pool = compiler.descriptor_pool();
    let services = model::services(&pool, includes);
    let is_ours = |name: &str| !is_extern(config, name);
    let ours: Vec<&model::Service> = services.iter().filter(|service| is_ours(&service.full_name)).collect();
    Error::check(check::all(&ours, &pool, includes, is_ours))?;

    let mut files = compiler.file_descriptor_set().file;
    files.retain(|file| file.name() != options::PROTO_NAME);
    for file in &mut files {
        let package = match file.package() {
            "" => String::new(),
            package => format!("{package}."),
        };
        file.service.retain(|service| is_ours(&format!("{package}{}", service.name())));
    }
    let requests: Vec<(Module, FileDescriptorProto)> =
        files.into_iter().map(|file| (Module::from_protobuf_package_name(file.package()), file)).collect();
    let mut prost = prost(config);
    if config.build_client || config.build_server {
        prost.service_generator(Box::new(ServiceEmitter::new(config, services)));
    }
    let modules = prost.generate(requests).map_err(|error| Problem::new(error.to_string()))?;
    modules
        .into_iter()
        .map(|(module, text)| {
            let text = finish(&text, &pool, &module)?;
            Ok((module, text))
        })
        .collect()
}

/// Adds to prost's text what it does not know, and formats it.
fn finish(text: &str, pool: &DescriptorPool, module: &Module) -> Result<String, Error> {
    let mut file = syn::parse_file(text)
        .map_err(|error| Problem::new(format!("generated code does not parse: {error}")))?;
    emit::mapped::add(&mut file, pool, module)?;
    Ok(format::file(&file))
}

fn prost(config: &Config) -> prost_build::Config {
    let mut prost = prost_build::Config::new();
    prost
        .prost_path(format!("{RUNTIME}::prost"))
        .prost_types_path(format!("{RUNTIME}::prost_types"))
        .bytes(["."]);
    for (proto, rust) in &config.extern_paths {
        prost.extern_path(proto, rust);
    }
    for (path, attribute) in &config.type_attributes {
        prost.type_attribute(path, attribute);
    }
    for (path, attribute) in &config.field_attributes {
        prost.field_attribute(path, attribute);
    }
    prost
}

/// Whether nothing is generated for `full_name`: it is Google's, or an
/// `extern_path` covers it.
fn is_extern(config: &Config, full_name: &str) -> bool {
    let given = config.extern_paths.iter().map(|(proto, _)| proto.as_str());
    given.chain([".google.protobuf"]).any(|proto| {
        proto
            .strip_prefix('.')
            .and_then(|proto| full_name.strip_prefix(proto))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// Leaves the file alone if it is right already, so that Cargo does not
/// rebuild what includes it.
fn write_if_changed(path: &Path, content: &[u8]) -> Result<(), Error> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, &error))?;
    }
    fs::write(path, content).map_err(|error| Error::io("write", path, &error))
}
