//! Calls without a `.proto`: an untyped PHP service, by API name.

use crate::call::method::MethodName;
use crate::pack::value::Value;

use super::call::Call;

/// A client of services that nobody has declared: API names and values.
///
/// A value has the form of any message in PHP and JSON packing only: to call the
/// methods of a `.proto` without its types, use an endpoint with one of these.
///
/// ```no_run
/// # async fn demo() -> Result<(), dora_core::call::status::Status> {
/// use dora_core::stub::dynamic::DynamicClient;
/// use dora_core::transport::client::endpoint::Endpoint;
/// use dora_core::value;
///
/// let channel = Endpoint::new("10.0.2.15:9567")?.php().connect().await?;
/// let php = DynamicClient::new(channel);
/// let user = php.call("/user/get", value!({ "id" => 7 })).await?;
/// println!("{:?}", user.get("name"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DynamicClient<S> {
    service: S,
}

impl<S: Clone> DynamicClient<S> {
    /// Calls through `service`: a channel, or layers over one.
    pub fn new(service: S) -> Self {
        Self { service }
    }

    /// Calls the API `name` with `param`.
    pub fn call(&self, name: impl Into<MethodName>, param: impl Into<Value>) -> Call<S, Value, Value> {
        Call::named(self.service.clone(), name, param.into())
    }
}
