//! Answers that nobody asked for.

use std::time::Duration;

use dora_core::call::body::Body;
use dora_core::call::code::Code;
use dora_core::call::dora_code;
use dora_core::call::packer::Packer;
use dora_core::call::response::Response;
use dora_core::call::status::Status;
use dora_core::generation::Generation;
use dora_core::guid::Guid;
use dora_core::pack::envelope::encode_response;
use dora_core::pack::packet::{ResponseData, ResponsePacket};
use dora_core::pack::value::Value;
use dora_core::transport::client::channel::Channel;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::{PATIENCE, eventually, frame_for, soon};

/// A server made by hand, and a channel to it.
pub(crate) struct Fake {
    stream: TcpStream,
    pub(crate) channel: Channel,
}

impl Fake {
    pub(crate) async fn new(listener: TcpListener, change: impl FnOnce(Endpoint) -> Endpoint) -> Self {
        let address = listener.local_addr().expect("bound").to_string();
        let endpoint = Endpoint::new(address).expect("host:port").php().timeout(PATIENCE);
        let (channel, accepted) =
            soon(async { tokio::join!(change(endpoint).connect(), listener.accept()) }).await;
        Self { stream: accepted.expect("accepted").0, channel: channel.expect("connects") }
    }

    async fn start() -> Self {
        Self::new(TcpListener::bind("127.0.0.1:0").await.expect("a port"), |endpoint| endpoint).await
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.expect("sent");
    }

    async fn frame(&mut self) -> Vec<u8> {
        let len = soon(self.stream.read_u32()).await.expect("a frame") as usize;
        let mut rest = vec![0; len];
        soon(self.stream.read_exact(&mut rest)).await.expect("whole");
        rest
    }

    /// The guid of the next request.
    async fn request(&mut self) -> Guid {
        Guid::from_bytes(&self.frame().await[..32]).expect("32 bytes")
    }

    pub(crate) async fn signed_request(&mut self) -> Guid {
        Guid::from_bytes(&self.frame().await[4..36]).expect("32 bytes")
    }

    async fn answer(&mut self, guid: Guid, number: i64) {
        self.send(&frame_for(&guid, None, &answer_body(Some(guid), number))).await;
    }

    fn call(&self) -> JoinHandle<Result<Value, Status>> {
        tokio::spawn(self.channel.dynamic().call("/a", value!(null)).into_future())
    }

    async fn dropped(&self, late: u64, unknown: u64) {
        let now = || self.channel.dropped_answers();
        eventually("answers are dropped", || (now().late, now().unknown) == (late, unknown)).await;
    }
}

/// The body of an answer with one number.
pub(crate) fn answer_body(guid: Option<Guid>, number: i64) -> Vec<u8> {
    let packet = ResponsePacket {
        guid,
        code: 0,
        message: "OK".into(),
        is_result: false,
        data: ResponseData::One(Ok(Response::new(Body::message(Value::from(number))))),
        can: None,
    };
    let mut body = Vec::new();
    encode_response(Packer::Php, &packet, &mut body);
    body
}

async fn ended(call: JoinHandle<Result<Value, Status>>) -> Result<Value, Status> {
    soon(call).await.expect("no panic")
}

#[tokio::test]
async fn unknown_answers_are_dropped_and_counted() {
    let mut fake = Fake::start().await;
    let call = fake.call();
    let guid = fake.request().await;
    let mut near = *guid.as_bytes();
    near[0] = if near[0] == b'0' { b'1' } else { b'0' };
    for wrong in [Guid::ZERO, Guid::from(near), Guid::from([b'Z'; 32]), Guid::from([0xff; 32])] {
        fake.answer(wrong, 666).await;
    }
    fake.dropped(0, 4).await;
    fake.answer(guid, 1).await;
    assert_eq!(ended(call).await.expect("its own"), value!(1));
}

#[tokio::test]
async fn duplicates_are_dropped_and_a_reused_place_gets_nothing_of_them() {
    let mut fake = Fake::start().await;
    let first = fake.call();
    let old = fake.request().await;
    fake.answer(old, 1).await;
    assert_eq!(ended(first).await.expect("answered"), value!(1));
    let second = fake.call();
    let new = fake.request().await;
    assert_ne!(old, new);
    assert_eq!(old.as_bytes()[24..], new.as_bytes()[24..], "the place in the table is the same");
    fake.answer(old, 2).await;
    fake.answer(old, 3).await;
    fake.dropped(2, 0).await;
    fake.answer(new, 4).await;
    assert_eq!(ended(second).await.expect("answered"), value!(4));
}

