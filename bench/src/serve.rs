//! One server process.

use std::{
    io::{self, Write},
    net::SocketAddr,
    process, thread,
    time::Duration,
};

use clap::Args;
use tokio::net::TcpListener;

use crate::{
    peers::{Peer, PeerName, Visitor},
    system, work,
};

#[derive(Args)]
pub(crate) struct ServeArgs {
    /// What to serve.
    peer: PeerName,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The one core to run on; all of them if not given.
    #[arg(long)]
    core: Option<usize>,
    /// Microseconds that each handler computes (of `dora`, `tarpc` and `tonic`).
    #[arg(long)]
    work: Option<u64>,
}

pub(crate) fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    thread::spawn(|| {
        // Whoever started this server has ended, however it did: nothing is left behind.
        let ended = io::copy(&mut io::stdin().lock(), &mut io::sink());
        process::exit(i32::from(ended.is_err()));
    });
    system::raise_open_files()?;
    if let Some(core) = args.core {
        system::pin_to(core)?;
    }
    if let Some(micros) = args.work {
        work::set(Duration::from_micros(micros));
    }
    args.peer.visit(Serve { addr: args.listen })
}

struct Serve {
    addr: SocketAddr,
}

impl Visitor for Serve {
    type Output = anyhow::Result<()>;

    fn visit<P: Peer>(self) -> Self::Output {
        system::runtime()?.block_on(async {
            let listener = TcpListener::bind(self.addr).await?;
            println!("{}", listener.local_addr()?);
            io::stdout().flush()?;
            // Spawned, since the thread that blocks on the runtime is not one of its workers.
            tokio::spawn(P::serve(listener)).await?
        })
    }
}
