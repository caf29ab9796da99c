//~ `SendMailRequest` is no request of `GetUserRequest`
//~ a generated method takes its message, or a `dora::Request` of it
use compile_hints::{SendMailRequest, UsersClient};

fn calls(users: UsersClient) {
    let _ = users.get_user(SendMailRequest::default());
}

fn main() {
    drop(calls as fn(UsersClient));
}
