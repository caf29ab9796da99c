//! The services of a compile, as their options describe them.

use prost_reflect::{DescriptorPool, FileDescriptor, MessageDescriptor, MethodDescriptor, ServiceDescriptor};

use crate::error::Position;
use crate::naming::{self, ServiceNames};
use crate::options::{MethodOptions, Mode, Priority, ServiceOptions};
use crate::resolve::Includes;

/// The version of a service that names none.
const DEFAULT_VERSION: &str = "1.0";

/// A service and its options.
#[derive(Debug)]
pub(crate) struct Service {
    /// `quickstart.v1.Greeter`.
    pub(crate) full_name: String,
    /// `quickstart.v1`.
    pub(crate) package: String,
    /// `Greeter`.
    pub(crate) name: String,
    pub(crate) names: ServiceNames,
    pub(crate) version: String,
    pub(crate) group: Option<String>,
    pub(crate) interface: Option<String>,
    pub(crate) methods: Vec<Method>,
    pub(crate) at: Position,
}

/// An rpc and its options.
#[derive(Debug)]
pub(crate) struct Method {
    /// `Hello`.
    pub(crate) name: String,
    /// `hello`.
    pub(crate) rust_name: proc_macro2::Ident,
    /// `/quickstart.v1.Greeter/Hello`.
    pub(crate) path: String,
    /// Names from before there was a `.proto`.
    pub(crate) aliases: Vec<String>,
    pub(crate) idempotent: bool,
    /// Milliseconds.
    pub(crate) timeout_ms: Option<u32>,
    pub(crate) mode: Mode,
    pub(crate) priority: Option<Priority>,
    /// The fields of the request, in the order of their numbers.
    pub(crate) fields: Vec<String>,
    pub(crate) streaming: bool,
    pub(crate) deprecated: bool,
    pub(crate) at: Position,
}

/// Every service of `pool`, in the order of the files.
pub(crate) fn services(pool: &DescriptorPool, includes: &Includes) -> Vec<Service> {
    pool.services().map(|service| read_service(&service, includes)).collect()
}

/// Where the thing with descriptor path `path` stands in its file.
pub(crate) fn position(file: &FileDescriptor, path: &[i32], includes: &Includes) -> Position {
    let span = file
        .file_descriptor_proto()
        .source_code_info
        .iter()
        .flat_map(|info| &info.location)
        .find(|location| location.path == path)
        .map_or(&[] as &[i32], |location| &location.span);
    let from_one = |index: usize| match span.get(index) {
        Some(&n) => usize::try_from(n).map_or(0, |n| n + 1),
        None => 0,
    };
    Position { file: includes.path_of(file.name()), line: from_one(0), column: from_one(1) }
}

fn read_service(service: &ServiceDescriptor, includes: &Includes) -> Service {
    let options = ServiceOptions::of(service);
    let file = service.parent_file();
    Service {
        full_name: service.full_name().to_owned(),
        package: service.package_name().to_owned(),
        name: service.name().to_owned(),
        names: ServiceNames::new(service.name()),
        version: options.version.unwrap_or_else(|| DEFAULT_VERSION.to_owned()),
        group: options.group,
        interface: options.interface,
        methods: service.methods().map(|method| read_method(&file, &method, includes)).collect(),
        at: position(&file, service.path(), includes),
    }
}

fn read_method(file: &FileDescriptor, method: &MethodDescriptor, includes: &Includes) -> Method {
    let options = MethodOptions::of(method);
    let service = method.parent_service().full_name();
    Method {
        name: method.name().to_owned(),
        rust_name: naming::method(method.name()),
        path: format!("/{service}/{}", method.name()),
        aliases: options.names,
        idempotent: options.idempotent,
        timeout_ms: options.timeout_ms,
        mode: options.mode,
        priority: options.priority,
        fields: fields(&method.input()),
        streaming: method.is_client_streaming() || method.is_server_streaming(),
        deprecated: method
            .method_descriptor_proto()
            .options
            .as_ref()
            .is_some_and(prost_types::MethodOptions::deprecated),
        at: position(file, method.path(), includes),
    }
}

/// The names of the fields of `message`, in the order of their numbers. One of Google's
/// that stands for a value is that value: one field without a name.
fn fields(message: &MessageDescriptor) -> Vec<String> {
    if message.package_name() == "google.protobuf" && message.name() != "Empty" {
        return vec![String::new()];
    }
    let mut fields: Vec<_> =
        message.fields().map(|field| (field.number(), field.name().to_owned())).collect();
    fields.sort_unstable();
    fields.into_iter().map(|(_, name)| name).collect()
}
