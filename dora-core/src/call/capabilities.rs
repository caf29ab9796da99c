//! What an end of a connection can do beyond what every PHP peer can.

use std::fmt;

use super::packer::{Packer, PackerSet};

/// What one end of a connection says that it can do.
///
/// It travels as a bit mask under the key `can` of the first packets, where PHP
/// peers do not look. A peer that says nothing can do what PHP can, and no more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Capabilities(u32);

impl Capabilities {
    /// Only what a PHP peer can.
    pub const NONE: Self = Self(0);
    /// Takes packets packed as JSON.
    pub const JSON: Self = Self(1);
    /// Takes packets packed as protobuf.
    pub const PROTOBUF: Self = Self(2);
    /// Understands the frames without a packet: [`Notice`](crate::wire::notice::Notice).
    pub const NOTICES: Self = Self(4);

    /// What the bits of a peer say. Those that are not known here are kept.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits as they travel.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The capabilities of an end that takes `packers`.
    #[must_use]
    pub const fn of_packers(packers: PackerSet) -> Self {
        let json = if packers.contains(Packer::Json) { Self::JSON } else { Self::NONE };
        let protobuf = if packers.contains(Packer::Protobuf) { Self::PROTOBUF } else { Self::NONE };
        json.with(protobuf)
    }

    /// These and `others`.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether all of `others` are among these.
    #[must_use]
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Capabilities({:#b})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_read_back_and_unknown_ones_stay() {
        let can = Capabilities::of_packers(PackerSet::ALL).with(Capabilities::NOTICES);
        assert_eq!(can.bits(), 7);
        assert!(can.contains(Capabilities::PROTOBUF) && !Capabilities::NONE.contains(Capabilities::JSON));
        assert_eq!(Capabilities::from_bits(1 << 20 | 2).bits(), 1 << 20 | 2);
        let php = Capabilities::of_packers(Packer::Php.into());
        assert_eq!(php, Capabilities::NONE);
    }
}
