//! Files of Rust and TypeScript have at most 400 lines, tests included.

use crate::{
    source::{Language, SourceFile},
    violation::Violation,
};

const RULE: &str = "file_length";
const MAX_LINES: usize = 400;

/// A violation if the file is too long.
pub fn check(file: &SourceFile) -> Option<Violation> {
    let is_code = matches!(file.language, Language::Rust | Language::TypeScript);
    let lines = file.text.lines().count();
    (is_code && lines > MAX_LINES).then(|| Violation {
        file: file.path.clone(),
        line: MAX_LINES + 1,
        rule: RULE,
        message: format!("the file has {lines} lines; at most {MAX_LINES} are allowed"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(path: &str, lines: usize) -> bool {
        check(&SourceFile::new(path, "x\n".repeat(lines)).expect("a file that the rules read")).is_some()
    }

    #[test]
    fn a_file_of_401_lines_is_refused() {
        for path in ["tests/a.rs", "infra/lib/a.ts"] {
            assert!(!is_refused(path, 400), "{path}");
            assert!(is_refused(path, 401), "{path}");
        }
        assert!(!is_refused("docs/a.md", 401), "documents have no limit");
    }
}
