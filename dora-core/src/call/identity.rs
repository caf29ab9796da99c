//! Who calls, once it is known.

use std::any::Any;
use std::sync::Arc;

use super::head::RequestHead;
use super::request::Request;

/// An identity among the values of a request. Shared: a request may be cloned.
struct Identified<T>(Arc<T>);

impl<T> Clone for Identified<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl RequestHead {
    /// Who calls, as whoever has found it out calls them: see [`Request::identity`].
    #[must_use]
    pub fn identity<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.extensions().get::<Identified<T>>().map(|identity| &*identity.0)
    }

    /// Says who calls: what an [`AuthLayer`](crate::middleware::auth::server::AuthLayer) does
    /// with what its authenticator found.
    pub fn set_identity<T: Any + Send + Sync>(&mut self, identity: impl Into<Arc<T>>) {
        self.extensions_mut().insert(Identified(identity.into()));
    }
}

impl<T> Request<T> {
    /// Who calls, as the authenticator of the server has found out, whatever it went by: a
    /// token, a certificate, a signature. `None` if there is no authenticator, or one of
    /// another type of identity.
    ///
    /// ```
    /// use dora::{Request, Status};
    ///
    /// /// The type that the server's authenticator gives.
    /// struct User {
    ///     tenant: u64,
    /// }
    ///
    /// async fn list_orders(request: Request<()>) -> Result<String, Status> {
    ///     let user = request.identity::<User>().ok_or_else(|| Status::unauthenticated("who calls?"))?;
    ///     Ok(format!("orders of {}", user.tenant))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut request = Request::new(());
    /// request.head_mut().set_identity(User { tenant: 7 }); // in a test, say
    /// assert_eq!(list_orders(request).await.expect("a user"), "orders of 7");
    /// # }
    /// ```
    pub fn identity<I: Any + Send + Sync>(&self) -> Option<&I> {
        self.head().identity()
    }
}
