//! What of a batch is done while others of its calls run.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dora_core::call::body::Body;
use dora_core::call::code::Code;
use dora_core::call::dora_code;
use dora_core::call::mode::{Mode, PacketKind};
use dora_core::call::packer::Packer;
use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::compress::deflate;
use dora_core::pack::envelope::Shape;
use dora_core::pack::packet::{Call, CallResult, Calls, RequestPacket, ResponseData};
use dora_core::pack::value::Value;
use dora_core::server::Server;

use crate::support::{Gate, Raw, eventually, frame, frame_of, open_answer, pack, serve};

/// Calls that have begun, and a gate.
struct Handlers {
    gate: Arc<Gate>,
    begun: Arc<AtomicUsize>,
}

impl Handlers {
    fn new() -> Self {
        Self { gate: Gate::closed(), begun: Arc::default() }
    }

    /// `/gate` waits to be let through; a method that is called by a number answers
    /// with so many bytes.
    fn server(&self) -> Server {
        let (gate, begun) = (Arc::clone(&self.gate), Arc::clone(&self.begun));
        Server::builder().dynamic(move |request: Request<Value>| {
            let (gate, begun) = (Arc::clone(&gate), Arc::clone(&begun));
            async move {
                begun.fetch_add(1, Ordering::SeqCst);
                let len = match request.called_as().as_str() {
                    "/gate" => {
                        gate.pass().await;
                        1
                    }
                    name => name.trim_start_matches('/').parse().expect("a number"),
                };
                Ok::<_, Status>(Value::from("x".repeat(len)))
            }
        })
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    /// All that will begin has, and it is so many.
    async fn assert_begun(&self, calls: RangeInclusive<usize>) {
        eventually("they begin", || self.begun() >= *calls.start()).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(calls.contains(&self.begun()), "{} and not {calls:?}", self.begun());
    }
}

fn batch(mode: Mode, names: &[&str]) -> RequestPacket {
    let call = |name: &&str| Call::new((*name).to_owned(), Body::message(Value::Null));
    RequestPacket {
        kind: PacketKind::calls(mode, true),
        calls: Calls::Many((0..).map(i64::into).zip(names.iter().map(call)).collect()),
        ..RequestPacket::default()
    }
}

/// What the next batch to be answered came to, by the places of its calls, in the order
/// in which they ended.
async fn results(raw: &mut Raw) -> Vec<(i64, CallResult)> {
    let (_, body) = raw.frame().await;
    let ResponseData::Many(results) = open_answer(&body, Shape::Many).data else { panic!("no batch") };
    let place = |key| (0..).find(|place| key == (*place).into()).expect("a place");
    results.into_iter().map(|(key, result)| (place(key), result)).collect()
}

fn codes(results: &[(i64, CallResult)]) -> Vec<(i64, Option<i64>)> {
    let code = |result: &CallResult| result.as_ref().err().map(Status::raw_code);
    results.iter().map(|(place, result)| (*place, code(result))).collect()
}

#[tokio::test]
async fn a_result_that_will_not_fit_is_not_kept() {
    let handlers = Handlers::new();
    // All 30 MB would be over what the server may hold.
    let server = serve(handlers.server().max_buffered(6 << 20)).await;
    let mut raw = server.raw().await;
    let mut names = vec!["/600000"; 50];
    names[20] = "/gate";
    names[40] = "/700000";
    raw.send(&frame(&batch(Mode::Wait, &names))).await;
    handlers.assert_begun(50..=50).await;
    handlers.gate.open(1);
    let results = results(&mut raw).await;
    let long = dora_code::from_code(Code::ResourceExhausted);
    let codes = codes(&results);
    let places: Vec<i64> = codes.iter().map(|(place, _)| *place).collect();
    let in_order: Vec<i64> = (0..50).filter(|place| *place != 20).chain([20]).collect();
    assert_eq!(places, in_order, "as they ended");
    let fits = codes.iter().filter(|(_, code)| code.is_none());
    let mut fits: Vec<i64> = fits.map(|(place, _)| *place).collect();
    fits.sort_unstable();
    assert_eq!(fits.len(), 4, "as many as a packet has room for, and what waited: {codes:?}");
    assert!(fits.contains(&20) && !fits.contains(&40), "the largest is left out: {fits:?}");
    assert!(codes.iter().all(|(_, code)| code.is_none_or(|code| code == long)), "{codes:?}");
    let message = results.iter().find_map(|(_, result)| result.as_ref().err()).expect("one").message();
    assert!(message.contains("`Server::max_packet`"), "{message}");
    raw.assert_usable_by("/5").await;
}

#[tokio::test]
async fn batches_that_are_half_done_hold_others_back_and_all_end() {
    let handlers = Handlers::new();
    let server = serve(handlers.server().max_buffered_per_connection(1 << 20)).await;
    let mut raw = server.raw().await;
    let names = ["/600000", "/gate", "/600000", "/600000"];
    raw.send(&frame(&batch(Mode::Wait, &names)).repeat(4)).await;
    // Two have something when the bound is met, perhaps one waits at the gate. Beyond it
    // one goes on, or none could end.
    handlers.assert_begun(4..=7).await;
    handlers.gate.open(4);
    for _ in 0..4 {
        let results = results(&mut raw).await;
        assert!(results.iter().all(|(_, result)| result.is_ok()), "{:?}", codes(&results));
        assert_eq!(results.len(), 4);
    }
    assert_eq!(handlers.begun(), 16);
}

#[tokio::test]
async fn who_holds_most_in_batches_is_closed_first() {
    let handlers = Handlers::new();
    for mode in [Mode::Wait, Mode::Deferred] {
        let before = handlers.begun();
        let server = handlers
            .server()
            .max_buffered(6 << 20)
            .max_buffered_per_connection(usize::MAX)
            .max_packet(4 << 20);
        let server = serve(server).await;
        let (mut modest, mut greedy) = (server.raw().await, server.raw().await);
        modest.send(&frame(&batch(Mode::Wait, &["/1000000", "/gate"]))).await;
        handlers.gate.until_running(1).await;
        greedy.send(&frame(&batch(mode, &["/3000000", "/gate"])).repeat(4)).await;
        eventually("the greediest goes", || server.stats().closed == 1).await;
        assert!(handlers.begun() > before + 2);
        // What runs in the background runs on, without its results.
        handlers.gate.open(10);
        let results = results(&mut modest).await;
        assert_eq!(codes(&results), [(0, None), (1, None)], "{mode:?}");
        handlers.gate.until_running(0).await;
        handlers.gate.close();
    }
}

#[tokio::test]
async fn a_call_that_waits_for_room_ends_at_its_deadline() {
    let handlers = Handlers::new();
    let server = serve(handlers.server().max_buffered_per_connection(1 << 20)).await;
    let mut raw = server.raw().await;
    raw.send(&frame(&batch(Mode::Wait, &["/1500000", "/gate"]))).await;
    handlers.assert_begun(2..=2).await;
    let short =
        RequestPacket { timeout: Some(Duration::from_millis(50)), ..batch(Mode::Wait, &["/7", "/8"]) };
    raw.send(&frame(&short)).await;
    let late = Some(dora_code::TIMEOUT);
    assert_eq!(codes(&results(&mut raw).await), [(0, late), (1, late)]);
    assert_eq!(handlers.begun(), 2, "and never began");
    handlers.gate.open(1);
    assert_eq!(codes(&results(&mut raw).await), [(0, None), (1, None)]);
}

#[tokio::test]
async fn results_that_nobody_wants_are_not_kept() {
    let handlers = Handlers::new();
    let server = serve(handlers.server().max_buffered(4 << 20)).await;
    let mut raw = server.raw().await;
    let mut names = vec!["/1000000"; 20];
    names.push("/gate");
    raw.send(&frame(&batch(Mode::NoResult, &names))).await;
    raw.frame().await;
    handlers.assert_begun(21..=21).await;
    assert_eq!(server.stats().closed, 0);
    handlers.gate.open(1);
    handlers.gate.until_finished(1).await;
    raw.assert_usable_by("/5").await;
}

#[tokio::test]
async fn results_that_fit_when_they_are_compressed_are_kept() {
    let handlers = Handlers::new();
    let server = serve(handlers.server()).await;
    let mut raw = server.raw().await;
    let mut zipped = Vec::new();
    deflate(&pack(&batch(Mode::Wait, &["/1500000"; 8]), Packer::Php), &mut zipped);
    raw.send(&frame_of(&zipped)).await;
    let results = results(&mut raw).await;
    assert!(results.len() == 8 && results.iter().all(|(_, result)| result.is_ok()), "{:?}", codes(&results));
}
