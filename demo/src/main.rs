//! `make run` and `make dev`: `process-tasks` and `queue-api` on this machine, under `cargo lambda watch`, on the
//! embedded store.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`run`] | every event of `events/`, twice, with the answers; then what the store holds |
//! | [`dev`] | the function on a store that stays, until Ctrl-C |
//! | [`server`] | builds the function, starts `cargo lambda watch`, ends it |
//! | [`client`] | sends events to it |
//! | [`http`] | a timed task from its command to its end, over HTTP |
//! | [`answer`] | what an answer says, and whether it is what it should be |
//! | [`stored`] | queues and history as they are stored |
//! | [`text`] | tables, colours, numbers for people |
#![deny(missing_docs)]

mod answer;
mod client;
mod dev;
mod http;
mod run;
mod server;
mod stored;
mod text;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "usage: millrace-demo run|dev [--cargo-lambda PATH] [--port PORT]";

/// What the command line asks for.
struct Arguments {
    dev: bool,
    cargo_lambda: PathBuf,
    port: Option<u16>,
}

/// Why a demonstration ended early.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("{0}\n{USAGE}")]
    Usage(String),
    #[error(transparent)]
    Server(#[from] server::ServerError),
    #[error("over HTTP: {0}")]
    Http(client::ClientError),
    #[error("{event}: {source}")]
    Event { event: String, source: client::ClientError },
    #[error("{path}: {detail}")]
    File { path: PathBuf, detail: String },
    #[error("what is stored cannot be read: {0}")]
    Stored(#[from] stored::StoredError),
    #[error("{0} of the answers above are not what they should be")]
    Unexpected(usize),
    #[error("the terminal cannot be written to: {0}")]
    Output(#[from] std::io::Error),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = match arguments(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => return fail(&error),
    };
    let work = async {
        if arguments.dev {
            dev::dev(&arguments.cargo_lambda, arguments.port.unwrap_or(9000)).await
        } else {
            run::run(&arguments.cargo_lambda, arguments.port).await
        }
    };
    // Whatever wins, the other is dropped, and with it everything that was started.
    let (result, interrupted) = tokio::select! {
        result = work => (result, false),
        () = interrupted() => (Ok(()), true),
    };
    match result {
        Err(error) => fail(&error),
        Ok(()) if interrupted && !arguments.dev => {
            eprintln!("interrupted");
            ExitCode::from(130)
        }
        Ok(()) => ExitCode::SUCCESS,
    }
}

fn fail(error: &DemoError) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// Ends when this process is asked to end.
async fn interrupted() {
    let [mut interrupt, mut terminate, mut hangup] =
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
            .map(|kind| signal(kind).unwrap_or_else(|error| panic!("signals cannot be awaited: {error}")));
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<Arguments, DemoError> {
    let usage = |message: &str| DemoError::Usage(message.to_owned());
    let dev = match given.next().as_deref() {
        Some("run") => false,
        Some("dev") => true,
        Some(other) => return Err(usage(&format!("`{other}` is not a command"))),
        None => return Err(usage("a command is missing")),
    };
    let mut arguments = Arguments { dev, cargo_lambda: PathBuf::from("cargo-lambda"), port: None };
    while let Some(name) = given.next() {
        let value = given.next().ok_or_else(|| usage(&format!("{name} has no value")))?;
        match name.as_str() {
            "--cargo-lambda" => arguments.cargo_lambda = PathBuf::from(value),
            "--port" => {
                let port = value.parse().ok().filter(|port| *port > 0);
                arguments.port =
                    Some(port.ok_or_else(|| usage(&format!("--port {value} is not allowed; allowed: 1 to 65535")))?);
            }
            _ => return Err(usage(&format!("`{name}` is not an option"))),
        }
    }
    Ok(arguments)
}

/// The root of the workspace.
fn workspace() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, DemoError> {
        arguments(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_command_line_is_understood_or_refused_with_the_usage() {
        let dev = parse("dev --port 9009 --cargo-lambda x/cargo-lambda").unwrap_or_else(|error| panic!("{error}"));
        assert!(dev.dev);
        assert_eq!((dev.port, dev.cargo_lambda), (Some(9009), PathBuf::from("x/cargo-lambda")));
        for bad in ["", "fly", "run --port", "run --port 0", "run --port x", "run --wings 2"] {
            let Err(error) = parse(bad) else { panic!("`{bad}` was understood") };
            assert!(error.to_string().ends_with(USAGE), "{error}");
        }
    }
}
