//! prost's own configuration.

use prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor};

use crate::config::{Attribute, Config, Place};
use crate::emit::Runtime;

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

/// prost, as the user wants it.
pub(crate) fn configured(config: &Config, runtime: &Runtime, pool: &DescriptorPool) -> prost_build::Config {
    let codegen = runtime.codegen();
    let mut prost = prost_build::Config::new();
    prost
        .prost_path(format!("{codegen}::prost"))
        .prost_types_path(format!("{codegen}::prost_types"))
        .bytes(bytes_fields(config, pool))
        .btree_map(&config.btree_maps);
    plain_debug(config, pool, &mut prost);
    for (proto, rust) in &config.extern_paths {
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
        match on {
            Place::Type => prost.type_attribute(path, text),
            Place::Message => prost.message_attribute(path, text),
            Place::Enum => prost.enum_attribute(path, text),
            Place::Field => prost.field_attribute(path, text),
            // On services, which are not prost's.
            _ => &mut prost,
        };
    }
    prost
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

/// Has rustc derive `Debug` for messages with B-tree maps: prost's own names a
/// crate `prost` there, which users need not have.
fn plain_debug(config: &Config, pool: &DescriptorPool, prost: &mut prost_build::Config) {
    let is_btree = |field: &FieldDescriptor| {
        field.is_map() && config.btree_maps.iter().any(|path| Config::matches(path, field.full_name()))
    };
    let messages = || pool.all_messages().filter(|message| !message.is_map_entry());
    let with_maps: Vec<MessageDescriptor> =
        messages().filter(|message| message.fields().any(|field| is_btree(&field))).collect();
    // What is said of a message prost takes as said of those in it.
    let within = |outer: &MessageDescriptor, inner: &MessageDescriptor| {
        std::iter::successors(inner.parent_message(), MessageDescriptor::parent_message)
            .any(|it| it == *outer)
    };
    let outermost = with_maps.iter().filter(|inner| !with_maps.iter().any(|outer| within(outer, inner)));
    let mut paths = vec![];
    for outer in outermost {
        let path = format!(".{}", outer.full_name());
        prost.message_attribute(&path, "#[derive(Debug)]");
        for message in messages().filter(|message| message == outer || within(outer, message)) {
            for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
                prost.enum_attribute(format!(".{}", oneof.full_name()), "#[derive(Debug)]");
            }
            for enumeration in message.child_enums() {
                prost.enum_attribute(format!(".{}", enumeration.full_name()), "#[derive(Debug)]");
            }
        }
        paths.push(path);
    }
    prost.skip_debug(paths);
}
