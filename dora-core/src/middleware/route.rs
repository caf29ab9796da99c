//! From a method's name to its handler.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::Service;

use crate::call::BoxFuture;
use crate::call::head::RequestHead;
use crate::call::method::{Method, ServiceDescriptor};
use crate::call::mount::Mount;
use crate::call::nearest::no_method;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::Status;

/// Hands each call to the service that has its method. Cheap to clone.
///
/// It knows all names of a method: its path, its legacy names, and
/// `version::interface::method` as Swoft writes it.
#[derive(Clone)]
pub struct Router(Arc<Routes>);

/// Two services claim one name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{first} and {second} are both called {name:?}")]
#[non_exhaustive]
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
    names: foldhash::HashMap<Box<[u8]>, u32>,
    methods: Vec<Route>,
    dynamic: Option<Dynamic>,
}

/// Where a method is.
pub(super) struct Route {
    pub(super) service: Arc<dyn Mount>,
    /// Its place among the service's methods.
    pub(super) index: usize,
    pub(super) method: &'static Method,
}

impl Routes {
    fn unknown(&self, name: &str) -> Status {
        no_method(name, self.names.keys().filter_map(|name| str::from_utf8(name).ok()))
    }
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

    /// Whether there is a handler of every name that no service has.
    pub fn takes_all_names(&self) -> bool {
        self.dynamic.is_some()
    }

    /// The services added so far.
    pub fn descriptors(&self) -> impl Iterator<Item = &'static ServiceDescriptor> {
        self.services.iter().map(|service| service.descriptor())
    }

    /// All names of the method that is reached by `name`; that alone if no service
    /// has it.
    pub fn synonyms(&self, name: &str) -> Vec<String> {
        let mut methods = self.descriptors().flat_map(ServiceDescriptor::methods);
        let found = methods.find(|method| method.is_called(name));
        found.map_or_else(|| vec![name.to_owned()], |method| method.names())
    }

    /// Puts the router together.
    ///
    /// # Errors
    /// Two methods are called by one name.
    pub fn build(self) -> Result<Router, DuplicateName> {
        let mut routes = Routes { dynamic: self.dynamic, ..Routes::default() };
        for service in self.services {
            let descriptor = service.descriptor();
            for (index, &method) in descriptor.methods().iter().enumerate() {
                let place = u32::try_from(routes.methods.len()).unwrap_or(u32::MAX);
                for name in method.names() {
                    if let Some(first) = routes.names.insert(name.as_bytes().into(), place) {
                        let first = routes.methods.get(first as usize).map_or(method, |first| first.method);
                        return Err(DuplicateName { name, first: first.path(), second: method.path() });
                    }
                }
                routes.methods.push(Route { service: Arc::clone(&service), index, method });
            }
        }
        Ok(Router(Arc::new(routes)))
    }
}

impl Router {
    /// Says which method is called, if one has that name, and where it stands;
    /// `guess`: where it may stand.
    pub(super) fn resolve(&self, head: &mut RequestHead, guess: Option<u32>) -> Option<u32> {
        let name = head.method().as_bytes();
        let guess = guess.and_then(|place| Some((place, self.0.methods.get(place as usize)?)));
        let (place, route) = match guess.filter(|(_, route)| route.method.path().as_bytes() == name) {
            Some(found) => found,
            None => {
                let &place = self.0.names.get(name)?;
                (place, self.0.methods.get(place as usize)?)
            }
        };
        head.resolve(route.method);
        head.set_route(place);
        Some(place)
    }

    /// The method that has this name.
    pub(super) fn named(&self, name: &[u8]) -> Option<&Route> {
        self.0.methods.get(*self.0.names.get(name)? as usize)
    }

    fn route(&self, head: &RequestHead) -> Option<&Route> {
        // A layer may have sent the call to another method.
        let place = head.route().or_else(|| self.0.names.get(head.method().as_bytes()).copied());
        self.0.methods.get(place? as usize)
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Router({} methods)", self.0.methods.len())
    }
}

