//! The files in `events/`, in the order of their names. Tests deliver them in this order.

use std::fs;

use serde_json::Value;

use crate::binary::workspace;

/// One event file.
#[derive(Debug, Clone)]
pub struct EventFile {
    /// The file name, such as `01-sqs-commands-fifo.json`.
    pub name: String,
    /// The content, as it is delivered.
    pub bytes: Vec<u8>,
    /// The content as JSON.
    pub json: Value,
}

/// All event files.
pub fn all() -> Vec<EventFile> {
    let folder = workspace().join("events");
    let mut files: Vec<EventFile> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("the folder is readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let json = serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
            EventFile { name, bytes, json }
        })
        .collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!files.is_empty(), "there are no event files in {}", folder.display());
    files
}
