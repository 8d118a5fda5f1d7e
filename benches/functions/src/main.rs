//! Benchmarks of the shipped function as a process, beside a floor: a function of the same clients
//! with no logic. Both run on the same real servers, which this program starts, in turns within one
//! run, since machines are noisy. What comes out are tables in Markdown.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`subject`] | the two functions and the servers they run on |
//! | [`game`] | the commands that players send |
//! | [`start`] | from spawn to the first request for an invocation |
//! | [`read`] | reading the queues of a warm batch from Redis |
//! | [`memory`] | resident memory over 100,000 commands |
//! | [`size`] | what is uploaded |
//! | [`load`] | 1,000 players at once on eight processes |
//! | [`table`] | medians, targets, Markdown |
//!
//! A target that is missed is shown as such. A command that is lost or applied twice ends the program.
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
process-tasks and floor; without names everything is measured.";

/// What is measured, in this order.
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
