//! One connection and all cores.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::transport::server::cost::Execution;
use parking_lot::Mutex;

use crate::support::{Raw, Running, call, eventually, frame, serve};

/// A server on two workers whose methods compute, but for `/cheap`; where they ran,
/// and how many at most at a time.
struct Cores {
    server: Running,
    threads: Arc<Mutex<HashSet<ThreadId>>>,
    most: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    workers: Option<tokio::runtime::Runtime>,
}

impl Drop for Cores {
    fn drop(&mut self) {
        // Dropped where others run, it would panic.
        self.workers.take().expect("dropped once").shutdown_background();
    }
}

async fn cores(set: impl FnOnce(Server) -> Server) -> Cores {
    let workers = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let workers = workers.expect("a runtime");
    let threads: Arc<Mutex<HashSet<ThreadId>>> = Arc::default();
    let (running, most, ended) = (Arc::new(AtomicUsize::new(0)), Arc::default(), Arc::default());
    let (seen, highest, count) = (Arc::clone(&threads), Arc::clone(&most), Arc::clone(&ended));
    let server = Server::builder().dynamic(move |request: Request<Value>| {
        let (seen, running) = (Arc::clone(&seen), Arc::clone(&running));
        let (highest, count): (Arc<AtomicUsize>, Arc<AtomicUsize>) =
            (Arc::clone(&highest), Arc::clone(&count));
        async move {
            seen.lock().insert(std::thread::current().id());
            highest.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let start = Instant::now();
            while request.called_as().as_str() != "/cheap" && start.elapsed() < Duration::from_millis(1) {
                std::hint::spin_loop();
            }
            running.fetch_sub(1, Ordering::SeqCst);
            count.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Status>(request.into_body())
        }
    });
    let server = set(server);
    let server = workers.spawn(serve(server)).await.expect("no panic");
    Cores { server, threads, most, ended, workers: Some(workers) }
}

impl Cores {
    async fn call(&self, raw: &mut Raw, name: &str, calls: usize) {
        self.threads.lock().clear();
        self.most.store(0, Ordering::SeqCst);
        raw.send(&frame(&call(name)).repeat(calls)).await;
        for _ in 0..calls {
            raw.result().await.expect("answered");
        }
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dear_calls_of_one_connection_run_on_all_cores_once_they_are_known() {
    let cores = cores(|server| server).await;
    let mut raw = cores.server.raw().await;
    cores.call(&mut raw, "/dear", 300).await;
    assert_eq!((cores.most(), cores.threads.lock().len()), (2, 2));
    eventually("nothing counts", || cores.server.stats().running == 0).await;
    cores.call(&mut raw, "/cheap", 300).await;
    assert_eq!(cores.most(), 1, "cheap ones run where they are read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_handlers_run_can_be_forced() {
    let cores =
        cores(|server| server.execution(Execution::Inline).method_execution("/spawned", Execution::Spawned))
            .await;
    let mut raw = cores.server.raw().await;
    cores.call(&mut raw, "/dear", 100).await;
    assert_eq!(cores.most(), 1);
    cores.call(&mut raw, "/spawned", 100).await;
    assert_eq!(cores.most(), 2, "from the first one on");
}

/// They end with their connection, as others do, and those that have not begun
/// never do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_of_a_connection_that_is_gone_do_not_begin() {
    let cores = cores(|server| server.execution(Execution::Spawned)).await;
    let mut raw = cores.server.raw().await;
    raw.send(&frame(&call("/dear")).repeat(1000)).await;
    eventually("some have ended", || cores.ended.load(Ordering::SeqCst) > 3).await;
    raw.reset();
    eventually("it is closed", || cores.server.stats().closed == 1).await;
    eventually("nothing counts", || cores.server.stats().running == 0).await;
    let ended = cores.ended.load(Ordering::SeqCst);
    assert!(ended < 1000, "{ended} calls ran for nobody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_expire_before_their_turn_never_start() {
    let cores = cores(|server| server.execution(Execution::Spawned)).await;
    let mut hasty = call("/dear");
    hasty.timeout = Some(Duration::from_millis(20));
    let mut raw = cores.server.raw().await;
    raw.send(&frame(&hasty).repeat(400)).await;
    let mut expired = 0;
    for _ in 0..400 {
        expired += usize::from(raw.result().await.is_err());
    }
    // Two at a time, of 1 ms each, for 20 ms.
    let ended = cores.ended.load(Ordering::SeqCst);
    assert!(ended <= 50 && expired >= 350, "{ended} ran, {expired} expired");
}
