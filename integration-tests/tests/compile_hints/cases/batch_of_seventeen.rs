//~ a call with results of `User` cannot be added to this batch
//~ one of any length, after `list`, by `push`
use compile_hints::{GetUserRequest, UsersClient};

async fn calls(channel: dora::Channel) -> Result<(), dora::Status> {
    let users = UsersClient::new(channel.clone());
    let get = || users.get_user(GetUserRequest { id: 7 });
    let batch = channel.batch().call(get()).call(get()).call(get()).call(get());
    let batch = batch.call(get()).call(get()).call(get()).call(get());
    let batch = batch.call(get()).call(get()).call(get()).call(get());
    let batch = batch.call(get()).call(get()).call(get()).call(get());
    batch.call(get());
    Ok(())
}

fn main() {
    drop(calls);
}
