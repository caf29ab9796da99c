//! Putting an answer into a frame, in the manner its request came.

use crate::call::packer::Packer;
use crate::call::status::Status;
use crate::guid::Guid;
use crate::pack::compress;
use crate::pack::envelope::encode_response;
use crate::pack::packet::{ResponseData, ResponsePacket};
use crate::wire::encoder::Encoder;
use crate::wire::header::Generation;

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
            ResponseData::One(_) => ResponseData::One(Err(status)),
            ResponseData::Many(results) => {
                ResponseData::Many(results.into_iter().map(|(key, _)| (key, Err(status.clone()))).collect())
            }
            other => other,
        };
        let packet = ResponsePacket { data, ..packet };
        if let Err(error) = self.frame(encoder, &packet, out) {
            // So many calls that their errors do not fit either: one for all.
            let status = Status::resource_exhausted(format!("the answer does not fit: {error}"));
            let message = status.message().to_owned().into();
            let packet =
                ResponsePacket { code: status.raw_code(), message, data: ResponseData::Empty, ..packet };
            self.frame(encoder, &packet, out).unwrap_or(());
        }
    }

    fn frame(
        &self,
        encoder: &Encoder,
        packet: &ResponsePacket,
        out: &mut Vec<u8>,
    ) -> Result<(), crate::wire::error::FrameError> {
        let frame = encoder.begin(self.generation, &self.guid, out);
        if self.gzip {
            let mut body = Vec::new();
            encode_response(self.packer, packet, &mut body);
            compress::deflate(&body, out);
        } else {
            encode_response(self.packer, packet, out);
        }
        encoder.finish(&frame, out)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::call::body::Body;
    use crate::call::code::Code;
    use crate::call::response::Response;
    use crate::pack::envelope::{Shape, decode_response};
    use crate::pack::limits::Limits;
    use crate::pack::packet::CallKey;
    use crate::pack::value::Value;
    use crate::wire::decoder::Decoder;

    const MAX: usize = 1000;

    fn answer(manner: Manner, data: ResponseData, shape: Shape) -> ResponsePacket {
        let packet =
            ResponsePacket { guid: Some(manner.guid), code: 0, message: "OK".into(), is_result: false, data };
        let mut out = b"before".to_vec();
        manner.encode(&Encoder::new(MAX, None), packet, &mut out);
        assert!(out.starts_with(b"before"), "what waits to be sent stays");
        let mut frames = BytesMut::from(&out[6..]);
        let frame = Decoder::new(MAX, None).decode(&mut frames).expect("a frame").expect("a whole one");
        assert!(frames.is_empty(), "one request, one answer");
        let body = match compress::is_gzip(&frame.body) {
            true => compress::inflate(&frame.body, 1 << 20).expect("we deflated it"),
            false => frame.body,
        };
        decode_response(&body, shape, &Limits::default()).expect("we wrote it")
    }

    fn manners() -> impl Iterator<Item = Manner> {
        let packers = [Packer::Php, Packer::Json, Packer::Protobuf].into_iter();
        packers.flat_map(|packer| {
            [false, true].map(|gzip| Manner {
                generation: Generation::Guid,
                packer,
                gzip,
                guid: Guid::from_u128(7),
            })
        })
    }

    /// A result of `len` bytes that gzip does not make smaller.
    fn result(len: usize) -> Result<Response<Body>, Status> {
        let text: String = std::iter::repeat_with(fastrand::alphanumeric).take(len).collect();
        Ok(Response::new(Body::message(Value::from(text))))
    }

    #[test]
    fn an_answer_is_in_the_manner_of_its_request() {
        for manner in manners() {
            let packet = answer(manner, ResponseData::One(result(10)), Shape::One);
            assert!(matches!(packet.data, ResponseData::One(Ok(_))), "{manner:?}");
        }
    }

    #[test]
    fn an_answer_over_the_limit_is_an_error_of_its_call() {
        for manner in manners() {
            let ResponseData::One(Err(status)) =
                answer(manner, ResponseData::One(result(5000)), Shape::One).data
            else {
                panic!("{manner:?} answers with an error")
            };
            assert_eq!(status.code(), Code::ResourceExhausted);
            assert!(status.message().starts_with("the answer does not fit: "), "{status}");
            let two = (0..2).map(|key| (CallKey::Int(key), result(1500))).collect();
            let ResponseData::Many(results) = answer(manner, ResponseData::Many(two), Shape::Many).data
            else {
                panic!("{manner:?} answers every call")
            };
            let codes = results.iter().map(|(_, result)| result.as_ref().err().map(Status::code));
            assert_eq!(codes.collect::<Vec<_>>(), [Some(Code::ResourceExhausted); 2]);
        }
    }

    #[test]
    fn more_errors_than_fit_are_one() {
        for manner in manners().filter(|manner| !manner.gzip) {
            let many = (0..50).map(|key| (CallKey::Int(key), result(50))).collect();
            let packet = answer(manner, ResponseData::Many(many), Shape::Many);
            assert_eq!(packet.code, 100_208);
            assert!(packet.message.starts_with("the answer does not fit: "), "{}", packet.message);
            assert!(matches!(packet.data, ResponseData::Empty));
        }
    }
}
