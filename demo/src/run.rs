//! `make run`: every event of `events/` on a fresh store, each answer, all again, and what is stored.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use millrace_domain::{PlayerId, Timestamp};

use crate::{
    DemoError,
    answer::{Answer, Counts},
    client::Client,
    http::Api,
    server::{self, Options, Server},
    stored::Stored,
    text::{Style, table},
    workspace,
};

/// Whose queues are shown at the end: one whose story is over, and one whose tasks are running.
const SHOWN_PLAYERS: [&str; 2] = ["player-2001", "player-3001"];

/// What the names of the tables begin with.
const PREFIX: &str = "millrace-";

/// An event to be sent.
struct EventFile {
    name: String,
    bytes: Vec<u8>,
}

/// Runs the demonstration.
pub async fn run(cargo_lambda: &Path, port: Option<u16>) -> Result<(), DemoError> {
    let style = Style::of_stdout();
    let events = events(&workspace().join("events"))?;
    let folder = tempfile::Builder::new().prefix("millrace-").tempdir()?;
    let database = folder.path().join("millrace.db");

    say(&style.heading("Building process-tasks and queue-api"))?;
    server::build().await?;
    say(&style.heading("Starting process-tasks and queue-api under cargo lambda watch, on a fresh embedded store"))?;
    let environment = [
        ("MILLRACE_STORE".to_owned(), format!("sqlite:{}", database.display())),
        ("MILLRACE_TABLE_PREFIX".to_owned(), PREFIX.to_owned()),
        // Nobody but this machine can reach it, and nobody vouches for anybody here.
        ("MILLRACE_AUTH".to_owned(), "none".to_owned()),
    ];
    let mut server = Server::start(Options {
        cargo_lambda,
        port,
        environment: &environment,
        folder: folder.path(),
        log: Some(folder.path().join("watch.log")),
        isolated: true,
    })
    .await?;
    let (client, api) = (server.client(), server.api());
    let work = async {
        let wrong = deliver(&client, &events, style).await?;
        Ok(wrong + over_http(&api, style).await?)
    };
    let problems = tokio::select! {
        problems = work => problems,
        ended = server.ended() => Err(ended.into()),
    };
    let problems = match problems {
        Err(error @ (DemoError::Event { .. } | DemoError::Http(_))) => {
            say(&style.bad(&format!("the log of the functions{}", server.tail())))?;
            return Err(error);
        }
        other => other?,
    };
    show_stored(&database, style).await?;
    drop(server);
    if problems > 0 {
        return Err(DemoError::Unexpected(problems));
    }
    say("")?;
    say(&style.good("All answers are as they should be."))?;
    Ok(())
}

/// Sends every event twice. Returns how many answers are not what they should be.
async fn deliver(client: &Client, events: &[EventFile], style: Style) -> Result<usize, DemoError> {
    let mut first: Vec<Counts> = Vec::with_capacity(events.len());
    let mut wrong = 0;
    for event in events {
        let answer = invoke(client, event).await?;
        say(&format!("\n{}", style.heading(&event.name)))?;
        for line in answer.lines(style) {
            say(&line)?;
        }
        wrong += usize::from(report(&answer.problems(), style)?);
        first.push(answer.counts());
    }
    say(&format!("\n{}", style.heading("The same events again")))?;
    let mut rows = Vec::with_capacity(events.len());
    let mut problems = Vec::new();
    for (event, first) in events.iter().zip(first) {
        let answer = invoke(client, event).await?;
        rows.push([event.name.clone(), answer.summary()]);
        let found = answer.problems_of_repetition(first);
        wrong += usize::from(!found.is_empty());
        problems.extend(found.into_iter().map(|problem| format!("{}: {problem}", event.name)));
    }
    for line in table(2, &rows) {
        say(&line)?;
    }
    report(&problems, style)?;
    Ok(wrong)
}

async fn invoke(client: &Client, event: &EventFile) -> Result<Answer, DemoError> {
    let answer = client.invoke(&event.bytes).await;
    answer.map(Answer::new).map_err(|source| DemoError::Event { event: event.name.clone(), source })
}

fn report(problems: &[String], style: Style) -> io::Result<bool> {
    for problem in problems {
        say(&format!("  {}", style.bad(problem)))?;
    }
    Ok(!problems.is_empty())
}

/// A task from its command to its end. Returns whether something is not as it should be.
async fn over_http(api: &Api, style: Style) -> Result<usize, DemoError> {
    say(&format!(
        "\n{}",
        style.heading("Over HTTP: a task of a second and a half; status, X-Cache, and what is answered")
    ))?;
    let (lines, problems) = api.story().await.map_err(DemoError::Http)?;
    for line in lines {
        say(&line)?;
    }
    Ok(usize::from(report(&problems, style)?))
}

async fn show_stored(database: &Path, style: Style) -> Result<(), DemoError> {
    let stored = Stored::open(database, PREFIX).await?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::default() + now;
    for player in SHOWN_PLAYERS.into_iter().filter_map(|id| PlayerId::new(id).ok()) {
        say("")?;
        for line in stored.queue_lines(&player, now, style).await? {
            say(&line)?;
        }
    }
    for player in SHOWN_PLAYERS.into_iter().take(1).filter_map(|id| PlayerId::new(id).ok()) {
        say("")?;
        for line in stored.history_lines(&player, style).await? {
            say(&line)?;
        }
    }
    Ok(())
}

/// The event files of a folder, in the order of their names.
fn events(folder: &Path) -> Result<Vec<EventFile>, DemoError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| DemoError::File { path, detail: error.to_string() }
    };
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(DemoError::File { path: folder.to_owned(), detail: "there are no events in it".to_owned() });
    }
    paths.sort();
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).map_err(failed(&path))?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(EventFile { name, bytes })
    };
    paths.into_iter().map(read).collect()
}

/// Writes a line; a terminal that has gone away is an error and no panic.
pub fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
