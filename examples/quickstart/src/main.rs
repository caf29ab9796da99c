//! A server and its client in one process: every mode, and a batch. With an
//! address, such as `0.0.0.0:9567`, a server alone.

use std::io::IsTerminal as _;
use std::time::Duration;

use dora::{Endpoint, Request, Response, Server, Status};
use tokio::net::TcpListener;

mod shop {
    dora::include_proto!("shop.v1");
}
use shop::orders_client::OrdersClient;
use shop::orders_server::{Orders, OrdersServer};
use shop::users_client::UsersClient;
use shop::users_server::{Users, UsersServer};
use shop::{GetUserRequest, Invoice, ListOrdersRequest, Order, OrderList, SendInvoiceRequest, User};

struct Shop;

impl Users for Shop {
    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> {
        match request.body().id {
            7 => Ok(User { id: 7, name: "Ada".into() }.into()),
            id => Err(Status::not_found(format!("no user {id}"))),
        }
    }
}

impl Orders for Shop {
    async fn list_orders(&self, _: Request<ListOrdersRequest>) -> Result<Response<OrderList>, Status> {
        let orders =
            vec![Order { number: 1, item: "engine".into() }, Order { number: 2, item: "punch cards".into() }];
        Ok(OrderList { orders }.into())
    }

    async fn send_invoice(&self, request: Request<SendInvoiceRequest>) -> Result<Response<Invoice>, Status> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(Invoice { order: request.body().order, sent_to: "ada@example.org".into() }.into())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // What Dora has to say: where it listens, who is refused, how it drains.
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colours).init();
    match std::env::args().nth(1) {
        None => show().await,
        Some(address) => serve(&address).await,
    }
}

fn server() -> Server {
    Server::builder().add_service(UsersServer::new(Shop)).add_service(OrdersServer::new(Shop))
}

/// Serves at `address` until SIGTERM or Ctrl-C; then the calls that run are
/// answered.
async fn serve(address: &str) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let end = dora::shutdown_signal();
    println!("serving on {}", listener.local_addr()?);
    server().serve_with_listener(listener, end).await?;
    println!("drained");
    Ok(())
}

/// Serves on a free port, and calls.
async fn show() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(server().serve_with_listener(listener, async { drop(stopped.await) }));
    println!("serving on {address}");

    let channel = Endpoint::new(address.to_string())?.connect().await?;
    let users = UsersClient::new(channel.clone());
    let orders = OrdersClient::new(channel.clone());

    let user = users.get_user(GetUserRequest { id: 7 }).await?;
    println!("wait:      user {} is {}", user.id, user.name);

    let error = users.get_user(GetUserRequest { id: 8 }).await.expect_err("there is no user 8");
    println!("error:     {error}");

    orders.send_invoice(SendInvoiceRequest { order: 1 }).no_result().await?;
    println!("no result: the invoice of order 1 is on its way");

    let pending = orders.send_invoice(SendInvoiceRequest { order: 2 }).deferred().await?;
    println!("deferred:  accepted, and we go on working");
    let invoice = pending.await?;
    println!("deferred:  the invoice of order {} went to {}", invoice.order, invoice.sent_to);

    let (user, list) = channel
        .batch()
        .call(users.get_user(GetUserRequest { id: 7 }))
        .call(orders.list_orders(ListOrdersRequest { user_id: 7 }))
        .send()
        .await?;
    let items: Vec<_> = list?.orders.into_iter().map(|order| order.item).collect();
    println!("batch:     {} ordered {}", user?.name, items.join(" and "));

    drop(stop);
    server.await??;
    println!("drained");
    Ok(())
}
