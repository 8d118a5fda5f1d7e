//! Benchmarks of the shipped `process-tasks` as a process, compared with a floor: a function with
//! the same clients but without logic. Both run in turns on the same real servers, because the
//! speed of a machine varies. The results are tables in Markdown.
//!
//! | module | contents |
//! |---|---|
//! | [`subject`] | the two functions and their servers |
//! | [`game`] | the commands of simulated players |
//! | [`start`] | the time from spawn to the first request for an invocation |
//! | [`read`] | the time to read the queues of a batch from Redis |
//! | [`memory`] | resident memory over 100,000 commands |
//! | [`size`] | the size of the zip and of the binary |
//! | [`load`] | 1,000 players on eight processes |
//! | [`table`] | medians, targets, Markdown |
//!
//! A missed target is marked in its table. A command that is lost or applied twice ends the
//! program.
#![deny(missing_docs)]

mod game;
mod load;
mod memory;
mod read;
mod size;
mod start;
mod subject;
mod table;

use std::{env, path::PathBuf, process::ExitCode};

use subject::Stage;

const USAGE: &str = "usage: millrace-bench DIRECTORY [start|size|read|memory|load]...
DIRECTORY is what `cargo lambda build --lambda-dir` was given, with bootstrap and bootstrap.zip of \
process-tasks and floor; without names all sections are measured.";

/// The sections, in the order in which they are measured.
const SECTIONS: [&str; 5] = ["start", "size", "read", "memory", "load"];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let directory = arguments.next().map(PathBuf::from);
    let wanted: Vec<String> = arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
    let Some(directory) = directory.filter(|_| wanted.iter().all(|name| SECTIONS.contains(&name.as_str()))) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let stage = Stage::at(&directory);
    for section in SECTIONS.iter().filter(|section| wanted.is_empty() || wanted.iter().any(|name| name == *section)) {
        eprintln!("measuring: {section}");
        let text = match *section {
            "start" => start::measure(&stage).await.to_string(),
            "size" => size::measure(&directory).to_string(),
            "read" => read::measure(&stage).await.to_string(),
            "memory" => memory::measure(&stage).await,
            _ => load::measure(&stage).await,
        };
        println!("\n{text}");
    }
    ExitCode::SUCCESS
}
