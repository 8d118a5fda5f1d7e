//! Benchmarks of the shipped `process-tasks` compared with a floor: a function with the same
//! clients and without logic. Both use the same real servers, which this program starts. They run
//! in turns, because machines are noisy. The output is tables in Markdown.
//!
//! | module | content |
//! |---|---|
//! | [`subject`] | the two functions and the servers that they use |
//! | [`game`] | the commands that players send |
//! | [`start`] | the time from the spawn to the first request for an invocation |
//! | [`read`] | reading the queues of a warm batch from Redis |
//! | [`memory`] | resident memory over 100,000 commands |
//! | [`size`] | the size of the uploaded files |
//! | [`load`] | 1,000 concurrent players on eight processes |
//! | [`table`] | quartiles, targets and Markdown tables |
//!
//! A missed target is marked in the table. A command that is lost or applied twice ends the
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

use subject::Binaries;

const USAGE: &str = "usage: millrace-bench DIRECTORY [start|size|read|memory|load]...
DIRECTORY is what `cargo lambda build --lambda-dir` was given, with bootstrap and bootstrap.zip of \
process-tasks and floor; without names everything is measured.";

/// The benchmarks, in this order.
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
    let binaries = Binaries::at(&directory);
    for section in SECTIONS.iter().filter(|section| wanted.is_empty() || wanted.iter().any(|name| name == *section)) {
        eprintln!("measuring: {section}");
        let text = match *section {
            "start" => start::measure(&binaries).await.to_string(),
            "size" => size::measure(&directory).to_string(),
            "read" => read::measure(&binaries).await.to_string(),
            "memory" => memory::measure(&binaries).await,
            _ => load::measure(&binaries).await,
        };
        println!("\n{text}");
    }
    ExitCode::SUCCESS
}
