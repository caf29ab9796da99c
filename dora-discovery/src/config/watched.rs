//! A value of the user's type that follows its source.

use std::any::type_name;
use std::fmt;
use std::future::pending;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::MAX_VALUE;
use super::source::Source;

/// What the logs are told by.
const TARGET: &str = "dora::config";

/// A configuration that is followed: a default until it was read, then the last good
/// value. Cheap to clone and to read.
///
/// A value that does not decode, or that the check refuses, changes nothing: it is
/// logged, and [`status`](Self::status) says why. Nor does an outage change anything. If
/// there is no value (any more), the default holds.
///
/// ```
/// use dora::config::{Source, Watched};
/// # use dora::BoxError;
///
/// #[derive(serde::Deserialize)]
/// struct Limits {
///     calls_per_second: u32,
/// }
///
/// # struct Key(u32);
/// # impl Source for Key {
/// #     async fn next(&mut self) -> Result<Option<Vec<u8>>, BoxError> {
/// #         self.0 += 1;
/// #         if self.0 > 2 { std::future::pending::<()>().await; }
/// #         Ok(Some(if self.0 == 1 { r#"{"calls_per_second": 50}"# } else { r#"{"calls_per_second": 0}"# }.into()))
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let source = Key(0);
/// // let source = dora::config::ConfigKey::new("etcd://10.0.0.1,10.0.0.2?key=shop/limits")?;
/// let mut limits = Watched::builder()
///     .check(|limits: &Limits| match limits.calls_per_second {
///         0 => Err("at least one call per second".to_owned()),
///         _ => Ok(()),
///     })
///     .start(source, Limits { calls_per_second: 100 });
///
/// assert_eq!(limits.get().calls_per_second, 100);
/// assert_eq!(limits.changed().await.calls_per_second, 50);
/// # }
/// ```
pub struct Watched<T> {
    values: watch::Receiver<Arc<T>>,
    status: Arc<Mutex<Known>>,
}

/// How it stands with a configuration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConfigStatus {
    /// What it is read from.
    pub source: String,
    /// Since it was last read; `None` before the first time.
    pub age: Option<Duration>,
    /// Why it cannot be read, or why what was read is not used.
    pub failure: Option<String>,
    /// Whether the default holds, for want of a value.
    pub is_default: bool,
}

#[derive(Debug)]
struct Known {
    read: Option<Instant>,
    status: ConfigStatus,
}

/// How a configuration is followed.
pub struct ConfigBuilder<T> {
    check: Check<T>,
    value: PhantomData<fn() -> T>,
}

type Check<T> = Box<dyn Fn(&T) -> Result<(), String> + Send + Sync>;

impl Watched<()> {
    /// How a configuration is followed; its last step begins to.
    #[must_use]
    pub fn builder<T>() -> ConfigBuilder<T> {
        ConfigBuilder { check: Box::new(|_| Ok(())), value: PhantomData }
    }
}

impl<T> ConfigBuilder<T> {
    /// Takes a value only if this does; an error says what is wrong with it. Default: all
    /// that decodes is taken.
    #[must_use]
    pub fn check<E: fmt::Display>(self, check: impl Fn(&T) -> Result<(), E> + Send + Sync + 'static) -> Self {
        Self { check: Box::new(move |value| check(value).map_err(|error| error.to_string())), ..self }
    }

    /// Begins to follow `source`, in a task that ends when the last clone of what is
    /// returned is dropped. `default` holds until a value was read, and when there is none.
    ///
    /// # Panics
    /// It is called outside of a tokio runtime.
    pub fn start(self, source: impl Source, default: T) -> Watched<T>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let default = Arc::new(default);
        let (sender, values) = watch::channel(Arc::clone(&default));
        let status = ConfigStatus { source: source.name(), age: None, failure: None, is_default: true };
        let status = Arc::new(Mutex::new(Known { read: None, status }));
        let follower =
            Follower { sender, check: self.check, default, status: Arc::clone(&status), last: None };
        tokio::spawn(follower.follow(source));
        Watched { values, status }
    }
}

