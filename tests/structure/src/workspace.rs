//! Runs all rules over a workspace.

use std::{fs, path::Path};

use cargo_metadata::MetadataCommand;
use walkdir::{DirEntry, WalkDir};

use crate::{
    import_rules,
    imports::{self, Imports},
    text_rules,
    violation::{CheckError, Violation},
};

/// Folders with generated or downloaded files. Hidden folders are not read either.
const SKIPPED_FOLDERS: [&str; 3] = ["target", "node_modules", "cdk.out"];

/// Every violation in the workspace at `root`, sorted by file and line.
///
/// # Errors
/// [`CheckError`] if the crates or files cannot be read.
pub fn check(root: &Path) -> Result<Vec<Violation>, CheckError> {
    let root = &root.canonicalize().map_err(|error| CheckError::file(root, &error))?;
    let mut violations = check_texts(root)?;
    let metadata = MetadataCommand::new().manifest_path(root.join("Cargo.toml")).no_deps().exec()?;
    let mut imports = Imports::new();
    for target in metadata.packages.iter().flat_map(|package| &package.targets) {
        imports::add_target(&mut imports, target.src_path.as_std_path())?;
    }
    violations.extend(import_rules::check_cycles(root, &imports));
    violations.extend(import_rules::check_steps(root, &imports));
    violations.sort();
    Ok(violations)
}

fn check_texts(root: &Path) -> Result<Vec<Violation>, CheckError> {
    let is_read = |entry: &DirEntry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() == 0 || !(name.starts_with('.') || SKIPPED_FOLDERS.contains(&&*name))
    };
    let mut violations = Vec::new();
    for entry in WalkDir::new(root).into_iter().filter_entry(is_read) {
        let entry = entry?;
        let path = entry.path().strip_prefix(root).unwrap_or(entry.path()).to_string_lossy();
        if let Some(marks) = text_rules::comment_marks(&path).filter(|_| entry.file_type().is_file()) {
            let text = fs::read_to_string(entry.path()).map_err(|error| CheckError::file(entry.path(), &error))?;
            violations.extend(text_rules::check(&path, marks, &text));
        }
    }
    Ok(violations)
}
