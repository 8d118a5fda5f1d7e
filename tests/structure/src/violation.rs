//! What the rules find, and why they cannot run.

use std::{fmt, path::Path};

/// One place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The file, relative to the root of the workspace.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The problem, in one line.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// Why a workspace cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// Cargo does not list the crates.
    #[error(transparent)]
    Crates(#[from] cargo_metadata::Error),
    /// A folder cannot be listed.
    #[error(transparent)]
    Folder(#[from] walkdir::Error),
    /// A file cannot be read or parsed.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: String,
        /// Why not.
        problem: String,
    },
}

impl CheckError {
    pub(crate) fn file(path: &Path, problem: &dyn fmt::Display) -> Self {
        Self::File { path: path.display().to_string(), problem: problem.to_string() }
    }
}