#[tokio::test]
async fn late_answers_are_dropped_and_counted() {
    let mut fake = Fake::start().await;
    let given_up = fake.call();
    let first = fake.request().await;
    given_up.abort();
    soon(given_up).await.expect_err("aborted");
    let call = fake.channel.dynamic().call("/a", value!(null)).timeout(Duration::from_millis(100));
    let status = soon(call.into_future()).await.expect_err("nobody answered");
    assert_eq!((status.code(), status.raw_code()), (Code::DeadlineExceeded, dora_code::TIMEOUT));
    let second = fake.request().await;
    fake.answer(second, 2).await;
    fake.answer(first, 1).await;
    fake.dropped(2, 0).await;
    let call = fake.call();
    let third = fake.request().await;
    fake.answer(third, 3).await;
    assert_eq!(ended(call).await.expect("answered"), value!(3));
}

#[tokio::test]
async fn a_body_with_another_guid_is_an_error_of_that_call() {
    let mut fake = Fake::start().await;
    let call = fake.call();
    let guid = fake.request().await;
    fake.send(&frame_for(&guid, None, &answer_body(Some(Guid::ZERO), 1))).await;
    let status = ended(call).await.expect_err("foreign");
    assert_eq!(status.raw_code(), dora_code::FOREIGN_GUID);
    let call = fake.call();
    let guid = fake.request().await;
    fake.answer(guid, 2).await;
    assert_eq!(ended(call).await.expect("the connection lives"), value!(2));
}

#[tokio::test]
async fn an_answer_that_does_not_decode_ends_that_call_alone() {
    let mut fake = Fake::start().await;
    for junk in [&b"junk"[..], b"a:2147483647:{", b"\x1f\x8bjunk", b"{", &[8, 0xff], b""] {
        let call = fake.call();
        let guid = fake.request().await;
        fake.send(&frame_for(&guid, None, junk)).await;
        ended(call).await.expect_err("unreadable");
    }
    let call = fake.call();
    let guid = fake.request().await;
    fake.answer(guid, 2).await;
    assert_eq!(ended(call).await.expect("the connection lives"), value!(2));
}

#[tokio::test]
async fn what_came_before_junk_is_delivered() {
    let mut fake = Fake::start().await;
    let (one, two) = (fake.call(), fake.call());
    let (first, second) = (fake.request().await, fake.request().await);
    let mut bytes = frame_for(&first, None, &answer_body(Some(first), 1));
    bytes.extend_from_slice(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    fake.send(&bytes).await;
    let _ = second;
    let results = [ended(one).await, ended(two).await];
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    let status = results.into_iter().find_map(Result::err).expect("the other is lost");
    assert_eq!(status.code(), Code::Unavailable);
}

/// Answers of the Plain generation need not have a guid: the one that a call
/// gave up waiting for must not reach the next.
#[tokio::test]
async fn without_guids_a_late_answer_does_not_reach_the_next_call() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let endpoint = Endpoint::new(address).expect("host:port").php().generation(Generation::Plain);
    let channel = endpoint.timeout(PATIENCE).connect_lazy().expect("settings");
    tokio::spawn(async move {
        for number in 1.. {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            tokio::spawn(async move {
                while let Ok(len) = stream.read_u32().await {
                    let mut request = vec![0; len as usize];
                    stream.read_exact(&mut request).await.expect("whole");
                    tokio::time::sleep(Duration::from_millis(3)).await;
                    let body = answer_body(None, number);
                    let mut frame = (body.len() as u32).to_be_bytes().to_vec();
                    frame.extend_from_slice(&body);
                    if stream.write_all(&frame).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    let client = channel.dynamic();
    let mut last = soon(client.call("/a", value!(null)).into_future()).await.expect("answered");
    for round in 0..100 {
        // Given up about when its answer comes.
        let hasty = Duration::from_micros(2500 + 20 * round);
        let given_up =
            tokio::time::timeout(hasty, client.call("/a", value!(null)).into_future()).await.is_err();
        let number = soon(client.call("/a", value!(null)).into_future()).await.expect("answered");
        assert!(!given_up || number != last, "round {round}: an answer of the given-up call's connection");
        last = number;
    }
}
