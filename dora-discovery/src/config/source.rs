//! What a configuration is read from.

use std::future::Future;
use std::pin::Pin;

use dora_core::call::status::BoxError;

/// What a configuration is read from: a key of etcd or Redis, or whatever a user
/// has. The same shape as [`Discover`](dora_core::discovery::discover::Discover).
///
/// ```
/// use dora::BoxError;
/// use dora::config::{Source, Watched};
///
/// /// A file that somebody edits.
/// struct OnDisk(&'static str);
///
/// impl Source for OnDisk {
///     async fn next(&mut self) -> Result<Option<Vec<u8>>, BoxError> {
///         # tokio::time::sleep(std::time::Duration::from_millis(1)).await;
///         match std::fs::read(self.0) {
///             Ok(bytes) => Ok(Some(bytes)),
///             Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
///             Err(error) => Err(error.into()),
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let limit = Watched::builder().start(OnDisk("/etc/shop/limit.json"), 100_u32);
/// assert_eq!(*limit.get(), 100);
/// # }
/// ```
pub trait Source: Send + 'static {
    /// The value, each time it was read: first as soon as it can, then when it may have
    /// changed, and at best every few seconds, changed or not. `None`: there is none, and
    /// the default holds.
    ///
    /// After an error, which changes nothing, it is called again within about a second. It
    /// must end on its own while what it asks hangs.
    ///
    /// # Errors
    /// It cannot be read.
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<u8>>, BoxError>> + Send;

    /// What it is called in logs, without passwords.
    fn name(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }
}

type Value<'a> = Pin<Box<dyn Future<Output = Result<Option<Vec<u8>>, BoxError>> + Send + 'a>>;

trait Erased: Send {
    fn next(&mut self) -> Value<'_>;
    fn name(&self) -> String;
}

impl<S: Source> Erased for S {
    fn next(&mut self) -> Value<'_> {
        Box::pin(Source::next(self))
    }

    fn name(&self) -> String {
        Source::name(self)
    }
}

/// A source of whatever type: what a target string names.
pub(crate) struct BoxSource(Box<dyn Erased>);

impl BoxSource {
    /// Forgets the type.
    #[allow(dead_code, reason = "what calls it are backends, each of which is a feature")]
    pub(crate) fn new(source: impl Source) -> Self {
        Self(Box::new(source))
    }
}

impl Source for BoxSource {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, BoxError> {
        self.0.next().await
    }

    fn name(&self) -> String {
        self.0.name()
    }
}

impl std::fmt::Debug for BoxSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("BoxSource").field(&self.0.name()).finish()
    }
}
