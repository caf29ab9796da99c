//! Whose page a browser sends a request for.

use hyper::Uri;
use hyper::header::{HOST, HeaderMap, HeaderValue, ORIGIN};

/// Whether a browser sends a request for a page of another site. Nothing else says where
/// it comes from. `guarded`: no form can make it, so that a name of this host that it does
/// not know itself, as behind a proxy, does no harm.
pub(crate) fn is_foreign(uri: &Uri, headers: &HeaderMap, guarded: bool) -> bool {
    // The browser says so itself, and no page can make it say otherwise.
    if let Some(site) = headers.get("sec-fetch-site") {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    let Some(origin) = headers.get(ORIGIN).filter(|_| !guarded) else { return false };
    let origin = origin.as_bytes();
    let from = origin.strip_prefix(b"https://").or_else(|| origin.strip_prefix(b"http://"));
    let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
    match (from, authority.or_else(|| headers.get(HOST).map(HeaderValue::as_bytes))) {
        (Some(from), Some(host)) => !from.eq_ignore_ascii_case(host),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderName;

    use super::*;

    #[test]
    fn a_page_of_another_site_is_told_from_ones_own() {
        let host = ("host", "shop.example:8080");
        for (uri, said, guarded, foreign) in [
            ("/x", &[host][..], false, false),
            ("/x", &[host, ("origin", "http://Shop.example:8080")], false, false),
            ("/x", &[host, ("origin", "https://shop.example:8080")], false, false),
            // HTTP/2 has an authority.
            ("http://shop.example:8080/x", &[("origin", "http://shop.example:8080")], false, false),
            ("http://shop.example:8080/x", &[host, ("origin", "http://evil.example")], false, true),
            ("/x", &[host, ("origin", "http://evil.example")], false, true),
            ("/x", &[host, ("origin", "null")], false, true),
            ("/x", &[("origin", "http://shop.example:8080")], false, true),
            // Behind a proxy that has another name.
            ("/x", &[host, ("origin", "http://front.example")], true, false),
            ("/x", &[host, ("sec-fetch-site", "none")], false, false),
            (
                "/x",
                &[host, ("sec-fetch-site", "same-origin"), ("origin", "http://front.example")],
                false,
                false,
            ),
            ("/x", &[host, ("sec-fetch-site", "cross-site")], true, true),
            ("/x", &[host, ("sec-fetch-site", "same-site")], true, true),
            (
                "/x",
                &[host, ("sec-fetch-site", "same-site"), ("origin", "http://shop.example:8080")],
                false,
                true,
            ),
        ] {
            let pair = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            let headers = said.iter().map(pair).collect();
            assert_eq!(
                is_foreign(&uri.parse().expect("a URI"), &headers, guarded),
                foreign,
                "{uri} {said:?}"
            );
        }
    }
}
