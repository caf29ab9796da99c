//! Finding an instance that takes a call.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Wake, Waker};

use tokio::sync::Notify;
use tokio::time::Instant;
use tower::Service;

use crate::call::dora_code;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::call::tried_peers::{Hosts, TriedPeers};
use crate::middleware::breaker::cover::Cover;

use super::balancer::Shared;
use super::instance::Pinned;
use super::node::{InFlight, Node, NotNow};

/// A call that an instance has taken.
pub(super) struct Dispatched<S: Service<Request>> {
    pub(super) future: S::Future,
    pub(super) in_flight: InFlight<S>,
}

/// Why no instance has taken a call.
pub(super) enum Undelivered {
    /// None is ready yet.
    Waiting {
        /// Since so many calls could not be sent, each of them could not be reached: 0 if
        /// that is not known of one.
        all_unsent: u64,
    },
    /// None will be.
    Impossible(Status),
}

impl<S> Shared<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    /// Gives the call to an instance, of those that are not in `visited`.
    pub(super) fn dispatch(
        &self,
        request: &Request,
        visited: &[Arc<str>],
    ) -> Result<Dispatched<S>, Undelivered> {
        let known = self.nodes.load();
        let Some(nodes) = &*known else { return Err(Undelivered::Waiting { all_unsent: 0 }) };
        if nodes.is_empty() {
            let text = format!("there is no server can connect: {}", self.described());
            return Err(Undelivered::Impossible(Status::raw(dora_code::NO_SERVER, text).inward().unsent()));
        }
        let now = Instant::now();
        if let Some(Pinned(name)) = request.extensions().get::<Pinned>() {
            return self.pinned(nodes, name, request, now);
        }
        let tried = request.extensions().get::<TriedPeers>();
        let hosts = request.extensions().get::<Hosts>();
        let was_tried = |node: &Node<S>| {
            tried.is_some_and(|tried| node.is_among(tried))
                || hosts.is_some_and(|hosts| hosts.contain(&node.name))
        };
        let first = &nodes[self.chooser.first(nodes, request, now)];
        if !was_tried(first)
            && !visited.contains(&first.name)
            && let Ok(dispatched) = self.give(first, request, now, true)
        {
            return Ok(dispatched);
        }
        let guarded = !self.too_many_are_held_back(nodes);
        let order = self.chooser.order(nodes, request, now);
        let mut broken = None;
        // Where the call failed before comes last.
        for again in [false, true] {
            let left = order.iter().map(|index| &nodes[*index]);
            for node in left.filter(|node| was_tried(node) == again && !visited.contains(&node.name)) {
                match self.give(node, request, now, guarded) {
                    Ok(dispatched) => return Ok(dispatched),
                    Err(NotNow::Broken(status)) => broken = Some(status.with_peer(Arc::clone(&node.name))),
                    Err(NotNow::HeldBack | NotNow::Waiting) => {}
                }
            }
        }
        Err(undelivered(nodes, visited, guarded, broken))
    }

    fn pinned(
        &self,
        nodes: &[Arc<Node<S>>],
        name: &Arc<str>,
        request: &Request,
        now: Instant,
    ) -> Result<Dispatched<S>, Undelivered> {
        let Some(node) = nodes.iter().find(|node| node.name == *name) else {
            let text = format!("there is no server can connect: the fleet has no instance {name}");
            return Err(Undelivered::Impossible(Status::raw(dora_code::NO_SERVER, text).inward().unsent()));
        };
        // Who names an instance wants to know how that one is, breaker or not.
        self.give(node, request, now, false).map_err(|not_now| match not_now {
            NotNow::Waiting | NotNow::HeldBack => {
                Undelivered::Waiting { all_unsent: node.unsent.load(Ordering::Relaxed) }
            }
            NotNow::Broken(status) => Undelivered::Impossible(status.with_peer(Arc::clone(name)).unsent()),
        })
    }

    /// Gives the call to `node`, if it is ready. `guarded`: with its breaker's leave.
    fn give(
        &self,
        node: &Arc<Node<S>>,
        request: &Request,
        now: Instant,
        guarded: bool,
    ) -> Result<Dispatched<S>, NotNow> {
        let cover = match &node.breaker {
            Some(breaker) if guarded => Some(Cover::of(breaker, request, now).map_err(|_| NotNow::HeldBack)?),
            _ => None,
        };
        let future = node.start(&self.ready, request)?;
        if let Some(hosts) = request.extensions().get::<Hosts>() {
            hosts.add(&node.name);
        }
        Ok(Dispatched { future, in_flight: InFlight::new(Arc::clone(node), now, cover) })
    }

    /// Whether breakers hold back more instances than they may.
    fn too_many_are_held_back(&self, nodes: &[Arc<Node<S>>]) -> bool {
        let held_back = nodes.iter().filter(|node| !node.is_admitted()).count();
        held_back as f64 > self.settings.most_ejected * nodes.len() as f64
    }
}

/// What keeps a call from all instances.
fn undelivered<S>(
    nodes: &[Arc<Node<S>>],
    visited: &[Arc<str>],
    guarded: bool,
    broken: Option<Status>,
) -> Undelivered {
    let left: Vec<_> = nodes.iter().filter(|node| !visited.contains(&node.name)).collect();
    let text = match &broken {
        _ if left.is_empty() => "all instances of the fleet failed before the call was sent".to_owned(),
        _ if guarded && left.iter().all(|node| !node.is_admitted()) => {
            format!("the circuit breakers of all {} instances that are left are open", left.len())
        }
        // One that is broken for good does not stand for others.
        Some(status) if left.len() == 1 => return Undelivered::Impossible(status.clone().unsent()),
        _ => {
            let unsent = left.iter().map(|node| node.unsent.load(Ordering::Relaxed));
            return Undelivered::Waiting { all_unsent: unsent.min().unwrap_or(0) };
        }
    };
    Undelivered::Impossible(Status::unavailable(text).unsent())
}

/// A waker of all calls that wait for an instance.
pub(super) fn waker(changed: &Arc<Notify>) -> Waker {
    struct Changed(Arc<Notify>);

    impl Wake for Changed {
        fn wake(self: Arc<Self>) {
            self.0.notify_waiters();
        }
    }

    Waker::from(Arc::new(Changed(Arc::clone(changed))))
}