impl Service<Request> for Router {
    type Response = Response;
    type Error = Status;
    type Future = BoxFuture<Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> BoxFuture<Response> {
        if let Some(route) = self.route(request.head()) {
            return route.service.call(route.index, request);
        }
        match &self.0.dynamic {
            Some(dynamic) => dynamic(request),
            None => {
                let status = self.0.unknown(request.method().as_str());
                Box::pin(std::future::ready(Err(status)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt;

    use super::*;
    use crate::call::body::Body;
    use crate::call::code::Code;
    use crate::pack::message::open;
    use crate::pack::value::Value;

    static USERS: ServiceDescriptor = ServiceDescriptor::new("t.Users", &[&GET_USER, &COUNT])
        .with_version("1.2")
        .with_interface("App\\Users");
    static GET_USER: Method =
        Method::new(&USERS, "GetUser", "/t.Users/GetUser").with_aliases(&["/user/get", "user.get"]);
    static COUNT: Method = Method::new(&USERS, "Count", "/t.Users/Count");

    static CLASH: ServiceDescriptor = ServiceDescriptor::new("t.Others", &[&A]);
    static A: Method = Method::new(&CLASH, "A", "/t.Others/A").with_aliases(&["user.get"]);

    /// Answers with the index it was called by.
    struct Echo(&'static ServiceDescriptor);

    impl Mount for Echo {
        fn descriptor(&self) -> &'static ServiceDescriptor {
            self.0
        }

        fn call(&self, index: usize, _: Request) -> BoxFuture<Response> {
            let index = i64::try_from(index).expect("small");
            Box::pin(async move { Ok(Response::message(Value::from(index))) })
        }
    }

    fn users() -> RouterBuilder {
        let mut builder = RouterBuilder::default();
        builder.add(Echo(&USERS));
        builder
    }

    async fn ask(router: &Router, name: &str) -> Result<Value, Status> {
        let mut request = Request::new(Body::message(Value::Null));
        request.head_mut().set_method(name.to_owned());
        open(router.clone().oneshot(request).await?.into_body().into_result()?)
    }

    #[tokio::test]
    async fn a_method_is_reached_by_each_of_its_names() {
        let router = users().build().expect("no name is claimed twice");
        let names = [
            ("/t.Users/GetUser", 0),
            ("/user/get", 0),
            ("user.get", 0),
            ("1.2::App\\Users::getUser", 0),
            ("1.2::App\\Users::GetUser", 0),
            ("/t.Users/Count", 1),
            ("1.2::App\\Users::count", 1),
        ];
        for (name, index) in names {
            assert_eq!(ask(&router, name).await.expect(name), Value::from(index));
        }
    }

    #[tokio::test]
    async fn other_names_are_not_implemented() {
        let router = users().build().expect("no name is claimed twice");
        for name in ["", "/T.Users/GetUser", "GetUser", "/user/get/", "1.1::App\\Users::getUser", "a\nb"] {
            let status = ask(&router, name).await.expect_err(name);
            assert_eq!(status.code(), Code::Unimplemented);
            assert!(!status.message().contains('\n'), "{status}");
        }
    }

    #[tokio::test]
    async fn a_slip_of_the_pen_is_told_what_was_meant() {
        let router = users().build().expect("no name is claimed twice");
        let status = ask(&router, "user.gte").await.expect_err("a slip");
        assert_eq!(status.message(), r#"no method is called "user.gte"; did you mean "user.get"?"#);
        let status = ask(&router, "/t.Users/count").await.expect_err("a slip");
        assert!(status.message().contains(r#"did you mean "/t.Users/Count""#), "{status}");
    }

    #[tokio::test]
    async fn the_dynamic_handler_gets_the_other_names() {
        let mut builder = users();
        builder.dynamic(|request: Request| async move {
            let name = request.method().as_str().to_owned();
            Ok(Response::message(Value::from(name)))
        });
        let router = builder.build().expect("no name is claimed twice");
        assert_eq!(ask(&router, "user.get").await.expect("a service"), Value::from(0));
        assert_eq!(ask(&router, "user.put").await.expect("the handler"), Value::from("user.put"));
    }

    #[test]
    fn a_methods_names_are_found_by_each_of_them() {
        let users = users();
        let all = users.synonyms("user.get");
        assert_eq!(all.len(), 5, "{all:?}");
        assert!(all.iter().all(|name| users.synonyms(name) == all));
        assert_eq!(users.synonyms("/other"), ["/other"]);
    }

    #[test]
    fn a_name_has_one_method() {
        let mut builder = users();
        builder.add(Echo(&CLASH));
        let error = builder.build().expect_err("user.get is claimed twice");
        assert_eq!(error.to_string(), r#"/t.Users/GetUser and /t.Others/A are both called "user.get""#);
        let mut twice = users();
        twice.add(Echo(&USERS));
        assert_eq!(twice.descriptors().count(), 2);
        assert!(twice.build().is_err(), "a service is mounted once");
    }
}
