//! Why a demonstration ended early.

use std::{fmt, io, path::PathBuf, process::ExitStatus};

use crate::{client::ClientError, stored::StoredError};

/// How the program is called.
pub const USAGE: &str = "usage: millrace-demo run|dev [--cargo-lambda PATH] [--port PORT]";

/// Why a demonstration ended early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("{0}\n{USAGE}")]
    Usage(String),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("over HTTP: {0}")]
    Http(ClientError),
    #[error("{event}: {source}")]
    Event { event: String, source: ClientError },
    #[error("{path}: {detail}")]
    File { path: PathBuf, detail: String },
    #[error("cannot read the store: {0}")]
    Stored(#[from] StoredError),
    #[error("{0} of the answers above are not as expected")]
    Unexpected(usize),
    #[error("cannot write to the terminal: {0}")]
    Output(#[from] io::Error),
}

/// Why the functions do not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("cannot start `{program}`: {source}")]
    Spawn { program: String, source: io::Error },
    #[error("the functions do not build; see the errors of cargo above")]
    Build,
    #[error("no free port on 127.0.0.1: {0}")]
    NoPort(io::Error),
    #[error("port {port} of 127.0.0.1 cannot be used: {source}; choose another one: make dev PORT=9001")]
    Port { port: u16, source: io::Error },
    #[error("cannot write {path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("no answer within {seconds} s{log}")]
    TimedOut { seconds: u64, log: LogTail },
    #[error("{name} has ended ({status}){log}")]
    Ended { name: String, status: ExitStatus, log: LogTail },
    #[error("the functions do not accept events: {source}{log}")]
    Refused { source: ClientError, log: LogTail },
}

/// The last lines of a log, if there is one.
#[derive(Debug)]
pub struct LogTail(pub Option<String>);

impl fmt::Display for LogTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(text) => write!(f, "; the last lines of the log:\n{text}"),
            None => Ok(()),
        }
    }
}
