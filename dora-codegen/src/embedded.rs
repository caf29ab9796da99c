//! Files that can be imported without being there.

use crate::options;

/// Names and texts: our options, and the annotations that give methods paths of HTTP.
/// The user's own files go before them.
const FILES: [(&str, &str); 3] = [
    (options::PROTO_NAME, options::PROTO),
    ("google/api/annotations.proto", include_str!("../proto/google/api/annotations.proto")),
    ("google/api/http.proto", include_str!("../proto/google/api/http.proto")),
];

/// The text of the file that is imported as `name`.
pub(crate) fn text(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
