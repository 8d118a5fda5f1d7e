//! The imports between the files of a target.
//!
//! File A *imports* file B if a path in the code of A leads to an item that B defines. The path may
//! be in a `use` declaration, in other code, in the arguments of a macro, or in an attribute.
//!
//! - Re-exports are followed. A child that imports its sibling through their parent imports the
//!   sibling, not the parent.
//! - A `pub use` counts like any `use`. A parent that re-exports a child imports it, so the child
//!   must not import items that the parent file itself defines.
//! - A glob imports the file of its module. A path to a module is not an import.
//! - Inline modules belong to their file, unit tests included.
//! - Methods are not resolved. Single names are not either, because their `use` counts.
//! - Imports between crates are left out, because Cargo refuses cycles between crates.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::{
    Attribute, Expr, ExprLit, Item, ItemMod, ItemUse, Lit, LitStr, Macro, Meta, MetaNameValue, UseTree,
    visit::{self, Visit},
};

use crate::violation::CheckError;

/// The line of the first import, by importing file and imported file.
pub type Imports = BTreeMap<(PathBuf, PathBuf), usize>;

/// Adds the imports between the files of the target whose root file is `root`.
///
/// # Errors
/// [`CheckError`] if a file of the target cannot be read or parsed.
pub fn add_target(imports: &mut Imports, root: &Path) -> Result<(), CheckError> {
    let mut target = Target::default();
    target.add_file(root, folder_of(root), None)?;
    for (at, module) in target.modules.iter().enumerate() {
        for (path, line) in &module.paths {
            if let Some(file) = target.file_of(at, path).filter(|file| **file != module.file) {
                let first_line = imports.entry((module.file.clone(), file.clone())).or_insert(*line);
                *first_line = (*first_line).min(*line);
            }
        }
    }
    Ok(())
}

/// The modules of a library, binary, test, benchmark or example. The first one is the root.
#[derive(Default)]
struct Target {
    modules: Vec<Module>,
}

#[derive(Default)]
struct Module {
    file: PathBuf,
    parent: Option<usize>,
    children: HashMap<String, usize>,
    /// The path of each name that a `use` brings into the module.
    names: HashMap<String, Vec<String>>,
    /// The paths in its code, and their lines.
    paths: Vec<(Vec<String>, usize)>,
}

impl Target {
    /// Adds the module in `file` and the modules inside it, whose files are in `folder`.
    fn add_file(&mut self, file: &Path, folder: &Path, parent: Option<usize>) -> Result<usize, CheckError> {
        let text = fs::read_to_string(file).map_err(|error| CheckError::file(file, &error))?;
        let syntax = syn::parse_file(&text).map_err(|error| CheckError::file(file, &error))?;
        self.add_module(file, folder, parent, &syntax.items)
    }

    fn add_module(
        &mut self,
        file: &Path,
        folder: &Path,
        parent: Option<usize>,
        items: &[Item],
    ) -> Result<usize, CheckError> {
        let at = self.modules.len();
        let mut module = Module { file: file.to_owned(), parent, ..Module::default() };
        items.iter().for_each(|item| module.visit_item(item));
        self.modules.push(module);
        for item in items {
            let Item::Mod(item) = item else { continue };
            let name = item.ident.to_string();
            let inner = folder.join(&name);
            let child = if let Some((_, items)) = &item.content {
                self.add_module(file, &inner, Some(at), items)?
            } else if let Some(path) = item.attrs.iter().find_map(path_attribute) {
                let path = folder_of(file).join(path);
                let path = path.canonicalize().map_err(|error| CheckError::file(&path, &error))?;
                self.add_file(&path, folder_of(&path), Some(at))?
            } else {
                let files = [inner.with_extension("rs"), inner.join("mod.rs")];
                let file = files.iter().find(|file| file.exists()).unwrap_or(&files[0]);
                self.add_file(file, &inner, Some(at))?
            };
            self.modules[at].children.insert(name, child);
        }
        Ok(at)
    }

    /// The file that defines the item at `path`, seen from the module `at`. None if the path leads
    /// to a module or out of the crate.
    fn file_of(&self, mut at: usize, path: &[String]) -> Option<&PathBuf> {
        for (position, name) in path.iter().enumerate() {
            let (module, rest) = (&self.modules[at], &path[position + 1..]);
            let child = module.children.get(name);
            // `use serde::{self}` names another crate, not itself.
            let import = module.names.get(name).filter(|import| import[0] != *name || child.is_some());
            at = match (name.as_str(), child, import) {
                ("crate", ..) => 0,
                ("self", ..) => at,
                ("super", ..) => module.parent?,
                // A function may have the name of a module. It has no rest.
                (_, Some(child), None) => *child,
                (_, Some(child), _) if !rest.is_empty() => *child,
                (_, _, Some(import)) => return self.file_of(at, &[import, rest].concat()),
                _ => return (position > 0).then_some(&module.file),
            };
        }
        None
    }
}

impl Module {
    fn add_path(&mut self, path: Vec<String>, span: Span) {
        if path.len() > 1 {
            self.paths.push((path, span.start().line));
        }
    }

    fn add_use(&mut self, prefix: &[String], tree: &UseTree) {
        let with = |name: String| [prefix, &[name]].concat();
        let (item, name) = match tree {
            UseTree::Path(path) => return self.add_use(&with(path.ident.to_string()), &path.tree),
            UseTree::Group(group) => return group.items.iter().for_each(|tree| self.add_use(prefix, tree)),
            UseTree::Glob(glob) => return self.add_path(with("*".to_owned()), glob.star_token.span),
            UseTree::Name(name) => (&name.ident, &name.ident),
            UseTree::Rename(rename) => (&rename.ident, &rename.rename),
        };
        let path = if item == "self" { prefix.to_vec() } else { with(item.to_string()) };
        let name = if name == "self" { path.last().cloned() } else { Some(name.to_string()) };
        self.names.extend(name.map(|name| (name, path.clone())));
        self.add_path(path, item.span());
    }

    /// Adds the paths in tokens that are not parsed: the arguments of macros and attributes.
    fn scan(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rest = tokens.as_slice();
        while let [token, after @ ..] = rest {
            rest = after;
            match token {
                TokenTree::Group(group) => self.scan(group.stream()),
                TokenTree::Ident(first) => {
                    let mut path = vec![first.to_string()];
                    while let [TokenTree::Punct(colon), TokenTree::Punct(_), TokenTree::Ident(next), after @ ..] = rest
                        && colon.as_char() == ':'
                    {
                        path.push(next.to_string());
                        rest = after;
                    }
                    self.add_path(path, first.span());
                }
                // Attributes such as `#[serde(with = "crate::time")]` name modules in strings.
                TokenTree::Literal(literal) => {
                    let text = syn::parse_str::<LitStr>(&literal.to_string()).map(|text| text.value());
                    if let Ok(text) = text
                        && text.starts_with("crate::")
                    {
                        let path = text.split("::").chain(["*"]).map(str::to_owned).collect();
                        self.add_path(path, literal.span());
                    }
                }
                TokenTree::Punct(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Module {
    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add_use(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.add_path(names, path.segments[0].ident.span());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invocation: &'ast Macro) {
        self.visit_path(&invocation.path);
        self.scan(invocation.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.scan(list.tokens.clone());
        }
    }
}

/// The value of `#[path = "..."]`.
fn path_attribute(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(MetaNameValue { path, value: Expr::Lit(ExprLit { lit: Lit::Str(text), .. }), .. })
            if path.is_ident("path") =>
        {
            Some(text.value())
        }
        _ => None,
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(file)
}
