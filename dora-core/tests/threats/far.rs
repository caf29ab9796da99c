//! The far end of a client's connections, made by hand, over whatever carries them.

use std::time::Duration;

use bytes::BytesMut;
use dora_core::call::body::Body;
use dora_core::call::capabilities::Capabilities;
use dora_core::call::packer::Packer;
use dora_core::call::response::Response;
use dora_core::call::status::Status;
use dora_core::generation::Generation;
use dora_core::guid::Guid;
use dora_core::pack::detect::detect;
use dora_core::pack::envelope::{decode_request, encode_response};
use dora_core::pack::limits::Limits;
use dora_core::pack::packet::{Calls, RequestPacket, ResponseData, ResponsePacket};
use dora_core::pack::value::Value;
use dora_core::transport::client::channel::Channel;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::value;
use dora_core::wire::checksum::Salt;
use dora_core::wire::decoder::Decoder;
use dora_core::wire::encoder::Encoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::matrix::over;
use crate::over::Over;
use crate::wire::{Wire, accepting};

/// What either end takes in one frame.
pub(crate) const MAX: usize = 32 << 20;
/// What Dora's own servers say that they can.
pub(crate) const DORA: Capabilities = Capabilities::PROTOBUF.with(Capabilities::NOTICES);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// The far end of a connection.
pub(crate) struct Far {
    pub(crate) stream: Wire,
    pub(crate) salt: Option<Salt>,
    buffer: BytesMut,
}

/// A frame that came: a request, or a notice.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) guid: Guid,
    pub(crate) packer: Option<Packer>,
    pub(crate) packet: Option<RequestPacket>,
}

impl Far {
    pub(crate) fn new(stream: Wire) -> Self {
        Self { stream, salt: None, buffer: BytesMut::new() }
    }

    /// The next frame; `None` when the client has closed.
    pub(crate) async fn frame(&mut self) -> Option<Came> {
        let decoder = Decoder::new(MAX, self.salt.clone());
        let frame = loop {
            match decoder.decode(&mut self.buffer).expect("good frames") {
                Some(frame) => break frame,
                None if self.stream.read_buf(&mut self.buffer).await.ok()? == 0 => return None,
                None => {}
            }
        };
        let packer = detect(&frame.body);
        let packet = packer.map(|packer| {
            decode_request(packer, frame.body.clone(), &Limits::default()).expect("good requests")
        });
        Some(Came { guid: frame.guid.expect("the generation has guids"), packer, packet })
    }

    /// The next request.
    pub(crate) async fn request(&mut self) -> Came {
        let came = self.frame().await.expect("the connection stands");
        assert!(came.packet.is_some(), "no request: {came:?}");
        came
    }

    pub(crate) async fn answer(&mut self, came: &Came, can: Option<Capabilities>) {
        let result = || Ok(Response::new(Body::message(Value::from("done"))));
        let data = match came.packet.as_ref().map(|packet| &packet.calls) {
            Some(Calls::Many(calls)) => {
                ResponseData::Many(calls.iter().map(|(key, _)| (key.clone(), result())).collect())
            }
            _ => ResponseData::One(result()),
        };
        let packet = ResponsePacket {
            guid: Some(came.guid),
            code: 0,
            message: "OK".into(),
            is_result: false,
            data,
            can,
        };
        let mut body = Vec::new();
        encode_response(came.packer.expect("a request"), &packet, &mut body);
        self.send(&came.guid, &body).await;
    }

    pub(crate) async fn send(&mut self, guid: &Guid, body: &[u8]) {
        let encoder = Encoder::new(MAX, self.salt.clone());
        let mut out = Vec::new();
        let frame = encoder.begin(Generation::Guid, guid, &mut out);
        out.extend_from_slice(body);
        encoder.finish(&frame, &mut out).expect("small");
        // The client may have gone.
        let _ = self.stream.write_all(&out).await;
        let _ = self.stream.flush().await;
    }
}

/// Where a channel's connections arrive.
pub(crate) type FarEnds = mpsc::UnboundedReceiver<Wire>;

/// A channel whose connections arrive in the receiver, in a test whose clock stands
/// still but for what is waited for.
pub(crate) fn channel(change: impl FnOnce(Endpoint) -> Endpoint) -> (Channel, FarEnds) {
    if over() != Over::Memory {
        tokio::spawn(hurry());
    }
    channel_in_real_time(change)
}

/// The same in a test whose clock is the real one.
pub(crate) fn channel_in_real_time(change: impl FnOnce(Endpoint) -> Endpoint) -> (Channel, FarEnds) {
    let (target, far_ends) = accepting(over());
    let endpoint = target.endpoint().timeout(60 * SECOND).max_packet(MAX);
    (change(endpoint).connect_lazy().expect("settings"), far_ends)
}

/// Passes time twenty times as fast as it goes. A clock that leaps whenever nobody
/// has anything to do would leap while bytes are on their way through a socket; it
/// does not while a blocking task runs. Here all that is ready has its turn between
/// any two steps, however slow the machine.
async fn hurry() {
    const STEP: Duration = Duration::from_millis(1);
    loop {
        tokio::task::spawn_blocking(|| std::thread::sleep(STEP)).await.expect("no panic");
        tokio::time::advance(20 * STEP).await;
    }
}

pub(crate) fn call(channel: &Channel) -> JoinHandle<Result<Value, Status>> {
    let call = channel.dynamic().call("/far/away", value!(1));
    tokio::spawn(async move { call.await })
}

pub(crate) async fn next(far_ends: &mut FarEnds) -> Far {
    Far::new(far_ends.recv().await.expect("a connection"))
}
