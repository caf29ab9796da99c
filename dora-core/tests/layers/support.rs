//! A service whose calls wait, fail and hang as they are told, served in this
//! process.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dora_core::call::BoxFuture;
use dora_core::call::code::Code;
use dora_core::call::method::{Method, ServiceDescriptor};
use dora_core::call::mount::Mount;
use dora_core::call::request::Request;
use dora_core::call::response::{Reply, Response};
use dora_core::call::status::{BoxError, Status};
use dora_core::middleware::route::Router;
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::stub::batch::Batch;
use dora_core::stub::call::Call;
use dora_core::stub::caller::Caller;
use dora_core::stub::serve::unary;
use dora_core::transport::client::channel::Channel;
use dora_core::transport::client::endpoint::Endpoint;
use tokio::net::TcpListener;
use tower::layer::layer_fn;
use tower::{Layer, Service, hedge, retry};

pub(crate) static WORK: ServiceDescriptor = ServiceDescriptor::new("t.Work", &[&GET, &PUT]);
/// May be called twice.
pub(crate) static GET: Method =
    Method::new(&WORK, "Get", "/t.Work/Get").with_aliases(&["/work/get"]).with_idempotent();
/// May not.
pub(crate) static PUT: Method = Method::new(&WORK, "Put", "/t.Work/Put").with_aliases(&["/work/put"]);

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The parameter of a call takes so many milliseconds, and is its result.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) started: AtomicUsize,
    running: AtomicUsize,
    pub(crate) most: AtomicUsize,
    /// Calls that fail from now on.
    pub(crate) failing: AtomicUsize,
    /// Calls that never end from now on.
    pub(crate) hanging: AtomicUsize,
}

/// Takes one of `count`, if there is one.
fn take(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1)).is_ok()
}

struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Work {
    async fn run(&self, request: Request<Value>) -> Result<Response<Value>, Status> {
        self.started.fetch_add(1, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        let _running = Running(&self.running);
        if take(&self.failing) {
            return Err(Status::unavailable("not now"));
        }
        if take(&self.hanging) {
            return pending().await;
        }
        match request.body() {
            Value::Int(0) => {}
            Value::Int(millis) => tokio::time::sleep(Duration::from_millis(millis.unsigned_abs())).await,
            other => return Err(Status::invalid_argument(format!("{other:?} is no number"))),
        }
        Ok(request.into_body().into())
    }

    pub(crate) fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }
}

/// What is mounted: the work is looked at by the test as well.
pub(crate) struct Mounted(pub(crate) Arc<Work>);

impl Mount for Mounted {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &WORK
    }

    fn call(&self, _index: usize, request: Request) -> BoxFuture<Response> {
        let work = Arc::clone(&self.0);
        Box::pin(unary(request, |request| async move { work.run(request).await }))
    }
}

/// A server of `work` with `layer` around it.
pub(crate) async fn serve<L, S>(work: &Arc<Work>, layer: L) -> SocketAddr
where
    L: Layer<Router, Service = S> + Send + 'static,
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    serve_at(SocketAddr::from(([127, 0, 0, 1], 0)), work, layer).await
}

/// As [`serve`], at an address. Neither layer nor service need be `Sync`.
pub(crate) async fn serve_at<L, S>(address: SocketAddr, work: &Arc<Work>, layer: L) -> SocketAddr
where
    L: Layer<Router, Service = S> + Send + 'static,
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    let listener = TcpListener::bind(address).await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let layer = layer_fn(move |router| layer.layer(router));
    let server = Server::builder().add_service(Mounted(Arc::clone(work))).layer(layer);
    tokio::spawn(server.serve_with_listener(listener, pending()));
    address
}

pub(crate) fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::new(address).expect("an address").php().timeout(PATIENCE)
}

pub(crate) async fn connect(address: SocketAddr) -> Channel {
    endpoint(address).connect().await.expect("connects")
}

/// A server of `work` with `layer` around it, and a channel to it.
pub(crate) async fn channel<L, S>(work: &Arc<Work>, layer: L) -> Channel
where
    L: Layer<Router, Service = S> + Send + 'static,
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    connect(serve(work, layer).await).await
}

pub(crate) fn call<S: Caller>(service: &S, method: &'static Method, millis: i64) -> Call<S, Value, Value> {
    Call::new(service.clone(), method, Value::Int(millis))
}

/// A batch of calls that take so many milliseconds each.
pub(crate) async fn batch<S: Caller>(
    service: &S,
    method: &'static Method,
    millis: &[i64],
) -> Result<Vec<Result<Value, Status>>, Status> {
    let mut batch = Batch::new(service.clone()).list();
    batch.extend(millis.iter().map(|millis| call(service, method, *millis)));
    batch.send().await
}

/// The results of a batch all of whose calls went well.
pub(crate) fn all_well(results: Result<Vec<Result<Value, Status>>, Status>) -> Vec<Value> {
    let results: Result<Vec<_>, _> = results.expect("answered").into_iter().collect();
    results.expect("all went well")
}

/// Calls again what may be called twice, once, if it failed for now.
#[derive(Clone, Default)]
pub(crate) struct Again {
    tried: usize,
}

impl retry::Policy<Request, Response, Status> for Again {
    type Future = std::future::Ready<()>;

    fn retry(
        &mut self,
        request: &mut Request,
        result: &mut Result<Response, Status>,
    ) -> Option<Self::Future> {
        self.tried += 1;
        let again = self.tried == 1 && request.is_idempotent() && failed_for_now(result);
        again.then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request) -> Option<Request> {
        Some(request.clone())
    }
}

/// Calls again whatever failed for now, once.
#[derive(Clone, Default)]
pub(crate) struct Always {
    tried: usize,
}

impl retry::Policy<Request, Response, Status> for Always {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, _: &mut Request, result: &mut Result<Response, Status>) -> Option<Self::Future> {
        self.tried += 1;
        (self.tried == 1 && failed_for_now(result)).then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request) -> Option<Request> {
        Some(request.clone())
    }
}

/// Whether a call, or any of a batch, may go well the next time.
fn failed_for_now(result: &Result<Response, Status>) -> bool {
    match result.as_ref().map(Response::body) {
        Err(status) => status.code() == Code::Unavailable,
        Ok(Reply::Batch(results)) => results.iter().any(|(_, result)| failed_for_now(result)),
        Ok(_) => false,
    }
}

/// Sends a second request after what may be called twice.
#[derive(Clone)]
pub(crate) struct Twice;

impl hedge::Policy<Request> for Twice {
    fn clone_request(&self, request: &Request) -> Option<Request> {
        request.is_idempotent().then(|| request.clone())
    }

    fn can_retry(&self, request: &Request) -> bool {
        request.is_idempotent()
    }
}
