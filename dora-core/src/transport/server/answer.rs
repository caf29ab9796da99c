//! Putting an answer into a frame, in the manner its request came.

use std::cmp::Reverse;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::call::batch::CallKey;
use crate::call::metadata::Metadata;
use crate::call::packed::{PackError, PackMessage};
use crate::call::packer::Packer;
use crate::call::status::Status;
use crate::call::trace::SERVER;
use crate::carry::reply::write;
use crate::generation::Generation;
use crate::guid::Guid;
use crate::pack::envelope::{Format, encode_success};
use crate::pack::packet::{CallResult, ResponseData, ResponsePacket};
use crate::wire::encoder::Encoder;
use crate::wire::error::FrameError;

use super::diagnose;
use super::shared::Shared;

/// How a peer is spoken to: the generation, packing and compression it spoke,
/// and the guid it waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) generation: Generation,
    pub(super) packer: Packer,
    pub(super) gzip: bool,
    pub(super) guid: Guid,
}

/// Whom an answer is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    pub(super) manner: Manner,
    /// The guid for the answer's body.
    pub(super) guid: Option<Guid>,
    /// Whether the peer said what it can, and so is told what this end can.
    pub(super) asks: bool,
}

impl Reply {
    /// Appends `packet` as a frame to `out`.
    pub(super) fn encode(&self, shared: &Shared, packet: ResponsePacket, out: &mut Vec<u8>) {
        // A peer that has not said what it can is not told either: PHP's are not
        // to see a difference.
        let can = self.asks.then(|| shared.config.capabilities());
        self.manner.encode(&shared.encoder, packet.with_can(can), out);
    }

    /// Whether the answer to a single call that went well holds nothing but its result.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        !self.asks && !self.manner.gzip && self.manner.packer == Packer::Protobuf
    }

    /// The frame that answers with `data`, which came later or not.
    pub(super) fn frame(&self, shared: &Shared, data: ResponseData, is_result: bool) -> Vec<u8> {
        let mut frame = Vec::new();
        let packet = ResponsePacket { is_result, ..ResponsePacket::ended(self.guid, data) };
        self.encode(shared, packet, &mut frame);
        frame
    }
}

impl Manner {
    /// Appends `packet` as a frame to `out`. An answer over the packet limit
    /// becomes an error that says so: silence would cost the caller its timeout.
    /// So does one that panics while it is packed: that is code of the message's.
    ///
    /// Of a batch those results become errors that do not fit, or panic.
    pub(super) fn encode(&self, encoder: &Encoder, packet: ResponsePacket, out: &mut Vec<u8>) {
        let Err(unfit) = self.try_frame(encoder, &packet, out) else { return };
        let data = match packet.data {
            ResponseData::One(_) => ResponseData::One(Err(unfit.status())),
            ResponseData::Many(results) => ResponseData::Many(self.fitting(encoder, results)),
            other => other,
        };
        let packet = ResponsePacket { data, ..packet };
        let Err(unfit) = self.try_frame(encoder, &packet, out) else { return };
        // Not even the errors fit, with all their keys: one for the whole packet.
        let refused = ResponsePacket::refused(packet.guid, &unfit.status()).with_can(packet.can);
        let packet = ResponsePacket { is_result: packet.is_result, ..refused };
        self.frame(encoder, &packet, out).unwrap_or(());
    }

    /// The results of a batch that does not fit into a packet: those that do not fit or
    /// panic by themselves are errors, then the largest ones, until the rest fits.
    fn fitting(&self, encoder: &Encoder, results: Vec<(CallKey, CallResult)>) -> Vec<(CallKey, CallResult)> {
        let max = encoder.max_packet();
        let mut sizes = Vec::with_capacity(results.len());
        let mut results: Vec<_> = results
            .into_iter()
            .map(|(key, result)| {
                let (result, size) = self.alone(encoder, result);
                sizes.push(size);
                (key, result)
            })
            .collect();
        let mut left: usize = sizes.iter().sum();
        let mut largest: Vec<usize> = (0..results.len()).collect();
        largest.sort_by_key(|index| Reverse(sizes[*index]));
        for index in largest {
            if left <= max {
                break;
            }
            let status = Status::resource_exhausted(diagnose::answers_too_long(sizes[index], max));
            let (_, size) = self.alone(encoder, Err(status.clone()));
            if size < sizes[index] {
                left = left - sizes[index] + size;
                results[index].1 = Err(status);
            }
        }
        results
    }

