//~ `compile_hints::Directory` cannot be mounted on a server
//~ mount the generated server around your implementation: `UsersServer::new(compile_hints::Directory)`
use compile_hints::Directory;

fn main() {
    drop(dora::Server::builder().add_service(Directory));
}
