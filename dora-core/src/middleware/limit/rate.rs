//! How many calls in a time.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::call::head::RequestHead;
use crate::call::pushback::Pushback;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::middleware::checked::CheckedFuture;

/// Buckets that are kept. A key comes from outside; those beyond these share one bucket,
/// until others are full again and need not be kept.
const MOST_BUCKETS: usize = 65_536;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Bounds how many calls go on in a time: a token bucket for all of them, for each method,
/// or for each key, such as a tenant. A call that finds no token is refused at once with
/// `Code::ResourceExhausted`, and told when there will be one ([`Status::pushback`]).
///
/// A bucket is full at first, holds as many tokens as there are calls in the time
/// ([`burst`](Self::burst)), and fills evenly.
///
/// The layer is the limit: all services that it, or a clone of it, is put around share its
/// buckets. A batch around a client takes a token for each of its calls, or is refused as a
/// whole.
///
/// ```
/// use std::time::Duration;
///
/// use dora::limit::RateLimitLayer;
/// use dora::{Code, DynamicClient, Request, Server, Status, Value};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Two calls a minute for each tenant; who is none is not limited.
/// let limit = RateLimitLayer::new(2, Duration::from_secs(60))
///     .per_key(|call| call.metadata().get("tenant").map(str::to_owned));
/// let echo = |request: Request<Value>| async move { Ok::<Value, Status>(request.into_body()) };
/// let client = DynamicClient::new(Server::builder().layer(limit).dynamic(echo).into_service()?);
///
/// for tenant in ["acme", "acme", "globex"] {
///     client.call("/echo", 1).metadata("tenant", tenant).await?;
/// }
/// let refused = client.call("/echo", 1).metadata("tenant", "acme").await.expect_err("the third");
/// assert_eq!(refused.code(), Code::ResourceExhausted);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RateLimitLayer {
    rates: Arc<Rates>,
}

struct Rates {
    rate: Rate,
    per_method: bool,
    key: Option<KeyOf>,
    hasher: RandomState,
    buckets: Mutex<Buckets>,
}

/// The hash of what a call is limited by; `None`: it is not limited.
type KeyOf = Arc<dyn Fn(&RequestHead, &RandomState) -> Option<u64> + Send + Sync>;

#[derive(Clone, Copy, Debug)]
struct Rate {
    /// The time in which a bucket gets one token.
    interval: Duration,
    /// The tokens that a bucket holds.
    burst: u32,
}

impl RateLimitLayer {
    /// At most `calls` in each `time`.
    ///
    /// # Panics
    /// One of them is 0, there is less than a nanosecond for each call, or the time is over a
    /// year.
    #[must_use]
    pub fn new(calls: u32, time: Duration) -> Self {
        assert!(calls > 0, "a limit lets at least one call pass");
        let interval = time / calls;
        assert!(!interval.is_zero(), "{calls} calls in {time:?} are more than there can be");
        Self::of(Rate { interval, burst: calls }, false, None)
    }

    fn of(rate: Rate, per_method: bool, key: Option<KeyOf>) -> Self {
        let fills = rate.interval.checked_mul(rate.burst);
        assert!(fills.is_some_and(|time| time <= YEAR), "a bucket fills within a year");
        let (hasher, buckets) = (RandomState::new(), Mutex::default());
        Self { rates: Arc::new(Rates { rate, per_method, key, hasher, buckets }) }
    }

    /// At most `calls` at once, after a time without any. Default: as many as in the time.
    ///
    /// # Panics
    /// `calls` is 0, or takes over a year to fill.
    #[must_use]
    pub fn burst(self, calls: u32) -> Self {
        assert!(calls > 0, "a limit lets at least one call pass");
        let Rates { rate, per_method, key, .. } = &*self.rates;
        Self::of(Rate { burst: calls, ..*rate }, *per_method, key.clone())
    }

    /// Gives each method a bucket of its own.
    #[must_use]
    pub fn per_method(self) -> Self {
        let Rates { rate, key, .. } = &*self.rates;
        Self::of(*rate, true, key.clone())
    }

    /// Gives each key a bucket of its own: a tenant, an address, a caller's identity. Calls
    /// of which `key` says nothing are not limited. With [`per_method`](Self::per_method),
    /// each key has a bucket for each method.
    ///
    /// The first 65,536 keys that are in use have their own, others share one.
    #[must_use]
    pub fn per_key<K: Hash>(self, key: impl Fn(&RequestHead) -> Option<K> + Send + Sync + 'static) -> Self {
        let Rates { rate, per_method, .. } = &*self.rates;
        let key: KeyOf = Arc::new(move |call, hasher| key(call).map(|key| hasher.hash_one(key)));
        Self::of(*rate, *per_method, Some(key))
    }
}

