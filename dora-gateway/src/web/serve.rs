//! One connection: HTTP/1, or HTTP/2 whose preface it begins with.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dora_core::call::observe::Closed;
use dora_core::call::status::BoxError;
use dora_core::transport::server::door::calls::DoorCalls;
use dora_core::transport::server::door::stream::DoorStream;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::site::{Opened, Sites};

/// Bytes that the head of a request may have.
const MAX_HEAD: usize = 64 << 10;
/// Requests of one HTTP/2 connection that are answered at a time.
const MAX_STREAMS: u32 = 200;
/// How long an idle peer has to take its leave.
const LEAVE: Duration = Duration::from_secs(5);

/// Serves one connection to its end.
pub(super) async fn serve(stream: DoorStream, calls: DoorCalls, sites: Sites) -> Closed {
    let (draining, patience) = (calls.draining(), calls.frame_timeout().min(calls.idle_timeout()));
    let (activity, idle) = (Arc::new(Activity::new()), calls.idle_timeout());
    let desk = match Desk::new(calls, &sites) {
        Ok(desk) => Arc::new(desk),
        Err(error) => return Closed::Lost(error.to_string()),
    };
    let running = Arc::clone(&activity);
    let service = service_fn(move |request| {
        let (desk, running) = (Arc::clone(&desk), Activity::begin(&running));
        async move {
            let response = desk.answer(request).await;
            drop(running);
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    // Who has said all that it has to say is still answered, as on Dora's own wire.
    let http1 = &mut builder.http1();
    http1.timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(MAX_HEAD).half_close(true);
    let http2 = &mut builder.http2();
    http2.timer(TokioTimer::new()).max_concurrent_streams(MAX_STREAMS).max_header_list_size(MAX_HEAD as u32);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = draining => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = activity.idle(patience, idle) => {
            connection.as_mut().graceful_shutdown();
            drop(tokio::time::timeout(LEAVE, connection).await);
            return Closed::Idle;
        }
    };
    ended.map_or_else(|error| why(&error), |()| Closed::ByPeer)
}

/// Where the requests of a connection are answered.
struct Desk {
    calls: DoorCalls,
    /// Each with what its calls say that they came through.
    sites: Vec<(Opened, DoorCalls)>,
}

impl Desk {
    fn new(calls: DoorCalls, sites: &Sites) -> Result<Self, BoxError> {
        let named = |opened: Opened| {
            let calls = calls.through(opened.site.name());
            (opened, calls)
        };
        let sites = sites.open(calls.services())?.into_iter().map(named).collect();
        Ok(Self { calls, sites })
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        self.calls.count(1, 0);
        let version = request.version();
        let path = request.uri().path();
        let site = self.sites.iter().find(|(opened, _)| opened.site.has(path)).or(self.sites.last());
        let mut response = match site {
            Some((opened, calls)) => opened.answers.answer(request, calls).await,
            None => nobody(),
        };
        // So that whoever has sent another request behind it knows that it was not taken
        // (RFC 9112, 9.6). HTTP/2 says it in a frame of its own.
        if self.calls.is_draining() && version < Version::HTTP_2 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        self.calls.count(0, 1);
        response
    }
}

fn nobody() -> Response<Full<Bytes>> {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// Why a connection ended that failed.
fn why(error: &BoxError) -> Closed {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return Closed::from(error);
    }
    let hyper = error.downcast_ref::<hyper::Error>();
    let source =
        hyper.and_then(std::error::Error::source).and_then(|source| source.downcast_ref::<io::Error>());
    match (source, hyper) {
        (Some(error), _) => Closed::from(error),
        (None, Some(error)) if error.is_timeout() => Closed::Idle,
        (None, Some(error)) if error.is_parse() => Closed::OutOfStep,
        _ => Closed::Lost(error.to_string()),
    }
}

/// When a connection last asked for something, or was answered.
struct Activity(Mutex<Last>);

struct Last {
    running: usize,
    requests: u64,
    at: Instant,
}

/// A request that is being answered.
struct Running(Arc<Activity>);

impl Activity {
    fn new() -> Self {
        Self(Mutex::new(Last { running: 0, requests: 0, at: Instant::now() }))
    }

    fn begin(this: &Arc<Self>) -> Running {
        let mut last = this.0.lock();
        last.running += 1;
        last.requests += 1;
        Running(Arc::clone(this))
    }

    /// Ends when nothing was asked for so long: at `first` since it stands, later on
    /// since the last answer. What a peer sends beside requests does not count.
    async fn idle(&self, first: Duration, later: Duration) {
        loop {
            let (end, is_running) = {
                let last = self.0.lock();
                (last.at + if last.requests == 0 { first } else { later }, last.running > 0)
            };
            let now = Instant::now();
            match (is_running, end <= now) {
                (false, true) => return,
                (true, true) => tokio::time::sleep(later).await,
                (_, false) => tokio::time::sleep_until(end).await,
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut last = self.0.0.lock();
        last.running = last.running.saturating_sub(1);
        last.at = Instant::now();
    }
}
