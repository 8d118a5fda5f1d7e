//! The files that the rules read.

use std::{fs, io, path::Path};

/// Folders with generated or downloaded files.
const SKIPPED_FOLDERS: [&str; 3] = ["target", "node_modules", "cdk.out"];

/// How a file marks its comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// `*.rs`
    Rust,
    /// `*.ts`
    TypeScript,
    /// `*.md`: all of it is prose.
    Markdown,
    /// Manifests, make files, YAML and scripts: comments begin with `#`.
    Configuration,
}

impl Language {
    /// The language of a file, by its name. None for files that the rules do not read.
    pub fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        if name == "Makefile" || path.starts_with("scripts/") {
            return Some(Self::Configuration);
        }
        match name.rsplit_once('.')?.1 {
            "rs" => Some(Self::Rust),
            "ts" => Some(Self::TypeScript),
            "md" => Some(Self::Markdown),
            "toml" | "yaml" | "yml" | "sh" => Some(Self::Configuration),
            _ => None,
        }
    }
}

/// A text file of the workspace.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Relative to the root of the workspace, with `/` between the folders.
    pub path: String,
    /// The language, as its name tells.
    pub language: Language,
    /// All of it.
    pub text: String,
}

impl SourceFile {
    /// A file with this text. None if no rule reads files of this name.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Option<Self> {
        let path = path.into();
        Some(Self { language: Language::of(&path)?, path, text: text.into() })
    }
}

/// All files below `root` that the rules read, sorted by path. Hidden folders, symbolic links and
/// generated files are left out.
///
/// # Errors
/// The first file or folder that cannot be read.
pub fn collect(root: &Path) -> io::Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    collect_folder(root, "", &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn collect_folder(root: &Path, folder: &str, files: &mut Vec<SourceFile>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        let kind = entry.file_type()?;
        if name.starts_with('.') || SKIPPED_FOLDERS.contains(&name.as_str()) {
            continue;
        }
        if kind.is_dir() {
            collect_folder(root, &path, files)?;
        } else if kind.is_file() && Language::of(&path).is_some() {
            files.extend(SourceFile::new(path, fs::read_to_string(entry.path())?));
        }
    }
    Ok(())
}
