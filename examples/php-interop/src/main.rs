//! A PHP script and a Rust service that call each other.

mod php;
mod prices;
mod users;

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A PHP script and a Rust service that call each other. Without a command both
/// directions are shown, on free ports.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the users until SIGTERM or Ctrl-C: what php/client.php calls.
    Serve {
        /// Address of the TCP port.
        #[arg(long, default_value = "127.0.0.1:9567")]
        tcp: SocketAddr,
    },
    /// Calls a running php/server.php.
    Quote {
        /// Its address.
        #[arg(long, default_value = "127.0.0.1:9568")]
        php: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    // What Dora has to say: where it listens, who is refused, how it drains.
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colours).init();
    let outcome = match Args::parse().command {
        Some(Command::Serve { tcp }) => serve(tcp).await,
        Some(Command::Quote { php }) => prices::call(&php).await,
        None => both_ways().await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn both_ways() -> anyhow::Result<()> {
    php::require().await?;
    php_calls_rust().await?;
    println!();
    rust_calls_php().await
}

async fn serve(tcp: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(tcp).await?;
    let end = dora::shutdown_signal();
    println!("ready: tcp {}", listener.local_addr()?);
    users::server().serve_with_listener(listener, end).await?;
    println!("drained");
    Ok(())
}

async fn php_calls_rust() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = users::server().serve_with_listener(listener, async { drop(stopped.await) });
    let server = tokio::spawn(server);

    println!("PHP calls Rust, on {address}");
    let outcome = php::run_client(address).await;
    drop(stop);
    server.await??;
    outcome
}

async fn rust_calls_php() -> anyhow::Result<()> {
    let server = php::Server::start().await?;
    println!("Rust calls PHP, on {}", server.address);
    let outcome = prices::call(&server.address).await;
    server.stop().await?;
    outcome
}
