//! `make run` and `make dev`: the functions on this machine, on the embedded store.
//!
//! | module | contents |
//! |---|---|
//! | [`run`] | every event of `events/`, twice; tasks over HTTP and of workers; the content of the store |
//! | [`dev`] | the functions on a store that is kept, until Ctrl-C |
//! | [`server`], [`process`] | builds, starts and ends the functions and an emulator of Lambda |
//! | [`client`] | sends events and HTTP requests |
//! | [`http`] | a task over HTTP |
//! | [`work`] | tasks that workers do, one of which dies |
//! | [`worker`], [`participant`] | a worker; what workers and the game send and read |
//! | [`transcript`] | what happened in a scene, and what was not as expected |
//! | [`answer`] | prints an answer, and checks it |
//! | [`stored`] | prints queues and history from the store |
//! | [`text`] | tables, colours, numbers |
//! | [`workspace`] | files of the workspace |
//! | [`error`] | why a demonstration ended early |
#![deny(missing_docs)]

mod answer;
mod client;
mod dev;
mod error;
mod http;
mod participant;
mod process;
mod run;
mod server;
mod stored;
mod text;
mod transcript;
mod work;
mod worker;
mod workspace;

use std::{path::PathBuf, process::ExitCode};

use error::DemoError;
use tokio::signal::unix::{SignalKind, signal};

/// The command line.
struct Arguments {
    dev: bool,
    cargo_lambda: PathBuf,
    port: Option<u16>,
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
    // Dropping the other future ends the processes that it has started.
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
            .map(|kind| signal(kind).unwrap_or_else(|error| panic!("cannot listen for signals: {error}")));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::USAGE;

    fn parse(line: &str) -> Result<Arguments, DemoError> {
        arguments(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_command_line_is_parsed_or_refused_with_the_usage() {
        let dev = parse("dev --port 9009 --cargo-lambda x/cargo-lambda").unwrap_or_else(|error| panic!("{error}"));
        assert!(dev.dev);
        assert_eq!((dev.port, dev.cargo_lambda), (Some(9009), PathBuf::from("x/cargo-lambda")));
        for bad in ["", "fly", "run --port", "run --port 0", "run --port x", "run --wings 2"] {
            let Err(error) = parse(bad) else { panic!("`{bad}` was accepted") };
            assert!(error.to_string().ends_with(USAGE), "{error}");
        }
    }
}
