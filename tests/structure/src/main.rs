//! Prints every violation in the workspace, or in the checkout that is named, and fails if there
//! are any.

use std::{path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let root = std::env::args_os().nth(1).map_or_else(|| PathBuf::from(workspace), PathBuf::from);
    match millrace_structure::check(&root) {
        Ok(violations) if violations.is_empty() => ExitCode::SUCCESS,
        Ok(violations) => {
            for violation in &violations {
                println!("{violation}");
            }
            eprintln!("{} violations of the rules in tests/structure", violations.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
