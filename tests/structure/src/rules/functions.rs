//! Functions have at most 80 lines, from `fn` to the closing brace, and at most 6 parameters,
//! `self` included. Clippy's `too_many_lines` and `too_many_arguments` leave out comments, blank
//! lines and implementations of traits; this rule counts them.

use proc_macro2::Span;
use syn::{
    Block, ImplItemFn, ItemFn, Signature, TraitItemFn,
    visit::{self, Visit},
};

use crate::violation::Violation;

const RULE: &str = "functions";
const MAX_LINES: usize = 80;
const MAX_PARAMETERS: usize = 6;

/// One violation for each function that is too long, and one for each that takes too much.
pub fn check(path: &str, syntax: &syn::File) -> Vec<Violation> {
    let mut functions = Functions { path, violations: Vec::new() };
    functions.visit_file(syntax);
    functions.violations
}

struct Functions<'a> {
    path: &'a str,
    violations: Vec<Violation>,
}

impl Functions<'_> {
    fn measure(&mut self, signature: &Signature, block: Option<&Block>) {
        let name = &signature.ident;
        let first = signature.fn_token.span.start().line;
        let last = block.map_or(first, |block| Span::end(&block.brace_token.span.close()).line);
        let lines = last + 1 - first;
        if lines > MAX_LINES {
            self.refuse(first, format!("{name} has {lines} lines; at most {MAX_LINES} are allowed"));
        }
        let parameters = signature.inputs.len();
        if parameters > MAX_PARAMETERS {
            self.refuse(first, format!("{name} has {parameters} parameters; at most {MAX_PARAMETERS} are allowed"));
        }
    }

    fn refuse(&mut self, line: usize, message: String) {
        self.violations.push(Violation { file: self.path.to_owned(), line, rule: RULE, message });
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.measure(&function.sig, Some(&function.block));
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.measure(&function.sig, Some(&function.block));
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        self.measure(&function.sig, function.default.as_ref());
        visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(code: &str) -> Vec<String> {
        let syntax = syn::parse_file(code).expect("the code parses");
        check("a.rs", &syntax).into_iter().map(|violation| violation.message).collect()
    }

    #[test]
    fn a_function_of_81_lines_is_refused() {
        let with_lines = |count: usize| format!("struct S; impl S {{ fn f() {{{}}} }}", "\n".repeat(count - 1));
        assert_eq!(messages(&with_lines(80)), [""; 0]);
        assert_eq!(messages(&with_lines(81)), ["f has 81 lines; at most 80 are allowed"]);
    }

    #[test]
    fn a_function_of_7_parameters_is_refused() {
        let with_parameters = |count: usize| format!("trait T {{ fn f({}); }}", "_: u8, ".repeat(count));
        assert_eq!(messages(&with_parameters(6)), [""; 0]);
        assert_eq!(messages(&with_parameters(7)), ["f has 7 parameters; at most 6 are allowed"]);
    }
}
