//! Choices of [`Config`] that are for nothing: a name with a slip in it would
//! else be passed over in silence.

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind};
use syn::parse::Parser;

use crate::config::{Config, Place};
use crate::error::Problem;
use crate::nearest::nearest;

/// All paths that nothing is called by.
pub(super) fn check(pool: &DescriptorPool, config: &Config) -> Vec<Problem> {
    let names = Names::of(pool, config);
    let mut problems = vec![];
    for attribute in &config.attributes {
        let (choice, what) = on(attribute.on);
        problems.extend(no_attribute(choice, &attribute.text));
        problems.extend(names.missing(choice, &attribute.path, what));
    }
    for path in &config.btree_maps {
        problems.extend(names.missing("btree_map", path, &[What::Map]));
    }
    for path in &config.byte_vecs {
        problems.extend(names.missing("bytes_as_vec", path, &[What::Bytes]));
    }
    problems.extend(config.extern_paths.iter().filter_map(|(proto, _)| unused_extern(proto, pool)));
    problems
}

/// What a path can be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Message,
    Enum,
    Oneof,
    /// A field, or a oneof, which is a field in Rust.
    Field,
    /// A field that is a map.
    Map,
    /// A field of bytes, or a map with them as values.
    Bytes,
    /// Of an enum.
    Value,
    Service,
}

impl What {
    fn noun(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Enum => "enum",
            Self::Oneof => "oneof",
            Self::Field => "field",
            Self::Map => "map",
            Self::Bytes => "bytes field",
            Self::Value => "value of an enum",
            Self::Service => "service",
        }
    }
}

/// The method of `Config` for `place`, and what its paths are of.
fn on(place: Place) -> (&'static str, &'static [What]) {
    match place {
        Place::Type => ("type_attribute", &[What::Message, What::Enum, What::Oneof]),
        Place::Message => ("message_attribute", &[What::Message]),
        Place::Enum => ("enum_attribute", &[What::Enum, What::Oneof]),
        Place::Field => ("field_attribute", &[What::Field, What::Value]),
        Place::ClientModule => ("client_mod_attribute", &[What::Service]),
        Place::Client => ("client_attribute", &[What::Service]),
        Place::ServerModule => ("server_mod_attribute", &[What::Service]),
        Place::Trait => ("trait_attribute", &[What::Service]),
        Place::MockModule => ("mock_mod_attribute", &[What::Service]),
    }
}

/// What is generated.
struct Names(Vec<(What, String)>);

impl Names {
    fn of(pool: &DescriptorPool, config: &Config) -> Self {
        let mut names = vec![];
        for message in pool.all_messages().filter(|message| !message.is_map_entry()) {
            names.push((What::Message, message.full_name().to_owned()));
            for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
                let kinds = [What::Oneof, What::Field];
                names.extend(kinds.map(|what| (what, oneof.full_name().to_owned())));
            }
            for field in message.fields() {
                let name = || field.full_name().to_owned();
                // As prost has it: a member is a variant of its oneof.
                let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
                let member = oneof.map(|oneof| format!("{}.{}", oneof.full_name(), field.name()));
                names.push((What::Field, member.unwrap_or_else(name)));
                names.extend(field.is_map().then(|| (What::Map, name())));
                names.extend(has_bytes(&field).then(|| (What::Bytes, name())));
            }
        }
        for enumeration in pool.all_enums() {
            let name = enumeration.full_name();
            // As prost has it: in protobuf values lie beside their enum.
            names.extend(enumeration.values().map(|value| (What::Value, format!("{name}.{}", value.name()))));
            names.push((What::Enum, name.to_owned()));
        }
        names.extend(pool.services().map(|service| (What::Service, service.full_name().to_owned())));
        names.retain(|(_, name)| !config.is_extern(name));
        Self(names)
    }

    /// The problem, if `path`, given to `choice`, is for none of `what`.
    fn missing(&self, choice: &str, path: &str, what: &[What]) -> Option<Problem> {
        let is_for = |(_, name): &&(What, String)| Config::matches(path, name);
        // Everything is meant, be it nothing.
        if path == "." || self.0.iter().filter(|(it, _)| what.contains(it)).any(|it| is_for(&it)) {
            return None;
        }
        let nouns: Vec<&str> = what.iter().map(|what| what.noun()).collect();
        let problem = Problem::new(format!("Config::{choice}({path:?}) is for no {}", nouns.join(" or ")));
        let known = self.0.iter().filter(|(it, _)| what.contains(it)).map(|(_, name)| name.as_str());
        let near = nearest(path, known);
        Some(match (self.0.iter().find(is_for), &*near) {
            (Some((other, name)), []) => problem.help(format!("that is the {} `{name}`", other.noun())),
            (None, []) => problem.help(
                "a path is such as \".shop.v1\", \".shop.v1.Order\", \"Order\" or \"Order.id\"; nothing that \
                 is generated has this one",
            ),
            (_, near) => problem.help(did_you_mean(path, near)),
        })
    }
}

fn no_attribute(choice: &str, text: &str) -> Option<Problem> {
    let error = syn::Attribute::parse_outer.parse_str(text).err()?;
    Some(
        Problem::new(format!("Config::{choice}: {text:?} is no attribute: {error}"))
            .help("write it as it stands in Rust, such as \"#[derive(Eq)]\""),
    )
}

fn has_bytes(field: &FieldDescriptor) -> bool {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind() == Kind::Bytes,
        kind => kind == Kind::Bytes,
    }
}

/// The problem, if nothing lies at `proto`.
fn unused_extern(proto: &str, pool: &DescriptorPool) -> Option<Problem> {
    let types = pool.all_messages().map(|message| message.full_name().to_owned());
    let types = types.chain(pool.all_enums().map(|enumeration| enumeration.full_name().to_owned()));
    let types = types.chain(pool.services().map(|service| service.full_name().to_owned()));
    let mut names: Vec<String> = types.collect();
    if !proto.starts_with('.') {
        let problem = Problem::new(format!("the extern path {proto:?} does not start with a dot"));
        return Some(problem.help(format!("write \".{proto}\"")));
    }
    if names.iter().any(|name| Config::matches(proto, name)) {
        return None;
    }
    names.extend(pool.files().map(|file| file.package_name().to_owned()).filter(|name| !name.is_empty()));
    let problem = Problem::new(format!("Config::extern_path({proto:?}, ..) is for no package or type"));
    let near = nearest(proto, names.iter().map(String::as_str));
    Some(match &*near {
        [] => problem.help("none of the files that are compiled, nor of those that they import, declares it"),
        near => problem.help(did_you_mean(proto, near)),
    })
}

/// `near`, as `path` would name them.
fn did_you_mean(path: &str, near: &[&str]) -> String {
    let dot = if path.starts_with('.') { "." } else { "" };
    let near: Vec<String> = near.iter().map(|name| format!("{:?}", format!("{dot}{name}"))).collect();
    match &*near {
        [first @ .., last] if !first.is_empty() => format!("did you mean {} or {last}?", first.join(", ")),
        near => format!("did you mean {}?", near.concat()),
    }
}
