//! From descriptors to the text of each package.

use std::collections::BTreeMap;

use prost_build::Module;
use prost_reflect::DescriptorPool;
use prost_types::FileDescriptorProto;
use protox::Compiler;

use crate::config::Config;
use crate::docs::Comments;
use crate::emit::{self, ServiceEmitter};
use crate::error::{Error, Problem};
use crate::output::Package;
use crate::resolve::Includes;
use crate::{format, model, options};

/// Where generated code finds all that it needs.
const RUNTIME: &str = "::dora::codegen";

/// The Rust of all packages.
pub(crate) fn packages(
    config: &Config,
    compiler: &Compiler,
    services: Vec<model::Service>,
    includes: &Includes,
) -> Result<Vec<Package>, Error> {
    let mut files = compiler.file_descriptor_set().file;
    files.retain(|file| file.name() != options::PROTO_NAME);
    let mut comments = Comments::default();
    let mut origins: BTreeMap<Module, (String, Vec<String>)> = BTreeMap::new();
    for file in &mut files {
        comments.take(file);
        drop_extern_services(config, file);
        let module = Module::from_protobuf_package_name(file.package());
        let (package, from) = origins.entry(module).or_default();
        file.package().clone_into(package);
        from.push(includes.path_of(file.name()));
    }
    let requests: Vec<(Module, FileDescriptorProto)> =
        files.into_iter().map(|file| (Module::from_protobuf_package_name(file.package()), file)).collect();
    let mut prost = prost(config);
    if config.build_client || config.build_server {
        prost.service_generator(Box::new(ServiceEmitter::new(config, services)));
    }
    let pool = compiler.descriptor_pool();
    let texts = prost.generate(requests).map_err(|error| Problem::new(error.to_string()))?;
    texts
        .into_iter()
        .map(|(module, text)| {
            let text = finish(config, &text, &pool, &module, &comments)?;
            let modules = module.parts().map(str::to_owned).collect();
            let (name, from) = origins.remove(&module).unwrap_or_default();
            Ok(Package { name, modules, text, from: from.join(", ") })
        })
        .collect()
}

fn drop_extern_services(config: &Config, file: &mut FileDescriptorProto) {
    let package = match file.package() {
        "" => String::new(),
        package => format!("{package}."),
    };
    file.service.retain(|service| !config.is_extern(&format!("{package}{}", service.name())));
}

/// Adds to prost's text what it does not know, and formats it.
fn finish(
    config: &Config,
    text: &str,
    pool: &DescriptorPool,
    module: &Module,
    comments: &Comments,
) -> Result<String, Error> {
    let mut file = syn::parse_file(text)
        .map_err(|error| Problem::new(format!("generated code does not parse: {error}")))?;
    emit::mapped::add(config, &mut file, pool, module)?;
    comments.put(&mut file);
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
