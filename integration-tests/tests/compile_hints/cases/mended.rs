use std::future::IntoFuture;
use std::time::Duration;

use compile_hints::{Directory, GetUserRequest, SendMailRequest, UsersClient, UsersServer};
use tower::ServiceBuilder;
use tower::buffer::BufferLayer;
use tower::limit::RateLimitLayer;

async fn calls(channel: dora::Channel) -> Result<(), dora::Status> {
    let limit = RateLimitLayer::new(100, Duration::from_secs(1));
    let limited = ServiceBuilder::new().layer(BufferLayer::new(1024)).layer(limit).service(channel);
    let users = UsersClient::new(limited.clone());
    let get = || users.get_user(GetUserRequest { id: 7 });
    let mail = users.send_mail(SendMailRequest::default());
    let (_user, _sent) = get().batch().call(mail).send().await?;
    let _user = dora::Batch::new(limited).call(get().no_result().wait()).no_result().await?;
    let _running = get().spawn();
    let _joined = tokio::join!(get(), get());
    tokio::spawn(get().into_future());
    tokio::select! {
        user = get().spawn() => drop(user),
        user = get().into_future() => drop(user?),
    }
    Ok(())
}

fn server() -> dora::Server<impl Sized> {
    let limit = RateLimitLayer::new(100, Duration::from_secs(1));
    let around_one = ServiceBuilder::new().layer(BufferLayer::new(1024)).layer(limit.clone());
    let service = UsersServer::new(Directory).layer(around_one);
    dora::Server::builder().layer(BufferLayer::<dora::Request>::new(1024)).layer(limit).add_service(service)
}

fn main() {
    drop(calls);
    drop(server());
}
