//! `millrace completions`: completion scripts for shells.

use std::io;

use clap::{Args, Command};
use clap_complete::{Shell, generate};

/// Print a completion script for a shell
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

/// Prints the script. `command` is the command line.
pub fn run(mut command: Command, arguments: CompletionsArguments) {
    generate(arguments.shell, &mut command, "millrace", &mut io::stdout());
}
