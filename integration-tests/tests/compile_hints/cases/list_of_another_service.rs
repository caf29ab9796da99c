//~ this call cannot join a batch through `Channel`
use compile_hints::{GetUserRequest, UsersClient};
use tower::Layer;

fn calls(channel: dora::Channel) {
    let signed = dora::InterceptLayer::new(|request: dora::Request| async move { Ok(request) });
    let users = UsersClient::new(signed.layer(channel.clone()));
    let mut batch = channel.batch().list();
    batch.push(users.get_user(GetUserRequest { id: 7 }));
}

fn main() {
    drop(calls);
}
