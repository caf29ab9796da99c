//! What a door asks of its server.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tower::Service;
use tower::util::Oneshot;

use crate::call::BoxFuture;
use crate::call::batch_budget::Budgeted;
use crate::call::body::Body;
use crate::call::method::ServiceDescriptor;
use crate::call::observe::Traffic;
use crate::call::origin::{Connection, RequestOrigin};
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::carry::reply::outward;
use crate::pack::limits::Limits;
use crate::transport::server::batches;
use crate::transport::server::ledger::Ledger;
use crate::transport::server::shared::Shared;
use crate::transport::server::shutdown::{Phase, Watcher};
use crate::transport::server::stats::{Counted, Weight};

use super::held::{Held, Holdings};

/// What a door asks of its server, for one connection: calls, within the limits that
/// those of Dora's own wire have. Cheap to clone.
#[derive(Clone)]
pub struct DoorCalls {
    service: Arc<dyn Served>,
    shared: Arc<Shared>,
    holdings: Arc<Holdings>,
    connection: Arc<Connection>,
    watcher: Watcher,
}

/// A server's service, its type forgotten: doors are no part of a server's type.
pub(in crate::transport::server) trait Served: Send + Sync {
    fn call(&self, request: Request) -> BoxFuture<Response>;
}

/// A service that is copied for each call.
pub(in crate::transport::server) struct Copied<S>(pub(in crate::transport::server) Mutex<S>);

impl<S> Served for Copied<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    fn call(&self, request: Request) -> BoxFuture<Response> {
        let service = self.0.lock().clone();
        let called = Oneshot::new(service, request);
        Box::pin(async move { called.await.map_err(|error| Status::from_error(error.into())) })
    }
}

/// Bytes that came and that a body holds.
fn held(body: &Body) -> usize {
    match body {
        Body::Packed(packed) => packed.bytes.len(),
        Body::Message(_) => 0,
        Body::Batch(calls) => calls.iter().map(|call| held(&call.body)).sum(),
    }
}

impl DoorCalls {
    pub(super) fn new(
        service: Arc<dyn Served>,
        (shared, holdings): (Arc<Shared>, Arc<Holdings>),
        connection: Arc<Connection>,
        watcher: Watcher,
    ) -> Self {
        Self { service, shared, holdings, connection, watcher }
    }

    /// The connection, as its calls see it.
    #[must_use]
    pub const fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// The same, whose calls say that they came through `door`: where one door serves what
    /// several do.
    #[must_use]
    pub fn through(&self, door: &'static str) -> Self {
        if door == self.connection.door() {
            return self.clone();
        }
        let connection = Connection::new(door, self.connection.peer().clone());
        let connection = Arc::new(connection.with_values(self.connection.values().clone()));
        Self { connection, ..self.clone() }
    }

    /// Where a call says that it came from, that is taken up now.
    #[must_use]
    pub fn origin(&self) -> RequestOrigin {
        RequestOrigin::new(Arc::clone(&self.connection), Instant::now())
    }

    /// Calls, for the result; the calls of a batch run at once. Dropped, the call is
    /// cancelled.
    ///
    /// # Errors
    /// `Code::ResourceExhausted`: too many calls run already
    /// ([`max_running_calls`](crate::server::Server::max_running_calls)), their requests
    /// hold too much ([`max_request_bytes`](crate::server::Server::max_request_bytes)), or
    /// a batch has more of them than a connection may have. Else the call's own.
    pub fn call(&self, request: Request) -> BoxFuture<Response> {
        let running = match self.admit(&request) {
            Ok(running) => running,
            Err(status) => return Box::pin(std::future::ready(Err(status))),
        };
        let called = self.service.call(self.budgeted(request, batches::given));
        Box::pin(async move {
            let result = called.await;
            drop(running);
            outward(result)
        })
    }

