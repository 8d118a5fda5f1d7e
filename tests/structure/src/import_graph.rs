//! The imports between the files of a workspace.
//!
//! File A *imports* file B if the code of A names an item that B defines. The name may be in a
//! `use` declaration, or in a path of an expression, type, pattern, macro or attribute.
//!
//! - Re-exports are followed. A child that imports its sibling through their parent imports the
//!   sibling, not the parent.
//! - A `pub use` counts like any `use`. A parent that re-exports a child imports it, so the child
//!   must not import items that the parent file itself defines.
//! - A `mod` declaration is not an import, and neither is a path that names only a module.
//! - Inline modules belong to their file, unit tests included.
//! - Method calls are not resolved.
//! - Imports between crates are left out, because Cargo refuses cycles between crates.

use std::collections::{BTreeMap, BTreeSet};

use crate::{modules::ModuleTree, names::Definition};

/// The names that one file takes from another, with the line of the first use of each.
pub type ImportedNames = BTreeMap<String, usize>;

/// The imports of all targets together.
#[derive(Debug, Default)]
pub struct ImportGraph {
    /// By importing file and imported file.
    pub imports: BTreeMap<(String, String), ImportedNames>,
}

impl ImportGraph {
    /// The imports between the files of these targets.
    pub fn new(trees: impl IntoIterator<Item = ModuleTree>) -> Self {
        let mut graph = Self::default();
        for tree in trees {
            for (at, module) in tree.modules.iter().enumerate() {
                for reference in &module.contents.references {
                    if let Some(Definition::Item { file, name }) = tree.resolve(at, &reference.path)
                        && file != module.file
                    {
                        let names = graph.imports.entry((module.file.clone(), file)).or_default();
                        let line = names.entry(name).or_insert(reference.line);
                        *line = reference.line.min(*line);
                    }
                }
            }
        }
        graph
    }

    /// All files that import or are imported.
    pub fn files(&self) -> BTreeSet<&str> {
        self.imports.keys().flat_map(|(from, to)| [from.as_str(), to.as_str()]).collect()
    }
}
