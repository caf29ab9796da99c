//! Frames that carry no packet: what two Dora ends tell each other about their
//! connection. Their guids are no hexadecimal digits, so no request has them.
//!
//! A notice goes only to a peer that has said it understands it: a PHP peer
//! would take it for a packet that does not decode.

use crate::guid::Guid;

/// What a frame without a packet says. Its body is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The server is about to close: send no more requests here, what has come is
    /// answered.
    Drain,
    /// Are you there?
    Ping,
    /// The answer to [`Notice::Ping`].
    Pong,
}

impl Notice {
    /// The guid of the notice's frame.
    #[must_use]
    pub fn guid(self) -> Guid {
        Guid::from(*match self {
            Self::Drain => b"dora:drain----------------------",
            Self::Ping => b"dora:ping-----------------------",
            Self::Pong => b"dora:pong-----------------------",
        })
    }

    /// The notice that a frame with this guid is.
    #[must_use]
    pub fn of(guid: &Guid) -> Option<Self> {
        // By far the most frames are no notice, and differ in the first byte.
        if guid.as_bytes().first() != Some(&b'd') {
            return None;
        }
        [Self::Drain, Self::Ping, Self::Pong].into_iter().find(|notice| notice.guid() == *guid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_told_from_requests() {
        for notice in [Notice::Drain, Notice::Ping, Notice::Pong] {
            assert_eq!(Notice::of(&notice.guid()), Some(notice));
            assert_eq!(notice.guid().to_u128(), None, "no request has this guid");
        }
        assert_eq!(Notice::of(&Guid::ZERO), None);
        assert_eq!(Notice::of(&Guid::from(*b"dora:unknown--------------------")), None);
    }
}
