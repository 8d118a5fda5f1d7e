//! Checks the rules on structure and prose that clippy does not know. `make lint` runs all of them.
//!
//! | rule | what it refuses |
//! |---|---|
//! | [`rules::import_cycles`] | files of one crate that import each other |
//! | [`rules::steps`] | a step of the pipeline that imports another step |
//! | [`rules::layers`] | a crate that depends on one of the same layer or a higher one |
//! | [`rules::functions`] | functions of more than 80 lines or 6 parameters |
//! | [`rules::file_length`] | source files of more than 400 lines |
//! | [`rules::waivers`] | attributes and manifests that switch these limits off |
//! | [`rules::prose_width`] | lines of prose and comments of more than 100 characters |
//! | [`rules::forbidden_words`] | words that the writing style excludes |
//!
//! Rust is parsed with `syn` and Markdown with `pulldown-cmark`. `cargo metadata` lists the crates
//! and their targets. Each rule is a pure function, and its unit tests have input that it refuses.
//!
//! To check the workspace: `cargo run -p millrace-structure`. To check another checkout, append its
//! path.

pub mod import_graph;
pub mod modules;
pub mod names;
pub mod packages;
pub mod references;
pub mod rules;
pub mod source;
pub mod violation;
pub mod workspace;

pub use workspace::{CheckError, check};
