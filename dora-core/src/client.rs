//! The client's side put together: batches on a channel.

use crate::stub::batch::Batch;
use crate::stub::dynamic::DynamicClient;
use crate::transport::channel::Channel;

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
