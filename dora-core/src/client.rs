//! The client's side put together: channels of endpoints, batches on channels.

use tower::discover::Discover;

use crate::call::status::{BoxError, Status};
use crate::discovery::directory::Directory;
use crate::discovery::record::InstanceRecord;
use crate::middleware::balance::builder::FleetBuilder;
use crate::middleware::balance::fleet::Fleet;
use crate::middleware::balance::instance::InstanceKey;
use crate::stub::batch::Batch;
use crate::stub::caller::Caller;
use crate::stub::dynamic::DynamicClient;
use crate::transport::client::channel::Channel;
use crate::transport::client::endpoint::Endpoint;

impl FleetBuilder {
    /// A fleet of channels to these addresses; each connects at its first call, if not told
    /// to [`warm_up`](Self::warm_up). Must be called within a tokio runtime.
    ///
    /// # Errors
    /// `Code::InvalidArgument`: an address is none.
    pub fn connect_lazy<A: AsRef<str>>(
        self,
        addresses: impl IntoIterator<Item = A>,
    ) -> Result<Fleet<Channel>, Status> {
        let endpoints = addresses.into_iter().map(|address| Endpoint::new(address.as_ref()));
        self.endpoints(endpoints.collect::<Result<Vec<_>, _>>()?)
    }

    /// A fleet of channels to these endpoints, as [`connect_lazy`](Self::connect_lazy). An
    /// endpoint that is given several times is one instance with as many connections more.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// `Code::FailedPrecondition`: the settings of an endpoint contradict each other.
    pub fn endpoints(self, endpoints: impl IntoIterator<Item = Endpoint>) -> Result<Fleet<Channel>, Status> {
        let (connections, warm_up) = self.connecting();
        let instances = endpoints.into_iter().map(|endpoint| {
            let key = InstanceKey::from(endpoint.address().to_string());
            Ok((key, channels(&endpoint, connections, warm_up)?))
        });
        Ok(self.of(instances.collect::<Result<Vec<_>, Status>>()?))
    }

    /// A fleet whose endpoints come and go as `changes` says: as
    /// [`discover`](Self::discover), with as many [`connections`](Self::connections) to each,
    /// which are made at once where it is told to [`warm_up`](Self::warm_up). An endpoint
    /// whose settings contradict each other is logged, and is no instance.
    ///
    /// # Panics
    /// It is called outside of a tokio runtime.
    pub fn discover_endpoints<D>(self, changes: D) -> Fleet<Channel>
    where
        D: Discover<Key = InstanceKey, Service = Endpoint, Error: Into<BoxError>> + Send + 'static,
    {
        let (connections, warm_up) = self.connecting();
        self.discover_with(changes, move |endpoint: Endpoint| channels(&endpoint, connections, warm_up))
    }

    /// A fleet of the instances that are found there, as they come and go; see
    /// [`Channel::to`]. Must be called within a tokio runtime.
    pub fn to(self, directory: impl Into<Directory>) -> Fleet<Channel> {
        self.to_with(directory, |instance| Endpoint::new(&*instance.address))
    }

    /// The same, with endpoints that `endpoint` makes: with TLS, signed, with timeouts of
    /// their own. Must be called within a tokio runtime.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use dora::discovery::{FixedList, InstanceRecord};
    /// use dora::{Endpoint, Fleet};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let list = FixedList::new([InstanceRecord::unknown("10.0.2.15:9567")]);
    /// let fleet = Fleet::builder().to_with(list, |instance| {
    ///     Ok(Endpoint::new(&*instance.address)?.timeout(Duration::from_millis(500)))
    /// });
    /// # drop(fleet);
    /// # }
    /// ```
    pub fn to_with(
        self,
        directory: impl Into<Directory>,
        mut endpoint: impl FnMut(&InstanceRecord) -> Result<Endpoint, Status> + Send + 'static,
    ) -> Fleet<Channel> {
        let (connections, warm_up) = self.connecting();
        self.follow(directory.into().watch(), move |instance| {
            channels(&endpoint(instance)?, connections, warm_up)
        })
    }
}

/// So many connections to an endpoint.
fn channels(endpoint: &Endpoint, connections: usize, warm_up: bool) -> Result<Vec<Channel>, Status> {
    let channels = (0..connections).map(|_| endpoint.clone().connect_lazy());
    let channels: Vec<Channel> = channels.collect::<Result<_, _>>()?;
    if warm_up {
        for channel in &channels {
            let channel = channel.clone();
            // Whether it came to be shows with the first call.
            tokio::spawn(async move { channel.ready().await.ok() });
        }
    }
    Ok(channels)
}

impl Channel {
    /// Calls to these servers, each call to one of them, with all that keeps calls going
    /// while a server does not: retries, breakers, and so on, as [`Fleet`] says. Must be
    /// called within a tokio runtime.
    ///
    /// # Errors
    /// `Code::InvalidArgument`: an address is none.
    pub fn balance<A: AsRef<str>>(addresses: impl IntoIterator<Item = A>) -> Result<Fleet<Self>, Status> {
        Fleet::builder().connect_lazy(addresses)
    }

    /// Calls to the servers that are found there, as they come and go: a target of
    /// `dora::discovery`, or whatever can [`Discover`](crate::discovery::discover::Discover).
    /// With all that [`balance`](Self::balance) has. Must be called within a tokio runtime.
    ///
    /// If the group is unknown or empty, calls fail at once with PHP's code 100010, and say
    /// which group, and how old the list is. Registries that fail leave the last list in
    /// use: see [`Directory`].
    pub fn to(directory: impl Into<Directory>) -> Fleet<Self> {
        Fleet::builder().to(directory)
    }
}

impl Endpoint {
    /// A channel that is connected now.
    ///
    /// # Errors
    /// The server cannot be connected, or the settings contradict each other.
    pub async fn connect(self) -> Result<Channel, Status> {
        let channel = self.connect_lazy()?;
        // Nothing is sent before there is a connection.
        channel.ready().await.map_err(Status::unsent)?;
        Ok(channel)
    }

    /// A channel that connects at its first call. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// `Code::FailedPrecondition`: the settings contradict each other.
    pub fn connect_lazy(self) -> Result<Channel, Status> {
        self.check()?;
        Ok(Channel::new(self))
    }
}

impl Channel {
    /// Begins a batch: several calls in one packet.
    pub fn batch(&self) -> Batch<Self> {
        Batch::new(self.clone())
    }

    /// A client of untyped services by API name.
    #[must_use]
    pub fn dynamic(&self) -> DynamicClient<Self> {
        DynamicClient::new(self.clone())
    }
}

impl<S> Fleet<S>
where
    Self: Caller,
{
    /// Begins a batch: several calls in one packet, to one instance.
    pub fn batch(&self) -> Batch<Self> {
        Batch::new(self.clone())
    }

    /// A client of untyped services by API name.
    #[must_use]
    pub fn dynamic(&self) -> DynamicClient<Self> {
        DynamicClient::new(self.clone())
    }
}
