//~ this call cannot join a batch through `Channel`
//~ begin the batch on the same service, `Batch::new(layered.clone())`, or with a call, `client.method(request).batch()`
use compile_hints::{GetUserRequest, UsersClient};
use tower::Layer;

async fn calls(channel: dora::Channel) -> Result<(), dora::Status> {
    let signed = dora::InterceptLayer::new(|request: dora::Request| async move { Ok(request) });
    let users = UsersClient::new(signed.layer(channel.clone()));
    let _ = channel.batch().call(users.get_user(GetUserRequest { id: 7 })).send().await?;
    Ok(())
}

fn main() {
    drop(calls);
}
