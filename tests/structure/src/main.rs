//! Prints every violation in the workspace, or in the checkout that is named, and fails if there
//! are any.

use std::{env, path::PathBuf, process::ExitCode};

use millrace_structure::workspace;

fn main() -> ExitCode {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let root = env::args_os().nth(1).map_or_else(|| PathBuf::from(default), PathBuf::from);
    let violations = match workspace::check(&root) {
        Ok(violations) => violations,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    for violation in &violations {
        println!("{violation}");
    }
    if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
