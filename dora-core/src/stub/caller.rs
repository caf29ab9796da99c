//! What calls are made through.

use tower::Service;

use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::BoxError;

/// Whatever calls can be made through: a channel, tower layers over one, a fleet,
/// or a generated server in this process. It is the one bound for code that is
/// generic over clients:
///
/// ```
/// # mod users {
/// #     use dora::codegen;
/// #     static SERVICE: codegen::ServiceDescriptor = codegen::ServiceDescriptor::new("u.Users", &[&GET]);
/// #     static GET: codegen::Method = codegen::Method::new(&SERVICE, "Get", "/u.Users/Get");
/// #     pub struct UsersClient<S> { service: S }
/// #     impl<S: codegen::Caller> UsersClient<S> {
/// #         pub fn get(&self, id: dora::Value)
/// #             -> codegen::Call<S, dora::Value, dora::Value> {
/// #             codegen::Call::new(self.service.clone(), &GET, id)
/// #         }
/// #     }
/// # }
/// # use users::UsersClient;
/// # use dora::{Caller, Status};
/// struct Greeter<S> {
///     users: UsersClient<S>,
/// }
///
/// impl<S: Caller> Greeter<S> {
///     async fn greet(&self, id: i64) -> Result<String, Status> {
///         let user = self.users.get(id.into()).await?;
///         Ok(format!("Hello, {user:?}"))
///     }
/// }
/// ```
///
/// It is implemented for every [`tower::Service`] of requests that can be cloned and
/// borrows nothing, as calls may be made in tasks of their own.
#[diagnostic::on_unimplemented(
    message = "calls cannot be made through `{Self}`",
    note = "a caller is a `tower::Service<dora::Request, Response = dora::Response>` that is `Clone` and `'static`, \
            with an error that turns into a boxed one: a `dora::Channel`, layers over one, or a generated server",
    note = "an `Endpoint` gives a channel by `.connect().await?` or `.connect_lazy()?`",
    note = "layers that are not `Clone`, such as a `RateLimit`, become so within a `tower::buffer::BufferLayer`, \
            added before them"
)]
pub trait Caller: Service<Request, Response = Response, Error: Into<BoxError>> + Clone + 'static {}

#[diagnostic::do_not_recommend]
impl<S> Caller for S where S: Service<Request, Response = Response, Error: Into<BoxError>> + Clone + 'static {}
