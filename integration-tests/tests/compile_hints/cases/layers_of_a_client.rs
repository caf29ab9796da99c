//~ calls cannot be made through `tower::limit::RateLimit<Channel>`
//~ within a `tower::buffer::BufferLayer`, added before them
use std::time::Duration;

use compile_hints::UsersClient;
use tower::Layer;
use tower::limit::RateLimitLayer;

async fn client(channel: dora::Channel) {
    let limited = RateLimitLayer::new(100, Duration::from_secs(1)).layer(channel);
    let _ = UsersClient::new(limited);
}

fn main() {
    drop(client);
}
