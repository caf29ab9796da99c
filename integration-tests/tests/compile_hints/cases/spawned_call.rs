//~ a call becomes a future when it is awaited
//~ `client.method(request).spawn()` makes it in a task of its own
use compile_hints::{GetUserRequest, UsersClient};

async fn calls(channel: dora::Channel) {
    let users = UsersClient::new(channel);
    tokio::spawn(users.get_user(GetUserRequest { id: 7 }));
}

fn main() {
    drop(calls);
}
