//! The comments of a `.proto`.

use prost_reflect::FileDescriptor;
use serde_json::Value;

/// What the comments of what lies at `path` of its file say; nothing where there are
/// none.
pub(super) fn text(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let mut locations = info.iter().flat_map(|info| &info.location);
    let Some(location) = locations.find(|location| location.path == path) else { return String::new() };
    let parts = [&location.leading_comments, &location.trailing_comments];
    let lines = parts.into_iter().flatten().map(|comment| {
        let lines: Vec<&str> =
            comment.trim().lines().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
        lines.join("\n")
    });
    lines.collect::<Vec<_>>().join("\n\n")
}

/// An object with a description, if there is one.
pub(super) fn described(mut object: Value, description: String) -> Value {
    if let Some(members) = object.as_object_mut().filter(|_| !description.is_empty()) {
        members.insert("description".to_owned(), description.into());
    }
    object
}
