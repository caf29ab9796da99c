//! The choice of an instance for each call, as a service.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll, Waker};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tower::Service;

use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::middleware::breaker::circuit::CircuitBreaker;

use super::builder::FleetBuilder;
use super::choose::Chooser;
use super::dispatch::waker;
use super::followed::Followed;
use super::future::BalancerFuture;
use super::instance::Instance;
use super::node::Node;

/// Gives each call to one instance. What of it may have run is not made again.
pub(super) struct Balancer<S>(Arc<Shared<S>>);

pub(super) struct Shared<S> {
    /// `None` before anything was heard.
    pub(super) nodes: ArcSwapOption<Vec<Arc<Node<S>>>>,
    pub(super) chooser: Chooser,
    /// An instance became ready, came or went.
    pub(super) changed: Arc<Notify>,
    /// Notifies of it.
    pub(super) ready: Waker,
    /// Calls that could not be sent to an instance, and why the last one could not.
    pub(super) unsent: AtomicU64,
    pub(super) last_unsent: Mutex<Option<Status>>,
    pub(super) settings: FleetBuilder,
    /// Where its instances are looked for, if they are.
    pub(super) followed: Option<Followed>,
}

impl<S> Balancer<S> {
    pub(super) fn new(settings: FleetBuilder, nodes: Option<Vec<Arc<Node<S>>>>) -> Self {
        Self::with(settings, nodes, None)
    }

    pub(super) fn following(settings: FleetBuilder, followed: Followed) -> Self {
        Self::with(settings, None, Some(followed))
    }

    fn with(settings: FleetBuilder, nodes: Option<Vec<Arc<Node<S>>>>, followed: Option<Followed>) -> Self {
        let changed = Arc::default();
        Self(Arc::new(Shared {
            nodes: ArcSwapOption::new(nodes.map(Arc::new)),
            chooser: Chooser::new(settings.balance.clone()),
            ready: waker(&changed),
            changed,
            unsent: AtomicU64::new(0),
            last_unsent: Mutex::default(),
            settings,
            followed,
        }))
    }

    pub(super) fn shared(&self) -> &Arc<Shared<S>> {
        &self.0
    }

    /// Whether there is more than one instance.
    pub(super) fn has_several(&self) -> bool {
        self.0.nodes.load().as_ref().is_some_and(|nodes| nodes.len() > 1)
    }

    /// The instances of this moment.
    pub(super) fn instances(&self) -> Vec<Instance> {
        let now = Instant::now();
        let nodes = self.0.nodes.load();
        let nodes = nodes.iter().flat_map(|nodes| nodes.iter());
        nodes
            .map(|node| {
                let (in_flight, latency) = node.load(now);
                Instance {
                    name: Arc::clone(&node.name),
                    weight: node.weight,
                    in_flight,
                    latency,
                    breaker: node.breaker.as_ref().map(CircuitBreaker::state),
                }
            })
            .collect()
    }
}

impl<S> Shared<S> {
    /// How it stands with the list of instances, for errors.
    pub(super) fn described(&self) -> String {
        match &self.followed {
            Some(followed) => followed.status().to_string(),
            None => "the fleet is empty".to_owned(),
        }
    }
}

impl<S> Clone for Balancer<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for Balancer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.instances().into_iter().map(|instance| instance.name)).finish()
    }
}

impl<S> Service<Request> for Balancer<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Send + 'static,
{
    type Response = Response;
    type Error = Status;
    type Future = BalancerFuture<S>;

    /// Always ready: which instance must be is known with the call, and waited for as a
    /// part of it.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> BalancerFuture<S> {
        BalancerFuture::new(Arc::clone(&self.0), request)
    }
}