impl Rates {
    /// The bucket of a call; `None`: it is not limited.
    fn bucket(&self, call: &RequestHead) -> Option<u64> {
        let key = match &self.key {
            Some(key) => key(call, &self.hasher)?,
            None => 0,
        };
        Some(match self.per_method {
            true => self.hasher.hash_one((key, call.method().as_bytes())),
            false => key,
        })
    }

    /// Takes a token for each call of a request, or none.
    fn take(&self, request: &Request) -> Result<(), Status> {
        let now = Instant::now();
        let taken = match request.is_batch() {
            false => match self.bucket(request.head()) {
                Some(bucket) => self.buckets.lock().take(self.rate, [(bucket, 1)].into_iter(), now),
                None => Ok(()),
            },
            true => {
                let mut wanted = HashMap::<u64, u32, foldhash::fast::RandomState>::default();
                for bucket in request.calls().filter_map(|call| self.bucket(call)) {
                    *wanted.entry(bucket).or_default() += 1;
                }
                self.buckets.lock().take(
                    self.rate,
                    wanted.iter().map(|(bucket, calls)| (*bucket, *calls)),
                    now,
                )
            }
        };
        taken.map_err(|wait| self.refused(wait))
    }

    #[cold]
    fn refused(&self, wait: Wait) -> Status {
        let Rate { interval, burst } = self.rate;
        let rate = format!("one call in {interval:?} after the first {burst}");
        match wait {
            Wait::For(time) => Status::resource_exhausted(format!("over the rate of {rate}"))
                // To the next millisecond: a token that is not there yet is none.
                .with_pushback(Pushback::After(time + Duration::from_millis(1))),
            Wait::ForEver => {
                let message = format!("a batch of more calls than the rate ever lets pass, {rate}");
                Status::resource_exhausted(message).with_pushback(Pushback::Never)
            }
        }
    }
}

/// How long until there are tokens enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    For(Duration),
    /// A bucket does not hold so many.
    ForEver,
}

/// Of each bucket that is not full, when it will be.
#[derive(Debug, Default)]
struct Buckets {
    full_at: HashMap<u64, Instant, foldhash::fast::RandomState>,
    /// When it is next worth it to look for full ones.
    sweep: Option<Instant>,
}

impl Buckets {
    /// Takes tokens from each of these buckets, or from none.
    fn take(
        &mut self,
        rate: Rate,
        wanted: impl Iterator<Item = (u64, u32)> + Clone,
        now: Instant,
    ) -> Result<(), Wait> {
        for (bucket, tokens) in wanted.clone() {
            let bucket = self.own_or_common(bucket, rate, now);
            if tokens > rate.burst {
                return Err(Wait::ForEver);
            }
            let wait = self.after(bucket, tokens, rate, now) - now;
            let most = rate.interval * rate.burst;
            if wait > most {
                return Err(Wait::For(wait - most));
            }
        }
        for (bucket, tokens) in wanted {
            let bucket = self.own_or_common(bucket, rate, now);
            let full_at = self.after(bucket, tokens, rate, now);
            self.full_at.insert(bucket, full_at);
        }
        Ok(())
    }

    /// When the bucket is full again if so many are taken from it now.
    fn after(&self, bucket: u64, tokens: u32, rate: Rate, now: Instant) -> Instant {
        self.full_at.get(&bucket).map_or(now, |full_at| now.max(*full_at)) + rate.interval * tokens
    }

    /// The bucket itself while there is room for it.
    fn own_or_common(&mut self, bucket: u64, rate: Rate, now: Instant) -> u64 {
        const COMMON: u64 = 0;
        if self.full_at.len() < MOST_BUCKETS || self.full_at.contains_key(&bucket) {
            return bucket;
        }
        if self.sweep.is_none_or(|sweep| now >= sweep) {
            self.full_at.retain(|_, full_at| *full_at > now);
            // By then a part of those that are left may be full.
            self.sweep = Some(now + rate.interval.max(Duration::from_millis(100)));
        }
        if self.full_at.len() < MOST_BUCKETS { bucket } else { COMMON }
    }
}

impl fmt::Debug for RateLimitLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer")
            .field("rate", &self.rates.rate)
            .field("per_method", &self.rates.per_method)
            .field("per_key", &self.rates.key.is_some())
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimit<S>;

    fn layer(&self, inner: S) -> RateLimit<S> {
        RateLimit { inner, rates: Arc::clone(&self.rates) }
    }
}

/// A service to which so many calls go in a time.
#[derive(Clone)]
pub struct RateLimit<S> {
    inner: S,
    rates: Arc<Rates>,
}

impl<S: fmt::Debug> fmt::Debug for RateLimit<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S> Service<Request> for RateLimit<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Response = Response;
    type Error = Status;
    type Future = CheckedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(cx).map_err(|error| Status::from_error(error.into()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match self.rates.take(&request) {
            Ok(()) => CheckedFuture::passed(self.inner.call(request)),
            Err(status) => CheckedFuture::refused(status),
        }
    }
}

#[cfg(test)]
#[path = "rate_tests.rs"]
mod tests;
