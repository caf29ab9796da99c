//! Calls without a `.proto`: an untyped PHP service, by API name.

use std::fmt;
use std::time::Duration;

use crate::call::batch::CallKey;
use crate::call::body::{BatchCall, Body};
use crate::call::mode::Mode;
use crate::call::name::MethodName;
use crate::call::request::Request;
use crate::call::response::{Reply, Response};
use crate::call::status::Status;
use crate::pack::value::Value;

use super::awaited::result;
use super::batch::{batch, settled};
use super::call::Call;
use super::called::Called;
use super::caller::Caller;
use super::pending::Pending;

/// A client of services that nobody has declared: API names and values.
///
/// A value has the form of any message in PHP and JSON packing only: to call the
/// methods of a `.proto` without its types, use an endpoint with one of these.
///
/// ```no_run
/// # async fn demo() -> Result<(), dora::Status> {
/// use dora::DynamicClient;
/// use dora::Endpoint;
/// use dora::value;
///
/// let channel = Endpoint::new("10.0.2.15:9567")?.php().connect().await?;
/// let php = DynamicClient::new(channel);
/// let user = php.call("/user/get", value!({ "id" => 7 })).await?;
/// println!("{:?}", user.get("name"));
///
/// // The `multiAPI` of the PHP client: calls under keys, in one packet.
/// let answers = php
///     .multi()
///     .call("user", "/user/get", value!({ "id" => 7 }))
///     .call("orders", "/order/list", value!({ "user" => 7 }))
///     .send()
///     .await?;
/// for (key, answer) in answers {
///     println!("{key}: {:?}", answer?);
/// }
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

    /// Begins a packet of calls under keys of the caller's own.
    pub fn multi(&self) -> Multi<S> {
        Multi { service: self.service.clone(), calls: Vec::new(), head: Request::new(()), timeout: None }
    }
}

/// Untyped calls under keys, in one packet; the server runs them concurrently.
#[must_use = "the calls are sent by `send`, `no_result` or `deferred`"]
pub struct Multi<S> {
    service: S,
    calls: Vec<BatchCall>,
    head: Request<()>,
    timeout: Option<Duration>,
}

/// How untyped calls ended, each under its key, in the order of the calls.
pub type MultiResults = Vec<(CallKey, Result<Value, Status>)>;

impl<S> Multi<S> {
    /// Adds a call. Of equal keys the last one is sent, as in a PHP array.
    pub fn call(
        mut self,
        key: impl Into<CallKey>,
        name: impl Into<MethodName>,
        param: impl Into<Value>,
    ) -> Self {
        let key = key.into();
        let (mut head, ()) = Request::new(()).into_parts();
        head.set_method(name);
        let call = BatchCall::new(key, head, Body::message(param.into()));
        match self.calls.iter_mut().find(|known| known.key == call.key) {
            Some(known) => *known = call,
            None => self.calls.push(call),
        }
        self
    }

    /// How long the caller waits for the whole. Default: the channel's timeout.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Adds a metadata pair for all calls.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.head.metadata_mut().append(key, value);
        self
    }
}

impl<S: Caller> Multi<S> {
    /// Sends the calls and waits for all results.
    ///
    /// # Errors
    /// The packet as a whole failed, or has no calls.
    pub async fn send(self) -> Result<MultiResults, Status> {
        let (called, calls) = self.called(Mode::Wait);
        ended(called.await?, calls)
    }

    /// Sends the calls and waits for the acknowledgement alone.
    ///
    /// # Errors
    /// The packet was not accepted, or has no calls.
    pub async fn no_result(self) -> Result<(), Status> {
        self.called(Mode::NoResult).0.await.map(drop)
    }

    /// Sends the calls and waits for the acknowledgement; the results are awaited
    /// later.
    ///
    /// # Errors
    /// The packet was not accepted, or has no calls.
    pub async fn deferred(self) -> Result<Pending<MultiResults>, Status> {
        let (called, calls) = self.called(Mode::Deferred);
        let response = called.await?;
        Ok(Pending::new(async move { ended(settled(response).await?, calls) }))
    }

    fn called(self, mode: Mode) -> (Called<S>, Vec<(CallKey, MethodName)>) {
        let Self { service, calls, head, timeout } = self;
        let names = calls.iter().map(|call| (call.key.clone(), call.head.method().clone())).collect();
        (Called::new(service, batch(calls, head, timeout, mode)), names)
    }
}

/// The results in the order of the calls.
fn ended(response: Response, calls: Vec<(CallKey, MethodName)>) -> Result<MultiResults, Status> {
    let Reply::Batch(mut results) = response.into_body() else {
        return Err(Status::internal("a packet of several calls was answered as one of one"));
    };
    let ended = calls.into_iter().map(|(key, name)| {
        let found = results.iter().position(|(known, _)| *known == key);
        let value = match found.map(|place| results.swap_remove(place).1) {
            Some(ended) => ended.and_then(|response| result(response, &name)).map(Response::into_body),
            None => Err(Status::data_loss("the answer has no result for this call")),
        };
        (key, value)
    });
    Ok(ended.collect())
}

impl<S> fmt::Debug for Multi<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.calls.iter().map(|call| &call.key)).finish()
    }
}
