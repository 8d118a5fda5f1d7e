//! The modules of one target and the files that they are in.

use std::collections::BTreeMap;

use syn::{Attribute, Expr, Item, Lit, Meta};

use crate::references::{Contents, ParsedFiles};

/// One module.
#[derive(Debug)]
pub struct Module {
    /// The file with its code. Inline modules are in the file of their parents.
    pub file: String,
    /// The module around it. None for the root.
    pub parent: Option<usize>,
    /// The modules inside it, by name.
    pub children: BTreeMap<String, usize>,
    /// The names that it defines, imports and refers to.
    pub contents: Contents,
}

/// All modules of a library, binary, test, benchmark or example. The root is the first one.
#[derive(Debug)]
pub struct ModuleTree {
    /// The modules. They refer to each other by their positions.
    pub modules: Vec<Module>,
}

impl ModuleTree {
    /// Reads the target whose root file is `root`. None if `files` do not have it.
    pub fn new(root: &str, files: &ParsedFiles) -> Option<Self> {
        let mut tree = Self { modules: Vec::new() };
        let folder = folder_of(root);
        tree.add(root, &files.get(root)?.items, &folder, None, files);
        Some(tree)
    }

    /// Adds a module and its inner modules. Their files are in `folder`.
    fn add(&mut self, file: &str, items: &[Item], folder: &str, parent: Option<usize>, files: &ParsedFiles) -> usize {
        let at = self.modules.len();
        let contents = Contents::of(items);
        self.modules.push(Module { file: file.to_owned(), parent, children: BTreeMap::new(), contents });
        for item in items {
            let Item::Mod(item) = item else { continue };
            let name = item.ident.to_string();
            let child = match (&item.content, module_file(file, folder, &name, &item.attrs, files)) {
                (Some((_, items)), _) => Some(self.add(file, items, &join(folder, &name), Some(at), files)),
                (None, Some((path, folder))) => Some(self.add(&path, &files[&path].items, &folder, Some(at), files)),
                (None, None) => None,
            };
            if let Some(child) = child {
                self.modules[at].children.insert(name, child);
            }
        }
        at
    }
}

/// The file of the module `name`, and the folder of the modules inside it.
fn module_file(
    file: &str,
    folder: &str,
    name: &str,
    attributes: &[Attribute],
    files: &ParsedFiles,
) -> Option<(String, String)> {
    let with_path = path_attribute(attributes).map(|path| {
        let path = join(&folder_of(file), &path);
        let folder = folder_of(&path);
        (path, folder)
    });
    let inner = join(folder, name);
    let usual = [(format!("{inner}.rs"), inner.clone()), (format!("{inner}/mod.rs"), inner.clone())];
    with_path.into_iter().chain(usual).find(|(path, _)| files.contains_key(path))
}

/// The value of `#[path = "..."]`.
fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    let mut values = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => Some(&pair.value),
        _ => None,
    });
    match values.next()? {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

fn folder_of(path: &str) -> String {
    path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned()
}

/// `path` below `folder`, with `..` taken out.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(texts: &[(&str, &str)]) -> ParsedFiles {
        let parse = |text: &str| syn::parse_file(text).expect("the code parses");
        texts.iter().map(|(path, text)| ((*path).to_owned(), parse(text))).collect()
    }

    fn module_files(texts: &[(&str, &str)]) -> Vec<String> {
        let tree = ModuleTree::new(texts[0].0, &files(texts)).expect("the root exists");
        tree.modules.into_iter().map(|module| module.file).collect()
    }

    #[test]
    fn modules_are_found_beside_the_root_and_below_their_parents() {
        let found = module_files(&[
            ("x/src/lib.rs", "mod a; mod d;"),
            ("x/src/a.rs", "mod b;"),
            ("x/src/a/b.rs", ""),
            ("x/src/d/mod.rs", "mod e;"),
            ("x/src/d/e.rs", ""),
        ]);
        assert_eq!(found, ["x/src/lib.rs", "x/src/a.rs", "x/src/a/b.rs", "x/src/d/mod.rs", "x/src/d/e.rs"]);
    }

    #[test]
    fn inline_modules_are_in_the_file_of_their_parent() {
        let found = module_files(&[("src/lib.rs", "mod a { mod b; }"), ("src/a/b.rs", "")]);
        assert_eq!(found, ["src/lib.rs", "src/lib.rs", "src/a/b.rs"]);
    }

    #[test]
    fn a_path_attribute_names_the_file() {
        let found = module_files(&[("t/a.rs", "#[path = \"../s/x.rs\"] mod b;"), ("s/x.rs", "")]);
        assert_eq!(found, ["t/a.rs", "s/x.rs"]);
    }
}
