//! `make dev`: the functions on a store that stays, until Ctrl-C.

use std::{fs, path::Path};

use crate::{
    DemoError,
    client::uri,
    http::url,
    run::say,
    server::{self, API, FUNCTION, Options, Server},
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
    let set = |name: &str, value: String| (name.to_owned(), std::env::var(name).unwrap_or(value));
    let environment = [set("MILLRACE_STORE", store), set("MILLRACE_AUTH", "none".to_owned())];
    say(&style.heading("Building process-tasks and queue-api"))?;
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
    say(&style.heading(&format!(
        "{FUNCTION} and {API} are running, on {}. Ctrl-C ends them. To use them:",
        environment[0].1
    )))?;
    say("")?;
    say(&format!(
        "  {} lambda invoke --invoke-address 127.0.0.1 --invoke-port {port} {FUNCTION} --data-file {event}",
        cargo_lambda.display()
    ))?;
    say(&format!("  curl --data-binary @{event} {}", uri(port, FUNCTION)))?;
    say(&format!("  curl {}/players/player-1001/queue", url(port, API)))?;
    say("")?;
    Err(server.ended().await.into())
}
