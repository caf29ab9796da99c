//! The fields of a form.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderMap};

/// The two fields that count; of one that is given twice, the last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) params: Option<Bytes>,
    pub(super) guid: Option<Bytes>,
}

impl Fields {
    /// The fields of a body. What is no form, or was not posted, has none.
    pub(super) async fn read(method: &Method, headers: &HeaderMap, body: Bytes) -> Self {
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if method != Method::POST {
            Self::default()
        } else if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            Self::urlencoded(&body)
        } else if essence.eq_ignore_ascii_case("multipart/form-data") {
            Self::multipart(kind, body).await
        } else {
            Self::default()
        }
    }

    fn set(&mut self, name: &[u8], value: impl FnOnce() -> Bytes) {
        match name {
            b"params" => self.params = Some(value()),
            b"guid" => self.guid = Some(value()),
            _ => {}
        }
    }

    fn urlencoded(body: &[u8]) -> Self {
        let mut fields = Self::default();
        for pair in body.split(|byte| *byte == b'&') {
            let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
                Some(place) => (pair.get(..place), pair.get(place.saturating_add(1)..)),
                None => (Some(pair), None),
            };
            let name = decoded(name.unwrap_or_default());
            fields.set(&name, || decoded(value.unwrap_or_default()).into());
        }
        fields
    }

    async fn multipart(kind: &str, body: Bytes) -> Self {
        let mut fields = Self::default();
        let Ok(boundary) = multer::parse_boundary(kind) else { return fields };
        let body = stream::iter([Ok::<_, Infallible>(body)]);
        let mut parts = multer::Multipart::new(body, boundary);
        // What is broken off is as much as came, as in PHP.
        while let Ok(Some(part)) = parts.next_field().await {
            // A file is no field.
            if part.file_name().is_some() {
                continue;
            }
            let name = part.name().unwrap_or_default().to_owned();
            let Ok(value) = part.bytes().await else { break };
            fields.set(name.as_bytes(), || value);
        }
        fields
    }
}

/// The bytes that percent-encoding stands for. A `%` without two digits is itself, as
/// in PHP.
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        out.push(match (byte, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            (byte, _) => byte,
        });
    }
    out
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    async fn read(
        method: Method,
        kind: &'static str,
        body: &'static [u8],
    ) -> (Option<String>, Option<String>) {
        let headers = [(CONTENT_TYPE, HeaderValue::from_static(kind))].into_iter().collect();
        let fields = Fields::read(&method, &headers, Bytes::from_static(body)).await;
        let text = |field: Option<Bytes>| field.map(|field| String::from_utf8_lossy(&field).into_owned());
        (text(fields.params), text(fields.guid))
    }

    fn both(params: &str, guid: &str) -> (Option<String>, Option<String>) {
        (Some(params.to_owned()), Some(guid.to_owned()))
    }

    #[tokio::test]
    async fn urlencoded_fields_are_read_as_php_reads_them() {
        const FORM: &str = "application/x-www-form-urlencoded";
        let form = |body| read(Method::POST, FORM, body);
        assert_eq!(form(b"params=%7B+%7d&guid=%e4%bd%a0").await, both("{ }", "你"));
        assert_eq!(form(b"guid=a&params=%&other=1&params=%4&guid=%zz").await, both("%4", "%zz"));
        assert_eq!(form(b"params&guid=").await, both("", ""));
        assert_eq!(form(b"p%61rams=1=2").await, (Some("1=2".into()), None));
        assert_eq!(form(b"").await, (None, None));
        let upper = read(Method::POST, "Application/X-WWW-Form-Urlencoded; charset=utf-8", b"guid=1");
        assert_eq!(upper.await, (None, Some("1".into())));
        assert_eq!(read(Method::GET, FORM, b"guid=1").await, (None, None));
        assert_eq!(read(Method::POST, "application/json", b"{}").await, (None, None));
    }

    #[tokio::test]
    async fn multipart_fields_are_read_and_files_are_not() {
        const PARTS: &[u8] = b"--B\r\nContent-Disposition: form-data; name=\"params\"\r\n\r\n{}\r\n\
            --B\r\nContent-Disposition: form-data; name=\"guid\"; filename=\"x\"\r\n\r\nfile\r\n\
            --B\r\nContent-Disposition: form-data; name=\"guid\"\r\n\r\na\r\nb\r\n--B--\r\n";
        let kind = "multipart/form-data; boundary=B";
        assert_eq!(read(Method::POST, kind, PARTS).await, both("{}", "a\r\nb"));
        assert_eq!(read(Method::POST, "multipart/form-data", PARTS).await, (None, None));
        assert_eq!(read(Method::POST, kind, b"--B\r\nContent").await, (None, None));
    }
}
