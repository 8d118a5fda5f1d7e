//! `make dev`: the functions on the store in `.data/`, until Ctrl-C.

use std::{env, fs, path::Path};

use crate::{
    client::{invocation_url, url},
    error::DemoError,
    server::{self, ADVANCE_QUEUES, Options, PROCESS_TASKS, QUEUE_API, Server},
    text::{Style, say},
    workspace::{self, file_error},
};

const FUNCTIONS: [&str; 4] = [PROCESS_TASKS, QUEUE_API, ADVANCE_QUEUES, "maintain-cache"];

/// Runs until one of the processes ends unexpectedly.
pub async fn dev(cargo_lambda: &Path, port: u16) -> Result<(), DemoError> {
    let style = Style::of_stdout();
    let folder = workspace::root().join(".data");
    fs::create_dir_all(&folder).map_err(file_error(&folder))?;
    let store = format!("sqlite:{}", folder.join("millrace.db").display());
    // Settings in the environment override these.
    let setting = |name, default: String| (name, env::var(name).unwrap_or(default));
    let settings = [
        setting("MILLRACE_STORE", store),
        setting("MILLRACE_AUTH", "none".to_owned()),
        setting("MILLRACE_EVENTS", "table".to_owned()),
    ];
    say(&style.heading("Building the functions"))?;
    server::build(&FUNCTIONS).await?;
    let mut server = Server::start(Options {
        cargo_lambda,
        functions: &FUNCTIONS,
        port: Some(port),
        settings: &settings,
        folder: &folder,
        isolated: false,
    })
    .await?;
    say("")?;
    say(&style.heading(&format!("The functions run on {}. Ctrl-C ends them.", settings[0].1)))?;
    say("")?;
    let event = "events/01-sqs-commands-fifo.json";
    say("To send an event (two ways), read a queue and its events, and advance what is due:")?;
    let invoke = format!("{} lambda invoke --invoke-address 127.0.0.1 --invoke-port {port}", cargo_lambda.display());
    say(&format!("  {invoke} {PROCESS_TASKS} --data-file {event}"))?;
    say(&format!("  curl --data-binary @{event} {}", invocation_url(port, PROCESS_TASKS)))?;
    say(&format!("  curl {}/players/player-1001/queue", url(port)))?;
    say(&format!("  curl {}/players/player-1001/events", url(port)))?;
    say(&format!("  curl --data '{{}}' {}", invocation_url(port, ADVANCE_QUEUES)))?;
    say("")?;
    Err(server.ended().await.into())
}
