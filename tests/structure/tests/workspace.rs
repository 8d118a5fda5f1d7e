//! The workspace follows all rules.

use std::path::Path;

#[test]
fn the_workspace_follows_all_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let violations = millrace_structure::check(&root).unwrap_or_else(|error| panic!("{error}"));
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} violations:\n{}", lines.len(), lines.join("\n"));
}
