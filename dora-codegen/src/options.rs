//! Reads the options of `dora/options.proto` off the descriptors.

use prost_reflect::{DynamicMessage, MethodDescriptor, ReflectMessage, ServiceDescriptor, Value};
use prost_types::method_options::IdempotencyLevel;

/// The options file, for `import "dora/options.proto"`.
pub(crate) const PROTO: &str = include_str!("../proto/dora/options.proto");

/// The name under which [`PROTO`] is imported.
pub(crate) const PROTO_NAME: &str = "dora/options.proto";

/// What to write, if `message` is about an option or a type of ours.
pub(crate) fn help(message: &str) -> Option<String> {
    let is_ours = message.contains("(dora.") || message.contains("'dora.");
    is_ours.then(|| {
        "import \"dora/options.proto\"; (dora.service) has version, group and interface; (dora.method) has \
         name, idempotent, timeout_ms, mode, which is WAIT, NO_RESULT or DEFERRED, and priority, which is \
         LOW, NORMAL, HIGH or CRITICAL"
            .to_owned()
    })
}

/// `(dora.service)` as written.
#[derive(Debug, Default)]
pub(crate) struct ServiceOptions {
    pub(crate) version: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) interface: Option<String>,
}

impl ServiceOptions {
    pub(crate) fn of(service: &ServiceDescriptor) -> Self {
        let options = service.options();
        let Some(options) = extension(&options, "dora.service") else {
            return Self::default();
        };
        Self {
            version: string(&options, "version"),
            group: string(&options, "group"),
            interface: string(&options, "interface"),
        }
    }
}

/// `(dora.method)` as written, and the standard `idempotency_level`.
#[derive(Debug, Default)]
pub(crate) struct MethodOptions {
    pub(crate) names: Vec<String>,
    pub(crate) idempotent: bool,
    /// Milliseconds.
    pub(crate) timeout_ms: Option<u32>,
    pub(crate) mode: Mode,
    pub(crate) priority: Option<Priority>,
}

impl MethodOptions {
    pub(crate) fn of(method: &MethodDescriptor) -> Self {
        let standard = method
            .method_descriptor_proto()
            .options
            .as_ref()
            .is_some_and(|options| options.idempotency_level() != IdempotencyLevel::IdempotencyUnknown);
        let options = method.options();
        let Some(options) = extension(&options, "dora.method") else {
            return Self { idempotent: standard, ..Self::default() };
        };
        Self {
            names: strings(&options, "name"),
            idempotent: written(&options, "idempotent").and_then(|value| value.as_bool()).unwrap_or(standard),
            timeout_ms: written(&options, "timeout_ms").and_then(|value| value.as_u32()),
            mode: match written(&options, "mode").and_then(|value| value.as_enum_number()) {
                Some(1) => Mode::NoResult,
                Some(2) => Mode::Deferred,
                _ => Mode::Wait,
            },
            priority: written(&options, "priority").and_then(|value| value.as_enum_number()).map(|number| {
                match number {
                    1 => Priority::Low,
                    2 => Priority::High,
                    3 => Priority::Critical,
                    _ => Priority::Normal,
                }
            }),
        }
    }
}

/// What a caller waits for unless it says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Wait,
    NoResult,
    Deferred,
}

/// How much a call matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    Low,
    Normal,
    High,
    Critical,
}

impl Priority {
    /// As a call says it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// The message that the named extension of `options` holds.
fn extension(options: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let pool = options.descriptor().parent_pool().clone();
    let extension = pool.get_extension_by_name(name)?;
    if !options.has_extension(&extension) {
        return None;
    }
    options.get_extension(&extension).as_message().cloned()
}

/// The value of a field that the author set.
fn written(message: &DynamicMessage, field: &str) -> Option<Value> {
    if message.has_field_by_name(field) {
        message.get_field_by_name(field).map(|value| (*value).clone())
    } else {
        None
    }
}

fn string(message: &DynamicMessage, field: &str) -> Option<String> {
    written(message, field).and_then(|value| value.as_str().map(str::to_owned))
}

fn strings(message: &DynamicMessage, field: &str) -> Vec<String> {
    let list = written(message, field);
    let values = list.as_ref().and_then(Value::as_list).unwrap_or_default();
    values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect()
}
