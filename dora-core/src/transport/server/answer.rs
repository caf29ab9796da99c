//! Putting an answer into a frame, in the manner its request came.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::call::packer::Packer;
use crate::call::status::Status;
use crate::call::trace::SERVER;
use crate::carry::reply::write;
use crate::generation::Generation;
use crate::guid::Guid;
use crate::pack::envelope::Format;
use crate::pack::packet::{ResponseData, ResponsePacket};
use crate::wire::encoder::Encoder;

use super::diagnose;

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
    ///
    /// So does one that panics while it is packed: that is code of the message's.
    pub(super) fn encode(&self, encoder: &Encoder, packet: ResponsePacket, out: &mut Vec<u8>) {
        let before = out.len();
        let status = match catch_unwind(AssertUnwindSafe(|| self.frame(encoder, &packet, out))) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => Status::resource_exhausted(diagnose::answer_too_long(&error)),
            Err(_) => {
                out.truncate(before);
                tracing::error!(target: SERVER, guid = %self.guid, "an answer panicked while it was packed");
                Status::internal("the answer could not be packed")
            }
        };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::body::Body;
    use crate::call::packed::{PackError, PackMessage};
    use crate::call::response::Response;

    struct Unpackable;

    impl PackMessage for Unpackable {
        fn pack(&self, _: Packer, out: &mut Vec<u8>) -> Result<(), PackError> {
            out.extend_from_slice(b"half");
            panic!("while packing")
        }

        fn packed_len(&self, _: Packer) -> usize {
            0
        }
    }

    #[test]
    fn an_answer_that_panics_is_an_error_and_leaves_no_half_frame() {
        for gzip in [false, true] {
            let manner = Manner { generation: Generation::Guid, packer: Packer::Php, gzip, guid: Guid::ZERO };
            let packet = |result| ResponsePacket {
                guid: None,
                code: 0,
                message: "OK".into(),
                is_result: false,
                data: ResponseData::One(result),
                can: None,
            };
            let encoder = Encoder::new(1 << 20, None);
            let (mut out, mut expected) = (b"before".to_vec(), b"before".to_vec());
            manner.encode(&encoder, packet(Ok(Response::new(Body::message(Unpackable)))), &mut out);
            let status = Status::internal("the answer could not be packed");
            manner.encode(&encoder, packet(Err(status)), &mut expected);
            assert_eq!(out.escape_ascii().to_string(), expected.escape_ascii().to_string());
        }
    }
}
