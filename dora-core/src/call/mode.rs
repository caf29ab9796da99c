//! What the caller waits for.

use std::fmt;

use crate::generation::Generation;

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
#[non_exhaustive]
pub enum PacketKind {
    /// One call (`one`), or a map of calls under the caller's own keys.
    #[non_exhaustive]
    Calls {
        /// What the caller waits for.
        mode: Mode,
        /// Whether the packet is a map of calls.
        multi: bool,
        /// Whether the words are those in use before June 2016.
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

    /// A packet of calls in the words of `generation`; `None` where it had none:
    /// [`Generation::Bare`] knew no deferred results.
    #[must_use]
    pub const fn calls_of(generation: Generation, mode: Mode, multi: bool) -> Option<Self> {
        match (generation, mode) {
            (Generation::Bare, Mode::Deferred) => None,
            (Generation::Bare, _) => Some(Self::Calls { mode, multi, legacy: true }),
            (Generation::Guid | Generation::Plain, _) => Some(Self::calls(mode, multi)),
        }
    }

    /// The generation of a packet that came under a header of `header`: without a
    /// guid there, the words tell the two that are left.
    #[must_use]
    pub const fn generation(self, header: Generation) -> Generation {
        match (header, self) {
            (Generation::Plain, Self::Calls { legacy: true, .. }) => Generation::Bare,
            (header, _) => header,
        }
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

    /// Whether the words are those in use before June 2016.
    #[must_use]
    pub const fn is_legacy(self) -> bool {
        matches!(self, Self::Calls { legacy: true, .. })
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

    #[test]
    fn the_words_tell_the_generations_without_a_guid() {
        let kind = |word: &[u8]| PacketKind::parse(word).expect("a word");
        for word in [&b"SSS"[..], b"SSM", b"SRS", b"SRM"] {
            assert_eq!(kind(word).generation(Generation::Plain), Generation::Bare);
            assert_eq!(kind(word).generation(Generation::Guid), Generation::Guid);
        }
        for word in [&b"W_S"[..], b"AM_M", b"SC"] {
            assert_eq!(kind(word).generation(Generation::Plain), Generation::Plain);
        }
        let wait = PacketKind::calls_of(Generation::Bare, Mode::Wait, true).expect("a word");
        assert_eq!(wait.word(), "SSM");
        assert_eq!(PacketKind::calls_of(Generation::Bare, Mode::Deferred, false), None);
        let later = PacketKind::calls_of(Generation::Plain, Mode::Deferred, false).expect("a word");
        assert_eq!(later.word(), "AM_S");
    }
}
