//! The size of the uploaded files, as `cargo lambda build --output-format zip` creates them.

use std::{fs, path::Path};

use crate::{
    subject::{FLOOR, FUNCTION},
    table::{Table, Target},
};

/// The target for the zip file, in bytes.
const LIMIT: f64 = 5e6;

/// Compares the files of both functions.
///
/// # Panics
/// If a file is missing.
pub fn measure(directory: &Path) -> Table {
    let size = |name: &str, file: &str| {
        let path = directory.join(name).join(file);
        let metadata = fs::metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        metadata.len() as f64
    };
    let mut table = Table::new("Size", &["file", FLOOR, FUNCTION, "times"]);
    for (file, target) in [("bootstrap.zip", Some(LIMIT)), ("bootstrap", None)] {
        let [floor, function] = [FLOOR, FUNCTION].map(|name| size(name, file));
        let cells = [mb(floor), mb(function), format!("{:.2}", function / floor)];
        match target {
            Some(limit) => table.row_with_target(file, &cells, Target::at_most("at most 5 MB", function, limit)),
            None => table.row(file, &cells),
        }
    }
    table
}

fn mb(bytes: f64) -> String {
    format!("{:.2} MB", bytes / 1e6)
}
