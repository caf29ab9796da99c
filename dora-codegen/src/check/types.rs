//! Types of Google's that PHP and JSON have no form for.

use prost_reflect::{DescriptorPool, FileDescriptor, Kind};

use crate::config::Config;
use crate::error::{Position, Problem};
use crate::model;
use crate::resolve::Includes;

const GOOGLE: &str = "google.protobuf";

/// What the runtime has a form for.
const KNOWN: [&str; 18] = [
    "Any",
    "BoolValue",
    "BytesValue",
    "DoubleValue",
    "Duration",
    "Empty",
    "FieldMask",
    "FloatValue",
    "Int32Value",
    "Int64Value",
    "ListValue",
    "NullValue",
    "StringValue",
    "Struct",
    "Timestamp",
    "UInt32Value",
    "UInt64Value",
    "Value",
];

/// All that is wrong with the types that are generated, and with where they
/// are used.
pub(super) fn check(pool: &DescriptorPool, includes: &Includes, config: &Config) -> Vec<Problem> {
    let is_ours = |name: &str| !config.is_extern(name);
    let mut problems = vec![];
    let mut known = |full_name: &str, package: &str, name: &str, at: (&FileDescriptor, &[i32])| {
        if package == GOOGLE && !KNOWN.contains(&name) && !config.is_replaced(full_name) {
            let (file, path) = at;
            problems.push(unknown(full_name, &model::position(file, path, includes)));
        }
    };
    let messages = pool.all_messages().filter(|message| is_ours(message.full_name()));
    for field in messages.flat_map(|message| message.fields().collect::<Vec<_>>()) {
        let file = field.parent_message().parent_file();
        let at = (&file, field.path());
        match field.kind() {
            Kind::Message(kind) => known(kind.full_name(), kind.package_name(), kind.name(), at),
            Kind::Enum(kind) => known(kind.full_name(), kind.package_name(), kind.name(), at),
            _ => {}
        }
    }
    let services = pool.services().filter(|service| is_ours(service.full_name()));
    for method in services.flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let file = method.parent_file();
        for kind in [method.input(), method.output()] {
            known(kind.full_name(), kind.package_name(), kind.name(), (&file, method.path()));
        }
    }
    problems
}

fn unknown(name: &str, at: &Position) -> Problem {
    Problem::new(format!("`{name}` has no form as a PHP or JSON value"))
        .at(at)
        .help("put it into a `bytes` field, packed")
}
