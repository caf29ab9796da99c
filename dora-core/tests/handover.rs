//! A successor on the same port, under callers that never pause.
#![cfg(unix)]

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::transport::server::bind::{Bound, bind};
use dora_core::transport::server::stats::Stats;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(60);
const CALLERS: usize = 16;

/// The calls that have run, by their number.
type Ran = Arc<Mutex<HashSet<i64>>>;

struct Running {
    stats: Arc<Stats>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

/// How a successor comes by its listener.
enum Successor {
    /// It listens beside its predecessor on the same port (`share_address`).
    Beside(SocketAddr),
    /// It has inherited its predecessor's socket, as from systemd or across `exec`.
    Inherits(std::net::TcpListener),
}

impl Successor {
    fn address(&self) -> SocketAddr {
        match self {
            Self::Beside(address) => *address,
            Self::Inherits(listener) => listener.local_addr().expect("bound"),
        }
    }

    async fn listen(&self) -> Bound {
        match self {
            Self::Beside(address) => bind(&(*address).into(), true).await.expect("it may share the port"),
            Self::Inherits(listener) => {
                let inherited = listener.try_clone().expect("a descriptor");
                inherited.set_nonblocking(true).expect("a socket");
                Bound::Tcp(TcpListener::from_std(inherited).expect("a listener"))
            }
        }
    }
}

async fn start(successor: &Successor, ran: &Ran) -> Running {
    let ran = Arc::clone(ran);
    let server = Server::builder().dynamic(move |request: Request<Value>| {
        let ran = Arc::clone(&ran);
        async move {
            let number = request.body().as_int().expect("a number");
            ran.lock().insert(number);
            if number % 7 == 0 {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            Ok::<_, Status>(Value::from(number))
        }
    });
    // As `share_address` does; here, so that the predecessor is told only then.
    let listener = successor.listen().await;
    let stats = server.stats();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(async move {
        let signal = async { drop(stopped.await) };
        server.serve_with_listener(listener, signal).await.expect("served");
    });
    Running { stats, stop, served }
}

/// A port that nobody else has.
fn free_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound")
}

/// What became of all calls.
#[derive(Default)]
struct Outcome {
    answered: AtomicUsize,
    failed: Mutex<Vec<String>>,
    /// Calls that were said not to have been sent, and ran.
    ran_unsent: AtomicUsize,
}

/// Nothing is lost, and nothing is called unsent that ran: either alone would be
/// easy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_never_pause_lose_nothing_over_200_handovers() {
    assert_nothing_is_lost(Successor::Beside(free_port()), 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_lose_nothing_to_successors_that_inherit_the_listener() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    assert_nothing_is_lost(Successor::Inherits(listener), 50).await;
}

async fn assert_nothing_is_lost(successor: Successor, handovers: usize) {
    let (ran, outcome, over) = (Ran::default(), Arc::<Outcome>::default(), Arc::new(AtomicBool::new(false)));
    let address = successor.address();
    let mut server = start(&successor, &ran).await;
    let numbers = Arc::new(AtomicUsize::new(0));
    let mut callers = Vec::new();
    for _ in 0..4 {
        let endpoint = Endpoint::new(address).expect("an address").timeout(PATIENCE);
        let channel = endpoint.connect().await.expect("connects");
        for _ in 0..CALLERS / 4 {
            let (client, over) = (channel.dynamic(), Arc::clone(&over));
            let (numbers, ran, outcome) = (Arc::clone(&numbers), Arc::clone(&ran), Arc::clone(&outcome));
            callers.push(tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    let number = numbers.fetch_add(1, Ordering::SeqCst) as i64;
                    match client.call("/number", Value::from(number)).await {
                        Ok(answer) => {
                            assert_eq!(answer, Value::from(number));
                            outcome.answered.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(status) => {
                            let unsent = status.is_unsent() && ran.lock().contains(&number);
                            outcome.ran_unsent.fetch_add(usize::from(unsent), Ordering::SeqCst);
                            outcome.failed.lock().push(status.to_string());
                        }
                    }
                }
            }));
        }
    }
    for _ in 0..handovers {
        let next = start(&successor, &ran).await;
        let old = std::mem::replace(&mut server, next);
        // Callers may use either while both listen.
        tokio::time::sleep(Duration::from_millis(10)).await;
        old.stop.send(()).expect("served");
        tokio::time::timeout(PATIENCE, old.served).await.expect("it ends").expect("no panic");
        assert_eq!(old.stats.snapshot().running, 0);
    }
    over.store(true, Ordering::SeqCst);
    for caller in callers {
        tokio::time::timeout(PATIENCE, caller).await.expect("it ends").expect("no panic");
    }
    let failed = outcome.failed.lock();
    let answered = outcome.answered.load(Ordering::SeqCst);
    assert_eq!(outcome.ran_unsent.load(Ordering::SeqCst), 0, "called unsent, and ran");
    assert!(failed.is_empty(), "{} of {answered} failed: {:?}", failed.len(), failed.first());
    assert!(answered > handovers * CALLERS, "only {answered} calls were made");
}
