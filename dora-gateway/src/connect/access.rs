//! Which pages a browser may call for.

use dora_core::call::status::Status;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use hyper::{Method, StatusCode, Uri};

use super::fault::Fault;

/// The pages of other sites that may call.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins(pub(super) Vec<String>);

/// Whose page a browser sends a request for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// Nobody's, or one of this host.
    Own,
    /// One of another site, that may call.
    Allowed(HeaderValue),
    /// One of another site.
    Foreign,
}

impl Origins {
    /// `guarded`: whether the request is one that no form can make.
    ///
    /// # Errors
    /// 403: a page of another site would call.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap, guarded: bool) -> Result<Page, Fault> {
        match self.page(uri, headers, guarded) {
            Page::Foreign => Err(Fault::new(
                StatusCode::FORBIDDEN,
                Status::permission_denied("a page of another site may not call here (Connect::allow_origin)"),
            )),
            page => Ok(page),
        }
    }

    fn page(&self, uri: &Uri, headers: &HeaderMap, guarded: bool) -> Page {
        let origin = headers.get(ORIGIN);
        if let Some(origin) = origin
            && self.0.iter().any(|allowed| allowed == "*" || allowed.as_bytes() == origin.as_bytes())
        {
            return Page::Allowed(origin.clone());
        }
        // The browser says so itself, and no page can make it say otherwise.
        if let Some(site) = headers.get("sec-fetch-site") {
            return match site.as_bytes() {
                b"same-origin" | b"none" => Page::Own,
                _ => Page::Foreign,
            };
        }
        let Some(origin) = origin.filter(|_| !guarded) else { return Page::Own };
        let origin = origin.as_bytes();
        let from = origin.strip_prefix(b"https://").or_else(|| origin.strip_prefix(b"http://"));
        let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
        match (from, authority.or_else(|| headers.get(HOST).map(HeaderValue::as_bytes))) {
            (Some(from), Some(host)) if from.eq_ignore_ascii_case(host) => Page::Own,
            _ => Page::Foreign,
        }
    }
}

/// Whether it is a browser's question whether it may send something.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// What a browser is told that may call for a page of another site.
pub(super) fn allow(page: &Page, headers: &mut HeaderMap) {
    let Page::Allowed(origin) = page else { return };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*, dora-code"));
    headers.append(VARY, HeaderValue::from_static("origin"));
}

/// What it is told before.
pub(super) fn allow_before(asked: &HeaderMap, headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE"));
    if let Some(names) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderName;

    use super::*;

    fn page(origins: &Origins, uri: &str, said: &[(&'static str, &'static str)], guarded: bool) -> Page {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        origins.page(&uri.parse().expect("a URI"), &said.iter().map(pair).collect(), guarded)
    }

    #[test]
    fn a_page_of_another_site_is_told_from_ones_own() {
        let none = Origins::default();
        let host = ("host", "shop.example:8080");
        for (said, guarded, expected) in [
            (&[host][..], false, Page::Own),
            (&[host, ("origin", "http://Shop.example:8080")], false, Page::Own),
            (&[host, ("origin", "http://evil.example")], false, Page::Foreign),
            (&[host, ("origin", "null")], false, Page::Foreign),
            (&[("origin", "http://shop.example:8080")], false, Page::Foreign),
            // Behind a proxy that has another name; no form can send it.
            (&[host, ("origin", "http://front.example")], true, Page::Own),
            (&[host, ("sec-fetch-site", "cross-site")], true, Page::Foreign),
            (&[host, ("sec-fetch-site", "same-site")], true, Page::Foreign),
            (
                &[host, ("sec-fetch-site", "same-origin"), ("origin", "http://front.example")],
                false,
                Page::Own,
            ),
        ] {
            assert_eq!(page(&none, "/x", said, guarded), expected, "{said:?}");
        }
        let said = [("origin", "http://shop.example:8080")];
        assert_eq!(
            page(&none, "http://shop.example:8080/x", &said, false),
            Page::Own,
            "HTTP/2 has an authority"
        );
    }

    #[test]
    fn a_page_that_is_allowed_may_call() {
        let app = Origins(vec!["https://app.example".to_owned()]);
        let said = |origin| [("host", "x"), ("origin", origin), ("sec-fetch-site", "cross-site")];
        let allowed = Page::Allowed(HeaderValue::from_static("https://app.example"));
        assert_eq!(page(&app, "/x", &said("https://app.example"), false), allowed);
        assert_eq!(page(&app, "/x", &said("https://app.example.evil"), false), Page::Foreign);
        let all = Origins(vec!["*".to_owned()]);
        assert_ne!(page(&all, "/x", &said("https://evil.example"), false), Page::Foreign);
    }
}
