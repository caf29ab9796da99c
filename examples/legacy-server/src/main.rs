//! The reference service: what an untyped PHP service looks like in Rust.
//!
//! Every API name ends in one handler, as `doWork` of a PHP Dora-RPC server does.

mod api;
mod swoft;

use std::io::IsTerminal as _;
use std::net::SocketAddr;

use clap::Parser;
use dora::http::Forms;
use dora::swoft::Swoft;
use dora::{Control, Request, RequestOrigin, Server, Status, Value};
use tokio::net::TcpListener;

/// Serves the reference service on the Dora wire, and on other doors.
#[derive(Parser)]
#[command(after_help = API_NAMES)]
struct Args {
    /// Address of the TCP port.
    #[arg(long, default_value = "127.0.0.1:9567")]
    tcp: SocketAddr,
    /// Address of the HTTP port, if there is to be one. As the original's it is open:
    /// control commands and forms from any page are answered.
    #[arg(long)]
    http: Option<SocketAddr>,
    /// Address of the port of Swoft 2.x, if there is to be one.
    #[arg(long)]
    swoft: Option<SocketAddr>,
    /// Address of the port of Swoft 1.x, if there is to be one.
    #[arg(long)]
    swoft_v1: Option<SocketAddr>,
    /// Frames are signed (`SW_DATASIGEN_FLAG`).
    #[arg(long)]
    sign: bool,
    /// The salt of the signature, in place of the original one.
    #[arg(long, requires = "sign")]
    salt: Option<String>,
    /// Every answer is gzipped (`SW_DATACOMPRESS_FLAG`).
    #[arg(long)]
    gzip: bool,
}

const API_NAMES: &str = "\
API names, on the ports of Dora and HTTP (all others, and none: `hehe` => `ohyes123`):
  /t/echo              its param
  /t/task              the task that a PHP handler is given
  /t/throw _cn 0 _pdo  exceptions with the codes 1231, -42, 0, 100001
  /t/error /t/exit     the handler dies: an error for that call alone
  /t/null /t/void /t/true /t/int /t/float /t/string /t/list /t/sparse /t/empty
                       a value of that kind
  /t/object /t/point   the public fields of the objects that PHP returned
  /t/shared            `first` and `second`, each `n` => 1 (in PHP one object, twice)
  /t/ref               `a` and `b`, each 5 (in PHP `b` is a reference to `a`)
  /t/big               `param.n` letters
  /t/sleep             sleeps `param.us` microseconds";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // What Dora has to say: where it listens, who is refused, how it drains.
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colours).init();
    let args = Args::parse();
    // The command `reloadTask` and SIGUSR1 both end up here: read a configuration anew, say.
    let control = Control::with_reload(|| println!("reloaded"));
    let mut server = Server::builder().dynamic(call).control(control);
    if args.sign {
        server = match args.salt {
            Some(salt) => server.salt(salt),
            None => server.signed(),
        };
    }
    if args.gzip {
        server = server.gzip();
    }
    let listener = TcpListener::bind(args.tcp).await?;
    let mut ready = format!("ready: tcp {}", listener.local_addr()?);
    if let Some(address) = args.http {
        let listener = TcpListener::bind(address).await?;
        ready += &format!(" http {}", listener.local_addr()?);
        server = server.door_with_listener(listener, Forms::new().open_control().any_origin());
    }
    for (name, address, door) in
        [("swoft", args.swoft, Swoft::v2()), ("swoft-v1", args.swoft_v1, Swoft::v1())]
    {
        let Some(address) = address else { continue };
        let listener = TcpListener::bind(address).await?;
        ready += &format!(" {name} {}", listener.local_addr()?);
        server = server.door_with_listener(listener, door);
    }
    // Before it is said to be ready: from here on SIGTERM and Ctrl-C mean a drain.
    let end = dora::shutdown_signal();
    println!("{ready}");
    server.serve_with_listener(listener, end).await?;
    println!("drained");
    Ok(())
}

/// Handles every call, as the door has it that it came through.
async fn call(request: Request<Value>) -> Result<Value, Status> {
    match request.origin().map(RequestOrigin::door) {
        Some("swoft" | "swoft-v1") => swoft::call(request).await,
        _ => api::call(request).await,
    }
}