    /// A result that can be packed, or why it cannot, and the bytes that it takes.
    fn alone(&self, encoder: &Encoder, result: CallResult) -> (CallResult, usize) {
        let packet = ResponsePacket::ended(None, ResponseData::One(result));
        let mut out = Vec::new();
        let unfit = self.try_frame(encoder, &packet, &mut out).err();
        match (unfit, packet.data) {
            (None, ResponseData::One(result)) => (result, out.len()),
            (unfit, _) => {
                let status =
                    unfit.map_or_else(|| Status::internal("a result became another"), |unfit| unfit.status());
                let packet = ResponsePacket::ended(None, ResponseData::One(Err(status.clone())));
                let fits = self.try_frame(encoder, &packet, &mut out).is_ok();
                (Err(status), if fits { out.len() } else { encoder.max_packet() })
            }
        }
    }

    /// Appends the answer to a single call that went well, in protobuf packing and not
    /// compressed, from what it consists of; or nothing.
    pub(super) fn encode_success(
        &self,
        encoder: &Encoder,
        (metadata, message): (&Metadata, &dyn PackMessage),
        out: &mut Vec<u8>,
    ) -> Result<(), Unfit> {
        self.try_write(encoder, out, |out| encode_success(metadata, message, out).map_err(Unfit::Unpackable))
    }

    /// Appends a frame, or nothing.
    fn try_frame(&self, encoder: &Encoder, packet: &ResponsePacket, out: &mut Vec<u8>) -> Result<(), Unfit> {
        self.try_write(encoder, out, |out| {
            write(packet, self.format(), self.gzip, out);
            Ok(())
        })
    }

    /// Appends a frame whose body `write` appends, or nothing.
    #[inline]
    fn try_write(
        &self,
        encoder: &Encoder,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Unfit>,
    ) -> Result<(), Unfit> {
        let before = out.len();
        let written = catch_unwind(AssertUnwindSafe(|| {
            let frame = encoder.begin(self.generation, &self.guid, out);
            write(out)?;
            encoder.finish(&frame, out).map_err(Unfit::Long)
        }));
        let unfit = match written {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(unfit)) => unfit,
            Err(_) => {
                tracing::error!(target: SERVER, guid = %self.guid, "an answer panicked while it was packed");
                Unfit::Panicked
            }
        };
        out.truncate(before);
        Err(unfit)
    }

    const fn format(&self) -> Format {
        Format { packer: self.packer, generation: self.generation }
    }

    fn frame(&self, encoder: &Encoder, packet: &ResponsePacket, out: &mut Vec<u8>) -> Result<(), FrameError> {
        let frame = encoder.begin(self.generation, &self.guid, out);
        write(packet, self.format(), self.gzip, out);
        encoder.finish(&frame, out)
    }
}

/// Why an answer is no frame.
pub(super) enum Unfit {
    Long(FrameError),
    Unpackable(PackError),
    Panicked,
}

impl Unfit {
    pub(super) fn status(&self) -> Status {
        match self {
            Self::Unpackable(error) => Status::internal(error.to_string()),
            Self::Long(error) => Status::resource_exhausted(diagnose::answer_too_long(error)),
            Self::Panicked => Status::internal("the answer could not be packed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::body::Body;
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

    #[test]
    fn of_a_batch_only_what_does_not_fit_is_an_error() {
        let manner =
            Manner { generation: Generation::Guid, packer: Packer::Php, gzip: false, guid: Guid::ZERO };
        let text = |len| Ok(Response::new(Body::message("x".repeat(len))));
        let codes = |lens: &[usize]| -> Vec<Option<i64>> {
            let results = lens.iter().zip(0_i64..).map(|(len, key)| (CallKey::Int(key), text(*len)));
            let results = manner.fitting(&Encoder::new(10_000, None), results.collect());
            let mut out = Vec::new();
            let packet = ResponsePacket::ended(None, ResponseData::Many(results.clone()));
            manner.frame(&Encoder::new(10_000, None), &packet, &mut out).expect("now it fits");
            results.iter().map(|(_, result)| result.as_ref().err().map(Status::raw_code)).collect()
        };
        const LONG: Option<i64> = Some(100_208);
        assert_eq!(codes(&[10, 20_000, 10]), [None, LONG, None], "by itself");
        assert_eq!(codes(&[3_000, 6_000, 4_000]), [None, LONG, None], "together: the largest goes");
        assert_eq!(codes(&[8_000, 8_000, 8_000, 50]), [LONG, LONG, None, None]);
        let mut panics = vec![(CallKey::Int(0), text(10))];
        panics.push((CallKey::Int(1), Ok(Response::new(Body::message(Unpackable)))));
        let results = manner.fitting(&Encoder::new(10_000, None), panics);
        assert!(results[0].1.is_ok());
        assert_eq!(results[1].1.as_ref().expect_err("panics").message(), "the answer could not be packed");
    }
}
