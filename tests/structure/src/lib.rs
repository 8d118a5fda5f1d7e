//! Checks the rules on structure and prose that clippy does not know. `make lint` runs all of them.
//!
//! | rule | what it refuses |
//! |---|---|
//! | [`import_rules::check_cycles`] | files of one crate that import each other |
//! | [`import_rules::check_steps`] | a step of the pipeline that imports another step |
//! | [`text_rules::check`] | source files of more than 400 lines |
//! | [`text_rules::check`] | lines of prose and comments of more than 100 characters |
//! | [`text_rules::check`] | words that the writing style excludes |
//! | [`text_rules::check`] | attributes that switch off the limits of functions |
//! | [`text_rules::check`] | crates that do not take the lints of the workspace |
//!
//! Clippy limits functions to 80 lines and 6 parameters. The level `forbid` of these lints would
//! refuse the code that Clap derives. So the level is `deny`, and no attribute may switch them off.
//!
//! To check the workspace: `cargo run -p millrace-structure`. To check another checkout, append its
//! path.

pub mod import_rules;
pub mod imports;
pub mod text_rules;
pub mod violation;
pub mod workspace;
