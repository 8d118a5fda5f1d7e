//! The conformance suite on the store in memory and the embedded store. The embedded store is
//! tested with one handle, and with two that are used alternately, like two processes.

mod common;

use millrace_store::{conformance::SharedStore, memory::MemoryStore, sqlite::SqliteSettings};
use tempfile::TempDir;

async fn memory() -> (SharedStore, ()) {
    (SharedStore::new(MemoryStore::new()), ())
}

async fn sqlite() -> (SharedStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (SharedStore::new(common::open(&folder, SqliteSettings::default()).await), folder)
}

async fn sqlite_handles() -> (SharedStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let settings = SqliteSettings { prefix: "test.".to_owned(), ..SqliteSettings::default() };
    let (one, other) = tokio::join!(common::open(&folder, settings.clone()), common::open(&folder, settings.clone()));
    (SharedStore::alternating(one, other), folder)
}

mod memory_store {
    millrace_store::conformance_tests!(super::memory);
}

mod sqlite_store {
    millrace_store::conformance_tests!(super::sqlite);
}

mod sqlite_store_with_two_handles {
    millrace_store::conformance_tests!(super::sqlite_handles);
}

#[tokio::test]
async fn sqlite_keeps_the_performance_history_of_all_processes() {
    use millrace_performance::{HistoryStore, Minute, conformance};
    let folder = tempfile::tempdir().unwrap();
    let mut handles: Vec<std::sync::Arc<dyn HistoryStore>> = Vec::new();
    for _ in 0..2 {
        let settings = SqliteSettings { prefix: "test.".to_owned(), ..SqliteSettings::default() };
        handles.push(std::sync::Arc::new(common::open(&folder, settings).await));
    }
    let last = Minute(29_000_000);
    conformance::a_day_of_all_processes_is_merged(&handles, last).await;
    conformance::every_figure_of_a_minute_is_read_back(&handles, last.plus(100)).await;
    conformance::a_process_reads_what_it_has_not_sent(&handles, last.plus(200)).await;
    conformance::one_process_replaces_a_state(&handles).await;
    let rows = "SELECT min(minute), max(minute) FROM \"test.performance\"";
    let kept = common::other_connection(&folder).query_row(rows, [], |row| Ok((row.get(0)?, row.get(1)?)));
    assert_eq!(kept.unwrap(), (last.plus(200).minus(1_440).0.cast_signed(), last.plus(200).0.cast_signed()));
}

#[test]
fn suite_contains_every_case() {
    let suite = include_str!("../src/conformance/suite.rs");
    let cases = [
        include_str!("../src/conformance/due.rs"),
        include_str!("../src/conformance/queues.rs"),
        include_str!("../src/conformance/records.rs"),
        include_str!("../src/conformance/scan.rs"),
    ];
    let names: Vec<_> = cases
        .iter()
        .flat_map(|source| source.split("pub async fn ").skip(1))
        .filter_map(|rest| rest.split('(').next())
        .collect();
    assert_eq!(names.len(), 41, "{names:?}");
    for name in names {
        assert!(suite.contains(&format!("::{name},")), "{name} is not in the list of conformance_tests!");
    }
}
