//! What it means when a client speaks otherwise than its server, in words for
//! whoever runs the server.

use std::fmt;

use crate::call::dora_code;
use crate::call::status::Status;
use crate::transport::io::diagnose::{Stranger, is_unsigned};
use crate::wire::error::FrameError;

/// A frame that is refused: what it is, and what would mend it.
pub(super) struct Refusal<'a> {
    error: &'a FrameError,
    stranger: Option<Stranger<'a>>,
}

impl<'a> Refusal<'a> {
    /// Refused by `error`, with `first` not read yet.
    pub(super) fn new(error: &'a FrameError, first: &'a [u8]) -> Self {
        // A wrong signature is cut off the stream: what follows is another frame.
        let unread = error.is_fatal().then_some(first);
        Self { error, stranger: unread.and_then(Stranger::of) }
    }
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.stranger, self.error) {
            (Some(Stranger::Tls), _) => f.write_str(
                "a TLS client, and this port is plain: give the server `.tls(..)`, or take it off the client",
            ),
            (Some(who @ Stranger::Text(_)), _) => {
                write!(
                    f,
                    "no Dora client, it begins with {who}: give the server a door for what it speaks \
                     (`Server::same_port`), or it another port"
                )
            }
            (Some(who), _) => write!(
                f,
                "an {who} client, and Dora's own wire is no HTTP: give the server a door for it, \
                 `.same_port(dora::connect::Connect::new())` (JSON, feature `connect`) or `dora::http::Forms` (the \
                 original's, feature `http`), or it another port"
            ),
            (None, FrameError::Signature { .. }) if is_unsigned(self.error) => f.write_str(
                "the client does not sign its frames, and this port's are signed: give the client `.signed()` \
                 (PHP: SW_DATASIGEN_FLAG), or take `.signed()`, or `.salt(..)`, off the server",
            ),
            (None, FrameError::Signature { .. }) => write!(
                f,
                "{}: the client signs with another salt, so set the same `.salt(..)` on both ends; or the frame was \
                 changed on its way",
                self.error
            ),
            (None, FrameError::TooLong { len, max }) => f.write_str(&over(*len, *max)),
            (None, FrameError::TooShort { .. }) => self.error.fmt(f),
        }
    }
}

/// What a client is told of a packet that is longer than this end takes.
pub(super) fn too_long(len: u64, max: usize) -> Status {
    let said = over(len, max);
    Status::raw(dora_code::WRONG_LENGTH, format!("{}: {said}", dora_code::WRONG_LENGTH_MESSAGE))
}

fn over(len: u64, max: usize) -> String {
    format!(
        "a packet of {len} bytes is over this server's limit of {max}: raise `Server::max_packet`, or send less"
    )
}

/// What a client is told whose answer is longer than this end sends.
pub(super) fn answer_too_long(error: &FrameError) -> String {
    match error {
        FrameError::TooLong { len, max } => format!(
            "the answer has {len} bytes, over this server's limit of {max}: raise `Server::max_packet`, and the \
             client's, or answer less"
        ),
        other => other.to_string(),
    }
}

/// A result that does not fit into an answer beside the others of its batch.
pub(super) fn answers_too_long(size: usize, max: usize) -> String {
    format!(
        "the answers of this batch have more bytes together than this server's limit of {max}, and this one, of {size}, \
         was left out: raise `Server::max_packet`, and the client's, or ask for less at once"
    )
}

/// A result that was held for others of its batch when the server held too much.
pub(super) const OVER_BUDGET: &str = "the server holds too many answers, and those of this batch are among the largest: \
                                      ask for less at once (or raise `Server::max_buffered`)";

/// A packet that does not decode because its frame is signed, on a port whose
/// frames are not. The client cannot read it; whoever hears of refused packets can.
pub(super) fn signed() -> Status {
    let said = "the client signs its frames, and this port's are not signed: give the server `.signed()`, or take \
                it off the client";
    Status::raw(dora_code::UNKNOWN_PACKING, format!("{}: {said}", dora_code::UNKNOWN_PACKING_MESSAGE))
}
