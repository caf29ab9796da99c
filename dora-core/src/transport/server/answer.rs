//! Putting an answer into a frame, in the manner its request came.

use crate::call::packer::Packer;
use crate::call::status::Status;
use crate::carry::reply::write;
use crate::generation::Generation;
use crate::guid::Guid;
use crate::pack::envelope::Format;
use crate::pack::packet::{ResponseData, ResponsePacket};
use crate::wire::encoder::Encoder;

/// How a peer is spoken to: the generation, packing and compression it spoke,
/// and the guid it waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) generation: Generation,
    pub(super) packer: Packer,
    pub(super) gzip: bool,
    pub(super) guid: Guid,
}

impl Manner {
    /// Appends `packet` as a frame to `out`. An answer over the packet limit
    /// becomes an error that says so: silence would cost the caller its timeout.
    pub(super) fn encode(&self, encoder: &Encoder, packet: ResponsePacket, out: &mut Vec<u8>) {
        let Err(error) = self.frame(encoder, &packet, out) else { return };
        let status = Status::resource_exhausted(format!("the answer does not fit: {error}"));
        let data = match packet.data {
            ResponseData::One(_) => ResponseData::One(Err(status.clone())),
            ResponseData::Many(results) => {
                ResponseData::Many(results.into_iter().map(|(key, _)| (key, Err(status.clone()))).collect())
            }
            other => other,
        };
        let Err(_) = self.frame(encoder, &ResponsePacket { data, ..packet }, out) else { return };
        // Not even the errors fit, with all their keys: one for the whole packet.
        let refused = ResponsePacket::refused(packet.guid, &status).with_can(packet.can);
        let packet = ResponsePacket { is_result: packet.is_result, ..refused };
        self.frame(encoder, &packet, out).unwrap_or(());
    }

    fn frame(
        &self,
        encoder: &Encoder,
        packet: &ResponsePacket,
        out: &mut Vec<u8>,
    ) -> Result<(), crate::wire::error::FrameError> {
        let format = Format { packer: self.packer, generation: self.generation };
        let frame = encoder.begin(self.generation, &self.guid, out);
        write(packet, format, self.gzip, out);
        encoder.finish(&frame, out)
    }
}
