//~ a server cannot serve with the layers `tower::limit::RateLimit<
//~ .layer(BufferLayer::<dora::Request>::new(1024)).layer(RateLimitLayer::new(..))
use std::time::Duration;

use compile_hints::{Directory, UsersServer};
use tower::limit::RateLimitLayer;

#[tokio::main]
async fn main() -> Result<(), dora::ServeError> {
    let limit = RateLimitLayer::new(100, Duration::from_secs(1));
    dora::Server::builder().layer(limit).add_service(UsersServer::new(Directory)).serve("127.0.0.1:0").await
}
