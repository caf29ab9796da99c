//! What is wrong with a `.proto` file, where, and how to mend it.

use std::fmt;
use std::path::Path;

/// Why nothing was generated.
///
/// A list of problems, each with its file, line and, where there is one, its
/// remedy. `Debug` prints the same report as `Display`, so that a build script
/// may simply return the error from `main`.
pub struct Error {
    problems: Vec<Problem>,
}

impl Error {
    pub(crate) fn io(action: &str, path: &Path, error: &std::io::Error) -> Self {
        Problem::new(format!("cannot {action} {}: {error}", path.display())).into()
    }

    pub(crate) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// `Ok` if there is no problem.
    pub(crate) fn check(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self { problems }) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `fn main() -> Result<(), Error>` prints `Error: {:?}` on one line.
        write!(f, "\n{self}")
    }
}

impl std::error::Error for Error {}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    at: Option<Position>,
    message: String,
    help: Option<String>,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { at: None, message: message.into(), help: None }
    }

    pub(crate) fn at(mut self, at: &Position) -> Self {
        self.at = Some(at.clone());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = &self.at {
            write!(f, "{at}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

/// A place in a `.proto` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// As import statements name it.
    pub(crate) file: String,
    /// From 1; 0 if unknown.
    pub(crate) line: usize,
    /// From 1.
    pub(crate) column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}
