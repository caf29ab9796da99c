//! How requests are packed, as far as the peer is known.

use crate::call::capabilities::Capabilities;
use crate::call::packer::{Packer, PackerSet};

/// How a request is packed at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Speech {
    pub(super) packer: Packer,
    /// Whether the peer has said what it can; until then it is told what this end can.
    pub(super) heard: bool,
}

impl Speech {
    /// What the request says that this end can.
    pub(super) fn can(self) -> Option<Capabilities> {
        let all = Capabilities::of_packers(PackerSet::ALL).with(Capabilities::NOTICES);
        (!self.heard).then_some(all)
    }

    /// A packing, to a peer that was told what this end can.
    pub(super) fn of(packer: Packer) -> Self {
        Self { packer, heard: true }
    }

    /// The same, packed as PHP does, which every server understands.
    pub(super) fn in_php(self) -> Self {
        Self { packer: Packer::Php, ..self }
    }

    pub(super) fn bits(self) -> u8 {
        let packer = match self.packer {
            Packer::Php => 0,
            Packer::Json => 1,
            Packer::Protobuf => 2,
        };
        packer | u8::from(self.heard) << 7
    }

    pub(super) fn from_bits(bits: u8) -> Self {
        let packer = match bits & 0x7f {
            0 => Packer::Php,
            1 => Packer::Json,
            _ => Packer::Protobuf,
        };
        Self { packer, heard: bits & 0x80 != 0 }
    }
}
