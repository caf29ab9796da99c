//! Calls of the API that stayed in PHP.

use dora::{Endpoint, value};

mod proto {
    dora::include_proto!("prices.v1");
}
use proto::QuoteRequest;
use proto::prices_client::PricesClient;

/// Calls the PHP server at `address`, with types and without.
pub(crate) async fn call(address: &str) -> anyhow::Result<()> {
    let channel = Endpoint::new(address)?.php().connect().await?;
    let prices = PricesClient::new(channel.clone());
    let quote = |item: &str, count| prices.quote(QuoteRequest { item: item.into(), count });

    let two = quote("engine", 2).await?;
    println!("typed:     2 engines cost {} cents ({})", two.cents, two.currency);

    let error = quote("unicorn", 1).await.expect_err("PHP throws");
    println!("exception: {} with code {}", error.message(), error.raw_code());

    let pending = quote("punch card", 1000).deferred().await?;
    println!("deferred:  accepted, and we go on working");
    println!("deferred:  1000 punch cards cost {} cents", pending.await?.cents);

    let (one, dozen) = channel.batch().call(quote("engine", 1)).call(quote("engine", 12)).send().await?;
    println!("batch:     1 engine costs {}, a dozen {}", one?.cents, dozen?.cents);

    // No `.proto` at hand: API names and arrays, as in PHP.
    let php = channel.dynamic();
    let three = php.call("/price/quote", value!({ "item" => "engine", "count" => 3 })).await?;
    println!("dynamic:   {three:?}");
    Ok(())
}
