//! One command, printed before it runs.

use std::env;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, bail};

/// A command whose output is the user's to see.
pub(crate) struct Step {
    command: Command,
    shown: String,
}

impl Step {
    /// A step of the cargo that started this program.
    pub(crate) fn cargo<const N: usize>(args: [&str; N]) -> Self {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let step = Self { command: Command::new(cargo), shown: "cargo".to_owned() };
        step.args(args)
    }

    /// A step that runs `program`, found on the path.
    pub(crate) fn new(program: &str) -> Self {
        Self { command: Command::new(program), shown: program.to_owned() }
    }

    /// Appends arguments.
    pub(crate) fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        for arg in args {
            let arg = arg.as_ref();
            self.command.arg(arg);
            self.shown.push(' ');
            self.shown.push_str(&quoted(arg));
        }
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self.shown = format!("{name}={} {}", quoted(value), self.shown);
        self
    }

    /// Prints the command, runs it and waits for its end.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or ends with anything but success.
    pub(crate) fn run(mut self) -> anyhow::Result<()> {
        self.announce();
        let status = self.command.status().with_context(|| format!("cannot start `{}`", self.shown))?;
        self.judge(status)
    }

    /// As [`run`](Self::run), and hands each line of the output to `on_line`
    /// after it has been printed.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or ends with anything but success.
    pub(crate) fn run_reading(mut self, mut on_line: impl FnMut(&str)) -> anyhow::Result<()> {
        self.announce();
        let child = self.command.stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("cannot start `{}`", self.shown))?;
        let mut output = BufReader::new(child.stdout.take().context("it has no output")?);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line)? > 0 {
            // Whoever reads along may have gone: the step runs to its end all the same.
            let _ = io::stdout().write_all(&line);
            on_line(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
        let status = child.wait()?;
        self.judge(status)
    }

    fn announce(&self) {
        eprintln!("\n$ {}", self.shown);
    }

    fn judge(&self, status: ExitStatus) -> anyhow::Result<()> {
        if !status.success() {
            bail!("`{}` failed: {status}", self.shown);
        }
        Ok(())
    }
}

/// `arg` as a shell would need it.
fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@".contains(c);
    if !arg.is_empty() && arg.chars().all(plain) {
        arg.to_owned()
    } else {
        format!("'{}'", arg.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_pasted_into_a_shell() {
        let step = Step::new("tool").args(["--flag=1", "two words", "it's", ""]).env("FLAGS", "-D warnings");
        assert_eq!(step.shown, r"FLAGS='-D warnings' tool --flag=1 'two words' 'it'\''s' ''");
    }

    #[test]
    fn what_a_step_says_can_be_read() {
        let mut lines = Vec::new();
        let step = Step::new("printf").args(["one\ntwo"]);
        step.run_reading(|line| lines.push(line.to_owned())).expect("it succeeds");
        assert_eq!(lines, ["one", "two"]);
        Step::new("false").run_reading(|_| {}).expect_err("it fails");
    }

    #[test]
    fn a_failing_command_is_an_error() {
        let error = Step::new("false").run().expect_err("it fails");
        assert!(error.to_string().starts_with("`false` failed"), "{error}");
    }
}
