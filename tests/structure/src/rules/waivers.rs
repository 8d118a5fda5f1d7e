//! The limits on functions have no exceptions: no attribute and no manifest switches their lints
//! off, and every crate takes the lints of the workspace.

use syn::{
    Attribute, Meta,
    spanned::Spanned,
    visit::{self, Visit},
};

use crate::{source::SourceFile, violation::Violation};

const RULE: &str = "waivers";
const LINTS: [&str; 2] = ["too_many_arguments", "too_many_lines"];

/// One violation for each attribute that allows or expects one of the lints.
pub fn check(path: &str, syntax: &syn::File) -> Vec<Violation> {
    let mut attributes = Attributes { path, violations: Vec::new() };
    attributes.visit_file(syntax);
    attributes.violations
}

/// One violation for each line of a manifest that allows one of the lints. One more if a crate does
/// not take the lints of the workspace.
pub fn check_manifest(file: &SourceFile) -> Vec<Violation> {
    if file.path != "Cargo.toml" && !file.path.ends_with("/Cargo.toml") {
        return Vec::new();
    }
    let violation = |line, message| Violation { file: file.path.clone(), line, rule: RULE, message };
    let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
    let mut violations: Vec<Violation> = (1..)
        .zip(&lines)
        .filter(|(_, line)| line.contains("allow"))
        .filter_map(|(number, line)| Some((number, LINTS.iter().find(|lint| line.starts_with(**lint))?)))
        .map(|(number, lint)| violation(number, format!("the manifest switches {lint} off")))
        .collect();
    let takes_lints = lines.windows(2).any(|pair| pair == ["[lints]", "workspace = true"]);
    if lines.contains(&"[package]") && !takes_lints {
        violations.push(violation(1, "the crate does not take the lints of the workspace".to_owned()));
    }
    violations
}

struct Attributes<'a> {
    path: &'a str,
    violations: Vec<Violation>,
}

impl<'ast> Visit<'ast> for Attributes<'_> {
    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta
            && ["allow", "expect", "cfg_attr"].iter().any(|name| list.path.is_ident(name))
        {
            let tokens = list.tokens.to_string();
            for lint in LINTS.iter().filter(|lint| tokens.contains(**lint)) {
                self.violations.push(Violation {
                    file: self.path.to_owned(),
                    line: attribute.span().start().line,
                    rule: RULE,
                    message: format!("the attribute switches {lint} off"),
                });
            }
        }
        visit::visit_attribute(self, attribute);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_that_switch_a_limit_off_are_refused() {
        for code in [
            "#[allow(clippy::too_many_arguments)] fn f() {}",
            "#![expect(clippy::too_many_lines, reason = \"r\")]",
            "struct S; impl S { #[cfg_attr(test, allow(clippy::too_many_arguments))] fn f() {} }",
        ] {
            let syntax = syn::parse_file(code).expect("the code parses");
            assert_eq!(check("a.rs", &syntax).len(), 1, "{code}");
        }
    }

    #[test]
    fn other_attributes_are_allowed() {
        let syntax = syn::parse_file("#[allow(clippy::unwrap_used)] fn too_many_lines() {}").expect("the code parses");
        assert_eq!(check("a.rs", &syntax), []);
    }

    fn manifest(text: &str) -> Vec<Violation> {
        check_manifest(&SourceFile::new("a/Cargo.toml", text).expect("a file that the rules read"))
    }

    #[test]
    fn manifests_that_switch_a_limit_off_are_refused() {
        assert_eq!(manifest("[workspace.lints.clippy]\ntoo_many_lines = \"allow\"\n").len(), 1);
        assert_eq!(manifest("[package]\nname = \"a\"\n").len(), 1, "it does not take the lints of the workspace");
        assert_eq!(manifest("[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n"), []);
    }
}
