//! Channels and the runtimes they are made on, used from and outlive.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use dora_core::call::code::Code;
use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::transport::client::channel::Channel;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::transport::client::state::ChannelState;
use dora_core::value;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
const BRIEF: Duration = Duration::from_millis(200);

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn one_worker() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// A server on a runtime of its own: `/never` is not answered, all else at once.
fn serve() -> (Runtime, Endpoint) {
    let runtime = one_worker();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("bound");
    let server = Server::builder().dynamic(|request: Request<Value>| async move {
        if request.called_as().as_str() == "/never" {
            std::future::pending::<()>().await;
        }
        Ok::<_, Status>(request.into_body())
    });
    runtime.spawn(server.serve_with_listener(listener, std::future::pending()));
    (runtime, Endpoint::new(address).expect("an address").timeout(PATIENCE))
}

async fn echo(channel: &Channel) -> Result<Value, Status> {
    channel.dynamic().call("/echo", value!(7)).await
}

/// The call ends at its own deadline, and not when the blocked worker goes on.
async fn assert_deadline(channel: &Channel) {
    let start = Instant::now();
    let call = channel.dynamic().call("/never", value!(7)).timeout(BRIEF);
    let call = tokio::time::timeout(PATIENCE, call.into_future()).await.expect("its own deadline ends it");
    assert_eq!(call.expect_err("no answer").code(), Code::DeadlineExceeded);
    assert!(start.elapsed() >= BRIEF);
}

/// Keeps the only worker of `runtime` busy until the sender is dropped.
fn block(runtime: &Runtime) -> mpsc::Sender<()> {
    let (go_on, blocked) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    runtime.spawn(async move {
        tell.send(()).expect("awaited");
        // As `std::thread::sleep` in a task does.
        let _ = blocked.recv();
    });
    told.recv().expect("the worker is blocked");
    go_on
}

#[test]
fn deadlines_hold_while_the_only_worker_of_the_connections_runtime_is_blocked() {
    let (_server, endpoint) = serve();
    let (home, abroad) = (one_worker(), current_thread());
    let channel = home.block_on(endpoint.connect()).expect("it listens");
    home.block_on(echo(&channel)).expect("answered");
    let go_on = block(&home);
    abroad.block_on(assert_deadline(&channel));
    abroad.block_on(async {
        let calls: Vec<_> = (0..50)
            .map(|_| {
                let channel = channel.clone();
                tokio::spawn(async move { assert_deadline(&channel).await })
            })
            .collect();
        for call in calls {
            call.await.expect("each keeps its own");
        }
    });
    drop(go_on);
    abroad.block_on(echo(&channel)).expect("and goes on when its worker does");
}

#[test]
fn a_channel_is_used_from_any_runtime_or_thread() {
    let (_server, endpoint) = serve();
    let home = one_worker();
    let channel = home.block_on(endpoint.connect()).expect("it listens");
    let threads: Vec<_> = (0..4)
        .map(|index| {
            let channel = channel.clone();
            thread::spawn(move || {
                let runtime = if index % 2 == 0 { current_thread() } else { one_worker() };
                for _ in 0..50 {
                    assert_eq!(runtime.block_on(echo(&channel)).expect("answered"), value!(7));
                }
                // Dropped with its runtime, a call harms none of the others.
                runtime.spawn(channel.dynamic().call("/never", value!(1)).into_future());
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
    assert_eq!(home.block_on(echo(&channel)).expect("answered"), value!(7));
}

/// A current-thread runtime drives the connection only while it is itself driven:
/// what was answered meanwhile is there when it goes on.
#[test]
fn a_current_thread_runtime_is_enough() {
    let (_server, endpoint) = serve();
    let home = current_thread();
    let channel = home.block_on(endpoint.connect()).expect("it listens");
    let mut call = Box::pin(channel.dynamic().call("/echo", value!(7)).into_future());
    let sent = home.block_on(async { tokio::time::timeout(Duration::ZERO, &mut call).await });
    thread::sleep(Duration::from_millis(50));
    let answer = match sent {
        Ok(answer) => answer,
        Err(_) => home.block_on(call),
    };
    assert_eq!(answer.expect("answered"), value!(7));
    home.block_on(assert_deadline(&channel));
}

#[test]
fn a_channel_whose_runtime_is_gone_says_so_at_once() {
    let (_server, endpoint) = serve();
    for connected in [true, false] {
        let (home, abroad) = (one_worker(), one_worker());
        let channel = home.block_on(async { endpoint.clone().connect_lazy() }).expect("settings");
        if connected {
            home.block_on(echo(&channel)).expect("answered");
        }
        let running = connected.then(|| {
            let channel = channel.clone();
            abroad.spawn(async move { channel.dynamic().call("/never", value!(1)).await })
        });
        let start = Instant::now();
        while connected && channel.in_flight() == 0 {
            assert!(start.elapsed() < PATIENCE, "the call is on its way");
            thread::sleep(Duration::from_millis(1));
        }
        home.shutdown_timeout(PATIENCE);
        let start = Instant::now();
        let status = abroad.block_on(echo(&channel)).expect_err("nobody drives the connection");
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert!(status.message().contains("the task of the channel's connection has ended"), "{status}");
        assert!(status.is_unsent(), "{status}");
        assert_eq!(channel.state(), ChannelState::Closed);
        if let Some(running) = running {
            let status = abroad.block_on(running).expect("no panic").expect_err("it was cut off");
            assert_eq!(status.code(), Code::Unavailable, "{status}");
            assert!(!status.is_unsent(), "it was sent: {status}");
        }
        assert!(start.elapsed() < PATIENCE / 2, "at once, and not at the deadline of {PATIENCE:?}");
    }
}

#[test]
fn a_channel_whose_runtime_never_ran_says_so_at_once() {
    let (_server, endpoint) = serve();
    let abroad = one_worker();
    for _ in 0..20 {
        // Its tasks are dropped with it, and were not polled once.
        let home = current_thread();
        let channel = {
            let _home = home.enter();
            endpoint.clone().connect_lazy().expect("settings")
        };
        drop(home);
        let ended = async { tokio::time::timeout(PATIENCE, echo(&channel)).await };
        let status = abroad.block_on(ended).expect("at once").expect_err("nobody drives the connection");
        assert!(status.message().contains("the task of the channel's connection has ended"), "{status}");
        assert_eq!(channel.state(), ChannelState::Closed);
    }
}

#[test]
fn an_endpoints_own_timeout_holds_while_its_worker_is_blocked() {
    let (_server, endpoint) = serve();
    let (home, abroad) = (one_worker(), current_thread());
    let channel = home.block_on(endpoint.timeout(BRIEF).connect()).expect("it listens");
    home.block_on(echo(&channel)).expect("answered");
    let go_on = block(&home);
    let call =
        async { tokio::time::timeout(PATIENCE, channel.dynamic().call("/never", 7).into_future()).await };
    let ended = abroad.block_on(call).expect("nobody said another timeout");
    assert_eq!(ended.expect_err("no answer").code(), Code::DeadlineExceeded);
    drop(go_on);
}
