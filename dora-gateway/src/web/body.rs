//! Bodies: read whole, within the limits, and counted for as long as they are held.

use std::fmt;

use bytes::{Bytes, BytesMut};
use dora_core::transport::server::door::calls::DoorCalls;
use dora_core::transport::server::door::held::Held;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};

/// Smaller answers are not counted: they are on their way at once, or a few.
const SMALL: usize = 4 << 10;

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is over so many bytes.
    TooLarge(usize),
    /// It does not come in time.
    Late,
    /// It ended before its end, or was none.
    Broken(String),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(most) => write!(f, "the body is over {most} bytes (max_packet)"),
            Self::Late => f.write_str("the body does not come (frame_timeout)"),
            Self::Broken(why) => write!(f, "the body does not come whole: {why}"),
        }
    }
}

/// The body, when it has come.
///
/// # Errors
/// It is over `max_packet`, or is not whole within the `frame_timeout`.
pub(crate) async fn whole(body: Incoming, calls: &DoorCalls) -> Result<Bytes, Unread> {
    let most = calls.max_packet();
    // What is said to be too large is not waited for.
    if body.size_hint().lower() > most as u64 {
        return Err(Unread::TooLarge(most));
    }
    let read = tokio::time::timeout(calls.frame_timeout(), read(body, most, calls)).await;
    read.unwrap_or(Err(Unread::Late))
}

async fn read(mut body: Incoming, most: usize, calls: &DoorCalls) -> Result<Bytes, Unread> {
    let (mut first, mut more) = (Bytes::new(), BytesMut::new());
    let mut held = None::<Held>;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Unread::Broken(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        let length = first.len() + more.len() + data.len();
        if length > most {
            return Err(Unread::TooLarge(most));
        }
        if body.is_end_stream() && first.is_empty() && more.is_empty() {
            return Ok(data);
        }
        held.get_or_insert_with(|| calls.hold(0)).set(length);
        // Most bodies are one piece, which is taken as it is.
        if first.is_empty() && more.is_empty() {
            first = data;
        } else {
            more.extend_from_slice(&std::mem::take(&mut first));
            more.extend_from_slice(&data);
        }
    }
    Ok(if more.is_empty() { first } else { more.freeze() })
}

/// A body of an answer, which counts until the peer has taken it, or is gone.
pub(crate) fn counted(body: Vec<u8>, calls: &DoorCalls) -> Bytes {
    if body.len() <= SMALL {
        return body.into();
    }
    let held = calls.hold(body.len());
    Bytes::from_owner(Counted { body, _held: held })
}

struct Counted {
    body: Vec<u8>,
    _held: Held,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}