    /// Begins a call whose result nobody waits for: it runs to its end whatever
    /// becomes of the connection, or to the end of the server's shutdown.
    ///
    /// # Errors
    /// `Code::ResourceExhausted`, as for [`call`](Self::call); the call's own are
    /// nobody's.
    pub fn begin(&self, request: Request) -> Result<(), Status> {
        let running = self.admit(&request)?;
        let request = self.budgeted(request, |_| batches::unwanted());
        let (called, watcher) = (self.service.call(request), self.watcher.clone());
        tokio::spawn(async move {
            tokio::select! {
                biased;
                _ = called => {}
                () = watcher.reached(Phase::Closing) => {}
            }
            drop(running);
            drop(watcher);
        });
        Ok(())
    }

    /// The results of a batch count until they are the door's.
    fn budgeted(&self, mut request: Request, budget: fn(&Arc<Ledger>) -> Budgeted) -> Request {
        if request.calls().len() > 1 {
            request.extensions_mut().insert(budget(&self.shared.ledger));
        }
        request
    }

    fn admit(&self, request: &Request) -> Result<Counted, Status> {
        let weight = Weight { calls: request.calls().len(), bytes: held(request.body()) };
        let observers = &self.shared.observers;
        // What others of its calls hold counts for the whole server alone.
        if let Some(why) = self.shared.overload(weight, 0) {
            observers.tell(|observer| observer.calls_shed(&self.connection, weight.calls));
            return Err(Status::resource_exhausted(why));
        }
        Ok(Counted::new(weight, Arc::clone(observers.stats())))
    }

    /// Runs a control command as the server's `Control` has it. Whether the caller may
    /// is the door's to decide.
    ///
    /// # Errors
    /// The command is unknown, as all are while the server answers none.
    pub fn command(&self, name: &str) -> Result<Body, Status> {
        self.shared.control.run(name, self.shared.observers.stats(), self.shared.max_running)
    }

    /// Tells the server's observers, and its log, that a request was refused before it
    /// became a call.
    pub fn refused(&self, status: &Status) {
        self.shared.log.packet_refused(self.connection.peer(), status);
        self.shared.observers.tell(|observer| observer.packet_refused(&self.connection, status));
    }

    /// Counts requests that came, and answers that were given.
    pub fn count(&self, requests: u64, answers: u64) {
        let traffic = Traffic { requests, answers, ..Traffic::default() };
        self.shared.observers.tell(|observer| observer.traffic(&self.connection, &traffic));
    }

    /// Ends when the server drains, and what was on its way has had time to come: no
    /// more is to be taken, and what was taken is to be answered.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (watcher, linger) = (self.watcher.clone(), self.shared.config.drain_linger);
        async move {
            watcher.reached(Phase::Draining).await;
            tokio::time::sleep(linger).await;
        }
    }

    /// Whether the server drains: whoever is answered now is to hear that it asks no more
    /// here.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.watcher.phase() >= Phase::Draining
    }

    /// Counts bytes that the door holds for the connection: what came of a request that is
    /// not whole, or an answer that is not taken.
    #[must_use]
    pub fn hold(&self, bytes: usize) -> Held {
        Held::new(Arc::clone(&self.holdings), bytes)
    }

    /// The services that are mounted.
    #[must_use]
    pub fn services(&self) -> &[&'static ServiceDescriptor] {
        &self.shared.services
    }

    /// Whether a handler takes every name that no service has
    /// ([`dynamic`](crate::server::Server::dynamic)).
    #[must_use]
    pub fn takes_all_names(&self) -> bool {
        self.shared.takes_all_names
    }

    /// Bounds on unpacking.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.config.limits
    }

    /// The largest request in bytes.
    #[must_use]
    pub fn max_packet(&self) -> usize {
        self.shared.config.max_packet
    }

    /// How long a connection may stand on which nothing happens.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        self.shared.config.idle_timeout
    }

    /// In what time a request that began must be whole.
    #[must_use]
    pub fn frame_timeout(&self) -> Duration {
        self.shared.config.frame_timeout
    }
}

impl fmt::Debug for DoorCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DoorCalls").field("connection", &self.connection).finish_non_exhaustive()
    }
}
