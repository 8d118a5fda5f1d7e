//! Which file imports what from which other file.
//!
//! A file *imports* the file that defines an item if its code names that item: in a `use`
//! declaration, or by a path in an expression, a type, a pattern, a macro or an attribute.
//! Re-exports are followed, so a child that imports its sibling through their parent does not
//! import the parent. A `mod` declaration and a path to a module alone are no imports. A `use`
//! declaration counts, whether it is public or not: a parent that re-exports a child imports the
//! child, so the child must not import items that the parent itself defines.
//!
//! Method calls are not resolved. Imports between crates are left out, because Cargo refuses cycles
//! there.

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
