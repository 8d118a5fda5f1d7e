//! Each rule refuses a workspace in which it is broken.

use std::{collections::BTreeMap, fs, path::Path};

const MANIFEST: &str = "[package]\nname = \"planted\"\n[lib]\npath = \"shared/pipeline/src/lib.rs\"\n\
    [workspace]\n[workspace.lints.rust]\n[lints]\nworkspace = true\n";
const SOURCES: &str = "shared/pipeline/src";

/// The violations in a workspace of one crate with these files.
fn violations(files: &[(&str, &str)]) -> Vec<String> {
    let workspace = tempfile::tempdir().expect("a temporary folder");
    let steps = ("shared/pipeline/src/steps/mod.rs", "");
    for (path, text) in [("Cargo.toml", MANIFEST), ("shared/pipeline/src/lib.rs", ""), steps].iter().chain(files) {
        let path = workspace.path().join(path);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder is created");
        fs::write(path, text).expect("the file is written");
    }
    let violations = millrace_structure::workspace::check(workspace.path()).unwrap_or_else(|error| panic!("{error}"));
    violations.iter().map(ToString::to_string).collect()
}

/// The violations of the sources of one crate.
fn violations_in_code(files: &[(&str, &str)]) -> Vec<String> {
    let paths: Vec<String> = files.iter().map(|(path, _)| format!("{SOURCES}/{path}")).collect();
    let files: Vec<(&str, &str)> = paths.iter().zip(files).map(|(path, (_, text))| (path.as_str(), *text)).collect();
    violations(&files).into_iter().map(|line| line.replace(&format!("{SOURCES}/"), "")).collect()
}

fn violations_in_text(path: &str, text: &str) -> Vec<String> {
    violations(&[(path, text)])
}

#[test]
fn two_files_that_import_each_other_are_refused() {
    let found = violations_in_code(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B;\npub struct A(B);"),
        ("b.rs", "pub struct B;\nfn f(_: super::a::A) {}"),
    ]);
    assert_eq!(
        found,
        ["a.rs:1: an import in a cycle of imports: b.rs", "b.rs:2: an import in a cycle of imports: a.rs"]
    );
}

#[test]
fn imports_are_found_in_all_places() {
    for code in [
        "use crate::{a::{self, A as C}};",
        "use super::a; fn f(x: a::A) {}",
        "fn f() { use crate::a::*; }",
        "use crate::c::A;",
        "use crate::c::renamed; fn f(_: renamed::A) {}",
        "fn f() { assert!(x.y() == crate::a::A::new(&[1])) }",
        "#[serde(with = \"crate::a\")] struct S;",
        "mod tests { use super::*; fn f(x: Option<super::super::a::A>) {} }",
    ] {
        let found = violations_in_code(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", &format!("pub struct B; {code}")),
            ("c.rs", "pub use crate::{a::A, a as renamed};"),
        ]);
        assert_eq!(found.len(), 2, "{code}: {found:?}");
    }
}

