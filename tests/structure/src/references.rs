//! The references in the code of one module: imports, and paths in expressions, types and macros.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{
    Attribute, Expr, ExprCall, ExprPath, Item, ItemMod, ItemUse, Macro, UseTree,
    spanned::Spanned,
    visit::{self, Visit},
};

/// The Rust files of a checkout by their paths, relative to its root.
pub type ParsedFiles = BTreeMap<String, syn::File>;

/// A path in the source, such as `crate::stored::queue`, by its segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The segments, without generic arguments.
    pub path: Vec<String>,
    /// The line in the file, counted from 1.
    pub line: usize,
}

/// A name that a `use` declaration brings into a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The name in the module.
    pub name: String,
    /// The path that the name stands for.
    pub path: Vec<String>,
}

/// The names that one module defines, imports and refers to.
#[derive(Debug, Default)]
pub struct Contents {
    /// The names of its items, without modules.
    pub items: BTreeSet<String>,
    /// Its imports by name, public or not.
    pub imports: Vec<Import>,
    /// The paths of its glob imports.
    pub globs: Vec<Vec<String>>,
    /// All paths in its code, imports included.
    pub references: Vec<Reference>,
}

impl Contents {
    /// Reads the items of a module. Modules inside it are left out.
    pub fn of(items: &[Item]) -> Self {
        let mut contents = Self::default();
        for item in items {
            contents.items.extend(defined_name(item));
            contents.visit_item(item);
        }
        contents
    }

    /// A single name counts only where it must be an item: a local variable looks the same
    /// otherwise.
    fn refer(&mut self, path: Vec<String>, line: usize, is_called: bool) {
        let is_item = path.len() > 1 || is_called || path[0].starts_with(char::is_uppercase);
        if is_item {
            self.references.push(Reference { path, line });
        }
    }

    fn import(&mut self, prefix: &[String], tree: &UseTree) {
        let with = |name: String| prefix.iter().cloned().chain([name]).collect::<Vec<_>>();
        let line = tree.span().start().line;
        match tree {
            UseTree::Path(path) => self.import(&with(path.ident.to_string()), &path.tree),
            UseTree::Name(name) => self.import_name(prefix, &name.ident.to_string(), None, line),
            UseTree::Rename(rename) => {
                self.import_name(prefix, &rename.ident.to_string(), Some(rename.rename.to_string()), line);
            }
            UseTree::Glob(_) => self.globs.push(prefix.to_vec()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(prefix, tree)),
        }
    }

    fn import_name(&mut self, prefix: &[String], name: &str, rename: Option<String>, line: usize) {
        let mut path = prefix.to_vec();
        if name != "self" {
            path.push(name.to_owned());
        }
        let Some(last) = path.last().cloned() else { return };
        self.references.push(Reference { path: path.clone(), line });
        self.imports.push(Import { name: rename.unwrap_or(last), path });
    }

    /// The paths in tokens that are not parsed: the arguments of macros, and those of attributes,
    /// where single names are not looked at and strings are.
    fn scan(&mut self, tokens: TokenStream, is_attribute: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.scan(group.stream(), is_attribute),
                TokenTree::Ident(first) => {
                    let before = at.checked_sub(1).map(|before| &tokens[before]);
                    let mut path = vec![first.to_string()];
                    while let Some(next) = path_segment(&tokens[at + 1..]) {
                        path.push(next);
                        at += 3;
                    }
                    let is_called = is_parenthesis(tokens.get(at + 1));
                    let is_variable = path[0] != "crate" && is_punct(before, '$');
                    let is_member = is_punct(before, '.') || is_punct(tokens.get(at + 1), '!');
                    if !is_variable && (path.len() > 1 || !(is_member || is_attribute)) {
                        self.refer(path, first.span().start().line, is_called);
                    }
                }
                TokenTree::Literal(literal) if is_attribute => self.scan_literal(literal),
                TokenTree::Literal(_) | TokenTree::Punct(_) => {}
            }
            at += 1;
        }
    }

    /// Attributes such as `#[serde(with = "crate::time")]` name items in strings.
    fn scan_literal(&mut self, literal: &proc_macro2::Literal) {
        let text = literal.to_string();
        let text = text.trim_matches('"');
        if ["crate::", "super::", "self::"].iter().any(|prefix| text.starts_with(prefix))
            && let Ok(path) = syn::parse_str::<syn::Path>(text)
        {
            self.refer(segments(&path), literal.span().start().line, false);
        }
    }
}

impl<'ast> Visit<'ast> for Contents {
    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            self.import(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.refer(segments(path), path.span().start().line, false);
        }
        visit::visit_path(self, path);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(ExprPath { qself: None, path, .. }) = &*call.func
            && path.segments.len() == 1
        {
            self.refer(segments(path), path.span().start().line, true);
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_macro(&mut self, invocation: &'ast Macro) {
        self.visit_path(&invocation.path);
        self.scan(invocation.tokens.clone(), false);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.scan(list.tokens.clone(), true);
        }
    }
}

fn segments(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// The name after `::`, if the tokens begin with `::` and a name.
fn path_segment(tokens: &[TokenTree]) -> Option<String> {
    match tokens {
        [first, second, TokenTree::Ident(name), ..] if is_punct(Some(first), ':') && is_punct(Some(second), ':') => {
            Some(name.to_string())
        }
        _ => None,
    }
}

fn is_punct(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

fn is_parenthesis(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis)
}

fn defined_name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(code: &str) -> Vec<String> {
        let file = syn::parse_file(code).expect("the code parses");
        Contents::of(&file.items).references.iter().map(|reference| reference.path.join("::")).collect()
    }

    #[test]
    fn imports_are_references() {
        assert_eq!(paths("use crate::a::{self, B, c::D as E};"), ["crate::a", "crate::a::B", "crate::a::c::D"]);
        assert_eq!(paths("use ::other::A;"), [""; 0]);
    }

    #[test]
    fn paths_in_types_expressions_and_patterns_are_references() {
        let code = "fn f(x: &crate::a::T<super::U>) -> V { match x { crate::P::Q => crate::g(1) } }";
        assert_eq!(paths(code), ["crate::a::T", "super::U", "V", "crate::P::Q", "crate::g"]);
    }

    #[test]
    fn local_variables_are_no_references_and_called_functions_are() {
        assert_eq!(paths("fn f(x: u8) { let y = x; g(y); }"), ["g"]);
    }

    #[test]
    fn paths_in_macros_and_attributes_are_references() {
        assert_eq!(paths("fn f() { assert_eq!(crate::a::b(), x.c(), D); }"), ["crate::a::b", "D"]);
        assert_eq!(paths(r#"#[serde(with = "crate::time::json")] struct S;"#), ["crate::time::json"]);
        assert_eq!(paths(r#"fn f() { g!("crate::time::json"); }"#), [""; 0], "a string that is no attribute");
        assert_eq!(paths("macro_rules! m { ($x:expr) => { $crate::n::o($x) } }"), ["crate::n::o"]);
    }
}
