use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::advance;
use tower::{ServiceBuilder, ServiceExt, service_fn};

use super::*;
use crate::call::body::{BatchCall, Body};
use crate::call::code::Code;
use crate::call::extensions::Extensions;
use crate::call::origin::{Connection, Peer, RequestOrigin};
use crate::middleware::auth::token::{KEY, Token};

#[derive(Debug, PartialEq)]
struct User(String);

/// Proved by the connection, as a certificate is.
#[derive(Clone)]
struct Proved(&'static str);

async fn authenticate(shown: Credentials) -> Result<User, Status> {
    if let Some(Proved(name)) = shown.proved() {
        return Ok(User((*name).to_owned()));
    }
    match shown.token() {
        Some("bad") | None => Err(Status::unauthenticated("who calls?")),
        Some(name) => Ok(User(name.to_owned())),
    }
}

fn of(token: Option<&str>) -> Request {
    let mut request = Request::new(Body::message(0_i64));
    if let Some(token) = token {
        request.metadata_mut().insert(KEY, Token::from(token).header());
    }
    request
}

/// Who the handler is told that calls.
async fn told<L, S>(layer: &L, request: Request) -> Result<String, Status>
where
    L: Layer<Handler, Service = S>,
    S: Service<Request, Response = Response, Error = Status>,
{
    let response = layer.layer(service_fn(answer as fn(Request) -> _)).oneshot(request).await?;
    crate::pack::message::open(response.into_body().into_result()?)
}

type Handler = tower::util::ServiceFn<fn(Request) -> std::future::Ready<Result<Response, Status>>>;

fn answer(request: Request) -> std::future::Ready<Result<Response, Status>> {
    let name = request.identity::<User>().map_or("nobody", |user| &user.0);
    std::future::ready(Ok(Response::message(name.to_owned())))
}

#[tokio::test]
async fn who_calls_is_found_out_by_token_or_connection() {
    let layer = AuthLayer::new(authenticate);
    assert_eq!(told(&layer, of(Some("ada"))).await.expect("believed"), "ada");
    for token in [None, Some("bad")] {
        let status = told(&layer, of(token)).await.expect_err("nobody");
        assert_eq!(status.code(), Code::Unauthenticated);
    }
    let mut values = Extensions::default();
    values.insert(Proved("bob"));
    let connection = Connection::new(Connection::DORA, Peer::InProcess).with_values(values);
    let mut request = of(None);
    request.head_mut().set_origin(RequestOrigin::new(connection.into(), tokio::time::Instant::now()));
    assert_eq!(told(&layer, request).await.expect("proved"), "bob");
}

#[tokio::test(start_paused = true)]
async fn a_good_token_is_remembered_and_a_bad_one_is_not() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let layer = AuthLayer::new(|shown| {
        ASKED.fetch_add(1, Ordering::SeqCst);
        authenticate(shown)
    })
    .remember(Duration::from_secs(60));
    for _ in 0..3 {
        assert_eq!(told(&layer, of(Some("ada"))).await.expect("believed"), "ada");
        assert_eq!(told(&layer, of(Some("bob"))).await.expect("believed"), "bob");
    }
    assert_eq!(ASKED.load(Ordering::SeqCst), 2);
    for _ in 0..2 {
        assert!(told(&layer, of(Some("bad"))).await.is_err());
    }
    assert_eq!(ASKED.load(Ordering::SeqCst), 4);
    advance(Duration::from_secs(61)).await;
    assert!(told(&layer, of(Some("ada"))).await.is_ok());
    assert_eq!(ASKED.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_rule_refuses_by_identity_and_method() {
    let rule = AuthorizeLayer::new(|user: &User, call: &RequestHead| {
        user.0 == "admin" || call.method().as_str() != "/stop"
    });
    let layers = ServiceBuilder::new().layer(AuthLayer::new(authenticate)).layer(rule.clone()).into_inner();
    let stop = |token| {
        let mut request = of(Some(token));
        request.head_mut().set_method("/stop");
        request
    };
    assert!(told(&layers, of(Some("ada"))).await.is_ok());
    assert!(told(&layers, stop("admin")).await.is_ok());
    let status = told(&layers, stop("ada")).await.expect_err("no admin");
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "the caller may not call /stop"));
    let status = told(&rule, stop("admin")).await.expect_err("nobody has asked");
    assert_eq!(status.code(), Code::Unauthenticated);
    // One call that is forbidden forbids a batch that is one request.
    let mut batch = Request::batch_of(vec![
        BatchCall::new(0.into(), of(None).into_parts().0, Body::message(0_i64)),
        BatchCall::new(1.into(), stop("x").into_parts().0, Body::message(0_i64)),
    ]);
    batch.metadata_mut().insert(KEY, Token::from("ada").header());
    assert_eq!(told(&layers, batch).await.expect_err("no admin").code(), Code::PermissionDenied);
}

#[test]
fn nothing_that_is_shown_or_logged_has_the_token() {
    let request = of(Some("sesame"));
    let shown = Credentials::of(request.head());
    for text in [format!("{request:?}"), format!("{shown:?}"), format!("{:?}", Token::from("sesame"))] {
        assert!(!text.contains("sesame"), "{text}");
    }
}

#[tokio::test]
async fn what_a_call_of_a_batch_says_for_itself_goes_before_the_batchs() {
    let layer = AuthLayer::new(authenticate);
    let call = |key: i64, token| {
        let (head, body) = of(token).into_parts();
        BatchCall::new(key.into(), head, body)
    };
    let mut batch = Request::batch_of(vec![call(0, Some("own")), call(1, None)]);
    batch.metadata_mut().insert(KEY, Token::new("all").header());
    let mut names = Vec::new();
    for (_, call) in batch.take_apart().expect("a batch") {
        names.push(told(&layer, call).await.expect("believed"));
    }
    assert_eq!(names, ["own", "all"]);
}
