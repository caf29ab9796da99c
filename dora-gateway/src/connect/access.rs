//! Which pages a browser may call for.

use dora_core::call::status::Status;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use hyper::{Method, StatusCode, Uri};

use super::fault::Fault;
use crate::web::page::is_foreign;

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
        match is_foreign(uri, headers, guarded) {
            true => Page::Foreign,
            false => Page::Own,
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
    fn a_page_that_is_allowed_may_call() {
        let app = Origins(vec!["https://app.example".to_owned()]);
        let said = |origin| [("host", "x"), ("origin", origin), ("sec-fetch-site", "cross-site")];
        let allowed = Page::Allowed(HeaderValue::from_static("https://app.example"));
        assert_eq!(page(&app, "/x", &said("https://app.example"), false), allowed);
        assert_eq!(page(&app, "/x", &said("https://app.example.evil"), false), Page::Foreign);
        assert_eq!(page(&app, "/x", &[("host", "x")], false), Page::Own);
        let all = Origins(vec!["*".to_owned()]);
        assert_ne!(page(&all, "/x", &said("https://evil.example"), false), Page::Foreign);
    }
}
