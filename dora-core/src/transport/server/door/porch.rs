//! The port of a door: accepting its connections, and handing them over.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::call::observe::Closed;
use crate::call::origin::Connection;
use crate::transport::io::address::Address;
use crate::transport::server::accept::Accept;
use crate::transport::server::connections::{ServerConfig, prepare};
use crate::transport::server::incoming::Incoming;
use crate::transport::server::listener::accept_all;
use crate::transport::server::log;
use crate::transport::server::shared::Shared;
use crate::transport::server::shutdown::{Phase, Watcher};
use crate::transport::server::upgrade::{Port, Upgrade};

use super::Door;
use super::calls::{DoorCalls, Served};
use super::held::Holdings;
use super::stream::DoorStream;

/// A listener whose type is forgotten: a server has as many as it has doors.
pub(crate) trait AnyAccept: Send {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Incoming>>>;
    fn address(&self) -> Option<Address>;
    fn close(self: Box<Self>) -> Vec<Incoming>;
}

impl<T: Accept> AnyAccept for T {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Incoming>>> {
        Accept::poll_accept(self, cx)
    }

    fn address(&self) -> Option<Address> {
        Accept::address(self)
    }

    fn close(self: Box<Self>) -> Vec<Incoming> {
        Accept::close(*self)
    }
}

impl Accept for Box<dyn AnyAccept> {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Incoming>>> {
        (**self).poll_accept(cx)
    }

    fn address(&self) -> Option<Address> {
        (**self).address()
    }

    fn close(self) -> Vec<Incoming> {
        AnyAccept::close(self)
    }
}

/// A door, and the listener that it is reached by.
pub(crate) type Entrance = (Box<dyn AnyAccept>, Arc<dyn Door>);

/// What serves the connections that come through a door.
pub(in crate::transport::server) struct Porch {
    pub(in crate::transport::server) door: Arc<dyn Door>,
    pub(in crate::transport::server) service: Arc<dyn Served>,
    pub(in crate::transport::server) shared: Arc<Shared>,
    pub(in crate::transport::server) watcher: Watcher,
    pub(in crate::transport::server) upgrade: Option<(Upgrade, Port)>,
}

impl Porch {
    /// Accepts connections for ever.
    pub(in crate::transport::server) async fn accept(
        &mut self,
        listener: &mut Box<dyn AnyAccept>,
        config: &ServerConfig,
    ) {
        log::door_listening(self.door.name(), Accept::address(listener).as_ref(), &self.shared, config);
        accept_all(listener, config.max_connections, move |incoming| self.serve(incoming)).await;
    }

    /// Serves one connection to its end.
    pub(in crate::transport::server) fn serve(
        &self,
        incoming: Incoming,
    ) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (door, service) = (Arc::clone(&self.door), Arc::clone(&self.service));
        let (shared, watcher) = (Arc::clone(&self.shared), self.watcher.clone());
        let upgrade = self.upgrade.clone();
        async move {
            if let Some(incoming) = prepare(incoming, upgrade, &shared, &watcher).await {
                through(door, service, (shared, watcher), incoming).await;
            }
        }
    }
}

/// Serves a connection through `door` that is ready for its first byte, to its end.
pub(in crate::transport::server) async fn through(
    door: Arc<dyn Door>,
    service: Arc<dyn Served>,
    (shared, watcher): (Arc<Shared>, Watcher),
    incoming: Incoming,
) {
    let (stream, first, over) = incoming.into_parts(door.name());
    let connection = Arc::new(over);
    shared.observers.tell(|observer| observer.connection_accepted(&connection));
    let mut end = End { shared: Arc::clone(&shared), connection: Arc::clone(&connection), why: None };
    let stream = DoorStream::new(stream, first, Arc::clone(&shared), Arc::clone(&connection));
    let holdings = Arc::new(Holdings::new(Arc::clone(&shared.ledger)));
    let calls = DoorCalls::new(service, (shared, Arc::clone(&holdings)), connection, watcher.clone());
    end.why = Some(tokio::select! {
        biased;
        why = door.serve(stream, calls) => why,
        () = holdings.too_much() => Closed::OverBudget,
        () = watcher.reached(Phase::Closing) => watcher.phase().why(),
    });
}

/// Tells of a connection's end, however it comes.
struct End {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    why: Option<Closed>,
}

impl Drop for End {
    fn drop(&mut self) {
        let why = self.why.take();
        let why = why.unwrap_or_else(|| Closed::Lost("whoever served it has let it go".to_owned()));
        self.shared.log.closed(self.connection.peer(), &why);
        self.shared.observers.tell(|observer| observer.connection_closed(&self.connection, &why));
    }
}
