//! The three ways to pack a body.

use std::fmt;

/// A way to pack packets and messages. The code behind it is in [`pack`](crate::pack).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Packer {
    /// PHP `serialize`: what every PHP Dora-RPC peer speaks.
    Php,
    /// The same arrays as JSON.
    Json,
    /// The envelope of `proto/dora/wire/v1`: between two Dora ends.
    Protobuf,
}

impl fmt::Display for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Php => "php",
            Self::Json => "json",
            Self::Protobuf => "protobuf",
        })
    }
}

/// The packers that a listener accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackerSet(u8);

impl PackerSet {
    /// No packer at all.
    pub const NONE: Self = Self(0);
    /// Every packer: the default of a listener.
    pub const ALL: Self = Self(0b111);

    /// This set and `packer`.
    #[must_use]
    pub const fn with(self, packer: Packer) -> Self {
        Self(self.0 | 1 << packer as u8)
    }

    /// Whether `packer` is in the set.
    #[must_use]
    pub const fn contains(self, packer: Packer) -> bool {
        self.0 & 1 << packer as u8 != 0
    }
}

/// As a list: `php, json, protobuf`.
impl fmt::Display for PackerSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = [Packer::Php, Packer::Json, Packer::Protobuf];
        for (index, packer) in known.into_iter().filter(|packer| self.contains(*packer)).enumerate() {
            write!(f, "{}{packer}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl From<Packer> for PackerSet {
    fn from(packer: Packer) -> Self {
        Self::NONE.with(packer)
    }
}

impl FromIterator<Packer> for PackerSet {
    fn from_iter<I: IntoIterator<Item = Packer>>(packers: I) -> Self {
        packers.into_iter().fold(Self::NONE, Self::with)
    }
}
