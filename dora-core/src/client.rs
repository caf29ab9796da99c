//! The client's side put together: channels of endpoints, batches on channels.

use std::sync::Arc;

use crate::call::status::Status;
use crate::middleware::balance::fleet::{Fleet, FleetBuilder};
use crate::stub::batch::Batch;
use crate::stub::caller::Caller;
use crate::stub::dynamic::DynamicClient;
use crate::transport::client::channel::Channel;
use crate::transport::client::endpoint::Endpoint;

impl FleetBuilder {
    /// A fleet of channels to these addresses; each connects at its first call. Must be
    /// called within a tokio runtime.
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

    /// A fleet of channels to these endpoints; each connects at its first call. Must be
    /// called within a tokio runtime.
    ///
    /// An endpoint may be given several times, and is as many connections. They have the
    /// same name, so that a call which one of them could not send does not try the next;
    /// [`instances`](FleetBuilder::instances) takes names that differ.
    ///
    /// # Errors
    /// `Code::FailedPrecondition`: the settings of an endpoint contradict each other.
    pub fn endpoints(self, endpoints: impl IntoIterator<Item = Endpoint>) -> Result<Fleet<Channel>, Status> {
        let channels = endpoints.into_iter().map(|endpoint| {
            let channel = endpoint.connect_lazy()?;
            Ok((Arc::from(channel.peer()), channel))
        });
        Ok(self.instances::<Arc<str>, _>(channels.collect::<Result<Vec<_>, Status>>()?))
    }
}

impl Channel {
    /// Calls to these servers, each call to one of them: see [`Fleet`]. Must be called
    /// within a tokio runtime.
    ///
    /// # Errors
    /// `Code::InvalidArgument`: an address is none.
    pub fn balance<A: AsRef<str>>(addresses: impl IntoIterator<Item = A>) -> Result<Fleet<Self>, Status> {
        Fleet::builder().connect_lazy(addresses)
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
