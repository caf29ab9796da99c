//! One busy connection beside others, on one worker. What is asserted is the
//! order of things, not times: machines that run tests are slow in their own way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dora_core::call::dora_code;
use dora_core::call::mode::Mode;
use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::value::Value;
use dora_core::server::Server;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

use crate::support::{Raw, Running, call, eventually, frame, multi, serve, soon};

/// Keeps the worker busy, as a computation does.
fn burn(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// A server on a worker of its own whose `/burn` computes for `time`, after
/// `/wait` has been let go where that is called; how many it began.
struct Burner {
    begun: Arc<AtomicUsize>,
    waiting: Arc<AtomicUsize>,
    go: Arc<Notify>,
    server: Running,
    worker: Option<tokio::runtime::Runtime>,
}

impl Drop for Burner {
    fn drop(&mut self) {
        // Dropped where others run, it would panic.
        self.worker.take().expect("dropped once").shutdown_background();
    }
}

async fn burner(time: Duration, set: impl FnOnce(Server) -> Server) -> Burner {
    let worker = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let worker = worker.expect("a runtime");
    let (begun, waiting, go) = (Arc::default(), Arc::default(), Arc::new(Notify::new()));
    let (count, parked, gone) = (Arc::clone(&begun), Arc::clone(&waiting), Arc::clone(&go));
    let server = Server::builder().dynamic(move |request: Request<Value>| {
        let (count, parked, gone): (Arc<AtomicUsize>, Arc<AtomicUsize>, _) =
            (Arc::clone(&count), Arc::clone(&parked), Arc::clone(&gone));
        async move {
            let name = request.method().as_str();
            if name == "/wait" {
                let notified = gone.notified();
                parked.fetch_add(1, Ordering::SeqCst);
                notified.await;
            }
            if name != "/light" {
                count.fetch_add(1, Ordering::SeqCst);
                burn(time);
            }
            Ok::<_, Status>(request.into_body())
        }
    });
    let server = set(server);
    let server = worker.spawn(serve(server)).await.expect("no panic");
    Burner { begun, waiting, go, server, worker: Some(worker) }
}

impl Burner {
    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    async fn until_begun(&self, calls: usize) {
        eventually("calls begin", || self.begun() >= calls).await;
    }

    /// How many calls of others begin while `light` waits for one of its own.
    async fn begun_beside(&self, light: &mut Raw) -> usize {
        let before = self.begun();
        light.send(&frame(&call("/light"))).await;
        light.result().await.expect("answered");
        self.begun() - before
    }
}

const CALLS: usize = 400;
const DEAR: Duration = Duration::from_millis(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_pipelines_does_not_keep_the_worker() {
    let burner = burner(DEAR, |server| server).await;
    let mut light = burner.server.raw().await;
    light.assert_usable().await;
    let mut busy = burner.server.raw().await;
    busy.send(&frame(&call("/burn")).repeat(CALLS)).await;
    burner.until_begun(3).await;
    let beside = burner.begun_beside(&mut light).await;
    assert!(beside < CALLS / 4, "{beside} calls of another connection came first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_answer_leaves_before_the_last_call_begins() {
    let burner = burner(DEAR, |server| server).await;
    let mut busy = burner.server.raw().await;
    busy.send(&frame(&call("/burn")).repeat(CALLS)).await;
    busy.result().await.expect("answered");
    let begun = burner.begun();
    assert!(begun < CALLS / 4, "{begun} calls began before an answer left");
}

/// A turn that ends is not the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_asks_much_and_ends_its_side_is_answered_in_full() {
    let burner = burner(Duration::from_millis(1), |server| server).await;
    let mut busy = burner.server.raw().await;
    busy.send(&frame(&call("/burn")).repeat(CALLS)).await;
    busy.stream.shutdown().await.expect("connected");
    for _ in 0..CALLS {
        busy.result().await.expect("answered");
    }
    busy.assert_closed().await;
}

/// Handlers that wait and are woken all at once are calls like others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_are_woken_together_do_not_keep_the_worker() {
    let burner = burner(DEAR, |server| server).await;
    let mut light = burner.server.raw().await;
    light.assert_usable().await;
    let mut busy = burner.server.raw().await;
    busy.send(&frame(&call("/wait")).repeat(CALLS)).await;
    eventually("all wait", || burner.waiting.load(Ordering::SeqCst) == CALLS).await;
    let before = burner.begun();
    burner.go.notify_waiters();
    burner.until_begun(before + 3).await;
    let beside = burner.begun_beside(&mut light).await;
    assert!(beside < CALLS / 4, "{beside} calls of another connection came first");
    for _ in 0..CALLS {
        busy.result().await.expect("answered");
    }
}

/// And so are the calls of one packet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packet_of_many_calls_does_not_keep_the_worker() {
    let burner = burner(DEAR, |server| server).await;
    let mut light = burner.server.raw().await;
    light.assert_usable().await;
    let mut busy = burner.server.raw().await;
    let calls = i64::try_from(CALLS).expect("few");
    busy.send(&frame(&multi(Mode::Wait, "/burn", calls))).await;
    burner.until_begun(3).await;
    let beside = burner.begun_beside(&mut light).await;
    assert!(beside < CALLS / 4, "{beside} calls of another connection came first");
    soon(busy.frame()).await;
    assert_eq!(burner.begun(), CALLS + 1);
}

/// The clock is read anew while one read's calls run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expires_behind_dear_calls_never_starts() {
    let burner = burner(Duration::from_millis(10), |server| server).await;
    let mut hasty = call("/burn");
    hasty.timeout = Some(Duration::from_millis(50));
    let mut busy = burner.server.raw().await;
    busy.send(&frame(&hasty).repeat(60)).await;
    let mut expired = 0;
    for _ in 0..60 {
        if let Err(status) = busy.result().await {
            assert_eq!(status.raw_code(), dora_code::TIMEOUT);
            expired += 1;
        }
    }
    assert!(burner.begun() <= 6, "{} calls of 10 ms began within 50 ms", burner.begun());
    assert!(expired >= 54, "{expired} expired");
}

/// The same within one packet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expires_within_a_packet_never_starts() {
    let burner = burner(Duration::from_millis(10), |server| server).await;
    let mut hasty = multi(Mode::Wait, "/burn", 60);
    hasty.timeout = Some(Duration::from_millis(50));
    let mut busy = burner.server.raw().await;
    busy.send(&frame(&hasty)).await;
    soon(busy.frame()).await;
    assert!(burner.begun() <= 6, "{} calls of 10 ms began within 50 ms", burner.begun());
}
