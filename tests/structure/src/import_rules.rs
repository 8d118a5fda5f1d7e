//! Rules on the imports between files.

use std::path::{Path, PathBuf};

use petgraph::{algo::tarjan_scc, graphmap::DiGraphMap};

use crate::{imports::Imports, violation::Violation};

/// The folder whose files and folders are the steps of the pipeline.
const STEPS: &str = "shared/pipeline/src/steps";

/// One violation for each import between files that import each other, directly or through others.
pub fn check_cycles(root: &Path, imports: &Imports) -> Vec<Violation> {
    let edges = imports.keys().map(|(from, to)| (from.as_path(), to.as_path()));
    let groups = tarjan_scc(&DiGraphMap::<&Path, ()>::from_edges(edges));
    let is_in_cycle = |from: &PathBuf, to: &PathBuf| {
        groups.iter().any(|group| group.contains(&from.as_path()) && group.contains(&to.as_path()))
    };
    let in_cycles = imports.iter().filter(|((from, to), _)| is_in_cycle(from, to));
    in_cycles.map(|import| violation(root, import, "an import in a cycle of imports")).collect()
}

/// One violation for each import between two steps. One if there are no steps, because then they
/// have moved.
pub fn check_steps(root: &Path, imports: &Imports) -> Vec<Violation> {
    let steps = root.join(STEPS);
    if !steps.is_dir() {
        return vec![Violation { file: STEPS.to_owned(), line: 1, message: "the pipeline has no steps".to_owned() }];
    }
    let step = |file: &PathBuf| {
        let name = file.strip_prefix(&steps).ok()?.iter().next()?;
        Some(Path::new(name).with_extension("")).filter(|name| name.as_os_str() != "mod")
    };
    let between = imports.iter().filter(|((from, to), _)| match (step(from), step(to)) {
        (Some(from), Some(to)) => from != to,
        _ => false,
    });
    between.map(|import| violation(root, import, "a step imports another step")).collect()
}

fn violation(root: &Path, ((from, to), line): (&(PathBuf, PathBuf), &usize), problem: &str) -> Violation {
    let relative = |file: &Path| file.strip_prefix(root).unwrap_or(file).display().to_string();
    Violation { file: relative(from), line: *line, message: format!("{problem}: {}", relative(to)) }
}
