//! Data on standard output, messages on standard error.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
};

use serde::Serialize;

use crate::failure::{Exit, Failure};

/// The width of tables where standard output is not a terminal.
const DEFAULT_WIDTH: u16 = 120;

/// How a command prints.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// Whether data is printed as JSON.
    pub json: bool,
    /// Whether progress and hints are left out.
    pub quiet: bool,
}

impl Output {
    /// Whether standard output is a terminal.
    pub fn is_terminal() -> bool {
        io::stdout().is_terminal()
    }

    /// The width of standard output in characters.
    pub fn width() -> u16 {
        match crossterm::terminal::size() {
            Ok((columns, _)) if Self::is_terminal() && columns > 0 => columns,
            _ => DEFAULT_WIDTH,
        }
    }

    /// Prints a line of data.
    ///
    /// # Errors
    /// [`Failure`] if standard output is closed.
    pub fn line(&self, line: impl Display) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{line}").and_then(|()| stdout.flush()).map_err(|error| closed(&error))
    }

    /// Prints a value as one line of JSON.
    ///
    /// # Errors
    /// [`Failure`] if standard output is closed.
    pub fn json_line(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(|error| Failure::internal(error.to_string()))?;
        self.line(text)
    }

    /// Prints a value as JSON that people can read on a terminal, and as one line elsewhere.
    ///
    /// # Errors
    /// [`Failure`] if standard output is closed.
    pub fn json_document(&self, value: &impl Serialize) -> Result<(), Failure> {
        if !Self::is_terminal() {
            return self.json_line(value);
        }
        let text = serde_json::to_string_pretty(value).map_err(|error| Failure::internal(error.to_string()))?;
        self.line(text)
    }

    /// Prints a message to standard error, unless `--quiet` is given.
    pub fn note(&self, message: impl Display) {
        if !self.quiet {
            eprintln!("{message}");
        }
    }
}

/// A reader such as `head` has closed the pipe. That is no error of the command, but it must end.
fn closed(error: &io::Error) -> Failure {
    let message = match error.kind() {
        io::ErrorKind::BrokenPipe => String::new(),
        _ => format!("cannot write to standard output: {error}"),
    };
    Failure::new(Exit::Refused, message)
}
