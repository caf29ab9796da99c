//! The calls that a channel makes, over all that carries connections: each test of
//! `over_each!` is one over TCP, over a Unix socket, over TLS and in memory.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dora_core::call::batch::CallKey;
use dora_core::call::code::Code;
use dora_core::call::packer::Packer;
use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::stub::batch::Batch;
use dora_core::stub::call::Call;
use dora_core::transport::client::channel::Channel;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::value;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use crate::over::{Over, Target, listen};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

async fn soon<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

/// What the handlers share with their test.
struct Work {
    running: AtomicUsize,
    finished: AtomicUsize,
    open: Semaphore,
}

/// Counts a call out, however it ended.
struct Leaving<'a>(&'a AtomicUsize);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Work {
    async fn run(&self, request: Request<Value>) -> Result<Value, Status> {
        self.running.fetch_add(1, Ordering::SeqCst);
        let _leaving = Leaving(&self.running);
        match request.method().as_str() {
            "/gate" => self.open.acquire().await.expect("never closed").forget(),
            "/fail" => return Err(Status::raw(4711, "no such user")),
            _ => {}
        }
        self.finished.fetch_add(1, Ordering::SeqCst);
        Ok(request.into_body())
    }
}

/// A server that is being served over one of them.
struct Running {
    target: Target,
    work: Arc<Work>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Running {
    async fn start(over: Over) -> Self {
        let (running, finished) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = Arc::new(Work { running, finished, open: Semaphore::new(0) });
        let inner = Arc::clone(&work);
        let server = Server::builder().max_packet(32 << 20).dynamic(move |request: Request<Value>| {
            let work = Arc::clone(&inner);
            async move { work.run(request).await }
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let (target, serving) = listen(over, server, async { drop(stopped.await) }).await;
        Self { target, work, stop, served: tokio::spawn(serving) }
    }

    fn endpoint(&self) -> Endpoint {
        self.target.endpoint().timeout(PATIENCE).max_packet(32 << 20)
    }

    async fn channel(&self) -> Channel {
        soon(self.endpoint().connect()).await.expect("connects")
    }

    async fn until(&self, what: &str, count: impl Fn(&Work) -> &AtomicUsize, wanted: usize) {
        let start = Instant::now();
        while count(&self.work).load(Ordering::SeqCst) != wanted {
            assert!(start.elapsed() < PATIENCE, "never: {what}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn until_running(&self, calls: usize) {
        self.until("so many run", |work| &work.running, calls).await;
    }

    async fn until_finished(&self, calls: usize) {
        self.until("so many finish", |work| &work.finished, calls).await;
    }
}

async fn single(over: Over) {
    let server = Running::start(over).await;
    for packer in [Packer::Php, Packer::Json] {
        let channel = soon(server.endpoint().packer(packer).connect()).await.expect("connects");
        let param = value!({ "id" => 7, "name" => "Ärmel" });
        let answer = soon(channel.dynamic().call("/echo", param.clone())).await;
        assert_eq!(answer.expect("answered"), param, "{packer}");
        let error = soon(channel.dynamic().call("/fail", 1)).await.expect_err("it fails");
        assert_eq!((error.raw_code(), error.message()), (4711, "no such user"), "{packer}");
    }
}

/// A client that has no packing set goes over to protobuf with its second call.
async fn packing_is_agreed_upon(over: Over) {
    let server = Running::start(over).await;
    let channel = server.channel().await;
    // The handler takes any value, of which protobuf has none: so it is never run.
    for protobuf in [false, true, true] {
        let call = Call::<_, (), ()>::named(channel.clone(), "/fail", ());
        let error = soon(call).await.expect_err("it fails");
        assert_eq!((error.code() == Code::InvalidArgument, error.raw_code() == 4711), (protobuf, !protobuf));
    }
    assert_eq!((channel.stats().connected, channel.stats().lost), (1, 0));
}

async fn many_at_a_time(over: Over) {
    const CALLS: i64 = 500;
    let server = Running::start(over).await;
    let channel = server.channel().await;
    let calls: Vec<_> = (0..CALLS).map(|id| channel.dynamic().call("/echo", id).spawn()).collect();
    for (id, call) in calls.into_iter().enumerate() {
        let answer = soon(call).await.expect("no panic").expect("answered");
        assert_eq!(answer.as_int(), i64::try_from(id).ok(), "its own answer");
    }
    assert_eq!((channel.stats().connected, channel.in_flight()), (1, 0));
}

async fn batch(over: Over) {
    let server = Running::start(over).await;
    let channel = server.channel().await;
    let calls = channel.dynamic().multi().call("a", "/echo", 1).call(7, "/fail", 2).call("b", "/echo", 3);
    let results = soon(calls.send()).await.expect("answered");
    let keys: Vec<_> = results.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys, [CallKey::from("a"), CallKey::from(7), CallKey::from("b")]);
    let codes = results.iter().map(|(_, result)| result.as_ref().map_err(Status::raw_code).cloned());
    assert_eq!(codes.collect::<Vec<_>>(), [Ok(value!(1)), Err(4711), Ok(value!(3))]);

    let mut list = Batch::new(channel.clone()).list::<Value>();
    list.extend((0..100).map(|id| channel.dynamic().call("/echo", id)));
    let results = soon(list.send()).await.expect("answered");
    let results: Vec<_> = results.into_iter().map(|result| result.expect("an echo").as_int()).collect();
    assert_eq!(results, (0..100).map(Some).collect::<Vec<_>>(), "in the order of the calls");
}

async fn modes(over: Over) {
    let server = Running::start(over).await;
    let channel = server.channel().await;
    let gate = || channel.dynamic().call("/gate", 5);
    soon(gate().no_result()).await.expect("accepted before it has run");
    let pending = soon(gate().deferred()).await.expect("accepted before it has run");
    let multi = channel.dynamic().multi().call("x", "/gate", 6).call("y", "/fail", 7);
    let batch = soon(multi.deferred()).await.expect("accepted before it has run");
    server.until_running(3).await;
    assert_eq!(server.work.finished.load(Ordering::SeqCst), 0, "all wait");
    server.work.open.add_permits(3);
    assert_eq!(soon(pending).await.expect("its result comes later"), value!(5));
    let results = soon(batch).await.expect("their results come later");
    assert_eq!(results[0].1.as_ref().expect("let through"), &value!(6));
    assert_eq!(results[1].1.as_ref().expect_err("it fails").raw_code(), 4711);
    server.until_finished(3).await;
}

/// More than any buffer on the way holds, both ways at the same time.
async fn large(over: Over) {
    let server = Running::start(over).await;
    let channel = server.channel().await;
    let letters = ["a", "b", "c", "d"];
    let calls: Vec<_> = letters
        .iter()
        .map(|letter| channel.dynamic().call("/echo", letter.repeat(3 << 20)).spawn())
        .collect();
    let small = soon(channel.dynamic().call("/echo", 1)).await.expect("beside them");
    assert_eq!(small, value!(1));
    for (letter, call) in letters.iter().zip(calls) {
        let answer = soon(call).await.expect("no panic").expect("answered");
        assert_eq!(answer, Value::from(letter.repeat(3 << 20)), "{letter}");
    }
}

/// Who no longer waits takes no place at his own end, and does no harm to others.
async fn cancel(over: Over) {
    let server = Running::start(over).await;
    let channel = server.channel().await;
    let kept = channel.dynamic().call("/gate", 1).spawn();
    let dropped: Vec<_> = (0..20).map(|id| channel.dynamic().call("/gate", id).spawn()).collect();
    server.until_running(21).await;
    for call in &dropped {
        call.abort();
    }
    for call in dropped {
        assert!(soon(call).await.expect_err("aborted").is_cancelled());
    }
    assert_eq!(channel.in_flight(), 1, "the one that is waited for");
    server.work.open.add_permits(21);
    assert_eq!(soon(kept).await.expect("no panic").expect("answered"), value!(1));
    assert_eq!(soon(channel.dynamic().call("/echo", 2)).await.expect("answered"), value!(2));
    assert_eq!(channel.stats().connected, 1, "on the same connection");
}

/// Who goes away ends what runs for him.
async fn leaving(over: Over) {
    let server = Running::start(over).await;
    let channel = server.channel().await;
    let call = channel.dynamic().call("/gate", 1).timeout(2 * PATIENCE).spawn();
    server.until_running(1).await;
    call.abort();
    assert!(soon(call).await.expect_err("aborted").is_cancelled());
    drop(channel);
    server.until_running(0).await;
    assert_eq!(server.work.finished.load(Ordering::SeqCst), 0, "it has not ended of itself");
}

/// Both ends give it up, each of itself.
async fn deadline(over: Over) {
    let server = Running::start(over).await;
    let channel = server.channel().await;
    let hasty = channel.dynamic().call("/gate", 1).timeout(Duration::from_millis(100));
    let error = soon(hasty).await.expect_err("nobody lets it through");
    assert_eq!((error.code(), error.is_unsent()), (Code::DeadlineExceeded, false), "{error}");
    server.until_running(0).await;
    assert_eq!(server.work.finished.load(Ordering::SeqCst), 0);
    assert_eq!(soon(channel.dynamic().call("/echo", 2)).await.expect("answered"), value!(2));
    assert_eq!(channel.stats().connected, 1, "on the same connection");
}

async fn drain(over: Over) {
    let server = Running::start(over).await;
    let channel = server.channel().await;
    soon(channel.dynamic().call("/echo", 1)).await.expect("answered");
    let running: Vec<_> = (0..10).map(|id| channel.dynamic().call("/gate", id).spawn()).collect();
    server.until_running(10).await;
    server.stop.send(()).expect("served");
    server.work.open.add_permits(10);
    for (id, call) in running.into_iter().enumerate() {
        let answer = soon(call).await.expect("no panic").expect("what runs is answered");
        assert_eq!(answer.as_int(), i64::try_from(id).ok());
    }
    soon(server.served).await.expect("no panic");
    let error = soon(channel.dynamic().call("/echo", 1)).await.expect_err("nobody is there any more");
    assert_eq!((error.code(), error.is_unsent()), (Code::Unavailable, true), "{error}");
}

/// A test of each of these over each of those.
macro_rules! over_each {
    ($over:ident: $variant:ident, $($test:ident)*) => {
        mod $over {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(crate::over::Over::$variant).await;
                }
            )*
        }
    };
    ($($test:ident)*) => {
        over_each!(tcp: Tcp, $($test)*);
        over_each!(unix: Unix, $($test)*);
        over_each!(tls: Tls, $($test)*);
        over_each!(memory: Memory, $($test)*);
    };
}

over_each! {
    single packing_is_agreed_upon many_at_a_time batch modes large cancel leaving deadline drain
}
