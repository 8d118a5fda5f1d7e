//! Files of the workspace.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use crate::error::DemoError;

/// An event file.
pub struct EventFile {
    pub name: String,
    pub bytes: Bytes,
}

/// The root of the workspace.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// The JSON files of a folder, in the order of their names.
pub fn events(folder: &Path) -> Result<Vec<EventFile>, DemoError> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(file_error(folder))? {
        let path = entry.map_err(file_error(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(DemoError::File { path: folder.to_owned(), detail: "the folder has no events".to_owned() });
    }
    paths.sort();
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).map_err(file_error(&path))?.into();
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(EventFile { name, bytes })
    };
    paths.into_iter().map(read).collect()
}

/// The error of an operation on the file at `path`.
pub fn file_error(path: &Path) -> impl FnOnce(io::Error) -> DemoError + use<> {
    let path = path.to_owned();
    move |error| DemoError::File { path, detail: error.to_string() }
}
