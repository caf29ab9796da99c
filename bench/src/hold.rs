//! One process that opens connections and lets them rest.

use std::{
    io::{self, Write},
    net::SocketAddr,
};

use anyhow::ensure;
use clap::Args;

use crate::{
    message::sample,
    peers::{Connection, Peer, PeerName, Visitor},
    system,
};

const PAYLOAD: usize = 64;

#[derive(Args)]
pub(crate) struct HoldArgs {
    /// What is served at the address.
    peer: PeerName,
    /// The server.
    #[arg(long)]
    addr: SocketAddr,
}

pub(crate) fn hold(args: &HoldArgs) -> anyhow::Result<()> {
    system::raise_open_files()?;
    args.peer.visit(Hold { addr: args.addr })
}

struct Hold {
    addr: SocketAddr,
}

impl Visitor for Hold {
    type Output = anyhow::Result<()>;

    fn visit<P: Peer>(self) -> Self::Output {
        let runtime = system::runtime()?;
        let mut held = Vec::new();
        for line in io::stdin().lines() {
            let wanted: usize = line?.trim().parse()?;
            runtime.block_on(async {
                while held.len() < wanted {
                    held.push(open::<P>(self.addr).await?);
                }
                anyhow::Ok(())
            })?;
            println!("{}", held.len());
            io::stdout().flush()?;
        }
        runtime.shutdown_background();
        Ok(())
    }
}

/// Opens a connection and makes one call on it.
async fn open<P: Peer>(addr: SocketAddr) -> anyhow::Result<P::Connection> {
    let mut connection = P::connect(addr).await?;
    let message = sample(PAYLOAD);
    let reply = connection.echo(message.clone()).await?;
    ensure!(reply == message, "the reply is not the message");
    Ok(connection)
}
