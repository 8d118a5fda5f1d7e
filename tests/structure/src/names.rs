//! Finds the file that defines what a path names.

use crate::modules::ModuleTree;

/// How many re-exports a name may pass. Import cycles between names end here.
const MAX_DEPTH: usize = 16;

/// The target of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Definition {
    /// A module, by its position in the tree.
    Module(usize),
    /// An item.
    Item {
        /// The file that defines it.
        file: String,
        /// Its name there.
        name: String,
    },
}

impl ModuleTree {
    /// Resolves `path` in the module `module`. Re-exports are followed to the definition. None if
    /// the path leads out of the crate.
    ///
    /// Items that a macro defines are not visible here. If the last name of a path is not found, it
    /// counts as an item of the module before it, because the compiler accepts the path.
    pub fn resolve(&self, module: usize, path: &[String]) -> Option<Definition> {
        self.resolve_within(module, path, false, MAX_DEPTH)
    }

    fn resolve_within(&self, module: usize, path: &[String], is_prefix: bool, depth: usize) -> Option<Definition> {
        let depth = depth.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        let mut found = match first.as_str() {
            "crate" => Definition::Module(0),
            "self" => Definition::Module(module),
            "super" => Definition::Module(self.modules[module].parent?),
            "Self" => return None,
            name => self.look_up(module, name, is_prefix || !rest.is_empty(), depth)?,
        };
        for (at, name) in rest.iter().enumerate() {
            // The rest of the path names a variant or an associated item.
            let Definition::Module(inner) = found else { break };
            let is_prefix = is_prefix || at + 1 < rest.len();
            found = match name.as_str() {
                "super" => Definition::Module(self.modules[inner].parent?),
                name => self.look_up(inner, name, is_prefix, depth).unwrap_or_else(|| Definition::Item {
                    file: self.modules[inner].file.clone(),
                    name: name.to_owned(),
                }),
            };
        }
        Some(found)
    }

    /// Resolves a single name in a module. A module and a function may have the same name. Then
    /// `is_prefix` selects the module.
    fn look_up(&self, at: usize, name: &str, is_prefix: bool, depth: usize) -> Option<Definition> {
        let module = &self.modules[at];
        let child = module.children.get(name).map(|child| Definition::Module(*child));
        if is_prefix && child.is_some() {
            return child;
        }
        if module.contents.items.contains(name) {
            return Some(Definition::Item { file: module.file.clone(), name: name.to_owned() });
        }
        let imports = module.contents.imports.iter().filter(|import| import.name == name);
        let mut imported: Vec<Definition> =
            imports.filter_map(|import| self.resolve_within(at, &import.path, is_prefix, depth)).collect();
        imported.sort_by_key(|definition| matches!(definition, Definition::Module(_)) != is_prefix);
        imported.into_iter().next().or(child).or_else(|| {
            module.contents.globs.iter().find_map(|glob| match self.resolve_within(at, glob, true, depth)? {
                Definition::Module(inner) if inner != at => self.look_up(inner, name, is_prefix, depth.checked_sub(1)?),
                _ => None,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::references::ParsedFiles;

    const LIBRARY: [(&str, &str); 5] = [
        ("lib.rs", "mod a; mod b; mod c; mod d; pub use b::B; pub use a::Made;"),
        ("a.rs", "make!(Made); pub enum A { X }"),
        ("b.rs", "pub struct B; pub fn b() {}"),
        ("c.rs", "use crate::b::{self, b as function}; pub use crate::a::*;"),
        ("d.rs", "use super::*; use crate::c; use tokio::spawn;"),
    ];

    fn file_of(module: usize, path: &str) -> Option<String> {
        let parse = |text: &str| syn::parse_file(text).expect("the code parses");
        let files: ParsedFiles = LIBRARY.iter().map(|(path, text)| ((*path).to_owned(), parse(text))).collect();
        let tree = ModuleTree::new("lib.rs", &files).expect("the root exists");
        let path: Vec<String> = path.split("::").map(str::to_owned).collect();
        match tree.resolve(module, &path)? {
            Definition::Item { file, .. } => Some(file),
            Definition::Module(module) => Some(format!("module of {}", tree.modules[module].file)),
        }
    }

    #[test]
    fn re_exports_and_globs_lead_to_the_definition() {
        assert_eq!(file_of(4, "B").as_deref(), Some("b.rs"), "a glob of a re-export");
        assert_eq!(file_of(4, "c::A::X").as_deref(), Some("a.rs"), "a variant through a module");
        assert_eq!(file_of(3, "function").as_deref(), Some("b.rs"), "a renamed import");
    }

    #[test]
    fn a_name_that_a_macro_defines_belongs_to_the_module_of_the_path() {
        assert_eq!(file_of(0, "Made").as_deref(), Some("a.rs"));
        assert_eq!(file_of(2, "crate::Made").as_deref(), Some("a.rs"));
    }

    #[test]
    fn a_module_and_a_function_of_one_name_are_told_apart() {
        assert_eq!(file_of(3, "b").as_deref(), Some("module of b.rs"));
        assert_eq!(file_of(3, "b::b").as_deref(), Some("b.rs"));
    }

    #[test]
    fn other_crates_are_not_resolved() {
        assert_eq!(file_of(4, "spawn"), None);
        assert_eq!(file_of(4, "serde::Serialize"), None);
    }
}
