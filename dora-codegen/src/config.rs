//! What can be chosen.

use std::path::PathBuf;

/// Choices for [`compile`](crate::compile()), each with a sensible default.
///
/// ```no_run
/// # fn main() -> Result<(), dora_codegen::Error> {
/// dora_codegen::Config::new()
///     .include("../protos")
///     .file_descriptor_set("shop.bin")
///     .build_server(false)
///     .compile(["../protos/shop/v1/orders.proto", "../protos/shop/v1/users.proto"])
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing happens until `compile`"]
pub struct Config {
    pub(crate) includes: Vec<PathBuf>,
    pub(crate) out_dir: Option<PathBuf>,
    pub(crate) file_descriptor_set: Option<PathBuf>,
    pub(crate) extern_paths: Vec<(String, String)>,
    pub(crate) type_attributes: Vec<(String, String)>,
    pub(crate) field_attributes: Vec<(String, String)>,
    pub(crate) build_client: bool,
    pub(crate) build_server: bool,
    pub(crate) strict_reading: bool,
}

impl Config {
    /// Clients and servers, into `OUT_DIR`.
    pub fn new() -> Self {
        Self {
            includes: Vec::new(),
            out_dir: None,
            file_descriptor_set: None,
            extern_paths: Vec::new(),
            type_attributes: Vec::new(),
            field_attributes: Vec::new(),
            build_client: true,
            build_server: true,
            strict_reading: false,
        }
    }

    /// Adds a directory that imports start at, searched in the order of the
    /// calls. Default: see [`compile`](crate::compile()).
    pub fn include(mut self, dir: impl Into<PathBuf>) -> Self {
        self.includes.push(dir.into());
        self
    }

    /// Writes there. Default: Cargo's `OUT_DIR`.
    pub fn out_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(dir.into());
        self
    }

    /// Also writes a `FileDescriptorSet` of the files and all their imports, as
    /// reflection serves it. A relative path starts at the output directory.
    pub fn file_descriptor_set(mut self, path: impl Into<PathBuf>) -> Self {
        self.file_descriptor_set = Some(path.into());
        self
    }

    /// Generates nothing for the proto package or message `proto_path` (such
    /// as `.shop.v1`) and uses what lies at `rust_path` (`::shop_protos::v1`),
    /// which this crate must have generated.
    pub fn extern_path(mut self, proto_path: impl Into<String>, rust_path: impl Into<String>) -> Self {
        self.extern_paths.push((proto_path.into(), rust_path.into()));
        self
    }

    /// Puts `attribute` on the messages, enums and oneofs that `path` matches:
    /// `"."` is all, `".shop.v1.Order"` one, `"Order"` all of that name.
    pub fn type_attribute(mut self, path: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.type_attributes.push((path.into(), attribute.into()));
        self
    }

    /// Puts `attribute` on the fields that `path` matches, as
    /// [`type_attribute`](Self::type_attribute) does on types.
    pub fn field_attribute(mut self, path: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.field_attributes.push((path.into(), attribute.into()));
        self
    }

    /// Whether to generate clients. Default: yes.
    pub fn build_client(mut self, yes: bool) -> Self {
        self.build_client = yes;
        self
    }

    /// Whether to generate servers. Default: yes.
    pub fn build_server(mut self, yes: bool) -> Self {
        self.build_server = yes;
        self
    }

    /// Whether `false` and `""` are errors where PHP often means nothing by them:
    /// in the place of a message, an `optional`, a member of a `oneof`, a number or
    /// a list. Default: no, they are nothing there, as null is.
    pub fn strict_reading(mut self, yes: bool) -> Self {
        self.strict_reading = yes;
        self
    }

    /// Whether nothing is generated for `full_name`: it is Google's, or an
    /// `extern_path` covers it.
    pub(crate) fn is_extern(&self, full_name: &str) -> bool {
        let given = self.extern_paths.iter().map(|(proto, _)| proto.as_str());
        given.chain([".google.protobuf"]).any(|proto| {
            proto
                .strip_prefix('.')
                .and_then(|proto| full_name.strip_prefix(proto))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}
