//! Runs all rules over a checkout.

use std::{io, path::Path};

use crate::{
    import_graph::ImportGraph,
    modules::ModuleTree,
    packages::{self, Package, PackagesError},
    references::ParsedFiles,
    rules::{
        file_length, forbidden_words, functions, import_cycles,
        layers::{self, Dependencies},
        prose_width, steps, waivers,
    },
    source::{self, Language, SourceFile},
    violation::Violation,
};

/// Why a checkout cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The packages cannot be listed.
    #[error(transparent)]
    Packages(#[from] PackagesError),
    /// A file or folder cannot be read.
    #[error("the files cannot be read: {0}")]
    Files(#[from] io::Error),
}

/// Every violation in the checkout at `root`, sorted by file and line.
///
/// # Errors
/// [`CheckError`] if the packages or files cannot be read. A Rust file that does not parse is a
/// violation.
pub fn check(root: &Path) -> Result<Vec<Violation>, CheckError> {
    let root = root.canonicalize()?;
    let packages = packages::list(&root)?;
    let files = source::collect(&root)?;
    let mut violations: Vec<Violation> = files.iter().flat_map(check_text).collect();
    let parsed = parse(&files, &mut violations);
    for (path, syntax) in &parsed {
        violations.extend(functions::check(path, syntax));
        violations.extend(waivers::check(path, syntax));
    }
    let graph = ImportGraph::new(trees(&packages, &root, &parsed));
    violations.extend(import_cycles::check(&graph));
    violations.extend(steps::check(&graph, parsed.keys().map(String::as_str)));
    let dependencies: Vec<Dependencies> = packages.iter().map(|package| dependencies(package, &root)).collect();
    violations.extend(layers::check(&dependencies));
    violations.sort();
    Ok(violations)
}

fn check_text(file: &SourceFile) -> Vec<Violation> {
    let mut violations = prose_width::check(file);
    violations.extend(forbidden_words::check(file));
    violations.extend(file_length::check(file));
    violations.extend(waivers::check_manifest(file));
    violations
}

fn parse(files: &[SourceFile], violations: &mut Vec<Violation>) -> ParsedFiles {
    let mut parsed = ParsedFiles::new();
    for file in files.iter().filter(|file| file.language == Language::Rust) {
        match syn::parse_file(&file.text) {
            Ok(syntax) => drop(parsed.insert(file.path.clone(), syntax)),
            Err(error) => violations.push(Violation {
                file: file.path.clone(),
                line: error.span().start().line,
                rule: "syntax",
                message: format!("syn cannot parse the file: {error}"),
            }),
        }
    }
    parsed
}

/// The module tree of each library, binary, test, benchmark and example.
fn trees<'a>(
    packages: &'a [Package],
    root: &'a Path,
    parsed: &'a ParsedFiles,
) -> impl Iterator<Item = ModuleTree> + 'a {
    let targets = packages.iter().flat_map(|package| &package.targets);
    targets.filter_map(move |target| ModuleTree::new(&relative(&target.src_path, root), parsed))
}

fn dependencies(package: &Package, root: &Path) -> Dependencies {
    let shipped = package.dependencies.iter().filter(|dependency| dependency.kind.as_deref() != Some("dev"));
    Dependencies {
        package: package.name.clone(),
        manifest: relative(&package.manifest_path, root),
        names: shipped.filter(|one| one.path.is_some()).map(|one| one.name.clone()).collect(),
    }
}

fn relative(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}
