//~ cannot be mounted on a server
//~ layers go around it with its own `layer` method
use compile_hints::{Directory, UsersServer};
use tower::Layer;
use tower::limit::ConcurrencyLimitLayer;

fn main() {
    let limited = ConcurrencyLimitLayer::new(7).layer(UsersServer::new(Directory));
    drop(dora::Server::builder().add_service(limited));
}
