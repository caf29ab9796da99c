//! From a method's name to its handler.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::Service;

use crate::call::BoxFuture;
use crate::call::method::{Method, ServiceDescriptor};
use crate::call::mount::Mount;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::Status;

/// Hands each call to the service that has its method. Cheap to clone.
#[derive(Clone)]
pub struct Router(Arc<Routes>);

/// Two services claim one name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{first} and {second} are both called {name:?}")]
pub struct DuplicateName {
    /// The name that is claimed twice.
    pub name: String,
    /// The method that had it first.
    pub first: &'static str,
    /// The method that claims it too.
    pub second: &'static str,
}

/// A router that is being put together.
#[derive(Default)]
pub struct RouterBuilder {
    services: Vec<Arc<dyn Mount>>,
    dynamic: Option<Dynamic>,
}

type Dynamic = Box<dyn Fn(Request) -> BoxFuture<Response> + Send + Sync>;

#[derive(Default)]
struct Routes {
    methods: foldhash::HashMap<Box<str>, Route>,
    dynamic: Option<Dynamic>,
}

struct Route {
    service: Arc<dyn Mount>,
    index: usize,
}

impl RouterBuilder {
    /// Adds a service.
    pub fn add(&mut self, service: impl Mount) {
        self.services.push(Arc::new(service));
    }

    /// Sets the handler of every name that no service has.
    pub fn dynamic<F, Fut>(&mut self, handler: F)
    where
        F: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response, Status>> + Send + 'static,
    {
        self.dynamic = Some(Box::new(move |request| Box::pin(handler(request))));
    }

    /// The services added so far.
    pub fn descriptors(&self) -> impl Iterator<Item = &'static ServiceDescriptor> {
        self.services.iter().map(|service| service.descriptor())
    }

    /// Puts the router together.
    ///
    /// # Errors
    /// Two methods are called by one name.
    pub fn build(self) -> Result<Router, DuplicateName> {
        let mut methods: foldhash::HashMap<Box<str>, Route> = foldhash::HashMap::default();
        for service in self.services {
            let descriptor = service.descriptor();
            for (index, method) in descriptor.methods.iter().enumerate() {
                for name in names(descriptor, method) {
                    let route = Route { service: Arc::clone(&service), index };
                    if let Some(first) = methods.insert(name.clone().into(), route) {
                        let first = first.service.descriptor().methods.get(first.index);
                        let first = first.map_or("?", |first| first.path);
                        return Err(DuplicateName { name, first, second: method.path });
                    }
                }
            }
        }
        Ok(Router(Arc::new(Routes { methods, dynamic: self.dynamic })))
    }
}

/// All names a method is reached by: its path, its legacy names, and
/// `version::interface::method` as Swoft writes it (a PHP method begins with a
/// small letter).
fn names(service: &ServiceDescriptor, method: &Method) -> Vec<String> {
    let mut names = vec![method.path.to_owned()];
    names.extend(method.aliases.iter().map(|&alias| alias.to_owned()));
    if let Some(interface) = service.interface {
        let mut letters = method.name.chars();
        let small: String = letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect();
        names.push(format!("{}::{interface}::{small}", service.version));
        if small != method.name {
            names.push(format!("{}::{interface}::{}", service.version, method.name));
        }
    }
    names
}

impl Service<Request> for Router {
    type Response = Response;
    type Error = Status;
    type Future = BoxFuture<Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> BoxFuture<Response> {
        if let Some(route) = self.0.methods.get(request.method().as_str()) {
            return route.service.call(route.index, request);
        }
        match &self.0.dynamic {
            Some(dynamic) => dynamic(request),
            None => {
                let status = Status::unimplemented(format!("no method is called {:?}", request.method()));
                Box::pin(std::future::ready(Err(status)))
            }
        }
    }
}
