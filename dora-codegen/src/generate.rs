//! From descriptors to the text of each package.

use std::collections::BTreeMap;

use prost_build::Module;
use prost_types::FileDescriptorProto;
use protox::Compiler;

use crate::config::Config;
use crate::docs::Comments;
use crate::emit::{self, Mapping, Runtime, ServiceEmitter};
use crate::error::{Error, Problem};
use crate::output::Package;
use crate::resolve::Includes;
use crate::{embedded, format, model, options, prost, reflection};

/// The Rust of all packages.
pub(crate) fn packages(
    config: &Config,
    compiler: &Compiler,
    services: Vec<model::Service>,
    includes: &Includes,
) -> Result<Vec<Package>, Error> {
    let mut files = compiler.file_descriptor_set().file;
    // Options alone are in those of this crate: nobody's code is made of them.
    let is_ours = |name: &str| name == options::PROTO_NAME || includes.find(name).is_none();
    files.retain(|file| embedded::text(file.name()).is_none() || !is_ours(file.name()));
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
    let runtime = Runtime::new(&config.runtime)?;
    let pool = compiler.descriptor_pool();
    let sets = if config.build_server { reflection::sets(&pool) } else { BTreeMap::new() };
    let mut prost = prost::configured(config, &runtime, &pool);
    if config.build_client || config.build_server {
        prost.service_generator(Box::new(ServiceEmitter::new(config, &runtime, services)));
    }
    let mapping = Mapping { pool: &pool, serde: config.serde, strict: config.strict_reading };
    let texts = prost.generate(requests).map_err(|error| Problem::new(error.to_string()))?;
    texts
        .into_iter()
        .map(|(module, text)| {
            // Adds to prost's text what it does not know, and formats it.
            let mut file = syn::parse_file(&text)
                .map_err(|error| Problem::new(format!("generated code does not parse: {error}")))?;
            mapping.add(&mut file, &module)?;
            comments.put(&mut file);
            emit::allow(&mut file, module.parts().last());
            runtime.put(&mut file);
            let text = format::file(&file);
            let modules = module.parts().map(str::to_owned).collect();
            let (name, from) = origins.remove(&module).unwrap_or_default();
            let descriptors = sets.get(&name).cloned();
            Ok(Package { name, modules, text, descriptors, from: from.join(", ") })
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
