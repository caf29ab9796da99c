//~ a call with results of `SentMail` cannot be added to this batch
//~ a list results of one type
use compile_hints::{GetUserRequest, SendMailRequest, UsersClient};

fn calls(channel: dora::Channel) {
    let users = UsersClient::new(channel.clone());
    let mut batch = channel.batch().list();
    batch.push(users.get_user(GetUserRequest { id: 7 }));
    batch.push(users.send_mail(SendMailRequest::default()));
}

fn main() {
    drop(calls as fn(dora::Channel));
}
