//! Serving: on an address, a listener, or connections that come one by one.

use std::future::{Future, pending};

use futures_util::stream::Stream;
use tower::Layer;

use crate::call::status::BoxError;
use crate::middleware::route::Router;
use crate::middleware::serves::Serves;
use crate::middleware::stack::{Stacked, methods, stack};
use crate::transport::io::address::{Address, AddressError};
use crate::transport::server::accept::{Accept, Stood};
use crate::transport::server::bind::bind;
use crate::transport::server::connections::{Connections, Settings};
use crate::transport::server::incoming::Incoming;
use crate::transport::server::observers::Observers;
use crate::transport::server::signal::until;

use super::doors::{listen, open};
use super::{ServeError, Server};

impl<L> Server<L> {
    /// Listens on `address` (`host:port`, `[::1]:9567`, `unix:/run/x.sock`) and
    /// serves for ever.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn serve<S>(
        self,
        address: impl TryInto<Address, Error: Into<AddressError>>,
    ) -> Result<(), ServeError>
    where
        L: Layer<Router, Service = S> + 'static,
        S: Serves,
    {
        self.serve_with_shutdown(address, pending()).await
    }

    /// Listens on `address` and serves until `signal` ends; then stops accepting,
    /// lets the running calls end, and closes.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn serve_with_shutdown<S>(
        self,
        address: impl TryInto<Address, Error: Into<AddressError>>,
        signal: impl Future<Output = ()>,
    ) -> Result<(), ServeError>
    where
        L: Layer<Router, Service = S> + 'static,
        S: Serves,
    {
        let address = address.try_into().map_err(Into::into)?;
        let listener = bind(&address, self.share_address).await?;
        self.serve_with_listener(listener, signal).await
    }

    /// As [`serve_with_shutdown`](Self::serve_with_shutdown), on a listener that
    /// stands already: tokio's `TcpListener` or `UnixListener`.
    ///
    /// # Errors
    /// Two services claim one name; a door's address cannot be listened on; or it cannot be
    /// [registered](Self::register).
    pub async fn serve_with_listener<S>(
        mut self,
        listener: impl Accept,
        signal: impl Future<Output = ()>,
    ) -> Result<(), ServeError>
    where
        L: Layer<Router, Service = S> + 'static,
        S: Serves,
    {
        let registration = std::mem::take(&mut self.registration);
        let tls = self.server.upgrade.is_some();
        let services: Vec<_> = self.router.descriptors().collect();
        let mounted = services.iter().copied();
        let announcements = registration.announcements(listener.address(), &self.session, tls, mounted)?;
        let signal = until(signal, self.control.clone());
        let (doors, shared) = (std::mem::take(&mut self.doors.apart), self.share_address);
        for door in self.doors.sharing.doors() {
            open(&**door, &services)?;
        }
        let connections = self.connections()?;
        let entrances = listen(doors, &services, shared).await?;
        let mut announced = announcements.begin();
        let stop = async {
            signal.await;
            // First, so that callers go elsewhere before they are told to.
            announced.withdraw().await;
        };
        connections.accept_beside(listener, entrances, stop).await;
        // Where not the signal was the end, but the listener.
        announced.withdraw().await;
        Ok(())
    }

    /// As [`serve_with_listener`](Self::serve_with_listener), on connections that
    /// come from a stream: sockets of tokio, or any [`Incoming`]. The server ends
    /// with the stream, too.
    ///
    /// # Errors
    /// Two services claim one name, or a door's address cannot be listened on.
    pub async fn serve_incoming<S, C, E>(
        self,
        incoming: impl Stream<Item = Result<C, E>> + Send + Unpin,
        signal: impl Future<Output = ()>,
    ) -> Result<(), ServeError>
    where
        C: Into<Incoming>,
        E: Into<BoxError>,
        L: Layer<Router, Service = S> + 'static,
        S: Serves,
    {
        self.serve_with_listener(Stood(incoming), signal).await
    }

    /// The server without a listener: connections are handed to it one by one, those
    /// of a [`door`](Self::door) too ([`Connections::serve_through`]): no port of one is
    /// opened.
    ///
    /// ```
    /// use dora::Server;
    /// use dora::Incoming;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dora::ServeError> {
    /// let server = Server::builder().connections()?;
    /// let (near, far) = tokio::io::duplex(64 << 10);
    /// tokio::spawn(server.serve(Incoming::new(far)));
    /// # drop(near);
    /// server.drain().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Two services claim one name.
    pub fn connections<S>(self) -> Result<Connections<Stacked<S>>, ServeError>
    where
        L: Layer<Router, Service = S> + 'static,
        S: Serves,
    {
        let mut server = self.server;
        server.forced = server
            .forced
            .into_iter()
            .flat_map(|(name, execution)| {
                self.router.synonyms(&name).into_iter().map(move |name| (name, execution))
            })
            .collect();
        let takes_all_names = self.router.takes_all_names();
        let services = self.router.descriptors().collect();
        let router = self.router.build()?;
        let methods = methods(router.clone(), &self.layer, server.call_timeout);
        let service = stack(router, &self.layer, server.call_timeout);
        let settings = Settings {
            server,
            session: self.session,
            control: self.control,
            observers: Observers::new(self.stats, self.observer),
            methods,
            services,
            takes_all_names,
            sharing: self.doors.sharing,
        };
        Ok(Connections::new(settings, service))
    }
}
