//! `millrace`: sends commands, shows queues, and operates a deployment, from a terminal.
//!
//! | module | content |
//! |---|---|
//! | `arguments`, `global` | the command line: subcommands, and flags of all of them |
//! | `failure` | why a command failed, with its exit code and the next step |
//! | `output` | data on standard output, messages on standard error |
//! | `deployment` | what the flags point at: the HTTP API, AWS, the outputs of the stack |
//! | `http_client`, `signature`, `api` | requests to the HTTP API |
//! | `answers`, `fields`, `pages` | the answers of the HTTP API |
//! | `tables`, `watch` | tables and bars; a view that is drawn again and again |
//! | `context` | what every subcommand needs |
//! | `queue_view`, `performance_view` | a queue, and the performance history, as text |
//! | `command_file` | commands from files, standard input and flags |
//! | `send` | sends commands over HTTP, SQS, EventBridge, or to a function |
//! | `describe`, `trial` | what a command does, and what would become of it |
//! | `dead_letters` | dead letters of the queues |
//! | `doctor` | checks of a deployment |
//! | `load` | a load of many players |
//! | `progress` | a progress bar |
//! | `commands` | one file for each subcommand |

mod answers;
mod api;
mod arguments;
mod command_file;
mod commands;
mod context;
mod dead_letters;
mod deployment;
mod describe;
mod doctor;
mod failure;
mod fields;
mod global;
mod http_client;
mod load;
mod output;
mod pages;
mod performance_view;
mod progress;
mod queue_view;
mod send;
mod signature;
mod tables;
mod text;
mod trial;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::{
    arguments::{Arguments, Command},
    commands::{
        completions, dlq, doctor as doctor_command, events, explain, history, load as load_command, manual, perf,
        players, queue, rejections, send as send_commands,
    },
    context::Context,
    failure::Failure,
};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are printed to standard output with exit code 0, errors of usage to
            // standard error with exit code 2.
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments)),
        Err(error) => Err(Failure::internal(format!("cannot start: {error}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            failure.exit.into()
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let context = Context::new(arguments.global);
    match arguments.command {
        Command::Queue(arguments) => queue::run(&context, arguments).await,
        Command::Send(arguments) => send_commands::run(&context, arguments).await,
        Command::Explain(arguments) => explain::run(&context, arguments).await,
        Command::History(arguments) => history::run(&context, arguments).await,
        Command::Events(arguments) => events::run(&context, arguments).await,
        Command::Rejections(arguments) => rejections::run(&context, arguments).await,
        Command::Dlq(arguments) => dlq::run(&context, arguments).await,
        Command::Players(arguments) => players::run(&context, arguments).await,
        Command::Perf(arguments) => perf::run(&context, arguments).await,
        Command::Doctor(arguments) => doctor_command::run(&context, arguments).await,
        Command::Load(arguments) => load_command::run(&context, arguments).await,
        Command::Completions(arguments) => {
            completions::run(Arguments::command(), arguments);
            Ok(())
        }
        Command::Manual(arguments) => manual::run(&context, Arguments::command(), &arguments),
    }
}