impl<T> Watched<T> {
    /// The value that holds now.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.values.borrow())
    }

    /// Waits until another value holds than this clone has last been told of, by this or
    /// since it was made.
    pub async fn changed(&mut self) -> Arc<T> {
        if self.values.changed().await.is_err() {
            // The runtime ends.
            pending::<()>().await;
        }
        Arc::clone(&self.values.borrow_and_update())
    }

    /// How it stands with it.
    #[must_use]
    pub fn status(&self) -> ConfigStatus {
        let known = self.status.lock();
        ConfigStatus { age: known.read.map(|at| at.elapsed()), ..known.status.clone() }
    }
}

impl<T> Clone for Watched<T> {
    fn clone(&self) -> Self {
        Self { values: self.values.clone(), status: Arc::clone(&self.status) }
    }
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.status()).finish()
    }
}

impl<T> fmt::Debug for ConfigBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigBuilder<{}>", type_name::<T>())
    }
}

struct Follower<T> {
    sender: watch::Sender<Arc<T>>,
    check: Check<T>,
    default: Arc<T>,
    status: Arc<Mutex<Known>>,
    /// The same bytes are not decoded twice.
    last: Option<Last>,
}

/// What was last read, and what was wrong with it.
struct Last {
    bytes: Option<Vec<u8>>,
    fault: Option<String>,
}

impl<T: DeserializeOwned> Follower<T> {
    async fn follow(mut self, mut source: impl Source) {
        loop {
            let read = tokio::select! {
                () = self.sender.closed() => return,
                read = source.next() => read,
            };
            match read {
                Ok(bytes) => self.take_over(bytes),
                Err(error) => {
                    self.stands(Some(format!("it cannot be read: {error}")));
                    sleep(Duration::from_millis(fastrand::u64(250..1000))).await;
                }
            }
        }
    }

    fn take_over(&mut self, bytes: Option<Vec<u8>>) {
        if self.last.as_ref().is_none_or(|last| last.bytes != bytes) {
            let fault = match self.judge(bytes.as_deref()) {
                Ok(value) => {
                    self.publish(value);
                    None
                }
                Err(fault) => Some(format!("its value is not used: {fault}")),
            };
            self.last = Some(Last { bytes, fault });
        }
        let fault = self.last.as_ref().and_then(|last| last.fault.clone());
        self.status.lock().read = Some(Instant::now());
        self.stands(fault);
    }

    /// What these bytes mean; `None`: the default.
    fn judge(&self, bytes: Option<&[u8]>) -> Result<Option<T>, String> {
        let Some(bytes) = bytes else { return Ok(None) };
        if bytes.len() > MAX_VALUE {
            return Err(format!("it has over {MAX_VALUE} bytes"));
        }
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| error.to_string())?;
        json.end().map_err(|error| error.to_string())?;
        (self.check)(&value)?;
        Ok(Some(value))
    }

    fn publish(&self, value: Option<T>) {
        let is_default = value.is_none();
        {
            let mut known = self.status.lock();
            if std::mem::replace(&mut known.status.is_default, is_default) && is_default {
                // It has held all the time.
                return;
            }
            let source = &known.status.source;
            tracing::info!(target: TARGET, source, is_default, "the configuration has changed");
        }
        self.sender.send_replace(value.map_or_else(|| Arc::clone(&self.default), Arc::new));
    }

    /// Logged when it changes, not once a second.
    fn stands(&self, failure: Option<String>) {
        let mut known = self.status.lock();
        if known.status.failure == failure {
            return;
        }
        let source = &known.status.source;
        match &failure {
            Some(failure) => {
                tracing::warn!(target: TARGET, source, failure, "the last good configuration is used");
            }
            None => tracing::info!(target: TARGET, source, "the configuration is read again"),
        }
        known.status.failure = failure;
    }
}

#[cfg(test)]
#[path = "watched_tests.rs"]
mod tests;
