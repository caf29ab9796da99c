//! The same unary echo over Dora and its peers, client and server in processes of their own.
//! `README.md` says how to run it and how to read it.

mod beside;
mod compare;
mod count;
mod histogram;
mod hold;
mod idle;
mod load;
mod matrix;
mod message;
mod peers;
mod process;
mod report;
mod resilience;
mod serve;
mod system;
mod work;

use clap::{Parser, Subcommand};

use resilience::{failing, killed, overload, rolling};

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compares peers over a matrix of payloads, outstanding calls and connections.
    Compare(compare::CompareArgs),
    /// Compares round trips, one call at a time, with client and server on one core.
    OneCore(compare::OneCoreArgs),
    /// Compares what a client with one call at a time sees beside one with many.
    Beside(beside::BesideArgs),
    /// Compares the memory that an idle connection costs the server.
    Idle(idle::IdleArgs),
    /// Counts how much is called while all instances fail.
    Failing(failing::FailingArgs),
    /// Kills one of several instances, and tells what becomes of the calls.
    Killed(killed::KilledArgs),
    /// Restarts instances one after the other under load, and tells whether a call is lost.
    Rolling(rolling::RollingArgs),
    /// Asks of a server several times what it can do, and tells what it still does.
    Overload(overload::OverloadArgs),
    /// Makes so many calls within one thread, for a profiler that counts.
    Count(count::CountArgs),
    /// Serves one peer until standard input closes; prints its address.
    Serve(serve::ServeArgs),
    /// Loads a running server; prints one line of JSON.
    Load(load::LoadArgs),
    /// Opens as many connections as each line of standard input says, and holds them until it
    /// closes.
    Hold(hold::HoldArgs),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Compare(args) => compare::compare(&args),
        Command::OneCore(args) => compare::one_core(&args),
        Command::Beside(args) => beside::beside(&args),
        Command::Idle(args) => idle::idle(&args),
        Command::Failing(args) => failing::failing(&args),
        Command::Killed(args) => killed::killed(&args),
        Command::Rolling(args) => rolling::rolling(&args),
        Command::Overload(args) => overload::overload(&args),
        Command::Count(args) => count::count(&args),
        Command::Serve(args) => serve::serve(&args),
        Command::Load(args) => load::load(&args),
        Command::Hold(args) => hold::hold(&args),
    }
}
