//! Programs that tests start: each is ended, by its own id, when the test is.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// A running program, killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    lines: Receiver<String>,
    errors: Arc<Mutex<String>>,
}

impl Process {
    /// Starts a program with its standard streams held by this process. A
    /// program that ends when its input closes ends even if the test is killed.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {:?}", command.get_program()))?;
        let (sender, lines) = mpsc::channel();
        let errors = Arc::new(Mutex::new(String::new()));
        let collected = Arc::clone(&errors);
        each_line(child.stdout.take(), move |line| drop(sender.send(line)));
        each_line(child.stderr.take(), move |line| {
            let mut errors = collected.lock().unwrap_or_else(PoisonError::into_inner);
            errors.push_str(&line);
            errors.push('\n');
        });
        Ok(Self { child, lines, errors })
    }

    /// The id of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes all of its input and closes it.
    ///
    /// # Errors
    ///
    /// When the program does not take it.
    pub fn feed(&mut self, input: &[u8]) -> anyhow::Result<()> {
        let mut stdin = self.child.stdin.take().context("its input is closed")?;
        Ok(stdin.write_all(input)?)
    }

    /// The next line of its output, or `None` when that has ended.
    ///
    /// # Errors
    ///
    /// When neither comes within `patience`; with what it said on its error stream.
    pub fn line(&mut self, patience: Duration) -> anyhow::Result<Option<String>> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                bail!("no line of output within {patience:?}; its errors:\n{}", self.errors())
            }
        }
    }

    /// What it wrote to its error stream so far.
    #[must_use]
    pub fn errors(&self) -> String {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.clone()
    }

    /// Asks it to end (SIGTERM), as an init system does.
    ///
    /// # Errors
    ///
    /// When `kill` cannot be run or knows no such process.
    pub fn terminate(&self) -> anyhow::Result<()> {
        self.signal("TERM")
    }

    /// Sends it the signal of this name, without `SIG`.
    ///
    /// # Errors
    ///
    /// When `kill` cannot be run or knows no such process.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.id().to_string()])
            .status()
            .context("cannot run kill")?;
        anyhow::ensure!(status.success(), "kill failed: {status}");
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// When it still runs after `patience`.
    pub fn wait(&mut self, patience: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            anyhow::ensure!(Instant::now() < deadline, "still running");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds the binary of the workspace package `package`, once per test process,
/// in the profile that the test itself was built in, and returns its path.
///
/// # Errors
///
/// When it does not build, or has no binary.
pub fn binary(package: &str) -> anyhow::Result<PathBuf> {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    // Held while building: a second test waits instead of building too.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = built.get(package) {
        return Ok(path.clone());
    }
    let path = build(package)?;
    built.insert(package.to_owned(), path.clone());
    Ok(path)
}

/// A port that was free a moment ago, for programs that cannot choose their own.
///
/// # Errors
///
/// When there is none.
pub fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.port())
}

fn build(package: &str) -> anyhow::Result<PathBuf> {
    // This test runs as <target>/<profile>/deps/<name>.
    let test = env::current_exe()?;
    let profile_folder = test.ancestors().nth(2).context("no profile folder")?;
    let target = profile_folder.parent().context("no target folder")?;
    let profile = match profile_folder.file_name() {
        Some(name) if name == "debug" => "dev".into(),
        Some(name) => name.to_owned(),
        None => bail!("no profile"),
    };
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--package", package, "--bins"])
        .args(["--message-format", "json-render-diagnostics", "--profile"])
        .arg(profile)
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .context("cannot run cargo")?;
    anyhow::ensure!(
        output.status.success(),
        "{package} does not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let executable = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    };
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(executable)
        .with_context(|| format!("{package} has no binary"))
}

/// Hands every line of `stream` to `on_line`, on a thread that ends with it.
fn each_line(stream: Option<impl Read + Send + 'static>, mut on_line: impl FnMut(String) + Send + 'static) {
    thread::spawn(move || {
        for line in stream.into_iter().flat_map(|s| BufReader::new(s).lines()) {
            match line {
                Ok(line) => on_line(line),
                Err(_) => break,
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn lines_go_in_and_come_out() {
        let mut cat = Process::spawn(&mut Command::new("cat")).expect("it starts");
        cat.feed(b"one\ntwo\n").expect("it reads");
        assert_eq!(cat.line(PATIENCE).expect("a line"), Some("one".into()));
        assert_eq!(cat.line(PATIENCE).expect("a line"), Some("two".into()));
        assert_eq!(cat.line(PATIENCE).expect("the end"), None);
        assert!(cat.wait(PATIENCE).expect("it ends").success());
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let cat = Process::spawn(&mut Command::new("cat")).expect("it starts");
        let id = cat.id().to_string();
        let alive = || {
            let mut probe = Command::new("kill");
            probe.args(["-0", &id]).stderr(Stdio::null());
            probe.status().expect("kill runs").success()
        };
        assert!(alive());
        drop(cat);
        assert!(!alive());
    }

    #[test]
    fn a_binary_of_the_workspace_is_built_and_runs() {
        let path = binary("xtask").expect("it builds");
        assert_eq!(binary("xtask").expect("it is built"), path);
        let mut xtask = Process::spawn(Command::new(path).arg("help")).expect("it starts");
        let line = xtask.line(PATIENCE).expect("a line");
        assert_eq!(line.as_deref(), Some("Tasks of the Dora workspace"));
        binary("no-such-package").expect_err("it cannot build");
    }

    #[test]
    fn a_program_that_is_asked_to_end_does() {
        let mut cat = Process::spawn(&mut Command::new("cat")).expect("it starts");
        cat.terminate().expect("it is there");
        assert!(!cat.wait(PATIENCE).expect("it ends").success());
    }
}
