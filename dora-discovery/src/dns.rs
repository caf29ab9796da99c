//! Instances behind a name.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use dora_core::call::status::BoxError;
use dora_core::discovery::directory::Directory;
use dora_core::discovery::discover::{Discover, Listing};
use dora_core::discovery::record::InstanceRecord;
use tokio::time::{Instant, sleep_until, timeout};

use crate::backend::Backend;
use crate::error::TargetError;
use crate::url::TargetUrl;

/// How often a name is asked for. What the system resolves does not say how long it holds.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);

/// How long the system may take to resolve a name.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most instances behind a name.
const MAX_ADDRESSES: usize = 4096;

#[derive(Debug)]
struct Names {
    names: Vec<String>,
    interval: Duration,
}

pub(crate) fn open(url: &mut TargetUrl) -> Result<Arc<dyn Backend>, TargetError> {
    let interval = url.take_lease("every")?.unwrap_or(DEFAULT_INTERVAL);
    let names: Vec<_> = url.rest.split(',').map(str::to_owned).collect();
    for name in &names {
        let port = name.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none() || name.contains(['/', '@']) {
            return Err(TargetError::new(format!(
                "{name:?} is no name with a port; write \"dns://shop.internal:9567\""
            )));
        }
    }
    Ok(Arc::new(Names { names, interval }))
}

impl Backend for Names {
    fn directory(&self, _: Option<&str>) -> Directory {
        let mut names = self.names.iter().map(|name| Dns::new(name).every(self.interval));
        let first = names.next().unwrap_or_else(|| Dns::new(""));
        names.fold(Directory::new(first), Directory::and)
    }
}

/// The addresses behind a DNS name, each of which is an instance: a headless service of
/// Kubernetes, a round-robin name. Asked for again and again.
///
/// A name that does not resolve is an outage, not an empty list: the system's resolver
/// does not tell them apart. Instances found so say nothing of their groups; they are
/// taken for members of whatever group is looked for.
///
/// An address as such (`10.0.2.15:9567`) or a name that stands for one machine needs none
/// of this: an endpoint resolves its name whenever it connects.
///
/// ```
/// use std::time::Duration;
///
/// use dora::Channel;
/// use dora::discovery::Dns;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let fleet = Channel::to(Dns::new("localhost:9567").every(Duration::from_secs(30)));
/// # drop(fleet);
/// # }
/// ```
pub struct Dns {
    name: String,
    interval: Duration,
    resolve: Resolve,
    /// When it is asked for next; `None` before the first time.
    due: Option<Instant>,
}

type Resolve = Box<dyn FnMut(String) -> Resolving + Send>;
type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

impl Dns {
    /// What is behind this name and port, `host:port`, as the system resolves it.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), interval: DEFAULT_INTERVAL, resolve: Box::new(system), due: None }
    }

    /// Asks so often. Default: 10 s.
    #[must_use]
    pub fn every(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }

    /// Asks this instead of the system: a resolver that knows other servers, say. It is
    /// given `host:port`.
    #[must_use]
    pub fn resolver<F>(self, mut resolve: impl FnMut(String) -> F + Send + 'static) -> Self
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        Self { resolve: Box::new(move |name| Box::pin(resolve(name))), ..self }
    }
}

fn system(name: String) -> Resolving {
    Box::pin(async move { Ok(tokio::net::lookup_host(name).await?.collect()) })
}

impl Discover for Dns {
    async fn next(&mut self) -> Result<Listing, BoxError> {
        if let Some(due) = self.due {
            sleep_until(due).await;
        }
        let resolving = (self.resolve)(self.name.clone());
        let resolved = timeout(PATIENCE, resolving).await;
        self.due = Some(Instant::now() + self.interval);
        let name = &self.name;
        let mut addresses = match resolved {
            Err(_) => return Err(format!("{name} has not resolved within {PATIENCE:?}").into()),
            Ok(Err(error)) => return Err(format!("{name} does not resolve: {error}").into()),
            Ok(Ok(addresses)) if addresses.is_empty() => {
                return Err(format!("{name} resolves to no address").into());
            }
            Ok(Ok(addresses)) => addresses,
        };
        addresses.sort_unstable();
        addresses.dedup();
        let skipped = addresses.len().saturating_sub(MAX_ADDRESSES);
        addresses.truncate(MAX_ADDRESSES);
        let instances: Listing =
            addresses.iter().map(|address| InstanceRecord::unknown(address.to_string())).collect();
        Ok(instances.with_skipped(skipped))
    }

    fn name(&self) -> String {
        format!("dns://{}", self.name)
    }
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dns").field("name", &self.name).field("interval", &self.interval).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::{pending, ready};

    use super::*;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 2, last], 9567))
    }

    fn addresses(listing: &Listing) -> Vec<&str> {
        listing.instances.iter().map(|instance| &*instance.address).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_asked_for_again_and_keeps_its_list_while_it_does_not_resolve() {
        let mut answers = VecDeque::from([
            Ok(vec![address(16), address(15), address(16)]),
            Err(io::Error::other("the server is away")),
            Ok(Vec::new()),
            Ok(vec![address(17)]),
        ]);
        let mut dns = Dns::new("shop.internal:9567").every(Duration::from_secs(30)).resolver(move |name| {
            assert_eq!(name, "shop.internal:9567");
            ready(answers.pop_front().expect("asked for too often"))
        });
        let start = Instant::now();
        assert_eq!(addresses(&dns.next().await.expect("it resolves")), ["10.0.2.15:9567", "10.0.2.16:9567"]);
        assert_eq!(start.elapsed(), Duration::ZERO);
        for what in ["does not resolve: the server is away", "resolves to no address"] {
            let error = dns.next().await.expect_err(what).to_string();
            assert_eq!(error, format!("shop.internal:9567 {what}"));
        }
        assert_eq!(addresses(&dns.next().await.expect("it resolves")), ["10.0.2.17:9567"]);
        assert_eq!(start.elapsed(), Duration::from_secs(90));
    }

    #[tokio::test(start_paused = true)]
    async fn a_resolver_that_hangs_is_left() {
        let mut dns = Dns::new("shop.internal:9567").resolver(|_| pending());
        let start = Instant::now();
        let error = dns.next().await.expect_err("it hangs").to_string();
        assert_eq!(error, "shop.internal:9567 has not resolved within 5s");
        assert_eq!(start.elapsed(), PATIENCE);
    }

    #[tokio::test]
    async fn the_system_resolves_and_refuses() {
        let listing = Dns::new("localhost:9567").next().await.expect("every system has it");
        assert!(addresses(&listing).iter().all(|address| address.ends_with(":9567")), "{listing:?}");
        let error = Dns::new("no-port-here").next().await.expect_err("it has no port").to_string();
        assert!(error.starts_with("no-port-here does not resolve: "), "{error}");
    }
}
