//~ a call becomes a future when it is awaited
//~ `client.method(request).into_future()`, with `use std::future::IntoFuture`
use compile_hints::{GetUserRequest, UsersClient};

/// As the `join!` of futures does, and that of older versions of tokio.
async fn both<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    (a.await, b.await)
}

async fn calls(channel: dora::Channel) {
    let users = UsersClient::new(channel);
    let get = || users.get_user(GetUserRequest { id: 7 });
    both(get(), get()).await;
}

fn main() {
    drop(calls);
}
