//! Files of one crate do not import each other, directly or through others. [`crate::import_graph`]
//! says what an import is.

use petgraph::{algo::tarjan_scc, graphmap::DiGraphMap};

use crate::{import_graph::ImportGraph, violation::Violation};

const RULE: &str = "import_cycles";

/// One violation for each group of files that import each other.
pub fn check(graph: &ImportGraph) -> Vec<Violation> {
    let edges = graph.imports.keys().map(|(from, to)| (from.as_str(), to.as_str()));
    let groups = tarjan_scc(&DiGraphMap::<&str, ()>::from_edges(edges));
    let cycles = groups.into_iter().filter(|group| group.len() > 1);
    cycles.map(|group| describe(graph, group)).collect()
}

fn describe(graph: &ImportGraph, mut group: Vec<&str>) -> Violation {
    group.sort_unstable();
    let inside = graph.imports.iter().filter(|((from, to), _)| {
        group.binary_search(&from.as_str()).is_ok() && group.binary_search(&to.as_str()).is_ok()
    });
    let mut line = 0;
    let mut arrows = Vec::new();
    for ((from, to), names) in inside {
        if from == group[0] && line == 0 {
            line = names.values().copied().min().unwrap_or_default();
        }
        let names: Vec<&str> = names.keys().map(String::as_str).collect();
        arrows.push(format!("{from} imports {} from {to}", names.join(", ")));
    }
    let message = format!("{} files import each other: {}", group.len(), arrows.join("; "));
    Violation { file: group[0].to_owned(), line, rule: RULE, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{modules::ModuleTree, references::ParsedFiles};

    fn cycles(texts: &[(&str, &str)]) -> Vec<String> {
        let parse = |text: &str| syn::parse_file(text).expect("the code parses");
        let files: ParsedFiles = texts.iter().map(|(path, text)| ((*path).to_owned(), parse(text))).collect();
        let graph = ImportGraph::new(ModuleTree::new(texts[0].0, &files));
        check(&graph).into_iter().map(|violation| violation.message).collect()
    }

    #[test]
    fn two_files_that_import_each_other_are_refused() {
        let found = cycles(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B; pub struct A(B);"),
            ("b.rs", "pub struct B; fn f() -> super::a::A { todo!() }"),
        ]);
        assert_eq!(found, ["2 files import each other: a.rs imports B from b.rs; b.rs imports A from a.rs"]);
    }

    #[test]
    fn a_cycle_through_a_third_file_is_refused() {
        let found = cycles(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", "use crate::c::C; pub struct B;"),
            ("c.rs", "use crate::*; pub struct C; fn f() { assert!(a::A == 1) }"),
        ]);
        assert!(found[0].starts_with("3 files import each other"), "{found:?}");
    }

    #[test]
    fn a_parent_may_re_export_children_that_import_each_other_through_it_in_one_direction() {
        let found = cycles(&[
            ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
            ("a.rs", "use super::B; pub struct A(B);"),
            ("b.rs", "pub struct B; #[cfg(test)] mod tests { use super::*; fn f() -> B { B } }"),
        ]);
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn a_child_that_imports_what_its_re_exporting_parent_defines_is_refused() {
        let found = cycles(&[
            ("lib.rs", "mod a; pub use a::A; pub struct Shared;"),
            ("a.rs", "use crate::Shared; pub struct A(Shared);"),
        ]);
        assert_eq!(found, ["2 files import each other: a.rs imports Shared from lib.rs; lib.rs imports A from a.rs"]);
    }
}
