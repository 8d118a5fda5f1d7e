//! Every store passes the conformance suite: the one in memory, the embedded one, and two handles on
//! one file, used in turns as two processes would.

mod common;

use std::sync::Arc;

use millrace_store::{conformance::SharedStore, memory::MemoryStore, sqlite::SqliteSettings};
use tempfile::TempDir;

use common::InTurns;

async fn memory() -> (SharedStore, ()) {
    (Arc::new(MemoryStore::new()), ())
}

async fn memory_handles() -> (SharedStore, ()) {
    let store = MemoryStore::new();
    (Arc::new(InTurns::new(store.handle(), store)), ())
}

async fn sqlite() -> (SharedStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Arc::new(common::open(&folder, SqliteSettings::default()).await), folder)
}

async fn sqlite_handles() -> (SharedStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let settings = SqliteSettings { prefix: "test.".to_owned(), ..SqliteSettings::default() };
    let (one, other) = tokio::join!(common::open(&folder, settings.clone()), common::open(&folder, settings.clone()));
    (Arc::new(InTurns::new(one, other)), folder)
}

mod memory_store {
    millrace_store::conformance_tests!(super::memory);
}

mod two_handles_in_memory {
    millrace_store::conformance_tests!(super::memory_handles);
}

mod sqlite_store {
    millrace_store::conformance_tests!(super::sqlite);
}

mod two_handles_on_one_file {
    millrace_store::conformance_tests!(super::sqlite_handles);
}

#[test]
fn every_case_of_the_suite_is_run() {
    let suite = include_str!("../src/conformance/mod.rs");
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
    assert!(names.len() >= 36, "{names:?}");
    for name in names {
        assert!(suite.contains(&format!("::{name},")), "{name} is not in the list of conformance_tests!");
    }
}
