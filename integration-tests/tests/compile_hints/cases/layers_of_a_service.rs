//~ a server cannot serve with the layers `tower::limit::RateLimit<
//~ .layer(BufferLayer::<dora::Request>::new(1024)).layer(RateLimitLayer::new(..))
use std::time::Duration;

use compile_hints::{Directory, UsersServer};
use tower::limit::RateLimitLayer;

fn main() {
    let limit = RateLimitLayer::new(100, Duration::from_secs(1));
    let server = dora::Server::builder().add_service(UsersServer::new(Directory).layer(limit));
    drop(server);
}
