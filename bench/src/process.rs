//! Child processes that are always ended.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

use crate::peers::PeerName;

const START: Duration = Duration::from_secs(10);
const END: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(5);

/// Another process of this program, spoken to in lines. It ends when this is dropped.
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

/// A server process and where it listens.
pub(crate) struct Server {
    process: Process,
    addr: SocketAddr,
}

impl Process {
    /// Starts this program with `args`.
    pub(crate) fn start(args: &[String]) -> anyhow::Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start a process")?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let (sender, lines) = mpsc::channel();
        let process = Self { child, stdin, lines };
        let stdout = stdout.context("no standard output")?;
        thread::spawn(move || {
            let lines = BufReader::new(stdout).lines();
            lines.map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Ok(process)
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Says one line to the process.
    pub(crate) fn write_line(&mut self, line: &str) -> anyhow::Result<()> {
        let stdin = self.stdin.as_mut().context("no standard input")?;
        Ok(writeln!(stdin, "{line}")?)
    }

    /// The next line that the process prints, if it comes within `timeout`.
    pub(crate) fn read_line(&self, timeout: Duration) -> anyhow::Result<String> {
        let line = self.lines.recv_timeout(timeout);
        line.context("the process failed, or did not answer in time")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stdin = None;
        let deadline = Instant::now() + END;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                // An error means that it has ended meanwhile, which is what is wanted.
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(POLL);
        }
    }
}

impl Server {
    /// Starts a server with these further arguments and waits until it listens.
    pub(crate) fn start(peer: PeerName, further: impl IntoIterator<Item = String>) -> anyhow::Result<Self> {
        let mut args = vec!["serve".to_owned(), peer.to_string()];
        args.extend(further);
        let process = Process::start(&args)?;
        let addr = process.read_line(START)?.parse()?;
        Ok(Self { process, addr })
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Kills it: its connections are reset.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.process.child.kill().context("kill a process")
    }

    /// Stops it as a debugger does: its connections stand, and it does nothing.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        let pid = Pid::from_child(&self.process.child);
        kill_process(pid, Signal::STOP).context("stop a process")
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}
