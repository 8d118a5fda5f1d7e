//! `millrace manual`: the manual pages.

use std::{fs, path::PathBuf};

use clap::{Args, Command};

use crate::{context::Context, failure::Failure};

/// Write the manual pages
#[derive(Debug, Args)]
pub struct ManualArguments {
    /// Folder for the pages: millrace.1 and one for each subcommand
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Writes the pages. `command` is the command line.
pub fn run(context: &Context, command: Command, arguments: &ManualArguments) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage(format!("cannot write to {}: {error}", arguments.folder.display()))
            .next("pass a folder that you may write to")
    };
    fs::create_dir_all(&arguments.folder).map_err(failed)?;
    clap_mangen::generate_to(command, &arguments.folder).map_err(failed)?;
    context
        .output
        .note(format!("the pages are in {0}; man -l {0}/millrace.1 shows the first", arguments.folder.display()));
    Ok(())
}
