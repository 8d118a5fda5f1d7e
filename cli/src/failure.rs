//! Why a command failed, with its exit code and the next step.

use std::{fmt, process::ExitCode};

/// The exit codes. `docs/cli.md` documents them; they do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Some commands were refused or failed, or a check found a problem.
    Refused = 1,
    /// A flag, an argument or a file is wrong.
    Usage = 2,
    /// The service cannot be reached, or does not answer in time.
    Unreachable = 3,
    /// The caller is not authenticated, or lacks a right.
    NotAuthorized = 4,
    /// The player, task, stack or queue does not exist.
    NotFound = 5,
    /// The service answered with an error.
    Service = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What failed. Empty if the output says it already.
    pub message: String,
    /// What to do about it.
    pub next_step: Option<String>,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), next_step: None }
    }

    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next_step = Some(step.into());
        self
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Exit::Service, message)
    }

    /// Some commands were refused or failed. The output has listed them.
    pub fn refused() -> Self {
        Self::new(Exit::Refused, "")
    }

    /// Prints the failure to standard error.
    pub fn print(&self) {
        if !self.message.is_empty() {
            eprintln!("{self}");
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "error: {}", self.message)?;
        match &self.next_step {
            Some(step) => write!(formatter, "\nnext:  {step}"),
            None => Ok(()),
        }
    }
}
