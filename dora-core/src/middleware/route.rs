//! From a method's name to its handler.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::Service;

use crate::call::BoxFuture;
use crate::call::method::{Method, ServiceDescriptor};
use crate::call::mount::Mount;
use crate::call::nearest::no_method;
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
    methods: foldhash::HashMap<Box<[u8]>, Route>,
    dynamic: Option<Dynamic>,
}

struct Route {
    service: Arc<dyn Mount>,
    index: usize,
}

impl Routes {
    fn unknown(&self, name: &str) -> Status {
        no_method(name, self.methods.keys().filter_map(|name| str::from_utf8(name).ok()))
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

    /// The services added so far.
    pub fn descriptors(&self) -> impl Iterator<Item = &'static ServiceDescriptor> {
        self.services.iter().map(|service| service.descriptor())
    }

    /// Puts the router together.
    ///
    /// # Errors
    /// Two methods are called by one name.
    pub fn build(self) -> Result<Router, DuplicateName> {
        let mut methods: foldhash::HashMap<Box<[u8]>, Route> = foldhash::HashMap::default();
        for service in self.services {
            let descriptor = service.descriptor();
            for (index, method) in descriptor.methods.iter().enumerate() {
                for name in names(descriptor, method) {
                    let route = Route { service: Arc::clone(&service), index };
                    if let Some(first) = methods.insert(name.as_bytes().into(), route) {
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
        if let Some(route) = self.0.methods.get(request.method().as_bytes()) {
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
    use crate::call::mode::Mode;
    use crate::pack::message::open;
    use crate::pack::value::Value;

    const fn method(path: &'static str, name: &'static str, aliases: &'static [&'static str]) -> Method {
        let (service, mode) = ("t.Users", Mode::Wait);
        Method { service, name, path, aliases, idempotent: false, timeout: None, mode }
    }

    static USERS: ServiceDescriptor = ServiceDescriptor {
        name: "t.Users",
        version: "1.2",
        group: None,
        interface: Some("App\\Users"),
        methods: &[
            method("/t.Users/GetUser", "GetUser", &["/user/get", "user.get"]),
            method("/t.Users/Count", "Count", &[]),
        ],
    };

    static CLASH: ServiceDescriptor = ServiceDescriptor {
        name: "t.Others",
        version: "1.0",
        group: None,
        interface: None,
        methods: &[method("/t.Others/A", "A", &["user.get"])],
    };

    /// Answers with the index it was called by.
    struct Echo(&'static ServiceDescriptor);

    impl Mount for Echo {
        fn descriptor(&self) -> &'static ServiceDescriptor {
            self.0
        }

        fn call(&self, index: usize, _: Request) -> BoxFuture<Response> {
            let index = i64::try_from(index).expect("small");
            Box::pin(async move { Ok(Response::new(Body::message(Value::from(index)))) })
        }
    }

    fn users() -> RouterBuilder {
        let mut builder = RouterBuilder::default();
        builder.add(Echo(&USERS));
        builder
    }

    async fn ask(router: &Router, name: &str) -> Result<Value, Status> {
        let mut request = Request::new(Body::message(Value::Null));
        request.head_mut().method = name.to_owned().into();
        open(router.clone().oneshot(request).await?.into_body())
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
            Ok(Response::new(Body::message(Value::from(name))))
        });
        let router = builder.build().expect("no name is claimed twice");
        assert_eq!(ask(&router, "user.get").await.expect("a service"), Value::from(0));
        assert_eq!(ask(&router, "user.put").await.expect("the handler"), Value::from("user.put"));
    }

    #[test]
    fn a_name_has_one_method() {
        let mut builder = users();
        builder.add(Echo(&CLASH));
        let error = builder.build().err().expect("user.get is claimed twice");
        assert_eq!(error.to_string(), r#"/t.Users/GetUser and /t.Others/A are both called "user.get""#);
        let mut twice = users();
        twice.add(Echo(&USERS));
        assert_eq!(twice.descriptors().count(), 2);
        assert!(twice.build().is_err(), "a service is mounted once");
    }
}
