//! What a server can say of its services while it runs: their files, as descriptors.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, FileDescriptor, ReflectMessage as _, Value};
use prost_types::{FileDescriptorProto, FileDescriptorSet, SourceCodeInfo};

use crate::options;

/// Who reads descriptors has Google's own files.
fn is_known(name: &str) -> bool {
    name.starts_with("google/protobuf/")
}

/// For each package that has services, a `FileDescriptorSet` of the files that declare
/// them and all that they import, in bytes.
pub(crate) fn sets(pool: &DescriptorPool) -> BTreeMap<String, Vec<u8>> {
    let serving: Vec<FileDescriptor> = pool.files().filter(|file| file.services().len() > 0).collect();
    let packages: BTreeSet<&str> = serving.iter().map(FileDescriptor::package_name).collect();
    let set = |package: &str| {
        let mut set = Closure::default();
        serving.iter().filter(|file| file.package_name() == package).for_each(|file| set.add(file));
        let mut out = FileDescriptorSet::default().transcode_to_dynamic();
        out.set_field_by_name("file", Value::List(set.files));
        (package.to_owned(), out.encode_to_vec())
    };
    packages.into_iter().map(set).collect()
}

/// Files, each behind those that it imports.
#[derive(Default)]
struct Closure {
    seen: BTreeSet<String>,
    files: Vec<Value>,
}

impl Closure {
    fn add(&mut self, file: &FileDescriptor) {
        if is_known(file.name()) || !self.seen.insert(file.name().to_owned()) {
            return;
        }
        file.dependencies().for_each(|import| self.add(&import));
        self.files.push(Value::Message(with_comments_alone(file)));
    }
}

/// The file without the places of what is in it: half of its size. Of prost's types the
/// options of others, ours among them, would be lost.
fn with_comments_alone(file: &FileDescriptor) -> DynamicMessage {
    let descriptor = FileDescriptorProto::default().descriptor();
    let mut out =
        DynamicMessage::decode(descriptor, &*file.encode_to_vec()).expect("it was encoded just now");
    out.clear_field_by_name("source_code_info");
    if file.name() == options::PROTO_NAME {
        return out;
    }
    let info = file.file_descriptor_proto().source_code_info.iter();
    let said = info.flat_map(|info| info.location.iter().cloned()).filter_map(|mut location| {
        location.span.clear();
        location.leading_detached_comments.clear();
        (location.leading_comments.is_some() || location.trailing_comments.is_some()).then_some(location)
    });
    let info = SourceCodeInfo { location: said.collect() };
    out.set_field_by_name("source_code_info", Value::Message(info.transcode_to_dynamic()));
    out
}
