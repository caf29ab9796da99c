//! The client's side put together: channels of endpoints, batches on channels.

use crate::call::status::Status;
use crate::stub::batch::Batch;
use crate::stub::dynamic::DynamicClient;
use crate::transport::client::channel::Channel;
use crate::transport::client::endpoint::Endpoint;

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
