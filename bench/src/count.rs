//! So many calls in one process and one thread: what a profiler that counts instructions, or
//! system calls, is pointed at. Nothing in it depends on what else the machine does.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context, ensure};
use clap::Args;
use tokio::net::TcpListener;

use crate::{
    message::sample,
    peers::{Connection, Peer, PeerName, Visitor},
    system,
};

#[derive(Args)]
pub(crate) struct CountArgs {
    /// What is called.
    peer: PeerName,
    /// Bytes of payload in each message.
    #[arg(long, default_value_t = 64)]
    payload: usize,
    /// Calls outstanding, on one connection.
    #[arg(long, default_value = "64")]
    concurrency: NonZeroUsize,
    /// Calls in all.
    #[arg(long, default_value = "100000")]
    calls: NonZeroUsize,
}

pub(crate) fn count(args: &CountArgs) -> anyhow::Result<()> {
    let micros = args.peer.visit(Count { args })?;
    println!("{micros:.2} µs of CPU per call, both ends");
    Ok(())
}

struct Count<'a> {
    args: &'a CountArgs,
}

impl Visitor for Count<'_> {
    type Output = anyhow::Result<f64>;

    fn visit<P: Peer>(self) -> Self::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let before = system::thread_cpu_time()?;
        runtime.block_on(run::<P>(self.args))?;
        let took = system::thread_cpu_time()?.saturating_sub(before);
        Ok(took.as_secs_f64() * 1e6 / self.args.calls.get() as f64)
    }
}

async fn run<P: Peer>(args: &CountArgs) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let server = tokio::spawn(P::serve(listener));
    let connection = P::connect(addr).await?;
    let made = Arc::new(AtomicUsize::new(0));
    let callers = (0..args.concurrency.get()).map(|_| {
        let (mut connection, made) = (connection.clone(), Arc::clone(&made));
        let (message, calls) = (sample(args.payload), args.calls.get());
        tokio::spawn(async move {
            while made.fetch_add(1, Ordering::Relaxed) < calls {
                let reply = connection.echo(message.clone()).await?;
                ensure!(reply.payload.len() == message.payload.len(), "the reply has another size");
            }
            anyhow::Ok(())
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.context("a caller")??;
    }
    server.abort();
    Ok(())
}
