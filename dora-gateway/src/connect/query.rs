//! What stands in a URI.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use dora_core::call::status::Status;
use percent_encoding::percent_decode_str;

use super::content::{Codec, decoded};
use super::fault::Fault;

/// Base64 as URIs have it, padded or not.
pub(super) const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The pairs of a query, decoded.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

fn decode(part: &str) -> Cow<'_, [u8]> {
    match part.contains('+') {
        true => Cow::Owned(percent_decode_str(&part.replace('+', " ")).collect()),
        false => percent_decode_str(part).into(),
    }
}

/// A message in a query, as the protocol's GET has it.
///
/// # Errors
/// `Code::InvalidArgument`: `message` or `encoding` is missing, or is not what it is
/// said to be. `Code::Unimplemented`: a compression other than gzip.
pub(super) async fn message(query: &str, max: usize) -> Result<(Codec, Bytes), Fault> {
    let (mut codec, mut message, mut base64, mut compression) = (None, None, false, Vec::new());
    for (name, value) in pairs(query) {
        match &*name {
            b"encoding" => codec = str::from_utf8(&value).ok().and_then(Codec::named),
            b"message" => message = Some(value.into_owned()),
            b"base64" => base64 = &*value == b"1",
            b"compression" => compression = value.into_owned(),
            b"connect" if &*value != b"v1" => {
                return Err(Status::invalid_argument("connect in the query is v1, or is not there").into());
            }
            _ => {}
        }
    }
    let codec = codec.ok_or_else(|| Status::invalid_argument("encoding in the query is json or proto"))?;
    let message = message.ok_or_else(|| Status::invalid_argument("there is no message in the query"))?;
    let message = match base64 {
        true => URL_SAFE.decode(&message).map_err(|error| {
            Status::invalid_argument(format!("message in the query is no base64: {error}")).with_source(error)
        })?,
        false => message,
    };
    Ok((codec, decoded(message.into(), &compression, max).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_in_a_query_is_decoded() {
        for (query, codec, bytes) in [
            ("connect=v1&encoding=json&message=%7B%22a%22%3A1%7D", Codec::Json, &b"{\"a\":1}"[..]),
            ("encoding=json&message=a+b%2B", Codec::Json, b"a b+"),
            ("encoding=proto&base64=1&message=CAc", Codec::Proto, b"\x08\x07"),
            ("encoding=proto&base64=1&message=CAc%3D", Codec::Proto, b"\x08\x07"),
            ("encoding=proto&base64=1&message=__8", Codec::Proto, b"\xff\xff"),
            ("encoding=proto&message=", Codec::Proto, b""),
        ] {
            let (read, message) = message(query, 100).await.expect(query);
            assert_eq!((read, &*message), (codec, bytes), "{query}");
        }
        for query in [
            "",
            "encoding=json",
            "message=x",
            "encoding=xml&message=x",
            "connect=v2&encoding=json&message=x",
            "encoding=json&base64=1&message=!!",
            "encoding=json&compression=br&message=x",
            "encoding=json&compression=gzip&message=x",
        ] {
            assert!(message(query, 100).await.is_err(), "{query}");
        }
    }
}