#[test]
fn a_cycle_through_other_files_is_refused() {
    let found = violations_in_code(&[
        ("lib.rs", "#[path = \"elsewhere/x.rs\"] mod a; mod b { pub mod c; } mod d;"),
        ("elsewhere/x.rs", "use crate::b::c::C; pub struct A;"),
        ("b/c.rs", "use crate::d::load; pub struct C;"),
        ("d/mod.rs", "mod load; pub use load::load;"),
        ("d/load.rs", "pub fn load() { crate::a::A }"),
    ]);
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn a_parent_may_re_export_children_that_import_each_other_through_it_in_one_direction() {
    let found = violations_in_code(&[
        ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
        ("a.rs", "use super::B; pub struct A(B);"),
        ("b.rs", "pub struct B; #[cfg(test)] mod tests { use super::*; fn f() -> B { B } }"),
    ]);
    assert_eq!(found, [""; 0]);
}

#[test]
fn a_child_that_imports_what_its_re_exporting_parent_defines_is_refused() {
    let found = violations_in_code(&[
        ("lib.rs", "mod a; pub use a::A; pub struct Shared;"),
        ("a.rs", "use crate::Shared; pub struct A(Shared);"),
    ]);
    assert_eq!(
        found,
        ["a.rs:1: an import in a cycle of imports: lib.rs", "lib.rs:1: an import in a cycle of imports: a.rs"]
    );
}

#[test]
fn a_step_that_imports_another_step_is_refused() {
    let found = violations_in_code(&[
        ("lib.rs", "mod steps;"),
        ("steps/mod.rs", "mod apply; mod load;"),
        ("steps/apply.rs", "\nuse super::load::rows::Rows;"),
        ("steps/load/mod.rs", "mod rows; use rows::Rows;"),
        ("steps/load/rows.rs", "pub struct Rows;"),
    ]);
    assert_eq!(found, ["steps/apply.rs:2: a step imports another step: steps/load/rows.rs"]);
}

#[test]
fn a_pipeline_without_steps_is_refused() {
    let found = millrace_structure::import_rules::check_steps(Path::new("elsewhere"), &BTreeMap::new());
    assert_eq!(found[0].to_string(), "shared/pipeline/src/steps:1: the pipeline has no steps");
}

#[test]
fn a_file_of_401_lines_is_refused() {
    for path in ["tests/a.rs", "infra/lib/a.ts"] {
        assert_eq!(violations_in_text(path, &"//\n".repeat(400)), [""; 0], "{path}");
        let message = "the file has 401 lines; at most 400 are allowed";
        assert_eq!(violations_in_text(path, &"//\n".repeat(401)), [format!("{path}:401: {message}")]);
    }
}

#[test]
fn prose_of_101_characters_is_refused() {
    for (path, mark) in [("a.md", ""), ("a.rs", "    /// "), ("a.rs", "//"), ("a.ts", " * "), ("Makefile", "# ")] {
        let prose = |width: usize| format!("{mark}{}", "x".repeat(width - mark.len()));
        let text = format!("x\n{}\n{}\n", prose(100), prose(101));
        let message = "the line has 101 characters; at most 100 are allowed in prose";
        assert_eq!(violations_in_text(path, &text), [format!("{path}:3: {message}")]);
    }
}

#[test]
fn code_tables_and_links_may_be_longer() {
    let long = "x".repeat(101);
    for (path, text) in [
        ("a.rs", format!("let a = {long};")),
        ("a.rs", format!("/// | {long} |")),
        ("a.md", format!("```\n{long}\n```\n")),
        ("a.md", format!("See [the page](https://{long}).")),
    ] {
        assert_eq!(violations_in_text(path, &text), [""; 0]);
    }
}

#[test]
fn every_listed_phrase_is_refused() {
    for phrase in include_str!("../forbidden_words.txt").lines() {
        let name = phrase.replace(' ', "_");
        let prose = phrase.replacen(' ', "\n/// ", 1).to_uppercase();
        let found = violations_in_text("a.rs", &format!("fn is_{name}_here() {{}}\n/// {prose}\n"));
        assert_eq!(found.len(), 2, "{phrase}: {found:?}");
    }
    assert_eq!(violations_in_text("a.md", "We recommend it. Stand. In a row."), [""; 0]);
}

#[test]
fn a_crate_without_the_lints_of_the_workspace_is_refused() {
    let found = violations_in_text("Cargo.toml", &MANIFEST.replace("[lints]\nworkspace = true\n", ""));
    assert_eq!(found, ["Cargo.toml:1: the crate does not take the lints of the workspace"]);
}

#[test]
fn an_attribute_that_switches_off_a_limit_of_functions_is_refused() {
    for lint in ["too_many_arguments", "too_many_lines"] {
        for attribute in ["#[allow(", "#![allow(dead_code, ", "#[expect("] {
            let found = violations_in_text("a.rs", &format!("//! A file.\n{attribute}clippy::{lint})]\n"));
            assert_eq!(found, ["a.rs:2: an attribute switches off a limit of functions"], "{attribute}");
        }
    }
}
