//! What a server can say of its services while it runs: their files, as descriptors.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::{FileDescriptorProto, FileDescriptorSet, SourceCodeInfo};

/// Who reads descriptors has Google's own files.
fn is_known(name: &str) -> bool {
    name.starts_with("google/protobuf/")
}

/// For each package that has services: the files that declare them, and all that they
/// import.
pub(crate) fn sets(files: &[FileDescriptorProto]) -> BTreeMap<String, FileDescriptorSet> {
    let by_name: BTreeMap<&str, &FileDescriptorProto> =
        files.iter().map(|file| (file.name(), file)).collect();
    let serving = files.iter().filter(|file| !file.service.is_empty());
    let packages: BTreeSet<&str> = serving.map(FileDescriptorProto::package).collect();
    let set = |package: &str| {
        let roots = files.iter().filter(|file| !file.service.is_empty() && file.package() == package);
        let mut set = Closure { by_name: &by_name, seen: BTreeSet::new(), file: Vec::new() };
        roots.for_each(|file| set.add(file));
        (package.to_owned(), FileDescriptorSet { file: set.file })
    };
    packages.into_iter().map(set).collect()
}

/// Files, each behind those that it imports.
struct Closure<'a> {
    by_name: &'a BTreeMap<&'a str, &'a FileDescriptorProto>,
    seen: BTreeSet<&'a str>,
    file: Vec<FileDescriptorProto>,
}

impl<'a> Closure<'a> {
    fn add(&mut self, file: &'a FileDescriptorProto) {
        if is_known(file.name()) || !self.seen.insert(file.name()) {
            return;
        }
        for import in &file.dependency {
            if let Some(file) = self.by_name.get(import.as_str()) {
                self.add(file);
            }
        }
        self.file.push(with_comments_alone(file));
    }
}

/// The file without the places of what is in it: half of its size.
fn with_comments_alone(file: &FileDescriptorProto) -> FileDescriptorProto {
    let mut file = file.clone();
    let locations = file.source_code_info.take().map(|info| info.location).unwrap_or_default();
    let said = locations.into_iter().filter_map(|mut location| {
        location.span.clear();
        location.leading_detached_comments.clear();
        (location.leading_comments.is_some() || location.trailing_comments.is_some()).then_some(location)
    });
    let location: Vec<_> = said.collect();
    if !location.is_empty() && file.name() != crate::options::PROTO_NAME {
        file.source_code_info = Some(SourceCodeInfo { location });
    }
    file
}
