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

#[test]
fn suite_contains_every_case() {
    let suite = include_str!("../src/conformance/suite.rs");
    let cases = [
        include_str!("../src/conformance/due.rs"),
        include_str!("../src/conformance/queues.rs"),
        include_str!("../src/conformance/records.rs"),
    ];
    let names: Vec<_> = cases
        .iter()
        .flat_map(|source| source.split("pub async fn ").skip(1))
        .filter_map(|rest| rest.split('(').next())
        .collect();
    assert_eq!(names.len(), 39, "{names:?}");
    for name in names {
        assert!(suite.contains(&format!("::{name},")), "{name} is not in the list of conformance_tests!");
    }
}
