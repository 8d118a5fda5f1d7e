//! Processes that share a file. Each test starts its own binary again, which then plays its part.

mod common;

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    time::Duration,
};

use millrace_domain::{PlayerId, Record, record::Table};
use millrace_store::{
    CommitError, QueueRow, QueueStore, QueueWrite, RecordStore, StoreError,
    conformance::sample,
    sqlite::{SqliteSettings, SqliteStore},
};

/// Tells a started process which file to use, and so that it is one.
const FILE: &str = "MILLRACE_TEST_FILE";
/// Tells a started process its number.
const NUMBER: &str = "MILLRACE_TEST_NUMBER";

const WRITERS: usize = 8;
const ROUNDS: u64 = 25;

fn start(test: &str, file: &std::path::Path, number: usize) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(FILE, file)
        .env(NUMBER, number.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn patient() -> SqliteSettings {
    SqliteSettings { connect_timeout: Duration::from_secs(30), ..SqliteSettings::default() }
}

fn shared(number: usize) -> PlayerId {
    PlayerId::new(&format!("shared-{number}")).unwrap()
}

async fn load(store: &SqliteStore, player: &PlayerId) -> Option<QueueRow> {
    store.load(std::slice::from_ref(player), &[]).await.queues.remove(0).unwrap()
}

/// Adds a line to a queue's bytes; repeats until it meets no conflict.
async fn append(store: &SqliteStore, player: &PlayerId, line: &str) {
    loop {
        let (version, mut queue) = load(store, player).await.map_or((0, Vec::new()), |row| (row.version, row.queue));
        writeln!(queue, "{line}").unwrap();
        match store.commit(&[QueueWrite { queue, ..sample::write(player, version) }]).await.outcomes.remove(0) {
            Ok(()) => return,
            Err(CommitError::Conflict | CommitError::Store(StoreError::Throttled { .. })) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn processes_that_share_a_file_lose_nothing() {
    if let Some(file) = env::var_os(FILE) {
        let number: usize = env::var(NUMBER).unwrap().parse().unwrap();
        block_on(async {
            // All open the file at once, when there is none.
            let store = SqliteStore::open(file, patient()).await.unwrap();
            for round in 0..ROUNDS {
                // Two rows that all of them write, and a row of history each.
                append(&store, &shared(round as usize % 2), &format!("{number}.{round}")).await;
                let row = sample::history(&shared(0), &format!("t-{number}.{round}"), sample::now());
                assert_eq!(store.write(Table::History, &[Record::History(Box::new(row))]).await, Ok(vec![]));
            }
        });
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new/folder/millrace.db");
    let writers: Vec<_> =
        (0..WRITERS).map(|number| start("processes_that_share_a_file_lose_nothing", &file, number)).collect();
    for writer in writers {
        let output = writer.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }
    block_on(async {
        let store = SqliteStore::open(&file, patient()).await.unwrap();
        let mut lines = Vec::new();
        let mut commits = 0;
        for number in 0..2 {
            let row = load(&store, &shared(number)).await.unwrap();
            commits += row.version;
            lines.extend(String::from_utf8(row.queue).unwrap().lines().map(str::to_owned));
        }
        let mut wanted: Vec<_> =
            (0..WRITERS).flat_map(|number| (0..ROUNDS).map(move |round| format!("{number}.{round}"))).collect();
        lines.sort();
        wanted.sort();
        assert_eq!(lines, wanted, "each line once");
        assert_eq!(commits, WRITERS as u64 * ROUNDS, "one version a commit");
        let history = store.history(&shared(0), 1000, None).await.unwrap();
        assert_eq!(history.items.len(), WRITERS * ROUNDS as usize);
    });
}

#[test]
fn what_a_killed_process_was_told_is_there() {
    if let Some(file) = env::var_os(FILE) {
        block_on(async {
            let store = SqliteStore::open(file, patient()).await.unwrap();
            for version in 0.. {
                let committed = store.commit(&[sample::write(&shared(0), version)]).await;
                assert_eq!(committed.outcomes, vec![Ok(())]);
                println!("committed {}", version + 1);
            }
        });
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("millrace.db");
    let mut writer = start("what_a_killed_process_was_told_is_there", &file, 0);
    let mut said = BufReader::new(writer.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut told = said.by_ref().filter_map(|line| line.rsplit_once("committed ").map(|(_, n)| n.parse().unwrap()));
    let mut last: u64 = told.by_ref().nth(49).unwrap();
    writer.kill().unwrap();
    writer.wait().unwrap();
    // What it was told between the line that was read and its end.
    last = told.last().unwrap_or(last);
    block_on(async {
        let store = SqliteStore::open(&file, patient()).await.unwrap();
        let row = load(&store, &shared(0)).await.unwrap();
        assert!(row.version == last || row.version == last + 1, "told {last}, found {}", row.version);
        assert_eq!(row.queue, sample::write(&shared(0), row.version - 1).queue);
        append(&store, &shared(0), "and on it goes").await;
    });
}
