//! Processes that share a file. Each test starts its binary again with the file in the environment.

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
    conformance::{load_queue, sample, write_records},
    sqlite::{SqliteSettings, SqliteStore},
};

/// Environment variable with the file. It is set in started processes only.
const FILE: &str = "MILLRACE_TEST_FILE";
/// Environment variable with the number of a started process.
const NUMBER: &str = "MILLRACE_TEST_NUMBER";

const WRITERS: usize = 8;
const LINES: u64 = 25;

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

fn settings() -> SqliteSettings {
    SqliteSettings { connect_timeout: Duration::from_secs(30), ..SqliteSettings::default() }
}

fn shared(number: usize) -> PlayerId {
    PlayerId::new(&format!("shared-{number}")).unwrap()
}

async fn load(store: &SqliteStore, player: &PlayerId) -> Option<QueueRow> {
    load_queue(store, player).await.unwrap()
}

/// Appends a line to the bytes of a queue; repeats after a version conflict.
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
fn concurrent_processes_lose_no_commit() {
    if let Some(file) = env::var_os(FILE) {
        let number: usize = env::var(NUMBER).unwrap().parse().unwrap();
        block_on(async {
            // All processes create the file concurrently.
            let store = SqliteStore::open(file, settings()).await.unwrap();
            for line in 0..LINES {
                // All processes write the same two queues, and each writes a history row.
                append(&store, &shared(line as usize % 2), &format!("{number}.{line}")).await;
                let row = sample::history(&shared(0), &format!("t-{number}.{line}"), sample::now());
                assert_eq!(write_records(&store, Table::History, &[Record::History(Box::new(row))]).await, Ok(vec![]));
            }
        });
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new/folder/millrace.db");
    let writers: Vec<_> =
        (0..WRITERS).map(|number| start("concurrent_processes_lose_no_commit", &file, number)).collect();
    for writer in writers {
        let output = writer.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }
    block_on(async {
        let store = SqliteStore::open(&file, settings()).await.unwrap();
        let mut lines = Vec::new();
        let mut commits = 0;
        for number in 0..2 {
            let row = load(&store, &shared(number)).await.unwrap();
            commits += row.version;
            lines.extend(String::from_utf8(row.queue).unwrap().lines().map(str::to_owned));
        }
        let mut expected: Vec<_> =
            (0..WRITERS).flat_map(|number| (0..LINES).map(move |line| format!("{number}.{line}"))).collect();
        lines.sort();
        expected.sort();
        assert_eq!(lines, expected, "each line is there once");
        assert_eq!(commits, WRITERS as u64 * LINES, "each commit has a version");
        let history = store.history(&shared(0), 1000, None).await.unwrap();
        assert_eq!(history.items.len(), WRITERS * LINES as usize);
    });
}

#[test]
fn acknowledged_commits_survive_a_kill() {
    if let Some(file) = env::var_os(FILE) {
        block_on(async {
            let store = SqliteStore::open(file, settings()).await.unwrap();
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
    let mut writer = start("acknowledged_commits_survive_a_kill", &file, 0);
    let lines = BufReader::new(writer.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut acknowledged = lines.filter_map(|line| line.rsplit_once("committed ").map(|(_, n)| n.parse().unwrap()));
    let mut last: u64 = acknowledged.by_ref().nth(49).unwrap();
    writer.kill().unwrap();
    writer.wait().unwrap();
    // Commits between the line that was read and the kill.
    last = acknowledged.last().unwrap_or(last);
    block_on(async {
        let store = SqliteStore::open(&file, settings()).await.unwrap();
        let row = load(&store, &shared(0)).await.unwrap();
        assert!(row.version == last || row.version == last + 1, "acknowledged {last}, found {}", row.version);
        assert_eq!(row.queue, sample::write(&shared(0), row.version - 1).queue);
        append(&store, &shared(0), "next").await;
    });
}
