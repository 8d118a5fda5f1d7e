//! `make dev`: the function on a store that stays, until Ctrl-C.

use std::{fs, path::Path};

use crate::{
    DemoError,
    client::uri,
    run::say,
    server::{self, FUNCTION, Options, Server},
    text::Style,
    workspace,
};

/// Runs until something ends that should not.
pub async fn dev(cargo_lambda: &Path, port: u16) -> Result<(), DemoError> {
    let style = Style::of_stdout();
    let folder = workspace().join(".data");
    fs::create_dir_all(&folder).map_err(|error| DemoError::File { path: folder.clone(), detail: error.to_string() })?;
    // What the environment says goes before what is set here.
    let store = format!("sqlite:{}", folder.join("millrace.db").display());
    let environment = [("MILLRACE_STORE".to_owned(), std::env::var("MILLRACE_STORE").unwrap_or(store))];
    say(&style.heading("Building process-tasks"))?;
    server::build().await?;
    let options = Options {
        cargo_lambda,
        port: Some(port),
        environment: &environment,
        folder: &folder,
        log: None,
        isolated: false,
    };
    let mut server = Server::start(options).await?;
    let event = "events/01-sqs-commands-fifo.json";
    say("")?;
    say(&style
        .heading(&format!("{FUNCTION} is running, on {}. Ctrl-C ends it. To send it an event:", environment[0].1)))?;
    say("")?;
    say(&format!(
        "  {} lambda invoke --invoke-address 127.0.0.1 --invoke-port {port} {FUNCTION} --data-file {event}",
        cargo_lambda.display()
    ))?;
    say(&format!("  curl --data-binary @{event} {}", uri(port, FUNCTION)))?;
    say("")?;
    Err(server.ended().await.into())
}
