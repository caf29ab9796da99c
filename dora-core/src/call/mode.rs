//! What the caller waits for.

use std::fmt;

/// What the caller of a method waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// The result.
    #[default]
    Wait,
    /// The acknowledgement that the call was accepted; the result is not wanted.
    NoResult,
    /// The acknowledgement; the result is pushed later on the same connection.
    Deferred,
}

/// The `type` of a request packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PacketKind {
    /// One call (`one`), or a map of calls under the caller's own keys.
    Calls {
        /// What the caller waits for.
        mode: Mode,
        /// Whether the packet is a map of calls.
        multi: bool,
        /// Whether the peer writes the words in use before June 2016.
        legacy: bool,
    },
    /// A control command (`SC`).
    Control,
}

impl PacketKind {
    /// A packet of calls in today's words.
    #[must_use]
    pub const fn calls(mode: Mode, multi: bool) -> Self {
        Self::Calls { mode, multi, legacy: false }
    }

    /// The kind of a `type` word; case counts, as in PHP.
    #[must_use]
    pub fn parse(word: &[u8]) -> Option<Self> {
        let (mode, multi, legacy) = match word {
            b"W_S" => (Mode::Wait, false, false),
            b"W_M" => (Mode::Wait, true, false),
            b"AN_S" => (Mode::NoResult, false, false),
            b"AN_M" => (Mode::NoResult, true, false),
            b"AM_S" => (Mode::Deferred, false, false),
            b"AM_M" => (Mode::Deferred, true, false),
            b"SSS" => (Mode::Wait, false, true),
            b"SSM" => (Mode::Wait, true, true),
            b"SRS" => (Mode::NoResult, false, true),
            b"SRM" => (Mode::NoResult, true, true),
            b"SC" => return Some(Self::Control),
            _ => return None,
        };
        Some(Self::Calls { mode, multi, legacy })
    }

    /// The `type` word.
    ///
    /// The old words have none for a deferred result: it gets today's.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Calls { mode: Mode::Wait, multi: false, legacy: false } => "W_S",
            Self::Calls { mode: Mode::Wait, multi: true, legacy: false } => "W_M",
            Self::Calls { mode: Mode::NoResult, multi: false, legacy: false } => "AN_S",
            Self::Calls { mode: Mode::NoResult, multi: true, legacy: false } => "AN_M",
            Self::Calls { mode: Mode::Deferred, multi: false, .. } => "AM_S",
            Self::Calls { mode: Mode::Deferred, multi: true, .. } => "AM_M",
            Self::Calls { mode: Mode::Wait, multi: false, legacy: true } => "SSS",
            Self::Calls { mode: Mode::Wait, multi: true, legacy: true } => "SSM",
            Self::Calls { mode: Mode::NoResult, multi: false, legacy: true } => "SRS",
            Self::Calls { mode: Mode::NoResult, multi: true, legacy: true } => "SRM",
            Self::Control => "SC",
        }
    }

    /// What the caller waits for; a control command is waited for.
    #[must_use]
    pub const fn mode(self) -> Mode {
        match self {
            Self::Calls { mode, .. } => mode,
            Self::Control => Mode::Wait,
        }
    }
}

impl Default for PacketKind {
    fn default() -> Self {
        Self::calls(Mode::Wait, false)
    }
}

impl fmt::Display for PacketKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for word in ["W_S", "W_M", "AN_S", "AN_M", "AM_S", "AM_M", "SSS", "SSM", "SRS", "SRM", "SC"] {
            let kind = PacketKind::parse(word.as_bytes()).expect(word);
            assert_eq!(kind.word(), word);
        }
        assert_eq!(PacketKind::parse(b"w_s"), None);
        assert_eq!(PacketKind::parse(b""), None);
    }
}
