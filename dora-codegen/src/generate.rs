//! From descriptors to the text of each package.

use std::collections::BTreeMap;

use prost_build::Module;
use prost_reflect::DescriptorPool;
use prost_types::FileDescriptorProto;
use protox::Compiler;

use crate::config::{Attribute, Config, Place};
use crate::docs::Comments;
use crate::emit::{self, Mapping, Runtime, ServiceEmitter};
use crate::error::{Error, Problem};
use crate::output::Package;
use crate::resolve::Includes;
use crate::{format, model, options};

/// What prost has for the types of Google's, unless the user has others; all
/// but the first of them by name.
const GOOGLE: [(&str, &str); 11] = [
    ("", "{}::prost_types"),
    (".BoolValue", "bool"),
    (".BytesValue", "{}::prost::alloc::vec::Vec<u8>"),
    (".DoubleValue", "f64"),
    (".Empty", "()"),
    (".FloatValue", "f32"),
    (".Int32Value", "i32"),
    (".Int64Value", "i64"),
    (".StringValue", "{}::prost::alloc::string::String"),
    (".UInt32Value", "u32"),
    (".UInt64Value", "u64"),
];

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
    let runtime = Runtime::new(&config.runtime)?;
    let pool = compiler.descriptor_pool();
    let mut prost = prost(config, &runtime, &pool)?;
    if config.build_client || config.build_server {
        prost.service_generator(Box::new(ServiceEmitter::new(config, &runtime, services)));
    }
    let mapping = Mapping { pool: &pool, serde: config.serde };
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

fn prost(config: &Config, runtime: &Runtime, pool: &DescriptorPool) -> Result<prost_build::Config, Problem> {
    let codegen = runtime.codegen();
    let mut prost = prost_build::Config::new();
    prost
        .prost_path(format!("{codegen}::prost"))
        .prost_types_path(format!("{codegen}::prost_types"))
        .bytes(bytes_fields(config, pool))
        .btree_map(&config.btree_maps);
    for (proto, rust) in &config.extern_paths {
        if !proto.starts_with('.') {
            return Err(Problem::new(format!("the extern path {proto:?} does not start with a dot"))
                .help(format!("write \".{proto}\"")));
        }
        prost.extern_path(proto, rust);
    }
    if config.extern_paths.iter().any(|(proto, _)| proto.starts_with(".google.protobuf")) {
        // prost's own list bears no second path for what is in it.
        prost.compile_well_known_types();
        for (name, rust) in GOOGLE {
            let proto = format!(".google.protobuf{name}");
            if !config.extern_paths.iter().any(|(given, _)| *given == proto) {
                prost.extern_path(proto, rust.replace("{}", &codegen));
            }
        }
    }
    for attribute in &config.attributes {
        let Attribute { on, path, text } = attribute;
        check_attribute(text)?;
        match on {
            Place::Type => prost.type_attribute(path, text),
            Place::Message => prost.message_attribute(path, text),
            Place::Enum => prost.enum_attribute(path, text),
            Place::Field => prost.field_attribute(path, text),
            // On services, which are not prost's.
            _ => &mut prost,
        };
    }
    Ok(prost)
}

/// The paths of the fields that are `Bytes`.
fn bytes_fields(config: &Config, pool: &DescriptorPool) -> Vec<String> {
    if config.byte_vecs.is_empty() {
        return vec![".".to_owned()];
    }
    let is_vec = |name: &str| config.byte_vecs.iter().any(|path| Config::matches(path, name));
    let mut paths = vec![];
    for message in pool.all_messages().filter(|message| !message.is_map_entry()) {
        let (maps, fields): (Vec<_>, Vec<_>) = message.fields().partition(|field| field.is_map());
        let fields = fields.iter().filter(|field| !is_vec(field.full_name()));
        paths.extend(fields.map(|field| format!(".{}", field.full_name())));
        // To prost the values of all maps of a message are one field.
        if maps.iter().any(|map| !is_vec(map.full_name())) {
            paths.push(format!(".{}.value", message.full_name()));
        }
    }
    paths
}

fn check_attribute(text: &str) -> Result<(), Problem> {
    use syn::parse::Parser;

    syn::Attribute::parse_outer.parse_str(text).map(|_| ()).map_err(|error| {
        Problem::new(format!("{text:?} is no attribute: {error}"))
            .help("write it as it stands in Rust, such as \"#[derive(Eq)]\"")
    })
}
