//! The steps of the pipeline do not import each other. Each step is a file, or a folder, of
//! `shared/pipeline/src/steps`.

use crate::{import_graph::ImportGraph, violation::Violation};

const RULE: &str = "steps";
const FOLDER: &str = "shared/pipeline/src/steps/";

/// One violation for each import between two steps, or one if `files` have no step.
pub fn check<'a>(graph: &ImportGraph, mut files: impl Iterator<Item = &'a str>) -> Vec<Violation> {
    if !files.any(|file| step(file).is_some()) {
        let message = "no step of the pipeline is found: the rule has lost its subject".to_owned();
        return vec![Violation { file: FOLDER.to_owned(), line: 1, rule: RULE, message }];
    }
    let imports = graph.imports.iter().filter(|((from, to), _)| match (step(from), step(to)) {
        (Some(from), Some(to)) => from != to,
        _ => false,
    });
    imports
        .flat_map(|((from, to), names)| {
            names.iter().map(move |(name, line)| Violation {
                file: from.clone(),
                line: *line,
                rule: RULE,
                message: format!("a step imports {name} from another step, {to}"),
            })
        })
        .collect()
}

/// The step that a file belongs to. None for other files and for the module that declares the
/// steps.
fn step(path: &str) -> Option<&str> {
    let name = path.strip_prefix(FOLDER)?.split('/').next()?;
    let name = name.strip_suffix(".rs").unwrap_or(name);
    (name != "mod").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(imports: &[(&str, &str)]) -> usize {
        let mut graph = ImportGraph::default();
        for (from, to) in imports {
            let key = (format!("{FOLDER}{from}"), format!("{FOLDER}{to}"));
            graph.imports.insert(key, [("load".to_owned(), 3)].into());
        }
        check(&graph, [format!("{FOLDER}load.rs").as_str()].into_iter()).len()
    }

    #[test]
    fn a_step_that_imports_another_step_is_refused() {
        assert_eq!(violations(&[("apply.rs", "load.rs"), ("commit/retry.rs", "load/rows.rs")]), 2);
    }

    #[test]
    fn files_of_one_step_may_import_each_other() {
        assert_eq!(violations(&[("load.rs", "load/rows.rs"), ("mod.rs", "load.rs")]), 0);
    }

    #[test]
    fn a_pipeline_without_steps_is_refused() {
        assert_eq!(check(&ImportGraph::default(), ["shared/pipeline/src/lib.rs"].into_iter()).len(), 1);
    }
}
