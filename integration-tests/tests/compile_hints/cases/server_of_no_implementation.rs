//~ `Mine` does not serve `users.v1.Users`
//~ with one `async fn` per rpc
use compile_hints::UsersServer;

struct Mine;

fn main() {
    drop(UsersServer::new(Mine));
}
