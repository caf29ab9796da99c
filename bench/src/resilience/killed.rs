//! One of several instances is killed, or hangs: what becomes of the calls, and how soon it is
//! left alone.

use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, ValueEnum};
use dora::{Channel, Endpoint, Fleet, FleetBuilder, HedgePolicy};

use super::counted::{Calls, Counted};
use super::paced::{Ends, paced};
use crate::peers::PeerName;
use crate::peers::dora::generated::{EchoMessage, echo_client::EchoClient};
use crate::process::Server;
use crate::system;

#[derive(Args)]
pub(crate) struct KilledArgs {
    /// Instances, each a process.
    #[arg(long, default_value_t = 3)]
    instances: usize,
    /// Calls a second.
    #[arg(long, default_value_t = 2000)]
    rate: u32,
    /// How long to call; after a quarter of it the first instance is killed.
    #[arg(long, default_value_t = 12.0)]
    seconds: f64,
    /// How it goes: both ways if not given.
    #[arg(long, value_delimiter = ',', default_values_t = [How::Reset, How::Silent])]
    how: Vec<How>,
}

/// How an instance goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum How {
    /// Its process is killed: connections are reset, and nothing listens.
    Reset,
    /// Its process is stopped: connections stand, and nothing is answered.
    Silent,
}

impl How {
    /// When it has to be left alone.
    fn limit(self) -> Duration {
        match self {
            Self::Reset => Duration::from_millis(100),
            Self::Silent => Duration::from_secs(3),
        }
    }
}

impl std::fmt::Display for How {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Reset => "reset",
            Self::Silent => "silent",
        })
    }
}

pub(crate) fn killed(args: &KilledArgs) -> anyhow::Result<()> {
    println!(
        "| it goes | stack | calls | failed | answered | calls given to it: until the limit | | behind it |\n\
         | --- | --- | ---: | ---: | ---: | ---: | --- | ---: |"
    );
    for &how in &args.how {
        let hedge = HedgePolicy::at_quantile(0.95);
        for (name, builder) in
            [("default", Fleet::builder()), ("with hedges at 95 %", Fleet::builder().hedge(hedge))]
        {
            let (ends, given) = measure(args, how, builder)?;
            ends.tell(&format!("{how}, {name}"));
            let soon = given.iter().filter(|after| **after <= how.limit()).count();
            println!(
                "| {how} | {name} | {} | {} | {:.3} % | {soon} | {:?} | {} |",
                ends.calls,
                ends.failed,
                ends.answered(),
                how.limit(),
                given.len() - soon,
            );
        }
    }
    Ok(())
}

/// How the calls ended, and how long after its end calls were given to the instance.
fn measure(args: &KilledArgs, how: How, builder: FleetBuilder) -> anyhow::Result<(Ends, Vec<Duration>)> {
    let mut servers = Vec::new();
    for _ in 0..args.instances {
        servers.push(Server::start(PeerName::Dora, [])?);
    }
    let addresses = servers.iter().map(|server| server.addr().to_string()).collect();
    let first = servers.first_mut().context("an instance at least")?;
    let time = Duration::try_from_secs_f64(args.seconds)?;
    let (ends, calls, at) = system::runtime()?.block_on(async {
        let (fleet, calls) = fleet(builder, addresses)?;
        let client = EchoClient::new(fleet);
        let load = paced(
            args.rate,
            |passed| passed < time,
            || {
                let call = client.echo(EchoMessage::default()).idempotent(true);
                async move { call.await.map(drop) }
            },
        );
        let end = async {
            tokio::time::sleep(time / 4).await;
            match how {
                How::Reset => first.kill()?,
                How::Silent => first.stop()?,
            }
            anyhow::Ok(Instant::now())
        };
        let (ends, at) = tokio::join!(load, end);
        anyhow::Ok((ends, calls, at?))
    })?;
    let given = calls.lock().iter().filter_map(|call| call.checked_duration_since(at)).collect();
    Ok((ends, given))
}

/// A fleet, and when calls were given to the first of its instances.
fn fleet(builder: FleetBuilder, addresses: Vec<String>) -> anyhow::Result<(Fleet<Counted<Channel>>, Calls)> {
    let mut instances = Vec::new();
    for address in addresses {
        let channel = Endpoint::new(address.as_str())?.connect_lazy()?;
        instances.push((address, Counted::new(channel)));
    }
    let calls = instances.first().context("an instance at least")?.1.calls();
    Ok((builder.instances(instances), calls))
}
