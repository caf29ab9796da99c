//~ this call cannot join a batch through `Channel`
//~ joins by `.wait()`
use compile_hints::{GetUserRequest, UsersClient};

async fn calls(channel: dora::Channel) -> Result<(), dora::Status> {
    let users = UsersClient::new(channel.clone());
    channel.batch().call(users.get_user(GetUserRequest { id: 7 }).no_result()).no_result().await
}

fn main() {
    drop(calls);
}
