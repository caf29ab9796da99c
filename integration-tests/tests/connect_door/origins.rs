//! Pages of other sites.

use dora::connect::Connect;

use crate::client::{JSON, failed, path, send};
use crate::host::Host;

#[test]
fn no_page_of_another_site_calls() {
    let host = Host::start();
    let evil = "Origin: https://evil.example\r\n";
    for kind in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"] {
        let headers = format!("Content-Type: {kind}\r\n");
        let body = br#"{"bookTitle": "forged", "x": "="}"#;
        failed(&send(&host, "POST", &path("Note"), &headers, body), 415, "unknown");
        failed(
            &send(&host, "POST", &path("Note"), &format!("{headers}{evil}"), body),
            403,
            "permission_denied",
        );
    }
    let cross = "Sec-Fetch-Site: cross-site\r\n";
    failed(&send(&host, "POST", &path("Note"), &format!("{JSON}{cross}"), b"{}"), 403, "permission_denied");
    // A link or a picture of another site.
    failed(&send(&host, "GET", "/v1/books/7", cross, b""), 403, "permission_denied");
    failed(&send(&host, "GET", "/v1/books/7", evil, b""), 403, "permission_denied");
    // A post without a body has no type.
    failed(&send(&host, "POST", "/v1/shelves/1/books", evil, b""), 403, "permission_denied");
    // What a browser asks before it sends JSON is not allowed.
    let asks = format!(
        "{evil}Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n"
    );
    let answer = send(&host, "OPTIONS", &path("Note"), &asks, b"");
    assert_eq!(answer.status, 403);
    assert!(answer.headers.keys().all(|name| !name.starts_with("access-control-")));
    assert!(host.shelves.noted.lock().expect("no panic").is_empty());
}

#[test]
fn pages_that_are_allowed_call() {
    let host = Host::with(|server| server, Connect::new().allow_origin("https://app.example"));
    let app = "Origin: https://app.example\r\nSec-Fetch-Site: cross-site\r\n";
    let asks = format!(
        "{app}Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type,x-a\r\n"
    );
    let answer = send(&host, "OPTIONS", &path("GetBook"), &asks, b"");
    assert_eq!(answer.status, 204);
    assert_eq!(answer.headers["access-control-allow-origin"], "https://app.example");
    assert_eq!(answer.headers["access-control-allow-headers"], "content-type,x-a");
    assert!(answer.headers["access-control-allow-methods"].contains("POST"));
    let answer = send(&host, "POST", &path("GetBook"), &format!("{JSON}{app}"), br#"{"id":7}"#);
    assert_eq!(
        (answer.status, &*answer.headers["access-control-allow-origin"]),
        (200, "https://app.example")
    );
    // An error is for the page to read as well.
    let answer = send(&host, "POST", &path("GetBook"), &format!("{JSON}{app}"), b"{}");
    failed(&answer, 404, "not_found");
    assert_eq!(answer.headers["access-control-allow-origin"], "https://app.example");
    let other = "Origin: https://app.example.evil\r\nSec-Fetch-Site: cross-site\r\n";
    failed(
        &send(&host, "POST", &path("GetBook"), &format!("{JSON}{other}"), b"{}"),
        403,
        "permission_denied",
    );
}
