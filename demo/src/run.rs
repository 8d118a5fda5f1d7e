//! `make run`: every event of `events/` on a new store, the same events again, a task over HTTP,
//! tasks that workers do, and the content of the store.

use std::{io, path::Path, time::SystemTime};

use millrace_domain::{PlayerId, Timestamp};

use crate::{
    answer::{Answer, Counts},
    client::Client,
    error::DemoError,
    http,
    server::{self, ADVANCE_QUEUES, Options, PROCESS_TASKS, QUEUE_API, Server},
    stored::Stored,
    text::{Style, say, table},
    transcript::Transcript,
    work::run_workers,
    workspace::{self, EventFile},
};

const FUNCTIONS: [&str; 3] = [PROCESS_TASKS, QUEUE_API, ADVANCE_QUEUES];
/// The players whose queues are shown: the first has finished tasks, the second running ones.
const SHOWN_PLAYERS: [&str; 2] = ["player-2001", "player-3001"];
/// The prefix of the tables.
const PREFIX: &str = "millrace-";

/// Runs the demonstration.
pub async fn run(cargo_lambda: &Path, port: Option<u16>) -> Result<(), DemoError> {
    let style = Style::of_stdout();
    let events = workspace::events(&workspace::root().join("events"))?;
    let folder = tempfile::Builder::new().prefix("millrace-").tempdir()?;
    let database = folder.path().join("millrace.db");

    say(&style.heading("Building process-tasks, queue-api and advance-queues"))?;
    server::build(&FUNCTIONS).await?;
    say(&style.heading("Starting them on a new embedded store"))?;
    let settings = [
        ("MILLRACE_STORE", format!("sqlite:{}", database.display())),
        ("MILLRACE_TABLE_PREFIX", PREFIX.to_owned()),
        // The emulator listens on 127.0.0.1 only, and authenticates no callers.
        ("MILLRACE_AUTH", "none".to_owned()),
        ("MILLRACE_EVENTS", "table".to_owned()),
    ];
    let mut server = Server::start(Options {
        cargo_lambda,
        functions: &FUNCTIONS,
        port,
        settings: &settings,
        folder: folder.path(),
        isolated: true,
    })
    .await?;
    let client = server.client();
    let work = async {
        let unexpected = deliver(&client, &events, style).await?;
        let unexpected = unexpected + over_http(&client, style).await?;
        Ok(unexpected + with_workers(&client, style).await?)
    };
    let unexpected = tokio::select! {
        unexpected = work => unexpected,
        ended = server.ended() => Err(ended.into()),
    };
    let unexpected = match unexpected {
        Err(error @ (DemoError::Event { .. } | DemoError::Http(_))) => {
            say(&style.bad(&format!("the functions failed{}", server.log_tail())))?;
            return Err(error);
        }
        other => other?,
    };
    show_stored(&database, style).await?;
    drop(server);
    if unexpected > 0 {
        return Err(DemoError::Unexpected(unexpected));
    }
    say("")?;
    say(&style.good("All answers are as expected."))?;
    Ok(())
}

/// Delivers every event twice. Returns the number of unexpected answers.
async fn deliver(client: &Client, events: &[EventFile], style: Style) -> Result<usize, DemoError> {
    let mut first: Vec<Counts> = Vec::with_capacity(events.len());
    let mut unexpected = 0;
    for event in events {
        let answer = invoke(client, event).await?;
        say(&format!("\n{}", style.heading(&format!("events/{}", event.name))))?;
        for line in answer.lines(style) {
            say(&line)?;
        }
        unexpected += usize::from(report(&answer.problems(), style)?);
        first.push(answer.counts());
    }
    say(&format!("\n{}", style.heading("The same events delivered again: nothing changes")))?;
    let mut rows = Vec::with_capacity(events.len());
    let mut problems = Vec::new();
    for (event, first) in events.iter().zip(first) {
        let answer = invoke(client, event).await?;
        rows.push([event.name.clone(), answer.summary()]);
        let found = answer.problems_of_redelivery(first);
        unexpected += usize::from(!found.is_empty());
        problems.extend(found.into_iter().map(|problem| format!("{}: {problem}", event.name)));
    }
    for line in table(2, &rows) {
        say(&line)?;
    }
    report(&problems, style)?;
    Ok(unexpected)
}

async fn invoke(client: &Client, event: &EventFile) -> Result<Answer, DemoError> {
    let answer = client.invoke(PROCESS_TASKS, event.bytes.clone()).await;
    answer.map(Answer::new).map_err(|source| DemoError::Event { event: event.name.clone(), source })
}

/// Prints the problems. Returns whether there are any.
fn report(problems: &[String], style: Style) -> io::Result<bool> {
    for problem in problems {
        say(&format!("  {}", style.bad(problem)))?;
    }
    Ok(!problems.is_empty())
}

/// Runs a task over HTTP. Returns the number of unexpected answers.
async fn over_http(client: &Client, style: Style) -> Result<usize, DemoError> {
    say(&format!("\n{}", style.heading("A task of 1.5 seconds over HTTP")))?;
    let (lines, problems) = http::run_task(client).await.map_err(DemoError::Http)?;
    for line in lines {
        say(&line)?;
    }
    Ok(usize::from(report(&problems, style)?))
}

/// Runs tasks that workers do. Returns the number of unexpected answers.
async fn with_workers(client: &Client, style: Style) -> Result<usize, DemoError> {
    say(&format!("\n{}", style.heading("Tasks of workers, which follow the events of player-5001")))?;
    let mut shown = Transcript::default();
    let done = run_workers(client, &mut shown).await;
    for line in shown.lines() {
        say(&line)?;
    }
    report(&shown.problems, style)?;
    done.map_err(DemoError::Http)?;
    Ok(shown.problems.len())
}

async fn show_stored(database: &Path, style: Style) -> Result<(), DemoError> {
    let stored = Stored::open(database, PREFIX).await?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::default() + now;
    let players: Vec<PlayerId> = SHOWN_PLAYERS.into_iter().filter_map(|id| PlayerId::new(id).ok()).collect();
    for player in &players {
        say("")?;
        for line in stored.queue_lines(player, now, style).await? {
            say(&line)?;
        }
    }
    for player in players.iter().take(1) {
        say("")?;
        for line in stored.history_lines(player, style).await? {
            say(&line)?;
        }
    }
    Ok(())
}
