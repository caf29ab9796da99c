//! How often a call wakes and polls, when its caller makes one after the other and
//! nobody else calls: what it takes beside `call_costs.rs`. One thread, no socket, a
//! clock that stands still: the counts are the same on every machine.

use std::future::{Future, IntoFuture, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::transport::server::incoming::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

const CALLS: usize = 200;

/// A waker that counts, and wakes another one.
struct Counting {
    wakes: AtomicUsize,
    task: Waker,
}

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        self.task.wake_by_ref();
    }
}

/// What `future` gives, how often it was polled, and how often it was woken.
async fn counted<F: Future>(future: F) -> (F::Output, usize, usize) {
    let task = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    let counting = Arc::new(Counting { wakes: AtomicUsize::new(0), task });
    let waker = Waker::from(Arc::clone(&counting));
    let mut future = pin!(future);
    let mut polls = 0;
    let output = poll_fn(|_| {
        polls += 1;
        future.as_mut().poll(&mut Context::from_waker(&waker))
    });
    let output = output.await;
    (output, polls, counting.wakes.load(Ordering::Relaxed))
}

/// A stream that counts how often it is asked, whatever comes of it: each time its
/// connection's task is polled it asks for more to read.
struct Asked {
    stream: DuplexStream,
    reads: Arc<AtomicUsize>,
}

impl AsyncRead for Asked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Asked {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

fn asked(stream: DuplexStream) -> (Asked, Arc<AtomicUsize>) {
    let reads = Arc::new(AtomicUsize::new(0));
    (Asked { stream, reads: Arc::clone(&reads) }, reads)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_alone_is_woken_once() {
    let (near, far) = duplex(64 << 10);
    let ((near, client), (far, server)) = (asked(near), asked(far));
    let echo = |request: Request<Value>| async move { Ok::<_, Status>(request.into_body()) };
    let connections = Server::builder().dynamic(echo).connections().expect("no name");
    tokio::spawn(connections.serve(Incoming::new(far)));
    let near = parking_lot::Mutex::new(Some(near));
    let endpoint = Endpoint::new("peer:1").expect("an address").php().connect_with(move |_| {
        let near = near.lock().take();
        async move { near.ok_or_else(|| io::Error::other("connected once")) }
    });
    let channel = endpoint.connect().await.expect("connects");
    channel.dynamic().call("/echo", 0).await.expect("answered");
    let before = (client.load(Ordering::Relaxed), server.load(Ordering::Relaxed));
    for _ in 0..CALLS {
        let call = channel.dynamic().call("/echo", 7);
        let (result, polls, wakes) = counted(call.into_future()).await;
        assert_eq!(result.expect("answered"), Value::from(7));
        // It is sent, and told of its answer.
        assert_eq!((polls, wakes), (2, 1));
    }
    let reads =
        |now: &AtomicUsize, before: usize| (now.load(Ordering::Relaxed) - before) as f64 / CALLS as f64;
    let (client, server) = (reads(&client, before.0), reads(&server, before.1));
    // What came, and that no more has, a server before and after it has answered; a client's, whose callers cannot write past its
    // task to such a stream, before that once to be told of a request, and once for others
    // that are about to call.
    assert!(client <= 4.0, "a client's connection asks {client} times for one answer");
    assert!(server <= 3.0, "a server's asks {server} times for one request");
    assert!(client >= 1.0 && server >= 1.0, "nothing was counted");
}
